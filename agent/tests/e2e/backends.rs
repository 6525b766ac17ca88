//! What real backends make of what the agent sends and shows: OpenTelemetry's Collector, Prometheus, `VictoriaMetrics`.

mod native;

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    Case,
    harness::{
        PATIENCE,
        agent::{self, Agent},
        apps::Server,
        client::Connection,
        lab::{Lab, Need},
        load::Load,
        note, ports,
        process::Process,
        stubs::{Received, Stubs, points},
        until,
    },
    otlp_metrics::server,
};

const COLLECTOR: &[Need] = &[
    Need::Root,
    Need::Python,
    Need::OpenTelemetry,
    Need::Go,
    Need::Collector,
];
const DURATION: &str = "http.server.request.duration";
const COUNT: &str = "http_server_request_duration_seconds_count";

/// How many requests of each route were answered with each status.
type Counts = BTreeMap<(String, String), u64>;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "backends::counts_are_exact_in_prometheus_and_victoria_metrics",
            &[Need::Root, Need::Go, Need::Backends],
            databases,
        ),
        Case::new(
            "backends::native_histograms_in_prometheus_alone_and_beside_classic_ones",
            &[Need::Root, Need::Go, Need::Backends],
            native::histograms,
        ),
        Case::new("backends::a_collector_takes_grpc", COLLECTOR, |lab| {
            collector(lab, "grpc", "none")
        }),
        Case::new("backends::a_collector_takes_grpc_with_gzip", COLLECTOR, |lab| {
            collector(lab, "grpc", "gzip")
        }),
        Case::new("backends::a_collector_takes_http", COLLECTOR, |lab| {
            collector(lab, "http/protobuf", "none")
        }),
        Case::new("backends::a_collector_takes_http_with_gzip", COLLECTOR, |lab| {
            collector(lab, "http/protobuf", "gzip")
        }),
    ]
}

/// Sends requests of several routes and statuses; how many of each there were.
fn load(server: &Server, requests: usize) -> Result<Counts> {
    const STATUSES: [u16; 4] = [200, 200, 404, 500];
    let target = |number: usize| match STATUSES.get(number % (STATUSES.len() + 1)) {
        Some(status) => ("GET", format!("/status/{status}/{number}")),
        None => ("GET", format!("/bytes/{number}/x")),
    };
    let load = Load {
        address: server.address.clone(),
        requests,
        concurrency: 16,
        keep_alive: true,
        request: &target,
    };
    let mut counts = Counts::new();
    for (number, response) in load.run()?.responses.iter().enumerate() {
        let (_, path) = target(number);
        let route = if path.starts_with("/status/") {
            "/status/{code}/{name}"
        } else {
            "/bytes/{size}/{name}"
        };
        *counts
            .entry((route.to_owned(), response.status.to_string()))
            .or_default() += 1;
    }
    ensure!(counts.len() == 4, "{counts:?}");
    Ok(counts)
}

/// One trace in a hundred is kept, and every request is in both databases; their exemplars are spans that were kept.
fn databases(lab: &Lab) -> Result<()> {
    let requests = if std::env::var_os("SIDELIGHT_TEST_FULL").is_some() {
        10_000
    } else {
        2_000
    };
    let server = server(lab)?;
    let scraped = ports::local(ports::free()?);
    let (_prometheus, prometheus) = prometheus(lab, scraped)?;
    let (_victoria, victoria) = victoria(lab)?;
    let pid = server.pid().to_string();
    let mut command = agent::command(&["attach", "--output", "json", "--pid", &pid]);
    command
        .args(["--prometheus", &scraped.to_string()])
        .envs([
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("SIDELIGHT_METRICS_TEMPO", "true"),
            ("SIDELIGHT_METRICS_PROGRAM_RUNS", "true"),
        ])
        .env(
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            format!("http://{victoria}/opentelemetry/v1/metrics"),
        );
    let agent = Agent::start(command)?;
    let answered = load(&server, requests)?;
    for (name, address) in [("Prometheus", prometheus), ("VictoriaMetrics", victoria)] {
        until(&format!("all requests in {name}"), || {
            let counts = counts(address, COUNT).ok()?;
            (counts == answered).then_some(())
        })
        .with_context(|| {
            let counts = counts(address, COUNT);
            format!("{counts:?} and not {answered:?}\n{}", agent.stderr())
        })?;
    }
    let found = exemplars(prometheus, "http_server_request_duration_seconds_bucket")?;
    checked(scraped)?;
    let report = agent.stop()?;
    note(&format!(
        "{answered:?}: the same in both databases; {} spans kept, {} exemplars",
        report.spans.len(),
        found.len()
    ));
    let kept: HashSet<(String, String)> = report
        .spans
        .iter()
        .map(|span| (span.trace_id.clone(), span.span_id.clone()))
        .collect();
    ensure!(
        !found.is_empty() && found.is_subset(&kept) && kept.len() < requests / 10,
        "exemplars {found:?} are not all among the spans {kept:?}"
    );
    // Nothing that was counted twice came while the last exemplars were read.
    let last = counts(victoria, COUNT)?;
    ensure!(last == answered, "{last:?}");
    Ok(())
}

fn prometheus(lab: &Lab, scraped: SocketAddr) -> Result<(Process, SocketAddr)> {
    let job = format!(
        "- job_name: sidelight\n  honor_labels: true\n  static_configs: [{{targets: ['{scraped}']}}]\n"
    );
    prometheus_with(lab, "prometheus", &job, "exemplar-storage")
}

/// Prometheus with these jobs and features.
fn prometheus_with(lab: &Lab, name: &str, jobs: &str, features: &str) -> Result<(Process, SocketAddr)> {
    let folder = lab.folder(name)?;
    let settings = folder.join("prometheus.yml");
    let global = "global: {scrape_interval: 500ms, scrape_timeout: 500ms}";
    std::fs::write(&settings, format!("{global}\nscrape_configs:\n{jobs}"))?;
    let address = ports::local(ports::free()?);
    let mut command = Command::new(Lab::backend("prometheus")?);
    command
        .arg(argument("--config.file", &settings))
        .arg(argument("--storage.tsdb.path", &folder.join("data")))
        .arg(format!("--web.listen-address={address}"))
        .arg(format!("--enable-feature={features}"));
    start("Prometheus", command, address)
}

fn victoria(lab: &Lab) -> Result<(Process, SocketAddr)> {
    let folder = lab.folder("victoria-metrics")?;
    let address = ports::local(ports::free()?);
    let mut command = Command::new(Lab::backend("victoria-metrics")?);
    command
        .arg(argument("-storageDataPath", &folder))
        .arg(format!("-httpListenAddr={address}"))
        .arg("-opentelemetry.usePrometheusNaming")
        // What was just written can be asked for at once.
        .args(["-search.latencyOffset=0s", "-search.disableCache"]);
    start("VictoriaMetrics", command, address)
}

fn start(name: &str, command: Command, address: SocketAddr) -> Result<(Process, SocketAddr)> {
    let mut process = Process::spawn(name, command)?;
    ports::wait(&mut process, address).with_context(|| format!("{name} does not start"))?;
    Ok((process, address))
}

fn argument(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// What a database answers to a question in Prometheus' language of HTTP.
fn ask(address: SocketAddr, target: &str) -> Result<Value> {
    let response = Connection::open(&address.into())?.request("GET", target, b"")?;
    let text = String::from_utf8_lossy(&response.body).into_owned();
    ensure!(response.status == 200, "{}: {text}", response.status);
    let mut answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    Ok(answer["data"].take())
}

/// By route and status, what an expression has.
fn counts(address: SocketAddr, expression: &str) -> Result<Counts> {
    let query = format!("sum+by+(http_route,http_response_status_code)({expression})");
    let data = ask(address, &format!("/api/v1/query?query={query}"))?;
    let text = |series: &Value, name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
    let series = data["result"].as_array().context("no series")?;
    series
        .iter()
        .map(|series| {
            let labels = (
                text(series, "http_route"),
                text(series, "http_response_status_code"),
            );
            let count = series["value"][1].as_str().context("no value")?;
            Ok((labels, count.parse()?))
        })
        .collect()
}

/// Trace and span of each exemplar that Prometheus keeps of some series.
fn exemplars(address: SocketAddr, query: &str) -> Result<HashSet<(String, String)>> {
    let data = ask(
        address,
        &format!("/api/v1/query_exemplars?query={query}&start=0&end=9999999999"),
    )?;
    let series = data.as_array().context("no exemplars")?;
    let exemplars = series
        .iter()
        .filter_map(|series| series["exemplars"].as_array())
        .flatten();
    let id = |exemplar: &Value, name: &str| exemplar["labels"][name].as_str().unwrap_or_default().to_owned();
    Ok(exemplars
        .map(|exemplar| (id(exemplar, "trace_id"), id(exemplar, "span_id")))
        .collect())
}

/// Prometheus' own checker has nothing to say of the page.
fn checked(scraped: SocketAddr) -> Result<()> {
    let page = Connection::open(&scraped.into())?.request("GET", "/metrics", b"")?;
    let mut checker = Command::new(Lab::backend("promtool")?);
    checker.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut process = Process::spawn("promtool", checker)?;
    process.tell(&String::from_utf8(page.body)?)?;
    let status = process.wait(PATIENCE)?;
    let said = format!("{}{}", process.stdout.text(), process.stderr.text());
    ensure!(
        status.success() && said.trim().is_empty(),
        "promtool: {status}: {said}"
    );
    Ok(())
}

/// A collector prints what it is sent, and what it passes on is what was sent.
fn collector(lab: &Lab, protocol: &str, compression: &str) -> Result<()> {
    const REQUESTS: usize = 200;
    let server = server(lab)?;
    let (target, grpc, http) = (ports::free()?, ports::free()?, ports::free()?);
    let stubs = Stubs::start("grpc", target)?;
    let mut command = Command::new(Lab::collector()?);
    command.arg(format!("--config=yaml:{}", settings(target, grpc, http)));
    let (collector, _) = start("the collector", command, ports::local(grpc))?;
    let port = if protocol == "grpc" { grpc } else { http };
    let pid = server.pid().to_string();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut command = agent::command(&["attach", "--output", "json", "--otlp-protocol", protocol]);
    command.args(["--pid", &pid, "--otlp-endpoint", &endpoint]).envs([
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
    ]);
    let agent = Agent::start(command)?;
    let answered = load(&server, REQUESTS)?;
    let said = || format!("{}\n{}", agent.stderr(), collector.stderr.text());
    stubs
        .wait_for("all requests in the metrics", |received| {
            passed_on(received) == answered
        })
        .with_context(said)?;
    let all = stubs
        .wait_for("all spans", |received| spans(received).len() == REQUESTS)
        .with_context(said)?;
    let report = agent.stop()?;
    let made: HashSet<(String, String)> = report
        .spans
        .iter()
        .map(|span| (span.trace_id.clone(), span.span_id.clone()))
        .collect();
    ensure!(spans(&all) == made, "{:?} and not {made:?}", spans(&all));
    ensure!(
        report.stderr.contains(" export_failed=0 ") && report.stderr.contains("metric_points_failed=0"),
        "{}",
        report.stderr
    );
    let printed = collector.stderr.text();
    for (trace, span) in &made {
        ensure!(
            printed.contains(trace) && printed.contains(span),
            "the collector does not print {trace} {span}"
        );
    }
    for part in [
        "Name: http.server.request.duration",
        "service.name: Str(shop)",
        "http.route: Str(/status/{code}/{name})",
        "AggregationTemporality: Cumulative",
    ] {
        ensure!(
            printed.contains(part),
            "the collector does not print {part}:\n{printed}"
        );
    }
    Ok(())
}

fn settings(target: u16, grpc: u16, http: u16) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}, http: {{endpoint: '127.0.0.1:{http}'}}}}}}}}\n\
         exporters:\n  debug: {{verbosity: detailed, use_internal_logger: false, output_paths: [stderr]}}\n\
         \x20 otlp_grpc: {{endpoint: '127.0.0.1:{target}', tls: {{insecure: true}}}}\n\
         service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n\
         \x20   traces: {{receivers: [otlp], exporters: [debug, otlp_grpc]}}\n\
         \x20   metrics: {{receivers: [otlp], exporters: [debug, otlp_grpc]}}\n"
    )
}

/// By route and status, the latest count.
fn passed_on(received: &[Received]) -> Counts {
    let attribute = |attributes: &BTreeMap<String, Value>, name: &str| match attributes.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let mut counts = Counts::new();
    for point in points(received, "shop", DURATION) {
        let labels = (
            attribute(&point.attributes, "http.route"),
            attribute(&point.attributes, "http.response.status_code"),
        );
        counts.insert(labels, point.count);
    }
    counts
}

fn spans(received: &[Received]) -> HashSet<(String, String)> {
    received.iter().flat_map(|one| one.spans.clone()).collect()
}
