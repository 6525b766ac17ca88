//! What became of the spans.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of the spans, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Spans the collector took.
    pub exported: u64,
    /// Spans for which the queue had no room.
    pub dropped: u64,
    /// Spans that the collector refused, or that were left when the agent stopped.
    pub failed: u64,
    /// Requests that were sent again.
    pub retries: u64,
}

impl Statistics {
    /// All counts by name.
    pub fn pairs(self) -> [(&'static str, u64); 4] {
        let Self {
            exported,
            dropped,
            failed,
            retries,
        } = self;
        [
            ("exported", exported),
            ("export_dropped", dropped),
            ("export_failed", failed),
            ("export_retries", retries),
        ]
    }
}

/// [`Statistics`] while they are counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    retries: AtomicU64,
}

impl Counters {
    pub(super) fn exported(&self, spans: u64) {
        self.exported.fetch_add(spans, Relaxed);
    }

    pub(super) fn dropped(&self, spans: u64) {
        self.dropped.fetch_add(spans, Relaxed);
    }

    pub(super) fn failed(&self, spans: u64) {
        self.failed.fetch_add(spans, Relaxed);
    }

    pub(super) fn retries(&self, requests: u64) {
        self.retries.fetch_add(requests, Relaxed);
    }

    pub(super) fn read(&self) -> Statistics {
        Statistics {
            exported: self.exported.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            failed: self.failed.load(Relaxed),
            retries: self.retries.load(Relaxed),
        }
    }
}
