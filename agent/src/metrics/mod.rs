//! METRICS: what exchanges have in common, counted before sampling.
//!
//! Every exchange of a watched process goes into the instruments of its kind ([`instruments`]), one set for each process.
//! A series has a set of attributes; a new one beyond the limit goes into one series that says so, and one that nothing
//! has gone into for a while is let go.

mod active;
mod counts;
mod exponential;
mod histogram;
mod instruments;
mod number;
mod process;
mod series;
mod snapshot;
pub mod tempo;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use opentelemetry::trace::SpanKind;

pub use counts::Count;
pub use exponential::Exponential;
pub use histogram::{Exemplar, Histogram};
pub use instruments::{INSTRUMENTS, Instrument};
pub use number::{Number, NumberKind, NumberMetric, Reading};
pub use series::Labels;
pub use snapshot::{Asked, Asker, OfAgent, ProgramRuns, Settled, Snapshot, SnapshotOfProcess, channel};

use crate::{
    config::{Buckets, MetricsLimits, MetricsSettings},
    conventions::Description,
    discover::{Process, ProcessKey},
    span::Value,
};
use active::Active;
use series::{Family, Old, Shape};
use tempo::Tempo;

const NANOS_PER_SECOND: f64 = 1e9;
/// So many times as long as others is a series kept that has something to tell and cannot.
const LONG: u64 = 6;

/// The metrics of all watched processes.
#[derive(Debug)]
pub struct Metrics {
    limits: MetricsLimits,
    buckets: Buckets,
    processes: HashMap<ProcessKey, OfProcess>,
    /// What is kept though nothing was counted of it.
    kept: HashSet<ProcessKey>,
    tempo: Option<Tempo>,
    settled: Settled,
    exemplars: bool,
    active_by_server: bool,
}

/// A moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// On the monotonic clock, in nanoseconds.
    pub monotonic: u64,
    /// In nanoseconds since the Unix epoch.
    pub unix_nanos: u64,
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
    active: Active,
}

impl Metrics {
    /// Nothing counted yet. What came since `settled` is kept longer.
    pub fn new(settings: MetricsSettings, settled: Settled) -> Self {
        Self {
            limits: settings.limits,
            buckets: settings.buckets,
            processes: HashMap::default(),
            kept: HashSet::default(),
            tempo: settings.tempo.then(|| Tempo::new(settings.limits)),
            settled,
            exemplars: settings.exemplars,
            active_by_server: settings.active_by_server,
        }
    }

    /// Whether spans are shown that stand for values.
    pub fn shows_exemplars(&self) -> bool {
        self.exemplars
    }

    /// Adds an exchange.
    pub fn add(&mut self, process: &Arc<Process>, measured: &Measured<'_>, now: Now) {
        let (buckets, limit, by_server) = (self.buckets, self.limits.series, self.active_by_server);
        let of_process = self.of(process);
        // Neighbours in the table have the same attributes.
        let mut shared: Option<(&[&str], Labels)> = None;
        for (instrument, family) in INSTRUMENTS.iter().zip(&mut of_process.families) {
            let Some(value) = value(instrument, measured) else {
                continue;
            };
            shared.take_if(|(attributes, _)| !std::ptr::eq(*attributes, instrument.attributes));
            let (_, labels) = shared.get_or_insert_with(|| {
                (
                    instrument.attributes,
                    instrument.labels(&measured.description.attributes),
                )
            });
            let shape = Shape {
                bounds: instrument.bounds,
                buckets,
                limit,
            };
            family.add(shape, labels, value, measured.exemplar, now);
        }
        of_process
            .active
            .answered(measured.description, by_server, limit, now);
    }

    /// Adds a span to the metrics in Tempo's names, if they are wanted.
    pub fn add_span(&mut self, placed: &tempo::Placed<'_>, now: Now) {
        if let Some(tempo) = &mut self.tempo {
            tempo.add(placed, now);
        }
    }

    /// Counts the requests that are being served, all of them: the process of each, and its attributes.
    pub fn count_active(&mut self, open: Vec<(Arc<Process>, Labels)>, now: Now) {
        for of_process in self.processes.values_mut() {
            of_process.active.begin();
        }
        let limit = self.limits.series;
        let by_server = self.active_by_server;
        for (process, attributes) in open {
            let labels = active::labels(&attributes, by_server);
            self.of(&process).active.add(labels, limit, now);
        }
    }

    /// Keeps these processes though nothing was counted of them, and no others.
    pub fn keep(&mut self, processes: &[Arc<Process>]) {
        self.kept = processes.iter().map(|process| process.key()).collect();
        for process in processes {
            self.of(process);
        }
    }

    /// Whether something was counted of a process, or it was kept.
    pub fn knows(&self, process: &Process) -> bool {
        self.processes.contains_key(&process.key())
    }

    /// Lets go what nothing was added to for a while.
    pub fn forget_idle(&mut self, now: Now) {
        let idle = self.limits.idle.as_nanos() as u64;
        let old = Old {
            before: now.monotonic.saturating_sub(idle),
            settled: self.settled.monotonic(),
            long_before: now.monotonic.saturating_sub(idle.saturating_mul(LONG)),
        };
        let kept = &self.kept;
        self.processes.retain(|key, of_process| {
            for family in &mut of_process.families {
                family.forget(old);
            }
            of_process.active.forget(old);
            let is_empty = of_process.families.iter().all(Family::is_empty) && of_process.active.is_empty();
            !is_empty || kept.contains(key)
        });
        if let Some(tempo) = &mut self.tempo {
            tempo.forget(old, now);
        }
    }

    /// All of them as they are now.
    pub fn snapshot(&self) -> Vec<SnapshotOfProcess> {
        let of_process = |of_process: &OfProcess| SnapshotOfProcess {
            process: Arc::clone(&of_process.process),
            families: of_process.families.iter().map(Family::series).collect(),
            readings: of_process.active.readings(),
        };
        self.processes.values().map(of_process).collect()
    }

    /// Those in Tempo's names, if they are wanted.
    pub fn tempo(&self) -> Option<tempo::Snapshot> {
        self.tempo.as_ref().map(Tempo::snapshot)
    }

    fn of(&mut self, process: &Arc<Process>) -> &mut OfProcess {
        self.processes.entry(process.key()).or_insert_with(|| OfProcess {
            process: Arc::clone(process),
            families: INSTRUMENTS.iter().map(|_| Family::default()).collect(),
            active: Active::default(),
        })
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
