//! The series of a metric that only counts.

use foldhash::HashMap;

use super::{
    Labels, Now,
    series::{Old, within},
};

/// A count, and since when it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// When it was first added to, in nanoseconds since the Unix epoch.
    pub since_unix_nanos: u64,
    /// The count.
    pub value: u64,
}

/// The series of a metric that only counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    series: HashMap<Labels, Series>,
}

#[derive(Debug)]
struct Series {
    count: Count,
    changed: u64,
}

impl Counts {
    pub(super) fn add(&mut self, labels: Labels, amount: u64, limit: usize, now: Now) {
        let labels = within(&self.series, labels, limit);
        let series = self.series.entry(labels).or_insert_with(|| Series {
            count: Count {
                since_unix_nanos: now.unix_nanos,
                value: 0,
            },
            changed: now.monotonic,
        });
        series.count.value += amount;
        series.changed = now.monotonic;
    }

    pub(super) fn forget(&mut self, old: Old) {
        self.series.retain(|_, series| !old.covers(series.changed));
    }

    pub(super) fn series(&self) -> Vec<(Labels, Count)> {
        self.series
            .iter()
            .map(|(labels, series)| (labels.clone(), series.count))
            .collect()
    }
}
