//! The series of one metric.

use std::hash::Hash;

use foldhash::HashMap;

use super::{Buckets, Exemplar, Histogram, Now};
use crate::span::Value;

/// What the series beyond the limit has for an attribute
/// (<https://opentelemetry.io/docs/specs/otel/metrics/sdk/#overflow-attribute>).
const OVERFLOW: &str = "otel.metric.overflow";

/// The attributes of a series.
pub type Labels = Vec<(&'static str, Value)>;

/// How the series of a metric are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Upper bounds of the buckets.
    pub(super) bounds: &'static [f64],
    /// Exponential buckets besides?
    pub(super) buckets: Buckets,
    /// Series at most.
    pub(super) limit: usize,
}

/// When a series is old: nothing was added to it for long, and whoever needs what was added has it, or has not asked for it for
/// longer still.
#[derive(Clone, Copy, Debug)]
pub(super) struct Old {
    pub(super) before: u64,
    pub(super) settled: u64,
    pub(super) long_before: u64,
}

impl Old {
    pub(super) fn covers(self, changed: u64) -> bool {
        changed < self.before && (changed <= self.settled || changed < self.long_before)
    }
}

/// The series of one metric.
#[derive(Debug, Default)]
pub(super) struct Family {
    series: HashMap<Labels, Series>,
}

#[derive(Debug)]
struct Series {
    histogram: Histogram,
    changed: u64,
}

impl Family {
    pub(super) fn add(
        &mut self,
        shape: Shape,
        labels: &Labels,
        value: f64,
        exemplar: Option<Exemplar>,
        now: Now,
    ) {
        // Most are known, and need no labels of their own.
        if let Some(series) = self.series.get_mut(labels) {
            series.add(shape, value, exemplar, now);
            return;
        }
        let labels = within(&self.series, labels.clone(), shape.limit);
        let series = self.series.entry(labels).or_insert_with(|| Series {
            histogram: Histogram::new(shape.bounds, shape.buckets, now.unix_nanos),
            changed: now.monotonic,
        });
        series.add(shape, value, exemplar, now);
    }

    pub(super) fn forget(&mut self, old: Old) {
        self.series.retain(|_, series| !old.covers(series.changed));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(super) fn series(&self) -> Vec<(Labels, Histogram)> {
        self.series
            .iter()
            .map(|(labels, series)| (labels.clone(), series.histogram.clone()))
            .collect()
    }
}

impl Series {
    fn add(&mut self, shape: Shape, value: f64, exemplar: Option<Exemplar>, now: Now) {
        self.histogram.add(shape.bounds, value, exemplar);
        self.changed = now.monotonic;
    }
}

/// The labels, or those of the overflow if a series with them would be one too many.
pub(super) fn within<T>(series: &HashMap<Labels, T>, labels: Labels, limit: usize) -> Labels
where
    Labels: Hash + Eq,
{
    if series.len() + 1 >= limit && !series.contains_key(&labels) {
        vec![(OVERFLOW, Value::Bool(true))]
    } else {
        labels
    }
}
