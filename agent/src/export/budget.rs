//! The bound of memory of all spans that wait, are being gathered or are on their way.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::span::{Span, Value};

/// Bytes a waiting span may hold on average; with the default queue this bounds all of them to 64 MiB.
const BYTES_PER_SPAN: usize = 4096;

/// Room for spans, by number and by size.
#[derive(Debug)]
pub(super) struct Budget {
    spans: AtomicUsize,
    bytes: AtomicUsize,
    most_spans: usize,
    most_bytes: usize,
}

impl Budget {
    /// Room for `most_spans` spans.
    pub(super) fn new(most_spans: usize) -> Self {
        Self {
            spans: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            most_spans,
            most_bytes: most_spans.saturating_mul(BYTES_PER_SPAN),
        }
    }

    /// Takes room for one span of `bytes`; false when there is none.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let spans = self.spans.fetch_add(1, Relaxed);
        let held = self.bytes.fetch_add(bytes, Relaxed);
        // A span that alone is larger than the bound must still get through when nothing else waits.
        let fits = spans < self.most_spans && (spans == 0 || held.saturating_add(bytes) <= self.most_bytes);
        if !fits {
            self.give_back(1, bytes);
        }
        fits
    }

    /// Gives back the room of `spans` spans that held `bytes` together.
    pub(super) fn give_back(&self, spans: usize, bytes: usize) {
        self.spans.fetch_sub(spans, Relaxed);
        self.bytes.fetch_sub(bytes, Relaxed);
    }

    /// Spans that hold room now.
    pub(super) fn spans(&self) -> usize {
        self.spans.load(Relaxed)
    }
}

/// Memory a span holds, in bytes, without its process, which it shares.
pub(super) fn size_of(span: &Span) -> usize {
    let text = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Int(_) | Value::Bool(_) => 0,
    };
    size_of_val(span)
        + span.name.len()
        + span.trace_state.as_ref().map_or(0, String::len)
        + span
            .attributes
            .iter()
            .map(|(name, value)| size_of_val(&(name, value)) + text(value))
            .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_spans_is_bounded() {
        let budget = Budget::new(2);
        assert!(budget.take(1) && budget.take(1));
        assert!(!budget.take(1));
        budget.give_back(1, 1);
        assert!(budget.take(1));
        assert_eq!(budget.spans(), 2);
    }

    #[test]
    fn their_size_is_bounded_but_a_single_large_one_passes() {
        let budget = Budget::new(3);
        assert!(budget.take(100 * BYTES_PER_SPAN));
        assert!(!budget.take(1));
        budget.give_back(1, 100 * BYTES_PER_SPAN);
        assert!(budget.take(BYTES_PER_SPAN) && budget.take(BYTES_PER_SPAN));
        assert!(!budget.take(BYTES_PER_SPAN + 1));
        assert!(budget.take(BYTES_PER_SPAN));
    }
}
