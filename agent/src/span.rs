//! A finished span: an exchange with its place in a trace, ready to be exported.

use std::sync::Arc;

pub use opentelemetry::trace::{SpanId, SpanKind, TraceId};

use crate::{correlate::Absence, discover::Process};

/// A finished span.
#[expect(
    clippy::struct_field_names,
    reason = "the id of a span is called so everywhere"
)]
#[derive(Clone, Debug)]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// Its parent, if one is known.
    pub parent: Option<SpanId>,
    /// Why none is known.
    pub no_parent: Option<Absence>,
    /// W3C `tracestate` that came with the trace, verbatim.
    pub trace_state: Option<String>,
    /// Name as the semantic conventions form it, for example `GET /users`.
    pub name: String,
    /// Server, client or internal.
    pub kind: SpanKind,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_nanos: u64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_nanos: u64,
    /// How it went.
    pub status: Status,
    /// Attributes in the order in which they are shown.
    pub attributes: Vec<(&'static str, Value)>,
    /// The process it happened in; its resource.
    pub process: Arc<Process>,
}

/// How a span went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is claimed (the conventions' default for success).
    Unset,
    /// It failed; the message may be empty.
    Error(String),
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Text.
    String(String),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// Whether an attribute leaves the host: a name that no registry has says something only to who sees the agent's own output.
pub fn is_exported(name: &str) -> bool {
    !name.starts_with("sidelight.")
}

#[cfg(test)]
impl Span {
    /// A server span of 10 ms of the service `shop` for tests, which change what they are about.
    pub(crate) fn sample(trace: u128, id: u64, parent: Option<u64>) -> Self {
        let process = Process {
            pid: 4711,
            service_name: "shop".to_owned(),
            service_instance_id: "7c1e".to_owned(),
            executable: "/usr/bin/python3".into(),
            ..Process::default()
        };
        Self {
            trace_id: TraceId::from(trace),
            span_id: SpanId::from(id),
            parent: parent.map(SpanId::from),
            no_parent: parent.is_none().then_some(Absence::SenderNotWatched),
            trace_state: None,
            name: "GET".to_owned(),
            kind: SpanKind::Server,
            start_unix_nanos: 1_700_000_000_000_000_000,
            end_unix_nanos: 1_700_000_000_010_000_000,
            status: Status::Unset,
            attributes: vec![
                ("http.request.method", "GET".into()),
                ("url.path", "/users".into()),
                ("http.response.status_code", Value::Int(200)),
            ],
            process: Arc::new(process),
        }
    }

    /// The same span `from` to `to` milliseconds after its start.
    pub(crate) fn at(mut self, from: u64, to: u64) -> Self {
        self.end_unix_nanos = self.start_unix_nanos + to * 1_000_000;
        self.start_unix_nanos += from * 1_000_000;
        self
    }

    /// The same span in another service.
    pub(crate) fn of(mut self, service: &str) -> Self {
        Arc::make_mut(&mut self.process).service_name = service.to_owned();
        self
    }
}
