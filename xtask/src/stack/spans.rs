//! Spans as a receiver of OTLP wrote them, and the chains that they have to form.

use std::collections::HashMap;

use serde_json::Value;

/// A span, as far as it is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    trace: String,
    id: String,
    parent: String,
    service: String,
    kind: String,
    name: String,
}

/// What one span of a chain has to be: service, kind and what its name begins with.
pub(crate) type Link = (&'static str, &'static str, &'static str);

/// All spans in the lines of a stand-in.
pub(crate) fn parse(lines: &str) -> Vec<Span> {
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["received"] == "traces");
    messages
        .flat_map(|message| list(&message["body"]["resourceSpans"]))
        .flat_map(|resource| {
            let service = attribute(&resource["resource"], "service.name");
            list(&resource["scopeSpans"])
                .into_iter()
                .flat_map(|scope| list(&scope["spans"]))
                .map(move |span| Span::of(&span, &service))
        })
        .collect()
}

/// The spans of one trace in which each is the parent of the next, the first without parent; nothing if there are none.
pub(crate) fn chain<'a>(spans: &'a [Span], links: &[Link]) -> Option<Vec<&'a Span>> {
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let fits = |span: &Span, (service, kind, name): &Link| {
        span.service == *service && span.kind == *kind && span.name.starts_with(name)
    };
    let last = links.last()?;
    spans.iter().filter(|span| fits(span, last)).find_map(|span| {
        let mut found = vec![span];
        for link in links.iter().rev().skip(1) {
            let (child, parent) = (
                found[found.len() - 1],
                by_id.get(found[found.len() - 1].parent.as_str())?,
            );
            if parent.trace != child.trace || !fits(parent, link) {
                return None;
            }
            found.push(parent);
        }
        found.reverse();
        found[0].parent.is_empty().then_some(found)
    })
}

impl Span {
    /// Of a span as OTLP has it in JSON.
    pub(super) fn of(span: &Value, service: &str) -> Self {
        let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
        Self {
            trace: text("traceId"),
            id: text("spanId"),
            parent: text("parentSpanId"),
            service: service.to_owned(),
            kind: text("kind").trim_start_matches("SPAN_KIND_").to_owned(),
            name: text("name"),
        }
    }
}

/// The elements of an array, none of anything else.
pub(super) fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The text of an attribute, empty if there is none.
pub(super) fn attribute(of: &Value, key: &str) -> String {
    let found = list(&of["attributes"])
        .into_iter()
        .find(|entry| entry["key"] == key);
    found
        .and_then(|entry| entry["value"]["stringValue"].as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: [Link; 2] = [("front", "SERVER", "GET /a"), ("front", "CLIENT", "GET")];

    fn lines(parent: &str) -> String {
        serde_json::json!({"received": "traces", "body": {"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "front"}}]},
            "scopeSpans": [{"spans": [
                {"traceId": "t", "spanId": "1", "kind": "SPAN_KIND_SERVER", "name": "GET /a"},
                {"traceId": "t", "spanId": "2", "parentSpanId": parent, "kind": "SPAN_KIND_CLIENT", "name": "GET /b"}]}]}]}})
        .to_string()
    }

    #[test]
    fn a_chain_needs_every_parent() {
        let spans = parse(&format!("noise\n{}\n", lines("1")));
        assert_eq!(chain(&spans, &LINKS).map(|found| found.len()), Some(2));
        assert_eq!(chain(&parse(&lines("9")), &LINKS), None);
        assert_eq!(chain(&parse(&lines("")), &LINKS), None);
    }
}
