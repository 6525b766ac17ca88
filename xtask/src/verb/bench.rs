//! `cargo xtask bench`: what the agent costs, beside a server that does next to nothing, under a fixed load.

mod report;
mod usage;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::build::{self, Profile};
use crate::command::Cmd;
use crate::ports;
use crate::process::{self, Process};
use crate::progress::{Progress, print};
use crate::setup;
use crate::sys;
use crate::workspace::Workspace;
use usage::Usage;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The load of each run.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Requests a second, over all connections.
    pub(crate) rate: u32,
    /// Length of a run.
    pub(crate) seconds: u32,
    pub(crate) connections: u32,
}

/// Loads the server without and with the agent, and prints both rows.
pub(crate) fn run(workspace: &Workspace, progress: &Progress, load: Load) -> Result<()> {
    if !sys::is_root() {
        bail!("the agent needs root to load eBPF programs: run this command as root");
    }
    progress.step("kernel file systems", setup::mounts::ensure)?;
    let bench = Bench::build(workspace, progress, load)?;
    let without = progress.step("without the agent", |_| bench.measure(false))?;
    let with = progress.step("with the agent", |_| bench.measure(true))?;
    print(&report::table(load, &without, &with))
}

/// The programs of the measurement, and a folder for what they write.
struct Bench {
    agent: PathBuf,
    server: PathBuf,
    generator: PathBuf,
    folder: PathBuf,
    load: Load,
}

/// One run.
struct Row {
    requests: f64,
    errors: u64,
    rate: f64,
    p50_us: f64,
    p99_us: f64,
    server: Usage,
    agent: Option<AgentRow>,
}

struct AgentRow {
    usage: Usage,
    peak_kib: u64,
    steady_kib: u64,
    /// The agent's own closing line of statistics.
    statistics: String,
}

impl Bench {
    fn build(workspace: &Workspace, progress: &Progress, load: Load) -> Result<Self> {
        let agent = build::build(workspace, progress, Profile::Release)?;
        let python = progress.step("Python packages", |step| setup::python::ensure(workspace, step))?;
        let go = progress.step("Go toolchain", |step| setup::go::ensure(workspace, &python, step))?;
        let folder = workspace.target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let build = |name: &str| -> Result<PathBuf> {
            let binary = folder.join(name);
            let source = workspace.root.join("xtask/bench");
            progress.step(format!("bench {name}"), |step| {
                setup::go::build(&go, &source, &format!("./{name}"), &binary, step)
            })?;
            Ok(binary)
        };
        Ok(Self {
            agent,
            server: build("server")?,
            generator: build("load")?,
            folder,
            load,
        })
    }

    fn measure(&self, with_agent: bool) -> Result<Row> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut server = Command::new(&self.server);
        server.arg(&address);
        let mut server = Process::with_log("the server", server, &self.folder.join("server.log"))?;
        server.wait_until("listening", START_TIMEOUT, || ports::answers(port))?;
        let mut agent = if with_agent {
            Some(self.attach(server.pid())?)
        } else {
            None
        };
        // Connections, buffers and branch predictors get their shape before anything is counted.
        self.drive(&address, Duration::from_secs(2))?;

        let before = (
            Usage::of(server.pid())?,
            agent.as_ref().map(|agent| Usage::of(agent.pid())).transpose()?,
        );
        let answer = self.drive(&address, Duration::from_secs(self.load.seconds.into()))?;
        let server_usage = Usage::of(server.pid())?.since(before.0);
        let agent = match (&mut agent, before.1) {
            (Some(agent), Some(before)) => Some(self.finish(agent, before)?),
            _ => None,
        };
        let number = |key: &str| {
            answer[key]
                .as_f64()
                .with_context(|| format!("the load generator's answer has no {key}: {answer}"))
        };
        Ok(Row {
            requests: number("requests")?,
            errors: number("errors")? as u64,
            rate: number("requests")? / number("seconds")?,
            p50_us: number("p50_us")?,
            p99_us: number("p99_us")?,
            server: server_usage,
            agent,
        })
    }

    fn attach(&self, pid: u32) -> Result<Process> {
        let log = self.log();
        let mut command = Command::new(&self.agent);
        command.args(["attach", "--pid", &pid.to_string(), "--output", "none"]);
        let mut agent = Process::with_log("sidelight", command, &log)?;
        let is_ready =
            || fs::read_to_string(&log).is_ok_and(|log| log.lines().any(|line| line.starts_with("ready:")));
        agent.wait_until("ready", START_TIMEOUT, is_ready)?;
        Ok(agent)
    }

    fn drive(&self, address: &str, length: Duration) -> Result<Value> {
        let Load {
            rate, connections, ..
        } = self.load;
        let written = Cmd::new(&self.generator)
            .args([
                "-address",
                address,
                "-rate",
                &rate.to_string(),
                "-connections",
                &connections.to_string(),
            ])
            .args(["-length", &format!("{}s", length.as_secs())])
            .with(|command| {
                command.stderr(Stdio::inherit());
            })
            .output()?;
        serde_json::from_str(&written)
            .with_context(|| format!("the load generator's answer is not JSON: {written}"))
    }

    /// Takes the agent's figures at the end of the load, then ends it and reads what it says last.
    fn finish(&self, agent: &mut Process, before: Usage) -> Result<AgentRow> {
        let usage = Usage::of(agent.pid())?.since(before);
        let (peak_kib, steady_kib) = usage::memory_kib(agent.pid())?;
        let status = agent.stop()?;
        let log = fs::read_to_string(self.log()).context("reading the agent's log")?;
        if !status.success() {
            bail!(
                "sidelight ended with {}; its log:\n{log}",
                process::describe(status)
            );
        }
        Ok(AgentRow {
            usage,
            peak_kib,
            steady_kib,
            statistics: closing_statistics(&log),
        })
    }

    fn log(&self) -> PathBuf {
        self.folder.join("sidelight.log")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for name in ["server.log", "sidelight.log"] {
            // What stays behind is overwritten by the next run.
            let _ = fs::remove_file(Path::new(&self.folder).join(name));
        }
    }
}

/// What follows `stats:` in the last such line.
fn closing_statistics(log: &str) -> String {
    let line = log
        .lines()
        .rev()
        .find_map(|line| Some(line.split_once("stats:")?.1.trim().to_owned()));
    line.unwrap_or_else(|| "the agent said nothing".to_owned())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_statistics_count() {
        let log = "ready: watching 1 process(es), tier tracepoint\nINFO stats: events=1 drops=0\nINFO stats: events=9 drops=2 spans=4\nbye\n";
        assert_eq!(closing_statistics(log), "events=9 drops=2 spans=4");
        assert_eq!(closing_statistics("ready\n"), "the agent said nothing");
    }
}
