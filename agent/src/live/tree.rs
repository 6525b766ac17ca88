//! Keeps the spans of a trace together until the trace can be shown.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use crate::span::{Span, SpanId, TraceId};

/// Time after its last span after which a trace is shown whatever may be missing.
pub(super) const QUIET: Duration = Duration::from_secs(2);

/// The same for a trace that looks complete: its root is there and no parent is missing. Not zero, as the spans of
/// several processes do not arrive in the order of their ends.
pub(super) const SETTLE: Duration = Duration::from_millis(250);

/// Spans held at most; one more, and all traces are shown as they are.
const MOST_SPANS: usize = 16_384;

/// Spans of one trace, in the order in which they came. Never empty.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) spans: Vec<Span>,
}

impl Trace {
    /// Start of its first span, nanoseconds since the Unix epoch.
    pub(super) fn start(&self) -> u64 {
        self.spans
            .iter()
            .map(|span| span.start_unix_nanos)
            .min()
            .unwrap_or_default()
    }

    /// End of its last span, nanoseconds since the Unix epoch.
    pub(super) fn end(&self) -> u64 {
        self.spans
            .iter()
            .map(|span| span.end_unix_nanos)
            .max()
            .unwrap_or_default()
    }
}

/// The traces that wait. Time is a parameter.
#[derive(Debug)]
pub(super) struct TreeBuffer {
    open: HashMap<TraceId, Open>,
    overflow: Vec<Trace>,
    held: usize,
    most: usize,
}

impl Default for TreeBuffer {
    fn default() -> Self {
        Self::with_room_for(MOST_SPANS)
    }
}

impl TreeBuffer {
    /// A buffer that holds at most `most` spans.
    pub(super) fn with_room_for(most: usize) -> Self {
        Self {
            open: HashMap::new(),
            overflow: Vec::new(),
            held: 0,
            most,
        }
    }

    /// Adds a span that arrived at `now`.
    pub(super) fn push(&mut self, span: Span, now: Instant) {
        if self.held >= self.most {
            self.overflow = self.drain();
        }
        self.open
            .entry(span.trace_id)
            .or_insert_with(|| Open::new(now))
            .push(span, now);
        self.held += 1;
    }

    /// The traces that are to be shown at `now`, earliest start first.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<Trace> {
        let due: Vec<_> = self
            .open
            .extract_if(|_, open| open.due() <= now)
            .map(|(_, open)| open.trace())
            .collect();
        self.held -= due.iter().map(|trace| trace.spans.len()).sum::<usize>();
        self.with_overflow(due)
    }

    /// All traces, earliest start first.
    pub(super) fn drain(&mut self) -> Vec<Trace> {
        self.held = 0;
        let rest = self.open.drain().map(|(_, open)| open.trace()).collect();
        self.with_overflow(rest)
    }

    /// When [`poll`](Self::poll) will next have something, if no span comes before.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.open.values().map(Open::due).min()
    }

    fn with_overflow(&mut self, traces: Vec<Trace>) -> Vec<Trace> {
        let mut ready = std::mem::take(&mut self.overflow);
        ready.extend(traces);
        ready.sort_by_key(Trace::start);
        ready
    }
}

/// A trace that waits.
#[derive(Debug)]
struct Open {
    spans: Vec<Span>,
    known: HashSet<SpanId>,
    missing: HashSet<SpanId>,
    rooted: bool,
    last: Instant,
}

impl Open {
    fn new(now: Instant) -> Self {
        Self {
            spans: Vec::new(),
            known: HashSet::new(),
            missing: HashSet::new(),
            rooted: false,
            last: now,
        }
    }

    fn push(&mut self, span: Span, now: Instant) {
        self.known.insert(span.span_id);
        self.missing.remove(&span.span_id);
        match span.parent {
            None => self.rooted = true,
            Some(parent) if !self.known.contains(&parent) => {
                self.missing.insert(parent);
            }
            Some(_) => {}
        }
        self.spans.push(span);
        self.last = now;
    }

    fn due(&self) -> Instant {
        let complete = self.rooted && self.missing.is_empty();
        self.last + if complete { SETTLE } else { QUIET }
    }

    fn trace(self) -> Trace {
        Trace { spans: self.spans }
    }
}
