//! OTLP trace exports of watched programs: which calls a program's own OpenTelemetry SDK makes spans of.
//!
//! An export is seen only as far as it was captured, so everything here takes a prefix of a message and says what is in
//! it. What a message is written in shows in its first byte: an `ExportTraceServiceRequest` has one field, number 1 and a
//! message, so as protobuf it begins with 0x0a and as JSON with a brace; gzip and zlib begin with neither
//! (<https://github.com/open-telemetry/opentelemetry-proto/blob/v1.9.0/opentelemetry/proto/collector/trace/v1/trace_service.proto>).

mod inflate;
mod json;
mod protobuf;
#[cfg(test)]
pub(crate) mod tests;

/// What some spans that were exported tell of.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set of kinds: each may be there or not"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// There are spans, of whatever kind.
    pub spans: bool,
    /// HTTP requests that were served.
    pub server: bool,
    /// HTTP requests that were sent.
    pub client: bool,
    /// Calls of databases.
    pub database: bool,
}

impl Exported {
    /// Nothing was exported.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// There is nothing else that an export could tell of.
    pub fn is_all(self) -> bool {
        self.spans && self.server && self.client && self.database
    }

    /// Adds what others tell of.
    pub fn add(&mut self, other: Self) {
        let Self {
            spans,
            server,
            client,
            database,
        } = other;
        self.spans |= spans;
        self.server |= server;
        self.client |= client;
        self.database |= database;
    }

    /// What a span tells of: `kind` as in `Span.SpanKind` of trace.proto, and which groups of attributes it has. A call of a
    /// database over HTTP has both, and says nothing of other HTTP calls.
    fn span(kind: SpanKind, groups: Groups) -> Self {
        let Groups { http, database } = groups;
        Self {
            spans: true,
            server: kind == SpanKind::Server && http,
            client: kind == SpanKind::Client && http && !database,
            database: kind == SpanKind::Client && database,
        }
    }
}

/// Length of a trace's id, in bytes.
const TRACE_ID_BYTES: usize = 16;
/// Length of a span's id, in bytes.
const SPAN_ID_BYTES: usize = 8;

/// Kind of a span, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SpanKind {
    Server,
    Client,
    #[default]
    Other,
}

impl SpanKind {
    /// From its number in trace.proto.
    fn of_number(number: u64) -> Self {
        match number {
            2 => Self::Server,
            3 => Self::Client,
            _ => Self::Other,
        }
    }
}

/// Groups of attributes that a span has.
#[derive(Clone, Copy, Debug, Default)]
struct Groups {
    http: bool,
    database: bool,
}

impl Groups {
    /// Notes an attribute's name.
    fn note(&mut self, key: &[u8]) {
        self.http |= key.starts_with(b"http.") || key.starts_with(b"url.");
        self.database |= key.starts_with(b"db.");
    }
}

/// What the beginning of an export, as it is sent, tells of. What is no export tells of nothing.
pub fn exported(beginning: &[u8]) -> Exported {
    match inflate::beginning(beginning) {
        Some(inflated) => plain(&inflated),
        None => plain(beginning),
    }
}

fn plain(beginning: &[u8]) -> Exported {
    match beginning.trim_ascii_start().first() {
        Some(b'{') => json::exported(beginning),
        _ => protobuf::exported(beginning),
    }
}
