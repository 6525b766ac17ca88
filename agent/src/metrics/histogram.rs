//! A histogram with fixed bounds, and an exemplar for each bucket.

use crate::span::{SpanId, TraceId};

/// How many values lie between which bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Values in each bucket: above the bound before, up to and including its own; the last one above all.
    pub buckets: Vec<u64>,
    /// The latest exported value of each bucket.
    pub exemplars: Vec<Option<(f64, Exemplar)>>,
}

/// A span that stands for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Its end, in nanoseconds since the Unix epoch.
    pub unix_nanos: u64,
}

impl Histogram {
    pub(super) fn new(bounds: &[f64]) -> Self {
        Self {
            count: 0,
            sum: 0.0,
            buckets: vec![0; bounds.len() + 1],
            exemplars: vec![None; bounds.len() + 1],
        }
    }

    pub(super) fn add(&mut self, bounds: &[f64], value: f64, exemplar: Option<Exemplar>) {
        let bucket = bounds.partition_point(|&bound| bound < value);
        self.count += 1;
        self.sum += value;
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        if let (Some(place), Some(exemplar)) = (self.exemplars.get_mut(bucket), exemplar) {
            *place = Some((value, exemplar));
        }
    }
}
