//! Metrics over OTLP, as OpenTelemetry's own stubs decode them.

mod away;

use std::{
    collections::{BTreeMap, HashSet},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    harness::{
        agent::{self, Agent},
        apps::Server,
        lab::Lab,
        load::Load,
        ports,
        stubs::{NEEDS, Point, Received, Stubs, points},
    },
};

const STATUSES: [u16; 4] = [200, 200, 404, 500];
const DURATION: &str = "http.server.request.duration";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("otlp_metrics::counts_are_exact_over_grpc", NEEDS, |lab| {
            exact(lab, "grpc", "none", "explicit_bucket_histogram")
        }),
        Case::new(
            "otlp_metrics::counts_are_exact_over_grpc_with_gzip",
            NEEDS,
            |lab| exact(lab, "grpc", "gzip", "base2_exponential_bucket_histogram"),
        ),
        Case::new("otlp_metrics::counts_are_exact_over_http", NEEDS, |lab| {
            exact(lab, "http/protobuf", "none", "base2_exponential_bucket_histogram")
        }),
        Case::new(
            "otlp_metrics::counts_are_exact_over_http_with_gzip",
            NEEDS,
            |lab| exact(lab, "http/protobuf", "gzip", "explicit_bucket_histogram"),
        ),
        Case::new(
            "otlp_metrics::deltas_add_up_and_leave_no_time_out",
            NEEDS,
            |lab| away::away(lab, "http/protobuf", "delta", false),
        ),
        Case::new(
            "otlp_metrics::what_is_counted_while_the_collector_is_away_is_there_afterwards",
            NEEDS,
            |lab| away::away(lab, "grpc", "cumulative", true),
        ),
        Case::new(
            "otlp_metrics::deltas_add_up_though_the_collector_was_away",
            NEEDS,
            |lab| away::away(lab, "grpc", "delta", true),
        ),
    ]
}

/// Requests of each part of a test.
fn requests() -> usize {
    if is_full() { 10_000 } else { 1_000 }
}

fn is_full() -> bool {
    std::env::var_os("SIDELIGHT_TEST_FULL").is_some()
}

/// A Go server whose service is `shop`.
pub(crate) fn server(lab: &Lab) -> Result<Server> {
    let port = ports::free()?;
    let mut command = Command::new(lab.go_test_app()?);
    command.args(["-listen", &format!("127.0.0.1:{port}")]);
    command.env("OTEL_SERVICE_NAME", "shop");
    Server::on_port("the Go server", command, port)
}

fn command(server: &Server, protocol: &str, port: u16, more: &[(&str, &str)]) -> Command {
    let (pid, endpoint) = (server.pid().to_string(), format!("http://127.0.0.1:{port}"));
    let mut command = agent::command(&["attach", "--output", "json", "--otlp-protocol", protocol]);
    command.args(["--pid", &pid, "--otlp-endpoint", &endpoint]);
    command.env("OTEL_METRIC_EXPORT_INTERVAL", "200");
    command.envs(more.iter().copied());
    command
}

/// Sends requests; how many were answered with each status.
fn load(server: &Server) -> Result<BTreeMap<u16, u64>> {
    let target = |number: usize| {
        let status = STATUSES[number % STATUSES.len()];
        ("GET", format!("/status/{status}/{number}"))
    };
    let load = Load {
        address: server.address.clone(),
        requests: requests(),
        concurrency: 16,
        keep_alive: true,
        request: &target,
    };
    let mut answered = BTreeMap::new();
    for response in load.run()?.responses {
        *answered.entry(response.status).or_default() += 1;
    }
    Ok(answered)
}

/// By status, the latest of what is counted from the beginning, or the sum of what is counted from one export to the next.
fn counted(received: &[Received], is_delta: bool) -> BTreeMap<u16, u64> {
    let mut counted = BTreeMap::new();
    // What was under way when the collector went away is sent again as it was.
    let mut known = HashSet::new();
    for point in points(received, "shop", DURATION) {
        if !known.insert((status(point), point.start, point.time)) {
            continue;
        }
        let count = counted.entry(status(point)).or_default();
        *count = point.count + if is_delta { *count } else { 0 };
    }
    counted
}

fn status(point: &Point) -> u16 {
    let status = point.attributes.get("http.response.status_code");
    status
        .and_then(|status| u16::try_from(status.as_u64()?).ok())
        .unwrap_or_default()
}

fn exact(lab: &Lab, protocol: &str, compression: &str, aggregation: &str) -> Result<()> {
    let (server, port) = (server(lab)?, ports::free()?);
    let stubs = Stubs::start(protocol, port)?;
    let variables = [
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            aggregation,
        ),
    ];
    let agent = Agent::start(command(&server, protocol, port, &variables))?;
    let answered = load(&server)?;
    stubs
        .wait_for("all requests in the metrics", |received| {
            counted(received, false) == answered
        })
        .with_context(|| agent.stderr())?;
    let report = agent.stop()?;
    let received = stubs.received()?;
    ensure!(
        counted(&received, false) == answered,
        "{:?} in the metrics, {answered:?} answered",
        counted(&received, false)
    );
    let kept: HashSet<(String, String)> = received.iter().flat_map(|one| one.spans.clone()).collect();
    let exemplars: HashSet<_> = points(&received, "shop", DURATION)
        .flat_map(|point| point.exemplars.clone())
        .collect();
    ensure!(
        !exemplars.is_empty() && exemplars.is_subset(&kept) && kept.len() == report.spans.len(),
        "exemplars {exemplars:?} are not all among the spans {kept:?}"
    );
    let kind = if aggregation.starts_with("base2") {
        "exponential_histogram"
    } else {
        "histogram"
    };
    conform(&received, kind)
}

/// What the data model asks of a stream that is counted from the beginning, and the conventions of what is sent.
fn conform(received: &[Received], kind: &str) -> Result<()> {
    let mut last: BTreeMap<u16, &Point> = BTreeMap::new();
    for point in points(received, "shop", DURATION) {
        ensure!(
            point.kind == kind && point.temporality == "cumulative" && point.unit == "s",
            "{point:?}"
        );
        ensure!(point.buckets.iter().sum::<u64>() == point.count, "{point:?}");
        if let Some(before) = last.insert(status(point), point) {
            ensure!(
                point.start == before.start && point.time > before.time && point.count >= before.count,
                "{point:?} after {before:?}"
            );
        }
        ensure!(point.start <= point.time, "{point:?}");
    }
    for (metric, kind, monotonic) in [
        ("process.cpu.time", "sum", true),
        ("process.memory.usage", "sum", false),
        ("process.memory.virtual", "sum", false),
        ("process.thread.count", "sum", false),
        ("process.unix.file_descriptor.count", "sum", false),
        ("process.uptime", "gauge", false),
        ("http.server.active_requests", "sum", false),
    ] {
        let point = points(received, "shop", metric).last();
        let point = point.with_context(|| format!("no {metric}"))?;
        ensure!(
            point.kind == kind && point.monotonic == monotonic && point.value.is_some(),
            "{point:?}"
        );
    }
    let active = points(received, "shop", "http.server.active_requests").last();
    ensure!(
        active.and_then(|point| point.value) == Some(0.0),
        "requests are active at the end: {active:?}"
    );
    let scopes: HashSet<&String> = received.iter().flat_map(|one| &one.scopes).collect();
    ensure!(scopes.iter().all(|scope| *scope == "sidelight"), "{scopes:?}");
    Ok(())
}
