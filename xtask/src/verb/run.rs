//! `cargo xtask run`: the demo with the agent attached to it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::build::{self, Profile};
use crate::command::{Cmd, find_in_path};
use crate::demo::{self, Demo, Ports, Toolbox};
use crate::process::{self, Process};
use crate::progress::{Progress, print};
use crate::setup;
use crate::sys;
use crate::workspace::Workspace;

const READY_TIMEOUT: Duration = Duration::from_mins(1);
/// `--once` gives up after this long without the traces.
const TRACES_TIMEOUT: Duration = Duration::from_secs(30);
/// What starts the line by which the agent says that its probes are attached.
const READY: &str = "ready:";
/// What is asked of flask-app when the agent is ready.
const REQUESTS: [&str; 2] = ["/users", "/albums"];
/// Spans that these requests make: the service, and words of the span's line.
const EXPECTED: [(&str, &str); 6] = [
    ("flask-app", "GET /users"),
    ("fastapi-app", "GET /users"),
    ("fastapi-app", "SELECT users"),
    ("flask-app", "GET /albums"),
    ("golang-app", "GET /albums"),
    ("golang-app", "SELECT albums"),
];

/// Builds the agent and becomes it, through sudo when this user may not load eBPF programs.
pub(crate) fn agent(workspace: &Workspace, progress: &Progress, args: &[OsString]) -> Result<ExitCode> {
    let binary = build::build(workspace, progress, Profile::Dev)?;
    let mut command = privileged(&binary, false)?;
    let error = command.args(args).exec();
    Err(error).with_context(|| format!("starting {}", command.get_program().display()))
}

/// Runs the demo until Ctrl-C; with `once`, until the traces of its two requests were printed.
pub(crate) fn demo(workspace: &Workspace, progress: &Progress, once: bool) -> Result<ExitCode> {
    let (binary, toolbox) = prepare(workspace, progress)?;
    if !sys::is_root() && !Cmd::new("sudo").arg("-v").interactive()? {
        bail!("the agent needs root to load eBPF programs: run `sudo -v` once, or this command as root");
    }
    let interrupted = catch_signals()?;
    let mut demo = Demo::start(workspace, &toolbox, progress)?;
    let mut agent = Agent::attach(&binary, &demo.pids(), once)?;
    progress.step("the agent attaches", |_| agent.wait_until_ready(&interrupted))?;
    let ports = demo.ports();
    for path in REQUESTS {
        let status = demo::get(ports.flask, path)?;
        progress.say(format!("GET http://127.0.0.1:{}{path}: {status}", ports.flask));
    }
    if once {
        await_traces(&mut demo, &mut agent, &interrupted)?;
    } else {
        progress.say(urls(ports));
        watch(&mut demo, &mut agent, &interrupted)?;
    }
    agent.stop()?;
    Ok(ExitCode::SUCCESS)
}

/// Everything that can be got before anything is started: the agent and what the demo needs, at once.
fn prepare(workspace: &Workspace, progress: &Progress) -> Result<(PathBuf, Toolbox)> {
    Ports::from_environment()?.require_free()?;
    progress.step("kernel file systems", setup::mounts::ensure)?;
    thread::scope(|scope| {
        let toolbox = scope.spawn(|| Toolbox::install(workspace, progress));
        let binary = build::build(workspace, progress, Profile::Dev);
        let toolbox = toolbox
            .join()
            .map_err(|_| anyhow!("the installation of the demo's tools panicked"))?;
        Ok((binary?, toolbox?))
    })
}

/// The signals that end the demo in good order.
fn catch_signals() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // The second one ends this process at once, and the kernel its children.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&interrupted))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&interrupted)))
            .context("catching signals")?;
    }
    Ok(interrupted)
}

/// Looks after demo and agent until the user says stop.
fn watch(demo: &mut Demo, agent: &mut Agent, interrupted: &AtomicBool) -> Result<()> {
    while !interrupted.load(Ordering::Relaxed) {
        demo.check_alive()?;
        agent.process.check_alive()?;
        thread::sleep(process::POLL);
    }
    Ok(())
}

/// Prints what the agent prints until every span of [`EXPECTED`] was among it.
fn await_traces(demo: &mut Demo, agent: &mut Agent, interrupted: &AtomicBool) -> Result<()> {
    let mut missing = EXPECTED.to_vec();
    let since = Instant::now();
    while since.elapsed() < TRACES_TIMEOUT {
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted before both traces were printed");
        }
        let Some(line) = agent.next_line(process::POLL) else {
            demo.check_alive()?;
            agent.process.check_alive()?;
            continue;
        };
        print(&format!("{line}\n"))?;
        missing.retain(|(service, span)| !(line.contains(service) && line.contains(span)));
        // An empty line ends a trace.
        if missing.is_empty() && line.is_empty() {
            return Ok(());
        }
    }
    let missing: Vec<_> = missing
        .iter()
        .map(|(service, span)| format!("{span} of {service}"))
        .collect();
    bail!(
        "after {} s there is no span {}",
        TRACES_TIMEOUT.as_secs(),
        missing.join(", ")
    )
}

fn urls(ports: Ports) -> String {
    let Ports {
        flask,
        fastapi,
        golang,
        ..
    } = ports;
    format!(
        "\nTry these; every request's trace appears here. Ctrl-C ends the demo.\n\
         \x20   curl http://127.0.0.1:{flask}/users              flask-app, fastapi-app, SQL\n\
         \x20   curl http://127.0.0.1:{flask}/user/vasya         the same, one user\n\
         \x20   curl http://127.0.0.1:{flask}/albums             flask-app, golang-app, SQL\n\
         \x20   curl http://127.0.0.1:{fastapi}/users/1            fastapi-app, SQL over asyncpg\n\
         \x20   curl http://127.0.0.1:{golang}/albums/7           golang-app, SQL, an answer of 404\n"
    )
}

/// The attached agent.
struct Agent {
    process: Process,
    spans: Receiver<String>,
    ready: Receiver<()>,
    /// Set when the agent runs below sudo, which takes signals from root alone.
    through_sudo: bool,
}

impl Agent {
    /// Starts it; with `listen` its spans come through [`Agent::next_line`], else it draws on the terminal itself.
    fn attach(binary: &Path, pids: &[u32], listen: bool) -> Result<Self> {
        let mut command = privileged(binary, true)?;
        command.arg("attach");
        for pid in pids {
            command.args(["--pid", &pid.to_string()]);
        }
        command
            .args(["--output", "tree"])
            .stdout(if listen { Stdio::piped() } else { Stdio::inherit() })
            .stderr(Stdio::piped());
        let mut process = Process::start("sidelight", command)?;
        let (line, spans) = channel();
        let (is_ready, ready) = channel();
        if let Some(stdout) = process.child().stdout.take() {
            thread::spawn(move || forward_spans(stdout, &line));
        }
        if let Some(stderr) = process.child().stderr.take() {
            thread::spawn(move || forward_log(stderr, &is_ready));
        }
        Ok(Self {
            process,
            spans,
            ready,
            through_sudo: !sys::is_root(),
        })
    }

    fn wait_until_ready(&mut self, interrupted: &AtomicBool) -> Result<()> {
        let ready = &self.ready;
        self.process.wait_until("ready", READY_TIMEOUT, || {
            interrupted.load(Ordering::Relaxed) || ready.try_recv().is_ok()
        })
    }

    fn next_line(&self, within: Duration) -> Option<String> {
        match self.spans.recv_timeout(within) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(within);
                None
            }
        }
    }

    /// Ends it, prints what it still had to say, and checks that it ended well.
    fn stop(mut self) -> Result<()> {
        if self.through_sudo {
            Cmd::new("sudo")
                .args(["-n", "kill", "-TERM", &self.process.pid().to_string()])
                .output()?;
        }
        let status = self.process.stop()?;
        while let Some(line) = self.next_line(process::POLL) {
            print(&format!("{line}\n"))?;
        }
        if !status.success() {
            bail!("sidelight ended with {}", process::describe(status));
        }
        Ok(())
    }
}

fn forward_spans(stdout: impl Read, to: &Sender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if to.send(line).is_err() {
            return;
        }
    }
}

fn forward_log(stderr: impl Read, ready: &Sender<()>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let _ = writeln!(std::io::stderr(), "{line}");
        if line.starts_with(READY) {
            let _ = ready.send(());
        }
    }
}

/// The agent's command, through sudo when this user is not root; `quiet`: without asking for a password.
fn privileged(binary: &Path, quiet: bool) -> Result<Command> {
    if sys::is_root() {
        return Ok(Command::new(binary));
    }
    if find_in_path("sudo").is_none() {
        bail!("the agent needs root to load eBPF programs and there is no sudo: run this command as root");
    }
    let mut command = Command::new("sudo");
    if quiet {
        command.arg("-n");
    }
    command.arg(binary);
    Ok(command)
}
