//! What the metrics and spans of a time are in which the collector was away.

use std::{
    collections::{BTreeMap, HashSet},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{DURATION, command, counted, is_full, load, server, status};
use crate::harness::{
    agent::Agent,
    lab::Lab,
    note, ports,
    process::resident,
    stubs::{Point, Received, Stubs, points},
};

/// Between two attempts to reach a collector that has been away for long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The load's length each time, if it takes less.
const ROUND: Duration = Duration::from_secs(10);

/// The collector is there, then, if `leaves`, is not, and then is again.
pub(super) fn away(lab: &Lab, protocol: &str, temporality: &str, leaves: bool) -> Result<()> {
    let (server, port) = (server(lab)?, ports::free()?);
    let is_delta = temporality == "delta";
    let variables = [
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality),
        ("OTEL_BSP_MAX_QUEUE_SIZE", if leaves { "256" } else { "8192" }),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let agent = Agent::start(command(&server, protocol, port, &variables))?;
    let memory = Memory::of(&agent)?;
    let mut total = BTreeMap::<u16, u64>::new();
    let mut add = |answered: BTreeMap<u16, u64>| {
        for (status, count) in answered {
            *total.entry(status).or_default() += count;
        }
        total.clone()
    };
    let first = Stubs::start(protocol, port)?;
    let answered = add(load(&server)?);
    first.wait_for("the first requests in the metrics", |received| {
        counted(received, is_delta) == answered
    })?;
    let (before, stubs) = if leaves {
        let before = first.stop()?;
        let began = Instant::now();
        for round in 1.. {
            add(load(&server)?);
            if round * ROUND >= length() {
                break;
            }
            // Not a wait: the pace of the load.
            thread::sleep((began + round * ROUND).saturating_duration_since(Instant::now()));
        }
        (before, Stubs::start(protocol, port)?)
    } else {
        (Vec::new(), first)
    };
    let answered = add(load(&server)?);
    let all = |latest: &[Received]| [&before, latest].concat();
    let latest = stubs
        .wait_within(2 * LONGEST_PAUSE, "all requests in the metrics", |latest| {
            counted(&all(latest), is_delta) == answered
        })
        .with_context(|| agent.stderr())?;
    if is_delta {
        without_holes(&all(&latest))?;
    } else {
        from_one_beginning(&all(&latest))?;
    }
    memory.is_bounded(&agent)?;
    let report = agent.stop()?;
    let received = all(&stubs.stop()?);
    let arrived: HashSet<_> = received.into_iter().flat_map(|one| one.spans).collect();
    let said = |name: &str| -> usize {
        let words = report.stderr.lines().filter(|line| line.starts_with("stats: "));
        let values = words
            .flat_map(|line| line.split(' '))
            .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        values.filter_map(|value| value.parse::<usize>().ok()).sum()
    };
    let lost = said("export_dropped") + said("export_failed");
    let made: u64 = answered.values().sum();
    ensure!(
        (arrived.len() + lost) as u64 == made && said("exported") == arrived.len(),
        "{made} requests, {} spans arrived, {lost} lost: {}",
        arrived.len(),
        report.stderr
    );
    ensure!(lost > 0 || !leaves, "no span was lost");
    // As fast as the long form asks, a queue may be full for a moment.
    ensure!(lost == 0 || leaves || is_full(), "{lost} spans lost");
    ensure!(said("metric_points_failed") == 0, "{}", report.stderr);
    note(&format!(
        "{made} requests, {} spans arrived, {lost} counted as lost",
        arrived.len()
    ));
    Ok(())
}

/// How long the collector stays away at least; with `SIDELIGHT_TEST_FULL`, beyond the time in which everything is tried again.
fn length() -> Duration {
    if is_full() {
        Duration::from_mins(2)
    } else {
        Duration::ZERO
    }
}

/// The agent's memory before the load.
struct Memory {
    before_kib: u64,
}

impl Memory {
    fn of(agent: &Agent) -> Result<Self> {
        let before_kib = resident(agent.pid())?;
        Ok(Self { before_kib })
    }

    /// The most that there are of spans in a queue, and of series.
    fn is_bounded(&self, agent: &Agent) -> Result<()> {
        const MOST_KIB: u64 = 48 * 1024;
        let (before, now) = (self.before_kib, resident(agent.pid())?);
        note(&format!("{before} KiB before the load, {now} KiB after it"));
        ensure!(
            now.saturating_sub(before) < MOST_KIB,
            "the agent grew from {before} to {now} KiB"
        );
        Ok(())
    }
}

/// Each series is counted from the same moment on, whatever happened.
fn from_one_beginning(received: &[Received]) -> Result<()> {
    let mut last: BTreeMap<u16, &Point> = BTreeMap::new();
    for point in points(received, "shop", DURATION) {
        if let Some(before) = last.insert(status(point), point) {
            ensure!(
                point.start == before.start && point.count >= before.count,
                "{point:?} after {before:?}"
            );
        }
    }
    Ok(())
}

/// Each interval of a series begins where one of the exports before it ended, or with the series.
fn without_holes(received: &[Received]) -> Result<()> {
    let mut ends: BTreeMap<u16, u64> = BTreeMap::new();
    for point in points(received, "shop", DURATION) {
        ensure!(
            point.temporality == "delta" && point.start < point.time,
            "{point:?}"
        );
        let end = ends.insert(status(point), point.time).unwrap_or_default();
        let again = end == point.time;
        ensure!(
            again || point.start >= end,
            "{point:?} overlaps what ended at {end}"
        );
    }
    Ok(())
}
