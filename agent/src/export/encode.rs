//! A span in the terms of opentelemetry-otlp.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{self, SpanContext, SpanId, SpanKind, TraceFlags, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::span::{Span, Status, Value, is_exported};

static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder("sidelight")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
});

/// The span with its own ids and times.
pub(super) fn span_data(span: Span) -> SpanData {
    let trace_state = span
        .trace_state
        .as_deref()
        .and_then(|header| header.parse::<TraceState>().ok())
        .unwrap_or_default();
    SpanData {
        span_context: SpanContext::new(
            span.trace_id,
            span.span_id,
            TraceFlags::SAMPLED,
            false,
            trace_state,
        ),
        parent_span_id: span.parent.unwrap_or(SpanId::INVALID),
        parent_span_is_remote: span.parent.is_some() && span.kind == SpanKind::Server,
        span_kind: span.kind,
        name: span.name.into(),
        start_time: time(span.start_unix_nanos),
        end_time: time(span.end_unix_nanos),
        attributes: span
            .attributes
            .into_iter()
            .filter(|(name, _)| is_exported(name))
            .map(|(name, attribute)| KeyValue::new(name, value(attribute)))
            .collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: match span.status {
            Status::Unset => trace::Status::Unset,
            Status::Error(message) => trace::Status::error(message),
        },
        instrumentation_scope: SCOPE.clone(),
    }
}

/// An attribute's value in the terms of OpenTelemetry.
pub(super) fn value(value: Value) -> opentelemetry::Value {
    match value {
        Value::String(text) => text.into(),
        Value::Int(number) => number.into(),
        Value::Bool(flag) => flag.into(),
    }
}

fn time(unix_nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_nanos)
}
