//! Recorded runs, replayed: the same spans each time, also when the CPUs had reported in another order.

use std::{
    collections::HashMap,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use agent_protocols::Limits;

use super::flow::Flow;
use crate::{
    capture::{ConnectionSettings, Event, records},
    config::LeaveOut,
    conventions::{self, Description},
    correlate::{Ids, Placed},
    span::{SpanId, Status, TraceId, Value},
};

/// Between two looks of the agent, as [`super::LOOK_EVERY`].
const LOOK_EVERY_NANOS: u64 = 25_000_000;
/// By how much CPUs may report too early or too late.
const SKEW_NANOS: u64 = 1_000_000;
const SHUFFLES: u64 = 200;

/// Ids that count up.
struct Counting(u64);

impl Ids for Counting {
    fn trace_id(&mut self) -> TraceId {
        self.0 += 1;
        TraceId::from_bytes(u128::from(self.0).to_be_bytes())
    }

    fn span_id(&mut self) -> SpanId {
        self.0 += 1;
        SpanId::from_bytes(self.0.to_be_bytes())
    }
}

/// A record of a recording.
#[derive(Clone, Copy)]
struct Record<'a> {
    event: Event<'a>,
    tid: u32,
    /// When the ring buffer took it, at the earliest.
    taken: u64,
}

fn read(recording: &[u8]) -> Vec<Record<'_>> {
    let mut taken = 0;
    let records = records(recording).unwrap_or_else(|error| panic!("{error}"));
    let decoded = records.into_iter().map(|bytes| {
        let event = Event::decode(bytes).expect("a record that is no event");
        let (time, tid) = match &event {
            Event::Open(open) => (open.time, open.header.tid),
            Event::Data { event, .. } => (event.ended, event.header.tid),
            Event::Close(close) => (close.time, close.header.tid),
            Event::Process(process) => (process.time, process.header.tid),
        };
        // An opening has the time at which the call began that showed it, which may be long ago.
        taken = taken.max(time);
        Record { event, tid, taken }
    });
    decoded.collect()
}

/// Lets records flow as the agent does, the present being what they say. The agent looks first at `phase`.
fn replay(records: &[Record<'_>], phase: u64) -> Vec<Placed> {
    let settings = ConnectionSettings {
        limits: Limits::default(),
        report_noise: false,
    };
    let start = records.first().map_or(0, |record| record.taken);
    let (mut placed, mut now, mut look_at) = (Vec::new(), start, start + phase);
    let mut flow = Flow::new(settings, LeaveOut::default(), (), Counting(0), start);
    for record in records {
        now = now.max(record.taken);
        // What happened before this moment was taken; what is late by less than the skew is not counted upon.
        while look_at <= now {
            flow.turn(look_at.saturating_sub(2 * SKEW_NANOS), &mut placed);
            look_at += LOOK_EVERY_NANOS;
        }
        flow.take(record.event);
    }
    flow.finish(&mut placed);
    placed
}

/// Spans as text, in an order that does not depend on the order in which they were made: a line for each.
fn text(placed: &[Placed]) -> String {
    let start = placed.iter().map(|placed| placed.located.exchange.started).min();
    let mut described: Vec<(String, &Placed)> = placed
        .iter()
        .map(|placed| (describe(placed, start.unwrap_or_default()), placed))
        .collect();
    described.sort_by(|(a, first), (b, second)| {
        let started = |placed: &Placed| placed.located.exchange.started;
        (started(first), a).cmp(&(started(second), b))
    });
    let numbers: HashMap<SpanId, usize> = (1..)
        .zip(&described)
        .map(|(number, (_, placed))| (placed.span_id, number))
        .collect();
    let mut traces = HashMap::new();
    let mut lines = String::new();
    for (number, (line, placed)) in (1..).zip(&described) {
        let next = traces.len() + 1;
        let trace = traces.entry(placed.trace_id).or_insert(next);
        let parent = match &placed.parent {
            Ok(parent) => numbers
                .get(parent)
                .map_or_else(|| parent.to_string(), ToString::to_string),
            Err(absence) => format!("{absence:?}"),
        };
        // Writing to a String does not fail.
        let _ = writeln!(lines, "{number} trace={trace} parent={parent} {line}");
    }
    lines
}

/// What a span says apart from its place: times are microseconds after `start`.
fn describe(placed: &Placed, start: u64) -> String {
    let exchange = &placed.located.exchange;
    let Description {
        name,
        kind,
        status,
        attributes,
    } = conventions::describe(exchange, &placed.located.endpoints, true, None);
    let micros = |time: u64| (time - start) as f64 / 1_000.0;
    let mut line = format!(
        "{kind:?} {name:?} {:.3}..{:.3} pid={}",
        micros(exchange.started),
        micros(exchange.ended),
        exchange.request_unit.pid
    );
    if let Status::Error(message) = status {
        let _ = write!(line, " error={message:?}");
    }
    for (name, value) in attributes {
        let _ = match value {
            Value::String(text) => write!(line, " {name}={text:?}"),
            Value::Int(number) => write!(line, " {name}={number}"),
            Value::Bool(yes) => write!(line, " {name}={yes}"),
        };
    }
    line
}

/// The same records as they might have been reported: each may be early or late, but those of a thread are in order.
fn shuffled<'a>(records: &[Record<'a>], seed: u64) -> Vec<Record<'a>> {
    let mut random = SplitMix(seed);
    let mut last_of_thread = HashMap::new();
    let mut keyed: Vec<(u64, Record<'a>)> = records
        .iter()
        .map(|record| {
            let jitter = random.next() % (2 * SKEW_NANOS + 1);
            let last = last_of_thread.entry(record.tid).or_insert(0);
            *last = (record.taken - SKEW_NANOS + jitter).max(*last);
            (*last, *record)
        })
        .collect();
    // Stable: records of a thread that have the same key stay in order.
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, record)| record).collect()
}

/// <https://prng.di.unimi.it/splitmix64.c>
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn recordings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let recordings: Vec<PathBuf> = files
        .filter(|path| path.extension() == Some("rec".as_ref()))
        .collect();
    assert!(!recordings.is_empty());
    recordings
}

/// The first line in which two texts differ, for people.
fn difference(expected: &str, found: &str) -> String {
    let mut lines = expected.lines().zip(found.lines());
    match lines.find(|(expected, found)| expected != found) {
        Some((expected, found)) => format!("expected: {expected}\n   found: {found}"),
        None => format!(
            "{} lines, not {}",
            found.lines().count(),
            expected.lines().count()
        ),
    }
}

#[test]
fn a_recorded_run_replays_to_the_same_spans() {
    for path in recordings() {
        let recording = fs::read(&path).unwrap();
        let found = text(&replay(&read(&recording), LOOK_EVERY_NANOS));
        let golden = path.with_extension("txt");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap();
        assert!(
            expected == found,
            "{}: {}",
            golden.display(),
            difference(&expected, &found)
        );
    }
}

#[test]
fn the_order_in_which_cpus_report_and_when_the_agent_looks_do_not_matter() {
    for path in recordings() {
        let recording = fs::read(&path).unwrap();
        let records = read(&recording);
        let expected = text(&replay(&records, LOOK_EVERY_NANOS));
        for seed in 0..SHUFFLES {
            let phase = SplitMix(!seed).next() % LOOK_EVERY_NANOS;
            let found = text(&replay(&shuffled(&records, seed), phase));
            assert!(
                expected == found,
                "{}, seed {seed}: {}",
                path.display(),
                difference(&expected, &found)
            );
        }
    }
}
