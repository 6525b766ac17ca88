//! The table of metrics: names, units, bounds and attributes.
//!
//! <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/> and
//! <https://opentelemetry.io/docs/specs/semconv/database/database-metrics/>, release 1.37. Attributes that these leave to the
//! operator's choice (the address of a server that is watched itself) are left out.

use opentelemetry::trace::SpanKind;

/// A metric that is a histogram of exchanges.
#[derive(Debug)]
pub struct Instrument {
    /// Name, as the conventions have it.
    pub name: &'static str,
    /// Unit, as UCUM writes it.
    pub unit: &'static str,
    /// What it counts.
    pub description: &'static str,
    /// Upper bounds of the buckets, ascending; one more is above the last.
    pub bounds: &'static [f64],
    /// Attributes of its series.
    pub attributes: &'static [&'static str],
    /// Side of the exchanges that go into it.
    pub(super) kind: SpanKind,
    /// An attribute that exchanges of its protocol have, and no others.
    pub(super) mark: &'static str,
    /// The attribute that holds what is measured; nothing for durations.
    pub(super) size_attribute: Option<&'static str>,
}

const HTTP: &str = "http.request.method";
const SQL: &str = "db.system.name";

/// Seconds, as the conventions advise for HTTP.
const HTTP_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Seconds, as the conventions advise for databases.
const SQL_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Bytes: the conventions advise none, and the SDKs' own end at 10,000.
const BYTES: &[f64] = &[
    0.0,
    128.0,
    512.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

const SERVER_ATTRIBUTES: &[&str] = &[
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "error.type",
    "network.protocol.version",
    "url.scheme",
];
const CLIENT_ATTRIBUTES: &[&str] = &[
    "http.request.method",
    "http.response.status_code",
    "error.type",
    "network.protocol.version",
    "server.address",
    "server.port",
    "url.scheme",
];
const SQL_ATTRIBUTES: &[&str] = &[
    "db.system.name",
    "db.namespace",
    "db.query.summary",
    "db.operation.name",
    "db.collection.name",
    "db.response.status_code",
    "error.type",
    "server.address",
    "server.port",
];

/// All of them.
pub const INSTRUMENTS: [Instrument; 7] = [
    Instrument {
        name: "http.server.request.duration",
        unit: "s",
        description: "Duration of HTTP server requests.",
        bounds: HTTP_SECONDS,
        attributes: SERVER_ATTRIBUTES,
        kind: SpanKind::Server,
        mark: HTTP,
        size_attribute: None,
    },
    Instrument {
        name: "http.server.request.body.size",
        unit: "By",
        description: "Size of HTTP server request bodies.",
        bounds: BYTES,
        attributes: SERVER_ATTRIBUTES,
        kind: SpanKind::Server,
        mark: HTTP,
        size_attribute: Some("http.request.body.size"),
    },
    Instrument {
        name: "http.server.response.body.size",
        unit: "By",
        description: "Size of HTTP server response bodies.",
        bounds: BYTES,
        attributes: SERVER_ATTRIBUTES,
        kind: SpanKind::Server,
        mark: HTTP,
        size_attribute: Some("http.response.body.size"),
    },
    Instrument {
        name: "http.client.request.duration",
        unit: "s",
        description: "Duration of HTTP client requests.",
        bounds: HTTP_SECONDS,
        attributes: CLIENT_ATTRIBUTES,
        kind: SpanKind::Client,
        mark: HTTP,
        size_attribute: None,
    },
    Instrument {
        name: "http.client.request.body.size",
        unit: "By",
        description: "Size of HTTP client request bodies.",
        bounds: BYTES,
        attributes: CLIENT_ATTRIBUTES,
        kind: SpanKind::Client,
        mark: HTTP,
        size_attribute: Some("http.request.body.size"),
    },
    Instrument {
        name: "http.client.response.body.size",
        unit: "By",
        description: "Size of HTTP client response bodies.",
        bounds: BYTES,
        attributes: CLIENT_ATTRIBUTES,
        kind: SpanKind::Client,
        mark: HTTP,
        size_attribute: Some("http.response.body.size"),
    },
    Instrument {
        name: "db.client.operation.duration",
        unit: "s",
        description: "Duration of database client operations.",
        bounds: SQL_SECONDS,
        attributes: SQL_ATTRIBUTES,
        kind: SpanKind::Client,
        mark: SQL,
        size_attribute: None,
    },
];
