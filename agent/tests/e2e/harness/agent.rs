//! The agent under test.

use std::{
    process::{Command, ExitStatus},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use super::{PATIENCE, process::Process, span::Span, until_within};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sidelight");

/// A command of the agent, free of what this test run has in its environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    clean(command)
}

/// The same, started by a shell that runs `script`, where `"$0" "$@"` is the command.
pub(crate) fn command_within(launcher: &[&str], script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(launcher.first().unwrap_or(&"sh"));
    command
        .args(launcher.get(1..).unwrap_or_default())
        .args(["-c", script, BINARY])
        .args(arguments);
    clean(command)
}

/// The same command, free of what this test run has in its environment.
pub(crate) fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let known = name.to_string_lossy();
        if ["SIDELIGHT_", "OTEL_", "BEYLA_", "RUST_"]
            .iter()
            .any(|prefix| known.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command
}

/// What a command of the agent that ends by itself said.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command of the agent to its end.
pub(crate) fn finish(command: Command) -> Result<Ended> {
    let mut process = Process::spawn("sidelight", command)?;
    let status = process.wait(PATIENCE)?;
    Ok(Ended {
        status,
        stdout: process.stdout.text(),
        stderr: process.stderr.text(),
    })
}

/// A running agent that prints its spans as JSON.
pub(crate) struct Agent {
    process: Process,
    parsed: Mutex<Vec<Span>>,
}

/// What an agent said when it had ended.
pub(crate) struct Report {
    pub(crate) spans: Vec<Span>,
    pub(crate) stats: Stats,
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

/// The closing counters: `stats: events=… drops=… spans=…`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) events: u64,
    pub(crate) drops: u64,
    pub(crate) spans: u64,
    /// Spans that stdout was too slow for.
    pub(crate) not_printed: u64,
}

impl Agent {
    /// `sidelight attach` to `pids`, ready when this returns.
    pub(crate) fn attach(pids: &[u32]) -> Result<Self> {
        Self::attach_with(pids, &[])
    }

    /// The same with more options.
    pub(crate) fn attach_with(pids: &[u32], more: &[&str]) -> Result<Self> {
        let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
        let mut arguments = vec!["attach", "--output", "json"];
        for pid in &pids {
            arguments.extend(["--pid", pid]);
        }
        arguments.extend(more);
        Self::start(command(&arguments))
    }

    /// `sidelight run` with `more` options, ready when this returns.
    pub(crate) fn run_with(more: &[&str]) -> Result<Self> {
        let mut arguments = vec!["run", "--output", "json"];
        arguments.extend(more);
        Self::start(command(&arguments))
    }

    /// Any command of the agent that prints spans as JSON, ready when this returns.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        if std::env::var_os("SIDELIGHT_TEST_VERBOSE").is_some() {
            command.arg("-vv");
        }
        let process = Process::spawn("sidelight", command)?;
        process
            .stderr
            .wait(PATIENCE, |_, line| is_ready(line))
            .context("the agent does not get ready")?;
        Ok(Self {
            process,
            parsed: Mutex::default(),
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has said on standard error.
    pub(crate) fn stderr(&self) -> String {
        self.process.stderr.text()
    }

    /// How many spans it has printed so far.
    pub(crate) fn printed(&self) -> usize {
        self.process.stdout.count()
    }

    /// The spans so far.
    pub(crate) fn spans(&self) -> Result<Vec<Span>> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        for line in self.process.stdout.since(parsed.len()) {
            parsed.push(Span::parse(&line)?);
        }
        Ok(parsed.clone())
    }

    /// Waits until `count` spans are wanted ones, and gives all that are.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        count: usize,
        wanted: impl Fn(&Span) -> bool,
    ) -> Result<Vec<Span>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = self.spans()?;
            let found: Vec<Span> = all.iter().filter(|span| wanted(span)).cloned().collect();
            if found.len() >= count {
                return Ok(found);
            }
            if Instant::now() > deadline {
                bail!(
                    "{what}: {} of {count} spans after {PATIENCE:?}\nthe last spans: {:#?}\nthe agent's standard error:\n{}",
                    found.len(),
                    &all[all.len().saturating_sub(3)..],
                    self.stderr()
                );
            }
            self.process
                .stdout
                .wait_for_more(all.len(), Duration::from_millis(200));
        }
    }

    /// Waits for `count` spans and until no more come, or gives up on those that do not; then stops it.
    pub(crate) fn settled(self, count: usize) -> Result<Report> {
        // Nothing of a test takes longer between two spans; whoever misses some waits for this long.
        const QUIET: Duration = Duration::from_millis(500);
        const HOPELESS: Duration = Duration::from_secs(3);
        let (mut seen, mut since) = (0, Instant::now());
        until_within(Duration::from_mins(2), "the spans cease to come", || {
            let lines = self.process.stdout.count();
            if lines != seen {
                (seen, since) = (lines, Instant::now());
            }
            (since.elapsed() > if seen >= count { QUIET } else { HOPELESS }).then_some(())
        })?;
        self.stop()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Stops it as a user does with Ctrl-C; an exit other than 0 is an error.
    pub(crate) fn stop(self) -> Result<Report> {
        self.signal(Signal::INT)?;
        let report = self.ended()?;
        ensure!(
            report.status.success(),
            "the agent ended with {}:\n{}",
            report.status,
            report.stderr
        );
        Ok(report)
    }

    /// Kills it as nothing else can.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.process.wait(PATIENCE).map(drop)
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> Result<Report> {
        let exit = self.process.wait(PATIENCE)?;
        let spans = self.spans()?;
        let stderr = self.stderr();
        let stats = Stats::find(&stderr).with_context(|| format!("the agent's standard error:\n{stderr}"))?;
        Ok(Report {
            spans,
            stats,
            status: exit,
            stderr,
        })
    }
}

impl Report {
    /// The spans that are wanted.
    pub(crate) fn only(&self, wanted: impl Fn(&Span) -> bool) -> Vec<&Span> {
        self.spans.iter().filter(|span| wanted(span)).collect()
    }
}

impl Stats {
    /// As the agent writes them.
    pub(crate) fn line(&self) -> String {
        let Self {
            events,
            drops,
            spans,
            not_printed,
        } = self;
        format!("events={events} drops={drops} spans={spans} not_printed={not_printed}")
    }

    /// What was lost and counted: each may have cost a span, or its parent.
    pub(crate) fn lost(&self) -> u64 {
        self.drops + self.not_printed
    }

    fn find(stderr: &str) -> Result<Self> {
        let line = stderr
            .lines()
            .rev()
            .find_map(|line| line.split_once("stats: ").map(|(_, counters)| counters))
            .context("no line with closing counters (stats: events=… drops=… spans=…)")?;
        let counter = |name: &str| {
            line.split_whitespace()
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                .and_then(|value| value.parse().ok())
                .with_context(|| format!("no counter {name} in {line:?}"))
        };
        Ok(Self {
            events: counter("events")?,
            drops: counter("drops")?,
            spans: counter("spans")?,
            not_printed: counter("not_printed")?,
        })
    }
}

fn is_ready(line: &str) -> bool {
    line.contains("ready: watching ") && line.contains("tier ")
}
