//! One JSON object a span and line.

use std::io::{self, Write};

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeStruct as _},
};

use crate::{
    correlate::Absence,
    export::resource,
    span::{Span, SpanKind, Status, Value},
};

/// Writes one span and the end of its line; `explain`: with why it has no parent.
pub(super) fn write(span: &Span, explain: bool, out: &mut impl Write) -> io::Result<()> {
    let no_parent = span.no_parent.filter(|_| explain);
    serde_json::to_writer(&mut *out, &Line { span, no_parent })?;
    out.write_all(b"\n")
}

/// How a kind is written.
pub(super) fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "CLIENT",
        SpanKind::Server => "SERVER",
        SpanKind::Producer => "PRODUCER",
        SpanKind::Consumer => "CONSUMER",
        SpanKind::Internal => "INTERNAL",
    }
}

struct Line<'a> {
    span: &'a Span,
    no_parent: Option<Absence>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { span, no_parent } = self;
        let mut line = serializer.serialize_struct("Span", 10 + usize::from(no_parent.is_some()))?;
        line.serialize_field("traceId", &span.trace_id.to_string())?;
        line.serialize_field("spanId", &span.span_id.to_string())?;
        line.serialize_field(
            "parentSpanId",
            &span.parent.map(|id| id.to_string()).unwrap_or_default(),
        )?;
        if let Some(absence) = no_parent {
            line.serialize_field("noParent", &absence.to_string())?;
        }
        line.serialize_field("name", &span.name)?;
        line.serialize_field("kind", kind(&span.kind))?;
        // Decimal strings, as in OTLP's JSON: a reader's 64-bit floats would lose the last digits.
        line.serialize_field("startTimeUnixNano", &span.start_unix_nanos.to_string())?;
        line.serialize_field("endTimeUnixNano", &span.end_unix_nanos.to_string())?;
        line.serialize_field("status", &StatusObject::from(&span.status))?;
        line.serialize_field("attributes", &Attributes(&span.attributes))?;
        line.serialize_field("resource", &Attributes(&resource::attributes(&span.process)))?;
        line.end()
    }
}

#[derive(Serialize)]
struct StatusObject<'a> {
    code: &'static str,
    message: &'a str,
}

impl<'a> From<&'a Status> for StatusObject<'a> {
    fn from(status: &'a Status) -> Self {
        match status {
            Status::Unset => Self {
                code: "UNSET",
                message: "",
            },
            Status::Error(message) => Self {
                code: "ERROR",
                message,
            },
        }
    }
}

struct Attributes<'a, K>(&'a [(K, Value)]);

impl<K: AsRef<str>> Serialize for Attributes<'_, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            let name = name.as_ref();
            match value {
                Value::String(text) => map.serialize_entry(name, text)?,
                Value::Int(number) => map.serialize_entry(name, number)?,
                Value::Bool(flag) => map.serialize_entry(name, flag)?,
            }
        }
        map.end()
    }
}
