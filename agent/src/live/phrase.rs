//! The words for a span that text and tree share.

use crate::span::{Span, Status, Value};

/// Name, with the path where the name has none because the route is not known.
pub(super) fn label(span: &Span) -> String {
    let path = match (text(span, "http.request.method"), text(span, "http.route")) {
        (Some(_), None) => text(span, "url.path").or_else(|| text(span, "url.full")),
        _ => None,
    };
    match path {
        Some(path) => printable(&format!("{} {path}", span.name)),
        None => printable(&span.name),
    }
}

/// What came out: the status code of HTTP, the rows of SQL, the kind of error.
pub(super) fn outcome(span: &Span) -> String {
    let code = number(span, "http.response.status_code");
    match (&span.status, code) {
        (Status::Error(_), Some(code)) => format!("{code} ERROR"),
        (Status::Error(_), None) => {
            printable(&format!("ERROR {}", text(span, "error.type").unwrap_or_default()))
        }
        (Status::Unset, Some(code)) => code.to_string(),
        (Status::Unset, None) => match number(span, "db.response.returned_rows") {
            Some(1) => "1 row".to_owned(),
            Some(rows) => format!("{rows} rows"),
            None => "ok".to_owned(),
        },
    }
}

/// True when the span is an error.
pub(super) fn failed(span: &Span) -> bool {
    matches!(span.status, Status::Error(_))
}

/// Why a span stands at the root of its tree: it has no parent, or one that the tree does not have.
pub(super) fn absence(span: &Span) -> String {
    match (span.parent, span.no_parent) {
        (Some(parent), _) => format!("no parent: span {parent} was not seen before this was shown"),
        (None, Some(absence)) => format!("no parent: {absence}"),
        (None, None) => "no parent".to_owned(),
    }
}

/// A duration in the unit that suits it, with three digits or four.
pub(super) fn duration(nanos: u64) -> String {
    let value = nanos as f64;
    match nanos {
        0..1_000_000 => format!("{:.0} µs", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", value / 1e6),
        _ => format!("{:.2} s", value / 1e9),
    }
}

/// The text without characters that would steer the terminal: it comes from the network.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

/// An attribute that is text.
pub(super) fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    span.attributes.iter().find_map(|(known, value)| match value {
        Value::String(text) if *known == name => Some(text.as_str()),
        _ => None,
    })
}

fn number(span: &Span, name: &str) -> Option<i64> {
    span.attributes.iter().find_map(|(known, value)| match value {
        Value::Int(number) if *known == name => Some(*number),
        _ => None,
    })
}
