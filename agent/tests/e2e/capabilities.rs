//! What each capability is for: the agent with exactly those that deploy/CAPABILITIES.md names, and with all of them but one.
//!
//! The watched program is another user's, in a folder that is closed to all but that one. A container gives its capabilities
//! by the same means as `setpriv` does here: a bounding set, and no privileges that are new.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    harness::{
        agent::{self, Agent, Ended},
        apps::Server,
        client::get,
        lab::{Lab, Need},
        ports,
        postgres::NOBODY,
        span::Span,
        until,
    },
};

/// Those that the agent cannot do without.
const NEEDED: [&str; 4] = ["bpf", "perfmon", "sys_ptrace", "dac_read_search"];
/// The one that spares it missed calls on kernels that preempt.
const PRIORITY: &str = "sys_nice";
/// Its calls are made by goroutines of their own: that they are told apart takes probes in the program.
const PATH: &str = "/group/group_1";
const CALLS: usize = 5;
/// Linux has links for probes from here on; before, probes may want `CAP_SYS_ADMIN`.
const LINKS_SINCE: (u32, u32) = (6, 6);

const NEEDS: &[Need] = &[Need::Root, Need::Go, Need::Postgres, Need::Tool("setpriv")];
const NEEDS_STRACE: &[Need] = &[
    Need::Root,
    Need::Go,
    Need::Postgres,
    Need::Tool("setpriv"),
    Need::Tool("strace"),
];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("capabilities::these_suffice", NEEDS, suffice),
        Case::new("capabilities::without_bpf", NEEDS, |lab| {
            does_not_start(lab, "bpf")
        }),
        Case::new("capabilities::without_perfmon", NEEDS, |lab| {
            does_not_start(lab, "perfmon")
        }),
        Case::new("capabilities::without_sys_ptrace", NEEDS, |lab| {
            sees_nothing(lab, "sys_ptrace")
        }),
        Case::new("capabilities::without_dac_read_search", NEEDS, |lab| {
            sees_nothing(lab, "dac_read_search")
        }),
        Case::new(
            "capabilities::sys_nice_keeps_the_processor",
            NEEDS_STRACE,
            keeps_the_processor,
        ),
    ]
}

/// With them, and no other, the trace is whole.
fn suffice(lab: &Lab) -> Result<()> {
    let stranger = Stranger::start(lab, "suffice")?;
    let agent = Agent::start(stranger.agent(&NEEDED))?;
    let port = stranger.port;
    until("the program is watched", || {
        get(&stranger.server.address, "/nothing").ok()?;
        agent.spans().ok()?.iter().any(Span::is_served).then_some(())
    })?;
    get(&stranger.server.address, PATH)?;
    let calls = agent.wait_for("calls of goroutines", CALLS, Span::is_sent)?;
    let requests = agent.wait_for("the request", 1, |span| span.is_served() && span.path() == PATH)?;
    let refused = agent.stderr().contains("may not be probed");
    ensure!(
        !refused || kernel()? < LINKS_SINCE,
        "probes in programs are refused:\n{}",
        agent.stderr()
    );
    let request = requests.first().context("no request")?;
    for call in calls.iter().filter(|_| !refused) {
        ensure!(
            call.parent_span_id == request.span_id,
            "a call on port {port} is not below its request {request:?}: {call:?}\n{}",
            agent.stderr()
        );
    }
    agent.stop().map(drop)
}

/// Without it nothing can be loaded: it says so, and which capability that takes.
fn does_not_start(lab: &Lab, missing: &str) -> Result<()> {
    let stranger = Stranger::start(lab, missing)?;
    let Ended {
        status,
        stdout,
        stderr,
    } = agent::finish(stranger.agent(&without(missing)))?;
    ensure!(
        status.code() == Some(1),
        "{status} without {missing}, instead of exit code 1:\n{stderr}"
    );
    ensure!(stdout.is_empty(), "standard output is for spans: {stdout}");
    let check = agent::finish(stranger.command(&without(missing), &["check"]))?;
    let name = format!("CAP_{}", missing.to_uppercase());
    let named = |line: &str| line.contains("NO ") && line.contains(&format!("run as root or with {name}"));
    ensure!(
        stderr.contains("sidelight check") && check.stdout.lines().any(named),
        "{name} is not named:\n{stderr}\n{}",
        check.stdout
    );
    Ok(())
}

/// Without it the program is not found, and it is its absence that does it: the same agent sees it with all of them.
fn sees_nothing(lab: &Lab, missing: &str) -> Result<()> {
    let stranger = Stranger::start(lab, missing)?;
    let agent = Agent::start(stranger.agent(&without(missing)))?;
    let watching =
        |agent: &Agent, count: usize| agent.stderr().contains(&format!("watching {count} process"));
    ensure!(
        watching(&agent, 0),
        "it is watched without {missing}:\n{}",
        agent.stderr()
    );
    get(&stranger.server.address, "/nothing")?;
    let report = agent.stop()?;
    ensure!(
        report.spans.is_empty(),
        "spans without {missing}: {:?}",
        report.spans
    );
    let agent = Agent::start(stranger.agent(&NEEDED))?;
    ensure!(watching(&agent, 1), "it is not watched:\n{}", agent.stderr());
    agent.stop().map(drop)
}

/// Where the kernel preempts, the agent asks for a real-time priority, and gets it only with this capability.
fn keeps_the_processor(lab: &Lab) -> Result<()> {
    let stranger = Stranger::start(lab, PRIORITY)?;
    let with = asked_for_priority(&stranger, &[&NEEDED[..], &[PRIORITY]].concat())?;
    let without = asked_for_priority(&stranger, &NEEDED)?;
    ensure!(
        with.iter().all(|call| call.contains("= 0")),
        "a priority is refused in spite of {PRIORITY}: {with:?}"
    );
    ensure!(
        without.iter().all(|call| call.contains("EPERM")),
        "a priority is given without {PRIORITY}: {without:?}"
    );
    ensure!(
        with.is_empty() == without.is_empty(),
        "it is asked for only sometimes: {with:?}, {without:?}"
    );
    Ok(())
}

/// Its requests for a real-time priority, with the kernel's answers.
fn asked_for_priority(stranger: &Stranger, capabilities: &[&str]) -> Result<Vec<String>> {
    let folder = stranger
        .binary
        .with_file_name(format!("trace-{}", capabilities.len()));
    fs::create_dir_all(&folder)?;
    let agent = stranger.agent(capabilities);
    let mut command = Command::new("strace");
    // One file for each thread, so that no call is printed in two halves.
    command
        .args(["-ff", "-e", "trace=sched_setscheduler", "-o"])
        .arg(folder.join("thread"));
    command.arg(agent.get_program()).args(agent.get_args());
    command.args(["--duration", "1s"]);
    let ended = agent::finish(agent::clean(command))?;
    ensure!(ended.status.success(), "{}:\n{}", ended.status, ended.stderr);
    let mut asked = Vec::new();
    for thread in fs::read_dir(&folder)? {
        let calls = fs::read_to_string(thread?.path())?;
        let own = calls.lines().filter(|line| line.contains("SCHED_FIFO"));
        asked.extend(own.map(ToOwned::to_owned));
    }
    Ok(asked)
}

fn without(missing: &str) -> Vec<&'static str> {
    NEEDED.into_iter().filter(|name| *name != missing).collect()
}

/// A running program of another user's.
struct Stranger {
    server: Server,
    port: u16,
    /// What its calls over HTTP reach.
    _leaf: Server,
    /// The agent, where who has no capability can execute it, too.
    binary: PathBuf,
}

impl Stranger {
    fn start(lab: &Lab, name: &str) -> Result<Self> {
        let folder = lab.folder(&format!("capabilities-{name}"))?;
        let binary = folder.join("sidelight");
        fs::copy(agent::BINARY, &binary).context("the agent cannot be copied")?;
        let closed = folder.join("closed");
        fs::create_dir_all(&closed)?;
        let program = closed.join("parents");
        fs::copy(lab.go_parents_app()?, &program)?;
        for path in [&program, &closed] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            chown(path, Some(NOBODY), Some(NOBODY))?;
        }
        let (leaf, _) = serve(&program, &[])?;
        let (server, port) = serve(&program, &["-leaf", &leaf.url()?, "-dsn", &lab.postgres()?.dsn()])?;
        Ok(Self {
            server,
            port,
            _leaf: leaf,
            binary,
        })
    }

    /// The agent that watches it, with these capabilities alone.
    fn agent(&self, capabilities: &[&str]) -> Command {
        let port = self.port.to_string();
        self.command(capabilities, &["run", "--output", "json", "--port", &port])
    }

    fn command(&self, capabilities: &[&str], arguments: &[&str]) -> Command {
        let set = format!("-all,+{}", capabilities.join(",+"));
        let mut command = Command::new("setpriv");
        for kind in ["--bounding-set", "--inh-caps", "--ambient-caps"] {
            command.arg(format!("{kind}={set}"));
        }
        command.arg("--no-new-privs").arg(&self.binary).args(arguments);
        agent::clean(command)
    }
}

fn serve(program: &Path, arguments: &[&str]) -> Result<(Server, u16)> {
    let port = ports::free()?;
    let mut command = Command::new(program);
    command
        .args(["-listen", &format!("127.0.0.1:{port}")])
        .args(arguments);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    Ok((Server::on_port("the stranger", command, port)?, port))
}

/// Version of the running kernel.
fn kernel() -> Result<(u32, u32)> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(['.', '-']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => anyhow::bail!("no version: {release}"),
    }
}
