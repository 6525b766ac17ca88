//! Every query of the dashboards, and those of the links from a span to its service's metrics, asked while there is load.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use super::ask::{PROMETHEUS, get, wait};
use super::project::Project;
use super::spans::list;
use crate::progress::Progress;
use crate::workspace::Workspace;

const DASHBOARDS: &str = "deploy/grafana/dashboards";
const DATA_SOURCES: &str = "deploy/grafana/provisioning/datasources/sidelight.yaml";
/// What Grafana's variables stand for while nobody has chosen anything, and a link's tags at a span of fastapi-app.
const VARIABLES: [(&str, &str); 10] = [
    ("$$__tags", "job=\"fastapi-app\""),
    ("$__rate_interval", "1m"),
    ("$__range", "30m"),
    ("$service", ".*"),
    ("$route", ".*"),
    ("$slo", ".*"),
    ("$database", ".*"),
    ("$client", ".*"),
    ("$server", ".*"),
    ("$__interval", "15s"),
];
/// What queries have that ask for failures which do not happen here: statements that the database refuses, spans that the collector
/// could not send.
const OF_FAILURES: [&str; 2] = [
    "by (job, db_response_status_code)",
    "otelcol_exporter_send_failed_spans_total",
];
/// Rules are evaluated and rates are there within this.
const SOON: Duration = Duration::from_mins(3);
const LATELY: Duration = Duration::from_mins(2);
/// In seconds.
const STEP: u32 = 15;

/// A query, and where it is.
struct Query {
    place: String,
    text: String,
}

/// Asks all of them, until each has had an answer with data.
pub(crate) fn run(workspace: &Workspace, project: &Project<'_>, progress: &Progress) -> Result<()> {
    let (queries, elsewhere) = queries(&workspace.root)?;
    let (failures, mut open): (Vec<_>, Vec<_>) = queries
        .into_iter()
        .partition(|query| OF_FAILURES.iter().any(|of| query.text.contains(of)));
    let all = open.len();
    progress.step("queries of dashboards and links", |step| {
        let answered = wait(step, SOON, "answer to every query", || {
            open.retain(|query| !has_data(project, query).unwrap_or(false));
            Ok(open.is_empty().then_some(()))
        });
        let left: Vec<String> = open.iter().map(Query::line).collect();
        answered.with_context(|| format!("without data:\n{}", left.join("\n")))
    })?;
    progress.say(format!(
        "          {all} queries had data from Prometheus; {} are of failures that do not happen here, {elsewhere} for Tempo",
        failures.len()
    ));
    Ok(())
}

/// Whether there was an answer at any time lately: on a busy machine scrapes fail, and for as long no series goes on.
fn has_data(project: &Project<'_>, query: &Query) -> Result<bool> {
    let now = UNIX_EPOCH.elapsed().context("the clock is before 1970")?;
    let path = format!(
        "/api/v1/query_range?start={}&end={}&step={STEP}",
        now.saturating_sub(LATELY).as_secs(),
        now.as_secs()
    );
    let answer = get(project, PROMETHEUS, &path, &format!("query={}", query.text))?;
    Ok(!list(&answer["data"]["result"]).is_empty())
}

/// The queries in Prometheus' language, and how many others there are.
fn queries(root: &Path) -> Result<(Vec<Query>, usize)> {
    let (mut queries, mut others) = (Vec::new(), 0);
    let folder = root.join(DASHBOARDS);
    for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry
            .with_context(|| format!("listing {}", folder.display()))?
            .path();
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let dashboard: Value =
            serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().display().to_string();
        for panel in list(&dashboard["panels"]) {
            for target in list(&panel["targets"]) {
                match target["expr"].as_str() {
                    Some(text) => queries.push(Query::new(format!("{name}, {}", panel["title"]), text)),
                    None => others += 1,
                }
            }
        }
    }
    let sources = root.join(DATA_SOURCES);
    let sources = fs::read_to_string(&sources).with_context(|| format!("reading {}", sources.display()))?;
    queries.extend(links(&sources).map(|text| Query::new("a link from a span".to_owned(), text)));
    Ok((queries, others))
}

/// The queries of links to metrics: those for logs have the tags alone.
fn links(sources: &str) -> impl Iterator<Item = &str> {
    sources
        .lines()
        .filter_map(|line| line.trim().strip_prefix("query: '")?.strip_suffix('\''))
        .filter(|query| query.contains("$$__tags"))
}

impl Query {
    fn new(place: String, text: &str) -> Self {
        let text = VARIABLES.iter().fold(text.to_owned(), |text, (variable, value)| {
            text.replace(variable, value)
        });
        Self { place, text }
    }

    fn line(&self) -> String {
        format!("{}: {}", self.place, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_have_no_variables_left() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (queries, others) = queries(&root).unwrap();
        assert!(queries.len() > 100 && others > 0, "{} {others}", queries.len());
        assert!(queries.iter().any(|query| query.place == "a link from a span"));
        for query in queries {
            assert!(!query.text.contains('$'), "{}", query.line());
        }
    }
}
