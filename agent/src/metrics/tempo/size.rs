//! How large a span is over OTLP: what would be sent, whether or not it is.
//!
//! Fields and their numbers: `opentelemetry/proto/trace/v1/trace.proto`. All numbers are below 16, so that each field begins
//! with one byte, but for the flags.

use prost::length_delimiter_len;

use crate::{
    conventions::Description,
    span::{Status, Value, is_exported},
};

const TAG: usize = 1;
const TRACE_ID: usize = TAG + 1 + 16;
const SPAN_ID: usize = TAG + 1 + 8;
const FIXED64: usize = TAG + 8;
const ENUM: usize = TAG + 1;
/// Their number is 16.
const FLAGS: usize = 2 + 4;

/// Bytes of a span with these attributes.
pub fn of_span(description: &Description, has_parent: bool, trace_state: Option<&str>) -> u64 {
    let Description {
        name,
        status,
        attributes,
        ..
    } = description;
    let parent = if has_parent { SPAN_ID } else { 0 };
    // Without a message and code it is there all the same, and empty.
    let status = match status {
        Status::Unset => 0,
        Status::Error(message) => text(message) + ENUM,
    };
    let attributes: usize = attributes
        .iter()
        .filter(|(name, _)| is_exported(name))
        .map(|(name, value)| delimited(delimited(name.len()) + delimited(of_value(value))))
        .sum();
    let ids = TRACE_ID + SPAN_ID + parent;
    let times = 2 * FIXED64;
    let size = ids
        + times
        + ENUM
        + FLAGS
        + text(name)
        + text(trace_state.unwrap_or_default())
        + attributes
        + delimited(status);
    size as u64
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => delimited(text.len()),
        // A negative number has all its bits, as it has here.
        Value::Int(number) => TAG + length_delimiter_len(*number as usize),
        Value::Bool(_) => TAG + 1,
    }
}

/// A text that is left out if it is empty.
fn text(text: &str) -> usize {
    if text.is_empty() { 0 } else { delimited(text.len()) }
}

/// A field of so many bytes.
fn delimited(bytes: usize) -> usize {
    TAG + length_delimiter_len(bytes) + bytes
}
