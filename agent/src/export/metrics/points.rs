//! What is counted from: the points of a snapshot, from their beginning or since the one before.

use std::collections::HashMap;

use crate::{
    config::Temporality,
    discover::ProcessKey,
    metrics::{Count, Histogram, Labels, Number, NumberKind, Reading, Snapshot},
};

/// Whose series: a process's, or the agent's own.
pub(super) type Owner = Option<ProcessKey>;

/// What was handed over last, from which later values are counted.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    unix_nanos: u64,
    histograms: HashMap<Key, Histogram>,
    /// Since when each is counted, and its value.
    numbers: HashMap<Key, (u64, Number)>,
}

/// What names a series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    owner: Owner,
    metric: String,
    labels: Labels,
}

/// From what the values of a snapshot are counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum From<'a> {
    /// From the beginning of each series; of exemplars, those that are not in the baseline.
    Beginning(&'a Baseline),
    /// From the baseline; `readings`: also what is read from elsewhere.
    Last { baseline: &'a Baseline, readings: bool },
}

/// A number with the beginning of the time for which it holds.
pub(super) struct Counted {
    pub(super) since_unix_nanos: u64,
    pub(super) value: Number,
}

impl<'a> From<'a> {
    pub(super) fn new(temporality: Temporality, baseline: &'a Baseline) -> Self {
        match temporality {
            Temporality::Cumulative => Self::Beginning(baseline),
            Temporality::Delta => Self::Last {
                baseline,
                readings: true,
            },
            Temporality::LowMemory => Self::Last {
                baseline,
                readings: false,
            },
        }
    }

    /// Whether histograms, and what is counted here, are counted from the snapshot before.
    pub(super) fn is_delta(self) -> bool {
        matches!(self, Self::Last { .. })
    }

    /// Whether a metric that is read is.
    pub(super) fn is_delta_of(self, kind: NumberKind) -> bool {
        kind == NumberKind::Counter && matches!(self, Self::Last { readings: true, .. })
    }

    /// A histogram as it is to be sent; nothing if nothing came.
    pub(super) fn histogram(
        self,
        owner: Owner,
        metric: &str,
        labels: &Labels,
        now: &Histogram,
    ) -> Option<Histogram> {
        let (Self::Beginning(baseline) | Self::Last { baseline, .. }) = self;
        let key = Key::new(owner, metric, labels);
        let before = baseline.histograms.get(&key);
        // A series that was let go begins anew.
        let before = before.filter(|before| before.since_unix_nanos == now.since_unix_nanos);
        let mut sent = now.clone();
        let Some(before) = before else {
            return Some(sent);
        };
        for (exemplar, sent_before) in sent.exemplars.iter_mut().zip(&before.exemplars) {
            if exemplar == sent_before {
                *exemplar = None;
            }
        }
        if self.is_delta() {
            if now.count == before.count {
                return None;
            }
            subtract(&mut sent, before, baseline.unix_nanos);
        }
        Some(sent)
    }

    /// A count as it is to be sent; nothing if nothing came.
    pub(super) fn count(self, owner: Owner, metric: &str, labels: &Labels, now: Count) -> Option<Counted> {
        let value = Number::Int(i64::try_from(now.value).unwrap_or(i64::MAX));
        let counted = self.number(
            &Key::new(owner, metric, labels),
            now.since_unix_nanos,
            value,
            self.is_delta(),
        );
        let is_nothing = self.is_delta() && counted.value == Number::Int(0);
        (!is_nothing).then_some(counted)
    }

    /// A reading as it is to be sent.
    pub(super) fn reading(self, owner: Owner, reading: &Reading) -> Counted {
        let key = Key::new(owner, reading.metric.name, &reading.labels);
        let is_delta = self.is_delta_of(reading.metric.kind);
        self.number(&key, reading.since_unix_nanos, reading.value, is_delta)
    }

    fn number(self, key: &Key, since_unix_nanos: u64, value: Number, is_delta: bool) -> Counted {
        let (Self::Beginning(baseline) | Self::Last { baseline, .. }) = self;
        let before = baseline.numbers.get(key).filter(|_| is_delta);
        match (before, value) {
            (Some(&(since, Number::Int(before))), Number::Int(now)) if since == since_unix_nanos => Counted {
                since_unix_nanos: baseline.unix_nanos,
                value: Number::Int(now - before),
            },
            (Some(&(since, Number::Float(before))), Number::Float(now)) if since == since_unix_nanos => {
                Counted {
                    since_unix_nanos: baseline.unix_nanos,
                    value: Number::Float(now - before),
                }
            }
            _ => Counted {
                since_unix_nanos,
                value,
            },
        }
    }
}

impl Baseline {
    /// What later values are counted from when this snapshot was handed over.
    pub(super) fn of(snapshot: Snapshot) -> Self {
        let mut baseline = Self {
            unix_nanos: snapshot.at.unix_nanos,
            ..Self::default()
        };
        for of_process in snapshot.processes {
            let owner = Some(of_process.process.key());
            for (instrument, series) in crate::metrics::INSTRUMENTS.iter().zip(of_process.families) {
                baseline.histograms(owner, instrument.name, series);
            }
            for reading in of_process.readings {
                let key = Key::new(owner, reading.metric.name, &reading.labels);
                let value = (reading.since_unix_nanos, reading.value);
                baseline.numbers.insert(key, value);
            }
        }
        for metric in snapshot.tempo.iter().flat_map(|tempo| &tempo.counts) {
            for (labels, count) in &metric.series {
                baseline.count(metric.name, labels, *count);
            }
        }
        for metric in snapshot.tempo.into_iter().flat_map(|tempo| tempo.histograms) {
            baseline.histograms(None, metric.name, metric.series);
        }
        for (name, labels, count) in snapshot.agent.counted() {
            baseline.count(name, &labels, count);
        }
        baseline
    }

    fn histograms(&mut self, owner: Owner, metric: &str, series: Vec<(Labels, Histogram)>) {
        for (labels, histogram) in series {
            self.histograms
                .insert(Key::new(owner, metric, &labels), histogram);
        }
    }

    fn count(&mut self, metric: &str, labels: &Labels, count: Count) {
        let value = Number::Int(i64::try_from(count.value).unwrap_or(i64::MAX));
        self.numbers
            .insert(Key::new(None, metric, labels), (count.since_unix_nanos, value));
    }
}

impl Key {
    fn new(owner: Owner, metric: &str, labels: &Labels) -> Self {
        Self {
            owner,
            metric: metric.to_owned(),
            labels: labels.clone(),
        }
    }
}

/// What came since `before`. The smallest and the largest of that are not known.
fn subtract(now: &mut Histogram, before: &Histogram, since_unix_nanos: u64) {
    now.since_unix_nanos = since_unix_nanos;
    now.count -= before.count;
    now.sum -= before.sum;
    (now.min, now.max) = (f64::INFINITY, f64::NEG_INFINITY);
    for (count, before) in now.buckets.iter_mut().zip(&before.buckets) {
        *count -= before;
    }
    if let (Some(now), Some(before)) = (&mut now.exponential, &before.exponential) {
        *now = now.since(before);
    }
}
