//! The dashboards, data sources and rules of `deploy/`: whether they ask for what is there.

mod files;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use promql_parser::{
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;

use crate::{
    Case,
    harness::{
        agent::{self, Agent},
        apps::{Server, go_server},
        client::{Connection, get},
        lab::{Lab, Need, source},
        ports, until,
    },
};
use files::{Query, array};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("dashboards::every_link_leads_somewhere", &[], |_| links()),
        Case::new(
            "dashboards::every_query_asks_for_what_is_there",
            &[Need::Root, Need::Python, Need::Go, Need::Postgres],
            queries,
        ),
    ]
}

/// Metrics that others than sidelight and the rules give: by name, or by how names begin (with `*`).
const OF_OTHERS: [(&str, &str); 4] = [
    (
        "traces_span_metrics_*",
        "the collector's connector span_metrics (deploy/collector/config.yaml)",
    ),
    ("otelcol_*", "the collector, of itself"),
    ("up", "Prometheus"),
    ("ALERTS", "Prometheus"),
];
/// Grafana's own data source.
const BUILT_IN: &str = "-- Grafana --";

fn queries(lab: &Lab) -> Result<()> {
    let (rules, recorded) = files::rules()?;
    let seen = seen(lab)?;
    let known = |name: &str| {
        let of_others = OF_OTHERS.iter().any(|(other, _)| match other.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *other,
        });
        of_others || seen.contains_key(name) || recorded.iter().any(|record| record == name)
    };
    let labels: BTreeSet<&str> = seen.values().flatten().map(String::as_str).collect();
    let mut wrong = Vec::new();
    for Query { place, text } in files::grafana()?.into_iter().chain(rules) {
        let selectors = match selectors(&text) {
            Ok(selectors) => selectors,
            Err(error) => {
                wrong.push(format!("{place}: {error}: {text}"));
                continue;
            }
        };
        for selector in selectors {
            let name = selector.name.as_deref().unwrap_or_default();
            if !known(name) {
                wrong.push(format!("{place}: nobody has {name:?}: {text}"));
            }
            let matched = selector
                .matchers
                .matchers
                .iter()
                .map(|matcher| matcher.name.as_str());
            let unknown = matched.filter(|label| seen.contains_key(name) && !labels.contains(label));
            wrong.extend(unknown.map(|label| format!("{place}: no series has the label {label}: {text}")));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// All series that a query asks for.
fn selectors(text: &str) -> Result<Vec<VectorSelector>> {
    struct Found(Vec<VectorSelector>);
    impl ExprVisitor for Found {
        type Error = anyhow::Error;

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool> {
            match expr {
                Expr::VectorSelector(selector) => self.0.push(selector.clone()),
                Expr::MatrixSelector(selector) => self.0.push(selector.vs.clone()),
                _ => {}
            }
            Ok(true)
        }
    }
    let parsed = parser::parse(text).map_err(|error| anyhow!("{error}"))?;
    let mut found = Found(Vec::new());
    walk_expr(&mut found, &parsed)?;
    Ok(found.0)
}

/// What a running agent shows of the demo: the names of metrics, each with its labels.
fn seen(lab: &Lab) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut golang = Command::new(lab.go_demo_app()?);
    golang.env("DATABASE_URL", lab.postgres()?.dsn());
    let golang = on_a_port("golang-app", golang)?;
    // Stands for a users service that fails.
    let failing = go_server(lab, &[])?;
    let mut flask = Command::new(Lab::python()?);
    flask
        .arg(source("../demo-apps/flask-app/app.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("GOLANG_URL", golang.url()?)
        .env("FASTAPI_URL", format!("{}/status/500", failing.url()?));
    let flask = on_a_port("flask-app", flask)?;

    let prometheus = ports::local(ports::free()?);
    let pids = [&golang, &failing, &flask].map(|server| server.pid().to_string());
    let mut command = agent::command(&["attach", "--output", "none"]);
    command.args(pids.iter().flat_map(|pid| ["--pid", pid]));
    command.args(["--prometheus", &prometheus.to_string()]);
    // As in docker-compose.yaml: spans over OTLP, metrics for Prometheus. Whether a collector takes them is no matter here.
    command.args([
        "--otlp-endpoint",
        &format!("http://{}", ports::local(ports::free()?)),
    ]);
    command.env("OTEL_METRICS_EXPORTER", "prometheus");
    command.env("SIDELIGHT_METRICS_TEMPO", "true");
    let agent = Agent::start(command)?;
    let (users, albums) = (get(&flask.address, "/users")?, get(&flask.address, "/albums")?);
    ensure!(
        users.status >= 500 && albums.status == 200,
        "{} and {}",
        users.status,
        albums.status
    );
    let page = until("metrics of calls, statements and edges between services", || {
        let page = scrape(prometheus).ok()?;
        LAST.iter().all(|name| page.contains(name)).then_some(page)
    })?;
    // What Grafana is told to look for in exemplars.
    ensure!(page.contains(" # {trace_id=\""), "no exemplars");
    agent.stop()?;
    Ok(names(&page))
}

/// What comes last, when both requests are over and placed.
const LAST: [&str; 4] = [
    "db_client_operation_duration_seconds_count{job=\"golang-app\"",
    "http_client_request_duration_seconds_count{job=\"flask-app\"",
    "traces_service_graph_request_failed_total{client=\"flask-app\"",
    "traces_service_graph_request_server_seconds_bucket{client=\"flask-app\",server=\"golang-app\"",
];

fn on_a_port(name: &str, mut command: Command) -> Result<Server> {
    let port = ports::free()?;
    command.env("PORT", port.to_string());
    Server::on_port(name, command, port)
}

fn scrape(address: SocketAddr) -> Result<String> {
    let mut connection = Connection::open(&address.into())?;
    let accept = "Accept: application/openmetrics-text;version=1.0.0";
    connection.send(format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{accept}\r\n\r\n").as_bytes())?;
    Ok(String::from_utf8(connection.response("GET")?.body)?)
}

/// Names and labels of a page's samples.
fn names(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let labels = found.entry(line[..end].to_owned()).or_default();
        let pairs = line[end..]
            .strip_prefix('{')
            .and_then(|rest| rest.split_once("} "));
        let pairs = pairs.into_iter().flat_map(|(pairs, _)| pairs.split("\",")); // no value has these
        labels.extend(pairs.filter_map(|pair| Some(pair.split_once("=\"")?.0.to_owned())));
    }
    found
}

fn links() -> Result<()> {
    let sources = files::data_sources()?;
    let mut uids = BTreeMap::from([(BUILT_IN, "grafana")]);
    for source in &sources {
        let text = |key: &str| source[key].as_str().with_context(|| format!("{key} of {source}"));
        ensure!(
            uids.insert(text("uid")?, text("type")?).is_none(),
            "{} twice",
            text("uid")?
        );
        let host = text("url")?.trim_start_matches("http://").split(':').next();
        let services = files::yaml("../docker-compose.yaml")?;
        let is_there = host.is_some_and(|host| services["services"].get(host).is_some());
        ensure!(
            is_there,
            "docker-compose.yaml has no service for {}",
            text("url")?
        );
    }
    let mut wrong = Vec::new();
    for source in &sources {
        let place = format!("data source {}", source["name"]);
        follow(&source["jsonData"], &uids, &place, &mut wrong);
    }
    let mut seen = BTreeSet::new();
    for (name, dashboard) in files::dashboards()? {
        follow(&dashboard, &uids, &name, &mut wrong);
        let ids: BTreeSet<_> = array(&dashboard["panels"])
            .iter()
            .map(|panel| panel["id"].as_u64())
            .collect();
        ensure!(
            ids.len() == array(&dashboard["panels"]).len(),
            "{name}: a panel's id is there twice"
        );
        ensure!(
            seen.insert(dashboard["uid"].to_string()),
            "{name}: its uid is another's"
        );
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Finds every mention of a data source below `value`.
fn follow(value: &Value, uids: &BTreeMap<&str, &str>, place: &str, wrong: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| follow(item, uids, place, wrong)),
        Value::Object(items) => {
            for (key, item) in items {
                let uid = match key.as_str() {
                    "datasource" => item["uid"].as_str(),
                    "datasourceUid" | "alertmanagerUid" => item.as_str(),
                    _ => {
                        follow(item, uids, place, wrong);
                        continue;
                    }
                };
                let kind = uid.and_then(|uid| uids.get(uid));
                let wanted = item["type"].as_str();
                if kind.is_none() || wanted.is_some_and(|wanted| Some(&wanted) != kind) {
                    wrong.push(format!("{place}: there is no data source {item}"));
                }
            }
        }
        _ => {}
    }
}
