//! The series of one metric of one process, and all of them at a moment.

use std::{collections::HashMap, sync::Arc};

use super::{Exemplar, Histogram, Instrument};
use crate::{discover::Process, span::Value};

/// What the series beyond the limit has for an attribute
/// (<https://opentelemetry.io/docs/specs/otel/metrics/sdk/#overflow-attribute>).
const OVERFLOW: &str = "otel.metric.overflow";

/// The attributes of a series.
pub type Labels = Vec<(&'static str, Value)>;

/// All metrics at a moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Those of each process.
    pub processes: Vec<SnapshotOfProcess>,
    /// What the agent counts of itself: name and value.
    pub agent: Vec<(&'static str, u64)>,
    /// Processes that are watched.
    pub watching: usize,
    /// The hooks that see the I/O.
    pub tier: &'static str,
}

/// All metrics of one process.
#[derive(Clone, Debug)]
pub struct SnapshotOfProcess {
    /// The process.
    pub process: Arc<Process>,
    /// The series of each instrument, in the order of the table.
    pub families: Vec<Vec<(Labels, Histogram)>>,
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
        instrument: &Instrument,
        labels: Labels,
        value: f64,
        exemplar: Option<Exemplar>,
        now: u64,
        limit: usize,
    ) {
        let full = self.series.len() + 1 >= limit && !self.series.contains_key(&labels);
        let labels = if full {
            vec![(OVERFLOW, Value::Bool(true))]
        } else {
            labels
        };
        let series = self.series.entry(labels).or_insert_with(|| Series {
            histogram: Histogram::new(instrument.bounds),
            changed: now,
        });
        series.histogram.add(instrument.bounds, value, exemplar);
        series.changed = now;
    }

    pub(super) fn forget(&mut self, before: u64) {
        self.series.retain(|_, series| series.changed >= before);
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
