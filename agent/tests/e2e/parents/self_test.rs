//! The judge itself: a harness that finds nothing wrong is worth nothing unless it would.

use anyhow::{Result, ensure};
use serde_json::json;

use super::judge::{Judge, Verdict, named};
use crate::harness::{lab::Lab, span::Span};

/// Process, id, parent, kind and what it is: a path, a URL or a statement.
fn span(pid: u32, id: &str, parent: &str, kind: &str, what: &str) -> Result<Span> {
    let key = match what {
        path if path.starts_with('/') => "url.path",
        url if url.starts_with("http") => "url.full",
        _ => "db.query.text",
    };
    let also = if key == "db.query.text" {
        "db.system.name"
    } else {
        "http.request.method"
    };
    let line = json!({
        "traceId": "t", "spanId": id, "parentSpanId": parent, "name": what, "kind": kind,
        "startTimeUnixNano": "1", "endTimeUnixNano": "2", "status": {"code": "UNSET"},
        "attributes": {key: what, also: "GET"}, "resource": {"process.pid": pid},
    });
    Span::parse(&line.to_string())
}

pub(super) fn check(_lab: &Lab) -> Result<()> {
    let spans = [
        span(1, "a", "", "SERVER", "/gather/gather_1")?,
        span(1, "b", "", "SERVER", "/gather/gather_11")?,
        span(1, "own", "a", "CLIENT", "SELECT ? AS r_gather_1")?,
        span(1, "foreign", "b", "CLIENT", "http://127.0.0.1:1/leaf/gather_1/0")?,
        span(1, "none", "", "CLIENT", "http://127.0.0.1:1/leaf/gather_1/1")?,
        span(2, "other process", "a", "CLIENT", "SELECT ? AS r_gather_1, x")?,
        span(1, "dangling", "nobody", "CLIENT", "SELECT ? AS r_gather_1")?,
        span(2, "joined", "foreign", "SERVER", "/leaf/gather_1/0")?,
        span(2, "crossed", "none", "SERVER", "/leaf/gather_1/0")?,
        span(2, "single", "", "SERVER", "/leaf/gather_1/0")?,
        span(1, "below a leaf", "joined", "SERVER", "/gather/gather_12")?,
    ];
    let judge = Judge::new(&spans, false);
    let verdict = |span: &Span| match named(span) {
        Some(request) => judge.call(span, request),
        None if span.path().starts_with("/leaf/") => judge.joined(span),
        None => judge.outer(span),
    };
    for span in &spans {
        let found = verdict(span);
        let expected = match span.span_id.as_str() {
            "a" | "b" | "own" | "joined" => found == Verdict::Right,
            "none" | "single" => found == Verdict::Absent,
            _ => matches!(found, Verdict::Wrong(_)),
        };
        ensure!(expected, "{span:?} is judged to be {found:?}");
    }
    Ok(())
}
