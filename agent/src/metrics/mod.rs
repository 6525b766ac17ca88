//! METRICS: what exchanges have in common, counted before sampling.
//!
//! Every exchange of a watched process goes into the instruments of its kind ([`instruments`]), one set for each process.
//! A series has a set of attributes; a new one beyond the limit goes into one series that says so, and one that nothing
//! has gone into for a while is let go.

mod histogram;
mod instruments;
mod series;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use opentelemetry::trace::SpanKind;

pub use histogram::{Exemplar, Histogram};
pub use instruments::{INSTRUMENTS, Instrument};
pub use series::{Labels, Snapshot, SnapshotOfProcess};

use crate::{
    config::MetricsLimits,
    conventions::Description,
    discover::{Process, ProcessKey},
    span::Value,
};
use series::Family;

const NANOS_PER_SECOND: f64 = 1e9;

/// The metrics of all watched processes.
#[derive(Debug)]
pub struct Metrics {
    limits: MetricsLimits,
    processes: HashMap<ProcessKey, OfProcess>,
}

/// An exchange as the metrics see it.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// What the conventions say of it.
    pub description: &'a Description,
    /// How long it took, in nanoseconds.
    pub nanos: u64,
    /// The span that stands for it, if one is exported: trace, span, and its end in nanoseconds since the Unix epoch.
    pub exemplar: Option<Exemplar>,
}

#[derive(Debug)]
struct OfProcess {
    process: Arc<Process>,
    /// One for each instrument.
    families: Vec<Family>,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(limits: MetricsLimits) -> Self {
        Self {
            limits,
            processes: HashMap::new(),
        }
    }

    /// Adds an exchange; `now` in monotonic nanoseconds.
    pub fn add(&mut self, process: &Arc<Process>, measured: &Measured<'_>, now: u64) {
        let of_process = self.processes.entry(process.key()).or_insert_with(|| OfProcess {
            process: Arc::clone(process),
            families: INSTRUMENTS.iter().map(|_| Family::default()).collect(),
        });
        for (instrument, family) in INSTRUMENTS.iter().zip(&mut of_process.families) {
            let Some(value) = value(instrument, measured) else {
                continue;
            };
            let labels = instrument.labels(&measured.description.attributes);
            family.add(
                instrument,
                labels,
                value,
                measured.exemplar,
                now,
                self.limits.series,
            );
        }
    }

    /// Lets go what nothing was added to for a while; `now` in monotonic nanoseconds.
    pub fn forget_idle(&mut self, now: u64) {
        let before = now.saturating_sub(self.limits.idle.as_nanos() as u64);
        self.processes.retain(|_, of_process| {
            for family in &mut of_process.families {
                family.forget(before);
            }
            of_process.families.iter().any(|family| !family.is_empty())
        });
    }

    /// All of them as they are now.
    pub fn snapshot(&self) -> Vec<SnapshotOfProcess> {
        let of_process = |of_process: &OfProcess| SnapshotOfProcess {
            process: Arc::clone(&of_process.process),
            families: of_process.families.iter().map(Family::series).collect(),
        };
        self.processes.values().map(of_process).collect()
    }
}

/// What goes into an instrument; nothing if the exchange is none of its kind.
fn value(instrument: &Instrument, measured: &Measured<'_>) -> Option<f64> {
    let Description { kind, attributes, .. } = measured.description;
    if !instrument.is_for(kind, attributes) {
        return None;
    }
    match instrument.size_attribute {
        None => Some(measured.nanos as f64 / NANOS_PER_SECOND),
        Some(name) => attributes.iter().find_map(|(known, value)| match value {
            Value::Int(bytes) if *known == name => Some(*bytes as f64),
            _ => None,
        }),
    }
}

impl Instrument {
    fn is_for(&self, kind: &SpanKind, attributes: &[(&'static str, Value)]) -> bool {
        *kind == self.kind && attributes.iter().any(|(name, _)| *name == self.mark)
    }

    /// Of an exchange's attributes those that the metric has.
    fn labels(&self, attributes: &[(&'static str, Value)]) -> Labels {
        attributes
            .iter()
            .filter(|(name, _)| self.attributes.contains(name))
            .cloned()
            .collect()
    }
}
