//! Metrics of spans and of calls between services in the names of Tempo's metrics-generator, for stacks without one.
//!
//! Names, labels and default buckets are those of Tempo 2.10: `modules/generator/processor/spanmetrics` and
//! `modules/generator/processor/servicegraphs`. As there, a call within the watched programs is counted when both its ends are
//! known; a call to a database at once; a call whose other end does not come within 10 s goes to or comes from a virtual node.

pub(crate) mod size;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use foldhash::HashMap;

use super::{
    Buckets, Exemplar, Histogram, Labels, Now,
    counts::{Count, Counts},
    series::{Family, Old, Shape},
};
use crate::{
    config::MetricsLimits,
    conventions::Description,
    span::{SpanId, SpanKind, Status, TraceId, Value},
};

const NANOS_PER_SECOND: f64 = 1e9;
/// How long the other end of a call is waited for.
const WAIT: Duration = Duration::from_secs(10);
/// Calls whose other end is waited for.
const WAITING_MOST: usize = 10_000;

const LATENCY_SECONDS: &[f64] = &[
    0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
];
const GRAPH_SECONDS: &[f64] = &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8];

const DATABASE: &str = "database";
const VIRTUAL_NODE: &str = "virtual_node";
/// The caller of a request that came from nowhere that is watched.
const USER: &str = "user";

/// A span that was placed.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// Name of the service in which it happened.
    pub service: &'a str,
    /// What the conventions say of it.
    pub description: &'a Description,
    /// How long it took, in nanoseconds.
    pub nanos: u64,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// Its parent.
    pub parent: Option<SpanId>,
    /// The header `tracestate` that it came with.
    pub trace_state: Option<&'a str>,
    /// The span, if it is exported.
    pub exemplar: Option<Exemplar>,
}

/// Metrics of all spans.
#[derive(Debug)]
pub(super) struct Tempo {
    limits: MetricsLimits,
    spans: Family,
    sizes: Counts,
    requests: Counts,
    failed: Counts,
    server_seconds: Family,
    client_seconds: Family,
    waiting: HashMap<(TraceId, SpanId), Edge>,
    /// In the order of their times; what has its other end meanwhile is passed over.
    waiting_since: VecDeque<(u64, (TraceId, SpanId))>,
    left_out: u64,
}

/// All of them at a moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Histograms.
    pub histograms: Vec<OfMetric<Histogram>>,
    /// Counts.
    pub counts: Vec<OfMetric<Count>>,
    /// Calls whose other end was not waited for, because too many waited already.
    pub left_out: u64,
}

/// A metric and its series.
#[derive(Clone, Debug)]
pub struct OfMetric<T> {
    /// Its name, without the `_total` of a count.
    pub name: &'static str,
    /// What it says.
    pub description: &'static str,
    /// Bounds, of a histogram.
    pub bounds: &'static [f64],
    /// Its series.
    pub series: Vec<(Labels, T)>,
}

/// A call from service to service, as far as it is known.
#[derive(Clone, Debug, Default)]
struct Edge {
    client: Option<End>,
    server: Option<End>,
    /// Who served, as the client named it.
    peer: Option<String>,
    /// The request has no parent.
    is_root: bool,
    since: u64,
}

#[derive(Clone, Debug, Default)]
struct End {
    service: String,
    /// Nothing for an end that is not seen itself.
    seconds: Option<f64>,
    failed: bool,
    exemplar: Option<Exemplar>,
}

impl Tempo {
    pub(super) fn new(limits: MetricsLimits) -> Self {
        Self {
            limits,
            spans: Family::default(),
            sizes: Counts::default(),
            requests: Counts::default(),
            failed: Counts::default(),
            server_seconds: Family::default(),
            client_seconds: Family::default(),
            waiting: HashMap::default(),
            waiting_since: VecDeque::new(),
            left_out: 0,
        }
    }

    pub(super) fn add(&mut self, placed: &Placed<'_>, now: Now) {
        self.add_span(placed, now);
        let attributes = &placed.description.attributes;
        let end = End {
            service: placed.service.to_owned(),
            seconds: Some(placed.nanos as f64 / NANOS_PER_SECOND),
            failed: matches!(placed.description.status, Status::Error(_)),
            exemplar: placed.exemplar,
        };
        match placed.description.kind {
            SpanKind::Client if text(attributes, "db.system.name").is_some() => {
                self.database(attributes, &end, now);
            }
            SpanKind::Client => {
                let key = (placed.trace_id, placed.span_id);
                let peer = text(attributes, "server.address").map(str::to_owned);
                self.pair(key, now, move |edge| (edge.client, edge.peer) = (Some(end), peer));
            }
            SpanKind::Server => {
                // Without a parent nothing else can have this key.
                let key = (placed.trace_id, placed.parent.unwrap_or(placed.span_id));
                let is_root = placed.parent.is_none();
                self.pair(key, now, move |edge| {
                    (edge.server, edge.is_root) = (Some(end), is_root);
                });
            }
            _ => {}
        }
    }

    /// Lets go of what waited in vain, and of what nothing was added to for a while.
    pub(super) fn forget(&mut self, old: Old, now: Now) {
        let late = now.monotonic.saturating_sub(WAIT.as_nanos() as u64);
        while let Some((_, key)) = self.waiting_since.pop_front_if(|(since, _)| *since < late) {
            if let Some(edge) = self.waiting.remove(&key) {
                self.expired(edge, now);
            }
        }
        for family in [
            &mut self.spans,
            &mut self.server_seconds,
            &mut self.client_seconds,
        ] {
            family.forget(old);
        }
        for counts in [&mut self.sizes, &mut self.requests, &mut self.failed] {
            counts.forget(old);
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let histogram = |name, description, bounds, family: &Family| OfMetric {
            name,
            description,
            bounds,
            series: family.series(),
        };
        let count = |name, description, series| OfMetric {
            name,
            description,
            bounds: &[],
            series,
        };
        let calls = |(labels, histogram): (Labels, Histogram)| {
            let count = Count {
                since_unix_nanos: histogram.since_unix_nanos,
                value: histogram.count,
            };
            (labels, count)
        };
        Snapshot {
            histograms: vec![
                histogram(
                    "traces_spanmetrics_latency",
                    "Duration of the span",
                    LATENCY_SECONDS,
                    &self.spans,
                ),
                histogram(
                    "traces_service_graph_request_server_seconds",
                    "Time for a request between two nodes as seen from the server",
                    GRAPH_SECONDS,
                    &self.server_seconds,
                ),
                histogram(
                    "traces_service_graph_request_client_seconds",
                    "Time for a request between two nodes as seen from the client",
                    GRAPH_SECONDS,
                    &self.client_seconds,
                ),
            ],
            counts: vec![
                count(
                    "traces_spanmetrics_calls",
                    "Total count of the span",
                    self.spans.series().into_iter().map(calls).collect(),
                ),
                count(
                    "traces_spanmetrics_size",
                    "Total size of spans in bytes, as they are over OTLP",
                    self.sizes.series(),
                ),
                count(
                    "traces_service_graph_request",
                    "Total count of requests between two nodes",
                    self.requests.series(),
                ),
                count(
                    "traces_service_graph_request_failed",
                    "Total count of failed requests between two nodes",
                    self.failed.series(),
                ),
            ],
            left_out: self.left_out,
        }
    }

    fn add_span(&mut self, placed: &Placed<'_>, now: Now) {
        let Description {
            name, kind, status, ..
        } = placed.description;
        let kind = match kind {
            SpanKind::Server => "SPAN_KIND_SERVER",
            SpanKind::Client => "SPAN_KIND_CLIENT",
            _ => "SPAN_KIND_INTERNAL",
        };
        let status = match status {
            Status::Unset => "STATUS_CODE_UNSET",
            Status::Error(_) => "STATUS_CODE_ERROR",
        };
        let labels = vec![
            ("service", placed.service.into()),
            ("span_name", name.as_str().into()),
            ("span_kind", kind.into()),
            ("status_code", status.into()),
        ];
        let seconds = placed.nanos as f64 / NANOS_PER_SECOND;
        let shape = self.shape(LATENCY_SECONDS);
        self.spans.add(shape, &labels, seconds, placed.exemplar, now);
        let bytes = size::of_span(placed.description, placed.parent.is_some(), placed.trace_state);
        self.sizes.add(labels, bytes, self.limits.series, now);
    }

    /// A call to a database has one span: what serves it is known from that.
    fn database(&mut self, attributes: &[(&'static str, Value)], client: &End, now: Now) {
        let names = [
            "server.address",
            "network.peer.address",
            "db.namespace",
            "db.system.name",
        ];
        let Some(name) = names.iter().find_map(|name| text(attributes, name)) else {
            return;
        };
        let server = End {
            service: name.to_owned(),
            ..client.clone()
        };
        self.count(client, &server, DATABASE, now);
    }

    fn pair(&mut self, key: (TraceId, SpanId), now: Now, put: impl FnOnce(&mut Edge)) {
        let known = self.waiting.remove(&key);
        let is_new = known.is_none();
        let mut edge = known.unwrap_or_default();
        put(&mut edge);
        if let (Some(client), Some(server)) = (&edge.client, &edge.server) {
            self.count(client, server, "", now);
        } else if self.waiting.len() >= WAITING_MOST {
            self.left_out += 1;
        } else {
            if is_new {
                edge.since = now.monotonic;
                self.waiting_since.push_back((now.monotonic, key));
            }
            self.waiting.insert(key, edge);
        }
    }

    /// The other end did not come.
    fn expired(&mut self, edge: Edge, now: Now) {
        let unseen = |service: &str| End {
            service: service.to_owned(),
            ..End::default()
        };
        match edge {
            Edge {
                client: Some(client),
                peer: Some(peer),
                ..
            } => self.count(&client, &unseen(&peer), VIRTUAL_NODE, now),
            Edge {
                server: Some(server),
                is_root: true,
                ..
            } => self.count(&unseen(USER), &server, VIRTUAL_NODE, now),
            Edge { .. } => {}
        }
    }

    fn count(&mut self, client: &End, server: &End, connection_type: &str, now: Now) {
        let labels: Labels = vec![
            ("client", client.service.as_str().into()),
            ("server", server.service.as_str().into()),
            ("connection_type", connection_type.into()),
        ];
        let (shape, limit) = (self.shape(GRAPH_SECONDS), self.limits.series);
        self.requests.add(labels.clone(), 1, limit, now);
        if client.failed || server.failed {
            self.failed.add(labels.clone(), 1, limit, now);
        }
        for (end, family) in [
            (server, &mut self.server_seconds),
            (client, &mut self.client_seconds),
        ] {
            if let Some(seconds) = end.seconds {
                family.add(shape, &labels, seconds, end.exemplar, now);
            }
        }
    }

    fn shape(&self, bounds: &'static [f64]) -> Shape {
        Shape {
            bounds,
            buckets: Buckets::Explicit,
            limit: self.limits.series,
        }
    }
}

fn text<'a>(attributes: &'a [(&'static str, Value)], name: &str) -> Option<&'a str> {
    attributes.iter().find_map(|(known, value)| match value {
        Value::String(text) if *known == name => Some(text.as_str()),
        _ => None,
    })
}
