//! `cargo xtask bench --units`: what telling units apart costs a saturated server, against threads alone.
//!
//! Two servers of a kind have a CPU for themselves, each with an agent of its own, one of which tells units apart. They are
//! loaded in turn, so that what else changes on the machine meets both, and with each session's new processes they change
//! roles, so that luck with memory and ports does.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::prepare;
use super::programs::{Drive, Programs, Server};
use super::usage::Usage;
use crate::process::Process;
use crate::progress::{Progress, print};
use crate::workspace::Workspace;

/// The CPU of the servers. Everything else has the other.
const SERVERS: u32 = 0;
const OTHERS: u32 = 1;
const WARM_UP: Duration = Duration::from_secs(1);
const THREADS_ONLY: (&str, &str) = ("SIDELIGHT_THREADS_ONLY", "true");

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Times that the processes are started anew; each other time they have each other's role.
    pub(crate) sessions: u32,
    /// Runs of each of both in a session.
    pub(crate) pairs: u32,
    /// Length of a run.
    pub(crate) seconds: u32,
    pub(crate) connections: u32,
}

/// What is measured: a kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A Go server
    Go,
    /// A Go server that asks another for each answer
    GoHop,
    /// uvicorn with uvloop and httptools
    Uvloop,
    /// uvicorn with asyncio and h11
    Asyncio,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Go, Self::GoHop, Self::Uvloop, Self::Asyncio];

    fn describe(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::GoHop => "Go, hop",
            Self::Uvloop => "uvicorn, uvloop",
            Self::Asyncio => "uvicorn, asyncio",
        }
    }

    fn start(self, programs: &Programs, name: &str, next: &str) -> Result<Server> {
        let cpu = Some(SERVERS);
        match self {
            Self::Go => programs.go_server(name, None, cpu),
            Self::GoHop => programs.go_server(name, Some(next), cpu),
            Self::Uvloop => programs.uvicorn(name, &["--loop", "uvloop", "--http", "httptools"], cpu),
            Self::Asyncio => programs.uvicorn(name, &["--loop", "asyncio", "--http", "h11"], cpu),
        }
    }
}

/// Measures each of `kinds`, all if there are none, and prints a row for each.
pub(crate) fn run(workspace: &Workspace, progress: &Progress, kinds: &[Kind], plan: Plan) -> Result<()> {
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() < 2) {
        bail!("a CPU for the servers and one for the load are needed: this machine has one");
    }
    let programs = prepare(workspace, progress)?;
    let kinds = if kinds.is_empty() { &Kind::ALL } else { kinds };
    let mut table = vec![
        "| server | threads alone, requests/s | units, requests/s | loss, medians | loss, pairs | CPU time a request | runs |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for &kind in kinds {
        let pairs = progress.step(kind.describe(), |step| {
            let mut pairs = Vec::new();
            for session in 0..plan.sessions {
                let done = Session::begin(&programs, kind, session % 2 == 1)?.measure(&programs, plan)?;
                pairs.extend(done);
                step.detail(&row(kind, &pairs));
            }
            Ok(pairs)
        })?;
        table.push(row(kind, &pairs));
    }
    print(&format!("{}\n", table.join("\n")))
}

/// One server with its agent.
struct Watched {
    server: Server,
    _agent: Process,
}

impl Watched {
    fn begin(programs: &Programs, kind: Kind, next: &str, name: &str, units: bool) -> Result<Self> {
        let server = kind.start(programs, &format!("server-{name}"), next)?;
        let settings: &[_] = if units { &[] } else { &[THREADS_ONLY] };
        let agent = programs.attach(
            &format!("agent-{name}"),
            server.process.pid(),
            settings,
            Some(OTHERS),
        )?;
        Ok(Self {
            server,
            _agent: agent,
        })
    }

    fn load(&self, programs: &Programs, connections: u32, length: Duration) -> Result<Run> {
        let before = Usage::of(self.server.process.pid())?;
        let answer = programs.drive(&Drive {
            address: &self.server.address,
            rate: 0,
            connections,
            length,
            cpu: Some(OTHERS),
        })?;
        let number = |key: &str| {
            answer[key]
                .as_f64()
                .with_context(|| format!("no {key} in {answer}"))
        };
        if number("errors")? > 0.0 {
            bail!("requests failed: {answer}");
        }
        let requests = number("requests")?;
        Ok(Run {
            rate: requests / number("seconds")?,
            micros: Usage::of(self.server.process.pid())?.since(before).micros() / requests,
        })
    }
}

/// Both servers, at the same time.
struct Session {
    threads: Watched,
    units: Watched,
    /// The one that is loaded first is loaded second in the next pair.
    units_first: bool,
    _next: Server,
}

/// What a run gave.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Requests a second.
    rate: f64,
    /// The server's CPU time a request.
    micros: f64,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    threads: Run,
    units: Run,
}

impl Session {
    fn begin(programs: &Programs, kind: Kind, units_first: bool) -> Result<Self> {
        let next = programs.go_server("next", None, Some(OTHERS))?;
        let begin = |name, units| Watched::begin(programs, kind, &next.address, name, units);
        let first = begin("first", units_first)?;
        let second = begin("second", !units_first)?;
        let (threads, units) = if units_first {
            (second, first)
        } else {
            (first, second)
        };
        Ok(Self {
            threads,
            units,
            units_first,
            _next: next,
        })
    }

    fn measure(mut self, programs: &Programs, plan: Plan) -> Result<Vec<Pair>> {
        let length = Duration::from_secs(plan.seconds.into());
        self.pair(programs, plan.connections, WARM_UP)?;
        (0..plan.pairs)
            .map(|_| self.pair(programs, plan.connections, length))
            .collect()
    }

    fn pair(&mut self, programs: &Programs, connections: u32, length: Duration) -> Result<Pair> {
        let load = |watched: &Watched| watched.load(programs, connections, length);
        let early = self.units_first.then(|| load(&self.units)).transpose()?;
        let threads = load(&self.threads)?;
        let units = early.map_or_else(|| load(&self.units), Ok)?;
        self.units_first = !self.units_first;
        Ok(Pair { threads, units })
    }
}

fn row(kind: Kind, pairs: &[Pair]) -> String {
    let of = |value: fn(&Pair) -> f64| median(pairs.iter().map(value).collect());
    let threads = of(|pair| pair.threads.rate);
    let units = of(|pair| pair.units.rate);
    let by_pairs = of(|pair| 1.0 - pair.units.rate / pair.threads.rate);
    let micros = of(|pair| pair.units.micros / pair.threads.micros - 1.0);
    format!(
        "| {} | {threads:.0} | {units:.0} | {:.1} % | {:.1} % | {:+.1} % | {} of each |",
        kind.describe(),
        (1.0 - units / threads) * 100.0,
        by_pairs * 100.0,
        micros * 100.0,
        pairs.len()
    )
}

/// The middle one, or the mean of both that are in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_run_does_not_count() {
        let run = |rate: f64| Run {
            rate,
            micros: 1e6 / rate,
        };
        let pairs = [(100.0, 97.0), (100.0, 98.0), (100.0, 20.0)].map(|(threads, units)| Pair {
            threads: run(threads),
            units: run(units),
        });
        assert_eq!(
            row(Kind::Go, &pairs),
            "| Go | 100 | 97 | 3.0 % | 3.0 % | +3.1 % | 3 of each |"
        );
    }

    #[test]
    fn medians() {
        let is = |values: &[f64], expected: f64| assert!((median(values.to_vec()) - expected).abs() < 1e-9);
        is(&[3.0, 1.0, 2.0], 2.0);
        is(&[4.0, 1.0, 2.0, 3.0], 2.5);
        is(&[], 0.0);
    }
}
