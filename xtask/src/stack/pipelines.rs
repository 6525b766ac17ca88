//! What comes out of the collector's pipelines at their other ends.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ask::{PROMETHEUS, get, value, wait};
use super::project::Project;
use super::spans::{self, Link};
use crate::progress::Progress;

/// What comes of what is there, on a machine that is busy otherwise, too.
const SOON: Duration = Duration::from_mins(3);
/// Whose containers' lines have to be there: each writes one of each request.
const WRITES: [&str; 3] = ["flask-app", "fastapi-app", "golang-app"];

/// Holds what the backends were sent against what every request has to leave there; `chains` are those of the traces.
pub(crate) fn run(project: &Project<'_>, chains: &[[Link; 4]], progress: &Progress) -> Result<()> {
    for backend in ["tempo", "jaeger"] {
        let traces = progress.step(format!("whole traces in {backend}"), |step| {
            wait(step, SOON, "trace of each kind", || {
                traces(project, backend, chains)
            })
        })?;
        progress.say(format!(
            "          {backend}: {traces} spans, with {} chains",
            chains.len()
        ));
    }
    let query =
        "sum(traces_span_metrics_calls_total{service_name=\"fastapi-app\", span_kind=\"SPAN_KIND_SERVER\"})";
    let calls = progress.step("span metrics in Prometheus", |step| {
        wait(step, SOON, "calls that the collector counts", || {
            value(project, query)
        })
    })?;
    progress.say(format!("          {calls}: {query}"));
    let exemplars = progress.step("exemplars of span metrics", |step| {
        wait(step, SOON, "exemplar", || exemplars(project))
    })?;
    progress.say(format!("          exemplar of a span metric: {exemplars}"));
    progress.step("containers' lines in loki", |step| {
        wait(step, SOON, "line of each service", || written(project)).with_context(|| {
            let said = project.logs("otel-collector");
            format!(
                "the collector said:\n{}",
                said.unwrap_or_else(|error| format!("{error:#}"))
            )
        })
    })?;
    progress.say(format!("          loki: lines of {}", WRITES.join(", ")));
    Ok(())
}

/// How many spans a backend was sent, when all chains are among them.
fn traces(project: &Project<'_>, backend: &str, chains: &[[Link; 4]]) -> Result<Option<usize>> {
    let spans = spans::parse(&project.lines(backend)?);
    let whole = chains.iter().all(|links| spans::chain(&spans, links).is_some());
    Ok(whole.then_some(spans.len()))
}

/// The labels of an exemplar of the collector's durations, if there is one with a trace.
fn exemplars(project: &Project<'_>) -> Result<Option<String>> {
    let path = "/api/v1/query_exemplars?start=0&end=9999999999";
    let answer = get(
        project,
        PROMETHEUS,
        path,
        "query=traces_span_metrics_duration_seconds_bucket",
    )?;
    let series = answer["data"].as_array().context("no list of exemplars")?;
    let exemplar = series
        .iter()
        .flat_map(|series| series["exemplars"].as_array().into_iter().flatten())
        .find(|exemplar| exemplar["labels"]["trace_id"].is_string());
    Ok(exemplar.map(|exemplar| exemplar["labels"].to_string()))
}

/// Whether Loki's stand-in has lines of all that write some, by the label that Loki makes of the service's name.
fn written(project: &Project<'_>) -> Result<Option<()>> {
    let lines = project.lines("loki")?;
    let messages = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["received"] == "logs");
    let services: Vec<String> = messages
        .flat_map(|message| spans::list(&message["body"]["resourceLogs"]))
        .map(|logs| spans::attribute(&logs["resource"], "service.name"))
        .collect();
    let all = WRITES
        .iter()
        .all(|service| services.iter().any(|found| found == service));
    Ok(all.then_some(()))
}
