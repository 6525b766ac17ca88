//! `http.server.active_requests`: the requests that a process is serving.
//!
//! Nothing is added at a request's beginning and taken away at its end: the requests that are open are counted whenever somebody
//! looks, so that none stays counted whose end was lost with its connection.

use foldhash::HashMap;

use super::{
    Labels, Now, Number, NumberKind, NumberMetric, Reading,
    series::{Old, within},
};
use crate::{
    conventions::Description,
    span::{SpanKind, Value},
};

const ACTIVE_REQUESTS: NumberMetric = NumberMetric {
    name: "http.server.active_requests",
    unit: "{request}",
    description: "Number of active HTTP server requests.",
    kind: NumberKind::UpDownCounter,
};

/// The attributes that the conventions want.
const ATTRIBUTES: &[&str] = &[METHOD, "url.scheme"];
/// The same with those that they leave to the operator's choice.
const WITH_SERVER: &[&str] = &[METHOD, "server.address", "server.port", "url.scheme"];
const METHOD: &str = "http.request.method";

/// The requests that one process is serving.
#[derive(Debug, Default)]
pub(super) struct Active {
    series: HashMap<Labels, Series>,
}

#[derive(Debug)]
struct Series {
    since_unix_nanos: u64,
    open: i64,
    changed: u64,
}

impl Active {
    /// A request was answered: there is a series for its kind, though none of them may be open whenever somebody looks.
    pub(super) fn answered(&mut self, description: &Description, by_server: bool, limit: usize, now: Now) {
        let attributes = &description.attributes;
        let is_http = attributes.iter().any(|(name, _)| *name == METHOD);
        if description.kind == SpanKind::Server && is_http {
            self.entry(labels(attributes, by_server), limit, now);
        }
    }

    /// None is open, until they are added.
    pub(super) fn begin(&mut self) {
        for series in self.series.values_mut() {
            series.open = 0;
        }
    }

    /// One is open.
    pub(super) fn add(&mut self, labels: Labels, limit: usize, now: Now) {
        self.entry(labels, limit, now).open += 1;
    }

    pub(super) fn forget(&mut self, old: Old) {
        self.series
            .retain(|_, series| series.open > 0 || !old.covers(series.changed));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(super) fn readings(&self) -> Vec<Reading> {
        let reading = |(labels, series): (&Labels, &Series)| Reading {
            metric: &ACTIVE_REQUESTS,
            labels: labels.clone(),
            value: Number::Int(series.open),
            since_unix_nanos: series.since_unix_nanos,
        };
        self.series.iter().map(reading).collect()
    }

    fn entry(&mut self, labels: Labels, limit: usize, now: Now) -> &mut Series {
        let labels = within(&self.series, labels, limit);
        let series = self.series.entry(labels).or_insert(Series {
            since_unix_nanos: now.unix_nanos,
            open: 0,
            changed: now.monotonic,
        });
        series.changed = now.monotonic;
        series
    }
}

/// Of a request's attributes those that its series has.
pub(super) fn labels(attributes: &[(&'static str, Value)], by_server: bool) -> Labels {
    let names = if by_server { WITH_SERVER } else { ATTRIBUTES };
    let wanted = names.iter().filter_map(|name| {
        let mut attributes = attributes.iter();
        attributes.find(|(known, _)| known == name).cloned()
    });
    wanted.collect()
}
