//! Questions to the services of a project, over HTTP.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::project::Project;
use crate::command::Cmd;
use crate::progress::Step;

/// Where Prometheus is.
pub(super) const PROMETHEUS: &str = "prometheus:9090";

/// The one value that Prometheus has for a query; none if it has no series yet.
pub(super) fn value(project: &Project<'_>, query: &str) -> Result<Option<f64>> {
    let answer = get(project, PROMETHEUS, "/api/v1/query", &format!("query={query}"))?;
    let series = answer["data"]["result"].as_array();
    let Some([only]) = series.map(Vec::as_slice) else {
        ensure!(
            series.is_some_and(Vec::is_empty),
            "{query} has several answers: {answer}"
        );
        return Ok(None);
    };
    let value = only["value"][1].as_str().context("a sample without a value")?;
    let value: f64 = value.parse().with_context(|| format!("{value} is no number"))?;
    // Nothing was counted yet.
    Ok((!value.is_nan()).then_some(value))
}

/// What a service answers to a question with one parameter.
pub(super) fn get(project: &Project<'_>, of: &str, path: &str, parameter: &str) -> Result<Value> {
    let (service, port) = of.split_once(':').context("a service has a port")?;
    let url = format!("http://{}:{port}{path}", project.address(service)?);
    let answer = Cmd::new("curl")
        .args(["-sS", "--fail-with-body", "--noproxy", "*", "--max-time", "20"])
        .args(["--get", "--data-urlencode", parameter, &url])
        .output()?;
    serde_json::from_str(&answer).with_context(|| format!("{url} answers {answer}"))
}

/// Asks until there is an answer; an error of one try is an answer that comes too late at worst.
pub(super) fn wait<T>(
    step: &Step,
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let since = Instant::now();
    loop {
        let answer = ask();
        if let Ok(Some(found)) = answer {
            return Ok(found);
        }
        let waited = since.elapsed();
        step.detail(&format!("{} s", waited.as_secs()));
        if waited > patience {
            answer?;
            bail!("no {what} within {} s", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
