//! Scenario 3: load with faults, what the objectives make of it, and the alerts that come of that.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ask::{get, value, wait};
use super::project::Project;
use crate::progress::{Progress, Step};

pub(crate) const FILES: [&str; 4] = [
    "docker-compose.yaml",
    "deploy/local/compose.yaml",
    "deploy/local/test.yaml",
    "deploy/local/load.yaml",
];
/// What runs before the load comes.
pub(crate) const SERVICES: [&str; 5] = [
    "flask-app",
    "sidelight",
    "prometheus",
    "alertmanager",
    "webhook-tester",
];

const LOAD: &str = "k6";
const ALERTMANAGER: &str = "alertmanager:9093";
const WEBHOOK: &str = "/00000000-0000-0000-0000-000000000000";
const ALERT: &str = "ErrorBudgetBurn";
/// Whose budget burns, whatever the dice say.
const BURNING: [&str; 2] = ["fastapi-app-availability", "fastapi-app-latency"];

/// As many requests for /users, so that chance is small beside what is looked for.
const ENOUGH: f64 = 300.0;
/// The slowest alert waits for 45 minutes, divided as all times are; the rest is for a machine that is busy otherwise.
const PATIENCE: Duration = Duration::from_mins(8);
/// What comes of what is there.
const SOON: Duration = Duration::from_mins(1);
/// How far an objective may be from what k6 counted: requests under way at the end, the first of each series, and for durations
/// what k6's own way to flask-app adds.
const TOLERANCE: f64 = 0.03;

/// What k6 counted of its requests for /users.
#[derive(Debug, PartialEq)]
struct Load {
    requests: f64,
    failed: f64,
    /// Of those that did not fail.
    slow: f64,
}

/// A share of good requests, and within what it has to be.
struct Prediction {
    slo: &'static str,
    from: f64,
    to: f64,
    because: &'static str,
}

/// Sends the load.
pub(crate) fn load(project: &Project<'_>, progress: &Progress) -> Result<()> {
    progress.step("k6 asks for /users", |step| project.start(LOAD, step))
}

/// Waits until the alerts that the load has to cause are where they end.
pub(crate) fn alerts(project: &Project<'_>, progress: &Progress) -> Result<()> {
    progress.step("alerts in AlertManager", |step| {
        wait(
            step,
            PATIENCE,
            "alert of each burning budget in AlertManager",
            || firing(project),
        )
    })?;
    progress.say(format!(
        "          {ALERTMANAGER}/api/v2/alerts: {ALERT} of {}",
        BURNING.join(", ")
    ));
    progress.step("alerts at the webhook's receiver", |step| {
        wait(
            step,
            PATIENCE,
            "message of each alert at the webhook's receiver",
            || delivered(project),
        )
        .with_context(|| format!("AlertManager said:\n{}", logs(project, "alertmanager")))
    })?;
    progress.say(format!(
        "          webhook-tester: POST {WEBHOOK}, firing, {}",
        BURNING.join(", ")
    ));
    Ok(())
}

/// Ends the load, and holds what Prometheus says against what the faults predict.
pub(crate) fn predictions(project: &Project<'_>, progress: &Progress) -> Result<()> {
    let load = progress.step("k6 ends", |step| {
        wait(step, PATIENCE, "300 requests in Prometheus", || enough(project))?;
        project.stop(LOAD, step)?;
        let said = project.lines(LOAD)?;
        Load::parse(&said).with_context(|| format!("k6's summary has no counts:\n{said}"))
    })?;
    progress.say(format!("          k6: {load:?}"));
    for prediction in load.predictions() {
        let query = format!("pyrra_availability{{slo=\"{}\"}}", prediction.slo);
        let value = progress.step(&query, |step| prediction.holds(project, &query, step))?;
        progress.say(format!("          {value:.4}, predicted {prediction}"));
    }
    Ok(())
}

impl Load {
    /// Reads the end of what k6 prints: `users_failed..: 9.83%  6 out of 61`.
    fn parse(said: &str) -> Option<Self> {
        let counts = |name: &str| -> Option<(f64, f64)> {
            let line = said
                .lines()
                .rev()
                .find(|line| line.trim_start().starts_with(name))?;
            let mut words = line.split_whitespace().rev();
            let all = words.next()?.parse().ok()?;
            let bad = words.nth(2)?.parse().ok()?;
            Some((bad, all))
        };
        let ((failed, requests), (slow, _)) = (counts("users_failed")?, counts("users_slow")?);
        Some(Self {
            requests,
            failed,
            slow,
        })
    }

    fn predictions(&self) -> [Prediction; 6] {
        let good = self.requests - self.failed;
        // One request in eleven is for /albums, which neither fails nor waits.
        let albums = self.requests / 10.0;
        let around = |slo, value: f64, tolerance: f64, because| Prediction {
            slo,
            from: value - tolerance,
            to: value + tolerance,
            because,
        };
        let chance = |share: f64, of: f64| 4.0 * (share * (1.0 - share) / of).sqrt();
        let slow = 1.0 - self.slow / good;
        [
            around(
                "fastapi-app-availability",
                0.9,
                chance(0.9, self.requests),
                "one throw of the dice in ten fails; four standard errors",
            ),
            around(
                "fastapi-app-availability",
                1.0 - self.failed / self.requests,
                TOLERANCE,
                "as k6 counted",
            ),
            Prediction {
                slo: "fastapi-app-latency",
                from: slow - TOLERANCE,
                to: 8.0 / 9.0 + chance(8.0 / 9.0, good),
                because: "of nine that do not fail one is slow at least; not more than k6 saw wait",
            },
            around(
                "flask-app-availability",
                1.0 - self.failed / (self.requests + albums),
                TOLERANCE,
                "as k6 counted, with those for /albums",
            ),
            around(
                "flask-app-latency",
                1.0 - self.slow / (good + albums),
                2.0 * TOLERANCE,
                "as k6 counted, with those for /albums",
            ),
            around("golang-app-availability", 1.0, 0.0, "golang-app has no faults"),
        ]
    }
}

impl Prediction {
    /// Waits until the rule says so: it is evaluated from time to time.
    fn holds(&self, project: &Project<'_>, query: &str, step: &Step) -> Result<f64> {
        let mut last = None;
        let found = wait(step, SOON, "value as predicted", || {
            last = value(project, query)?;
            Ok(last.filter(|value| (self.from..=self.to).contains(value)))
        });
        found.with_context(|| format!("{query} is {last:?}, and not {self}"))
    }
}

impl Display for Prediction {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            from, to, because, ..
        } = self;
        write!(text, "{from:.4} to {to:.4}: {because}")
    }
}

/// Whether `AlertManager` has an alert of each budget that burns.
fn firing(project: &Project<'_>) -> Result<Option<()>> {
    let filter = format!("filter=alertname=\"{ALERT}\"");
    let alerts = get(project, ALERTMANAGER, "/api/v2/alerts", &filter)?;
    let alerts = alerts.as_array().context("AlertManager's answer is no list")?;
    let of = |slo: &&str| alerts.iter().any(|alert| alert["labels"]["slo"] == **slo);
    Ok(BURNING.iter().all(of).then_some(()))
}

/// Whether the receiver was sent an alert of each budget that burns, in a group of its own.
fn delivered(project: &Project<'_>) -> Result<Option<()>> {
    let lines = project.lines("webhook-tester")?;
    let posts: Vec<Value> = lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|message: &Value| message["received"] == "post" && message["body"]["path"] == WEBHOOK)
        .map(|mut message| message["body"]["json"].take())
        .collect();
    let of = |slo: &&str| {
        posts.iter().any(|post| {
            let group = &post["groupLabels"];
            post["status"] == "firing" && group["slo"] == **slo && group["alertname"] == ALERT
        })
    };
    Ok(BURNING.iter().all(of).then_some(()))
}

/// What a service wrote, for an error.
fn logs(project: &Project<'_>, service: &str) -> String {
    project.logs(service).unwrap_or_else(|error| format!("{error:#}"))
}

/// Whether Prometheus knows of enough requests.
fn enough(project: &Project<'_>) -> Result<Option<()>> {
    let query = "sum(http_server_request_duration_seconds_count{job=\"fastapi-app\"})";
    Ok(value(project, query)?
        .is_some_and(|requests| requests >= ENOUGH)
        .then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_k6_is_read() {
        let said = "    CUSTOM\n    users_failed...: 10.00% 31 out of 310\n    users_slow.....: 12.54% 35 out of 279\n\n    HTTP\n";
        let load = Load {
            requests: 310.0,
            failed: 31.0,
            slow: 35.0,
        };
        assert_eq!(Load::parse(said), Some(load));
        assert_eq!(Load::parse("nothing"), None);
    }
}
