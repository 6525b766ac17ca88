//! Spans without what differs from run to run.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// One line for each span, sorted. Ports are replaced by the name of their place, those of clients are left out.
pub(crate) fn lines(spans: &[&str], places: &[(String, String)], folder: &Path) -> Result<Vec<String>> {
    let parsed: Vec<Value> = spans
        .iter()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no span: {line}")))
        .collect::<Result<_>>()?;
    let ports: BTreeMap<&str, &str> = places
        .iter()
        .filter_map(|(name, address)| Some((address.rsplit_once(':')?.1, name.as_str())))
        .collect();
    let names: BTreeMap<&str, String> = parsed
        .iter()
        .map(|span| (text(&span["spanId"]), name(span)))
        .collect();
    let folder = folder.display().to_string();
    let mut lines: Vec<String> = parsed
        .iter()
        .map(|span| line(span, &names, &ports).replace(&folder, "FOLDER"))
        .collect();
    lines.sort();
    Ok(lines)
}

fn line(span: &Value, names: &BTreeMap<&str, String>, ports: &BTreeMap<&str, &str>) -> String {
    let parent = match text(&span["parentSpanId"]) {
        "" => "no parent".to_owned(),
        id => format!(
            "parent {}",
            names.get(id).map_or("that is not here", String::as_str)
        ),
    };
    let status = format!(
        "{} {}",
        text(&span["status"]["code"]),
        text(&span["status"]["message"])
    );
    // Whether a map has an order of its own depends on what else is built.
    let attributes: BTreeMap<_, _> = span["attributes"].as_object().into_iter().flatten().collect();
    let attributes: Vec<String> = attributes
        .into_iter()
        .filter_map(|(key, value)| attribute(key, value, ports))
        .collect();
    format!(
        "{} | {} | {} | {parent} | {}",
        name(span),
        text(&span["name"]),
        status.trim(),
        attributes.join(" ")
    )
}

/// A call is named by its kind and path.
fn name(span: &Value) -> String {
    let attributes = &span["attributes"];
    let path = match text(&attributes["url.path"]) {
        "" => text(&attributes["url.full"]),
        path => path,
    };
    format!("{} {path}", text(&span["kind"]))
}

fn attribute(key: &str, value: &Value, ports: &BTreeMap<&str, &str>) -> Option<String> {
    let value = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_port = key.rsplit('.').next() == Some("port");
    if !is_port {
        return Some(format!("{key}={value}"));
    }
    let place = ports.get(value.as_str())?;
    Some(format!("{key}={place}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_gone() {
        let span = |id: &str, parent: &str, kind: &str| {
            format!(
                r#"{{"spanId":"{id}","parentSpanId":"{parent}","name":"GET","kind":"{kind}","startTimeUnixNano":"1",
                "status":{{"code":"UNSET"}},"attributes":{{"url.path":"/a","server.port":8080,"client.port":4711,
                "network.peer.address":"/tmp/x/s"}}}}"#
            )
        };
        let (server, client) = (span("b", "a", "SERVER"), span("a", "", "CLIENT"));
        let places = [("recv".to_owned(), "127.0.0.1:8080".to_owned())];
        assert_eq!(
            lines(&[&server, &client], &places, Path::new("/tmp/x")).unwrap(),
            [
                "CLIENT /a | GET | UNSET | no parent | network.peer.address=FOLDER/s server.port=recv url.path=/a",
                "SERVER /a | GET | UNSET | parent CLIENT /a | network.peer.address=FOLDER/s server.port=recv url.path=/a",
            ]
        );
    }
}
