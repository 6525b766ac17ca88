//! Server, client and agent together.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    child::{self, Program},
    normal,
    wider::WIDER,
};

/// How long the server may take until it waits for the first request.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the scenario and prints its spans; what the agent says of itself goes to standard error.
pub(crate) fn run(agent: &str, tier: &str) -> Result<()> {
    for line in observe(agent, tier, "call")? {
        child::print(&line)?;
    }
    Ok(())
}

/// The same with the ways of [`crate::wider::WIDER`].
///
/// # Errors
/// When a span is not there, or a request is not the child of its call.
pub(crate) fn run_wider(agent: &str, tier: &str) -> Result<()> {
    let lines = observe(agent, tier, "call-wider")?;
    let expected = WIDER.iter().flat_map(|way| {
        ["get", "post"].into_iter().flat_map(move |which| {
            let path = format!("/{way}/wider/{which}");
            let (call, request) = (format!("CLIENT {path} "), format!("SERVER {path} "));
            [
                (call, "| no parent |".to_owned()),
                (request, format!("| parent CLIENT {path} |")),
            ]
        })
    });
    let missing: Vec<String> = expected
        .filter(|(name, parent)| {
            !lines
                .iter()
                .any(|line| line.starts_with(name) && line.contains(parent))
        })
        .map(|(name, parent)| format!("{name}{parent}"))
        .collect();
    if !missing.is_empty() {
        bail!("not there:\n{}\nbut:\n{}", missing.join("\n"), lines.join("\n"));
    }
    child::print(&format!("all {} spans", lines.len()))
}

/// The spans of what a client does.
fn observe(agent: &str, tier: &str, verb: &str) -> Result<Vec<String>> {
    let folder = Folder::create()?;
    let own = env::current_exe().context("asking for this program's own path")?;
    let mut server = Program::start(Command::new(&own).arg("serve").arg(&folder.0))?;
    server.wait_for("ready")?;
    let places = places(&server);
    let named = places.iter().map(|(name, address)| format!("{name}={address}"));
    let mut client = Program::start(Command::new(&own).arg(verb).args(named))?;
    client.wait_for("connected")?;
    if verb == "call" {
        wait_until_reading(server.pid())?;
    }

    let mut command = Command::new(agent);
    // The scenario is about what is seen, and its paths stand in the expected text once already.
    command.env("SIDELIGHT_ROUTES_HEURISTIC", "false");
    let mut agent = Program::start(command.args([
        "attach",
        "--output",
        "json",
        "--tier",
        tier,
        "--pid",
        &server.pid().to_string(),
        "--pid",
        &client.pid().to_string(),
    ]))?;
    agent.wait_for("ready: watching 2 process(es), tier ")?;
    client.tell("begin")?;
    let calls: usize = client.wait_for("calls")?.parse().context("the number of calls")?;
    let complete = agent.wait_until("the spans of both ends of every call", |lines| {
        (spans(lines).count() >= 2 * calls).then_some(())
    });
    agent.interrupt()?;
    // The thread that answers this has waited in one of the hooked functions since before the hooks went.
    client.tell("end")?;
    client.wait_for("late")?;

    child::say(&agent.words());
    let spans: Vec<&str> = spans(&agent.seen).collect();
    if let Err(error) = complete {
        child::say(&format!("{error:#}"));
    }
    normal::lines(&spans, &places, &folder.0)
}

pub(crate) fn spans(lines: &[String]) -> impl Iterator<Item = &str> {
    lines
        .iter()
        .map(String::as_str)
        .filter(|line| line.starts_with('{'))
}

pub(crate) fn places(server: &Program) -> Vec<(String, String)> {
    let place = |line: &String| {
        let (name, address) = line.strip_prefix("place ")?.split_once(' ')?;
        Some((name.to_owned(), address.to_owned()))
    };
    server.seen.iter().filter_map(place).collect()
}

/// Waits until a thread of the server waits in a read, so that the agent finds it there.
fn wait_until_reading(pid: u32) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let reading = format!("{} ", libc::SYS_recvfrom);
    while Instant::now() < deadline {
        let threads = fs::read_dir(format!("/proc/{pid}/task"))?.flatten();
        let mut calls = threads.map(|thread| fs::read_to_string(thread.path().join("syscall")));
        if calls.any(|call| call.is_ok_and(|call| call.starts_with(&reading))) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("no thread of the server waits for the first request")
}

/// A folder that goes again.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn create() -> Result<Self> {
        let path = env::temp_dir().join(format!("golden-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all::<&Path>(&self.0);
    }
}
