//! `cargo xtask bench`: what the agent costs, beside a server that does next to nothing, under a fixed load.

mod programs;
mod report;
pub(crate) mod units;
mod usage;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, Process};
use crate::progress::{Progress, print};
use crate::setup;
use crate::sys;
use crate::workspace::Workspace;
use programs::{Drive, Programs};
use usage::Usage;

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
    let bench = Bench {
        programs: prepare(workspace, progress)?,
        load,
    };
    let without = progress.step("without the agent", |_| bench.measure(false))?;
    let with = progress.step("with the agent", |_| bench.measure(true))?;
    print(&report::table(load, &without, &with))
}

/// What every measurement needs.
fn prepare(workspace: &Workspace, progress: &Progress) -> Result<Programs> {
    if !sys::is_root() {
        bail!("the agent needs root to load eBPF programs: run this command as root");
    }
    progress.step("kernel file systems", setup::mounts::ensure)?;
    Programs::build(workspace, progress)
}

struct Bench {
    programs: Programs,
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
    fn measure(&self, with_agent: bool) -> Result<Row> {
        let server = self.programs.go_server("server", None, None)?;
        let mut agent = if with_agent {
            Some(
                self.programs
                    .attach("sidelight", server.process.pid(), &[], None)?,
            )
        } else {
            None
        };
        // Connections, buffers and branch predictors get their shape before anything is counted.
        self.drive(&server.address, Duration::from_secs(2))?;

        let before = (
            Usage::of(server.process.pid())?,
            agent.as_ref().map(|agent| Usage::of(agent.pid())).transpose()?,
        );
        let answer = self.drive(&server.address, Duration::from_secs(self.load.seconds.into()))?;
        let server_usage = Usage::of(server.process.pid())?.since(before.0);
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

    fn drive(&self, address: &str, length: Duration) -> Result<serde_json::Value> {
        self.programs.drive(&Drive {
            address,
            rate: self.load.rate,
            connections: self.load.connections,
            length,
            cpu: None,
        })
    }

    /// Takes the agent's figures at the end of the load, then ends it and reads what it says last.
    fn finish(&self, agent: &mut Process, before: Usage) -> Result<AgentRow> {
        let usage = Usage::of(agent.pid())?.since(before);
        let (peak_kib, steady_kib) = usage::memory_kib(agent.pid())?;
        let status = agent.stop()?;
        let log = self.programs.log_of("sidelight")?;
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
}

/// What follows `stats:` in the last such line.
fn closing_statistics(log: &str) -> String {
    let line = log
        .lines()
        .rev()
        .find_map(|line| Some(line.split_once("stats:")?.1.trim().to_owned()));
    line.unwrap_or_else(|| "the agent said nothing".to_owned())
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
