//! The plain stack, of images that a registry gives: everything is up, and Jaeger has the traces.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::ask::{get, wait};
use super::engine::Engine;
use super::project::Project;
use super::spans::{self, Link, Span, list};
use crate::command::Cmd;
use crate::progress::Progress;
use crate::workspace::Workspace;

const FILES: [&str; 1] = ["docker-compose.yaml"];
/// An image that docker-compose.yaml needs: where it can be asked for, the others can, too.
const IMAGE: &str = "prom/prometheus:v3.14.0";
const JAEGER: &str = "jaeger:16686";
/// Tempo and Pyroscope need a minute or so.
const HEALTH: Duration = Duration::from_mins(5);
/// Of ten requests one takes ten seconds, and one has no statement.
const TRACES: Duration = Duration::from_mins(3);

/// Whether the registries answer.
pub(crate) fn is_reachable(engine: &Engine) -> bool {
    engine
        .docker()
        .args(["manifest", "inspect", IMAGE])
        .output()
        .is_ok()
}

/// Starts all of it, asks for each of the paths until Jaeger has the chain, and ends it.
pub(crate) fn run<const N: usize>(
    workspace: &Workspace,
    engine: &Engine,
    scenarios: &[(&str, [Link; N])],
    progress: &Progress,
) -> Result<()> {
    let project = progress.step("docker compose up", |step| {
        Project::up(workspace, engine, &FILES, &[], step)
    })?;
    let services = progress.step("every service is well", |step| {
        project.wait_until_well(HEALTH, step)
    })?;
    progress.say(format!("          {services} services"));
    for (path, links) in scenarios {
        progress.step(format!("{path} in Jaeger"), |step| {
            wait(step, TRACES, "whole trace", || traced(&project, path, links))
        })?;
    }
    Ok(())
}

fn traced(project: &Project<'_>, path: &str, links: &[Link]) -> Result<Option<()>> {
    let url = format!("http://{}:8001{path}", project.address("flask-app")?);
    // Whatever the answer is: the faults are on.
    Cmd::new("curl")
        .args(["-sS", "--noproxy", "*", "--max-time", "20", &url])
        .output()?;
    let answer = get(project, JAEGER, "/api/traces", "service=flask-app")?;
    Ok(spans::chain(&of_jaeger(&answer)?, links).map(drop))
}

/// The spans in an answer of Jaeger's.
fn of_jaeger(answer: &Value) -> Result<Vec<Span>> {
    let traces = answer["data"]
        .as_array()
        .context("Jaeger's answer has no traces")?;
    let of = |trace: &Value| {
        let processes = trace["processes"].clone();
        let spans = list(&trace["spans"]).into_iter();
        spans.map(move |span| {
            let tags = list(&span["tags"]);
            let kind = tags.iter().find(|tag| tag["key"] == "span.kind");
            let kind = kind.and_then(|tag| tag["value"].as_str()).unwrap_or_default();
            let references = list(&span["references"]);
            let parent = references.iter().find(|of| of["refType"] == "CHILD_OF");
            let process = span["processID"].as_str().unwrap_or_default();
            let service = processes[process]["serviceName"].as_str().unwrap_or_default();
            let as_sent = json!({
                "traceId": span["traceID"], "spanId": span["spanID"], "name": span["operationName"],
                "parentSpanId": parent.map(|of| &of["spanID"]), "kind": kind.to_uppercase(),
            });
            Span::of(&as_sent, service)
        })
    };
    Ok(traces.iter().flat_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_jaeger_has_chains() {
        let span = |id: &str, parent: Value, process: &str, kind: &str| {
            json!({"traceID": "t", "spanID": id, "operationName": "GET /a", "references": parent, "processID": process,
                   "tags": [{"key": "span.kind", "type": "string", "value": kind}]})
        };
        let parent = json!([{"refType": "CHILD_OF", "traceID": "t", "spanID": "1"}]);
        let answer = json!({"data": [{"traceID": "t",
            "spans": [span("1", json!([]), "p1", "client"), span("2", parent, "p2", "server")],
            "processes": {"p1": {"serviceName": "front"}, "p2": {"serviceName": "back"}}}]});
        let spans = of_jaeger(&answer).unwrap();
        let links = [("front", "CLIENT", "GET"), ("back", "SERVER", "GET /a")];
        assert!(spans::chain(&spans, &links).is_some(), "{spans:?}");
        assert!(of_jaeger(&json!({"errors": ["no"]})).is_err());
    }
}
