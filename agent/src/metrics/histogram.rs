//! A histogram with fixed bounds, and an exemplar for each bucket; if wanted, also with exponential buckets.

use super::{Buckets, Exponential};
use crate::span::{SpanId, TraceId};

/// How many values lie between which bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// When the first value came, in nanoseconds since the Unix epoch.
    pub since_unix_nanos: u64,
    /// Values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest of them.
    pub min: f64,
    /// The largest of them.
    pub max: f64,
    /// Values in each bucket: above the bound before, up to and including its own; the last one above all.
    pub buckets: Vec<u64>,
    /// The latest exported value of each bucket.
    pub exemplars: Vec<Option<(f64, Exemplar)>>,
    /// The same values in exponential buckets.
    pub exponential: Option<Exponential>,
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
    pub(super) fn new(bounds: &[f64], buckets: Buckets, since_unix_nanos: u64) -> Self {
        Self {
            since_unix_nanos,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            buckets: vec![0; bounds.len() + 1],
            exemplars: vec![None; bounds.len() + 1],
            exponential: (buckets == Buckets::Exponential).then(Exponential::default),
        }
    }

    pub(super) fn add(&mut self, bounds: &[f64], value: f64, exemplar: Option<Exemplar>) {
        let bucket = bounds.partition_point(|&bound| bound < value);
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        if let (Some(place), Some(exemplar)) = (self.exemplars.get_mut(bucket), exemplar) {
            *place = Some((value, exemplar));
        }
        if let Some(exponential) = &mut self.exponential {
            exponential.add(value);
        }
    }
}
