//! Programs with an OpenTelemetry SDK of their own: what the SDK exports is left out, all else joins its traces.

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{ResourceSpans, Span as SdkSpan, span::SpanKind},
};

use crate::{
    Case,
    harness::{
        agent::{self, Agent, Report},
        apps::{self, Server},
        client::{Connection, get},
        collector::Collector,
        lab::{Lab, Need},
        ports,
        span::Span,
    },
};

const NEEDS: &[Need] = &[Need::Root, Need::Python, Need::OpenTelemetry, Need::Postgres];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("own_sdk::exports_over_http", NEEDS, |lab| {
            left_out(lab, &Exporter::http(None), When::First)
        }),
        Case::new("own_sdk::exports_over_http_with_gzip", NEEDS, |lab| {
            left_out(lab, &Exporter::http(Some("gzip")), When::Later)
        }),
        Case::new("own_sdk::exports_over_grpc", NEEDS, |lab| {
            left_out(lab, &Exporter::grpc(None), When::First)
        }),
        Case::new(
            "own_sdk::exports_over_grpc_with_gzip_on_an_older_connection",
            NEEDS,
            |lab| left_out(lab, &Exporter::grpc(Some("gzip")), When::Later),
        ),
        Case::new(
            "own_sdk::nothing_is_left_out_when_that_is_switched_off",
            NEEDS,
            switched_off,
        ),
    ]
}

/// How the SDK exports.
struct Exporter {
    protocol: &'static str,
    compression: Option<&'static str>,
    collector: fn() -> Result<Collector>,
}

impl Exporter {
    fn http(compression: Option<&'static str>) -> Self {
        Self {
            protocol: "http/protobuf",
            compression,
            collector: Collector::start,
        }
    }

    fn grpc(compression: Option<&'static str>) -> Self {
        Self {
            protocol: "grpc",
            compression,
            collector: Collector::start_grpc,
        }
    }
}

/// When the agent comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the SDK exports anything.
    First,
    /// When it has exported already.
    Later,
}

/// The application with an SDK, and what it needs.
struct Scene {
    collector: Collector,
    backend: Server,
    traced: Server,
}

impl Scene {
    fn set(lab: &Lab, exporter: &Exporter) -> Result<Self> {
        let collector = (exporter.collector)()?;
        let port = ports::free()?;
        let flask = ["--app", "web_flask", "run", "--port", &port.to_string()];
        let backend = Server::on_port("flask", apps::module("flask", &flask)?, port)?;
        let port = ports::free()?;
        let mut traced = apps::script("traced.py", &[&port.to_string()])?;
        traced
            .env("PYTHONPATH", Lab::opentelemetry()?)
            .env("BACKEND_URL", backend.url()?)
            .env("DATABASE_URL", lab.postgres()?.dsn())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", exporter.protocol)
            // Longer than any test: it exports when it is told to.
            .env("OTEL_BSP_SCHEDULE_DELAY", "600000");
        if let Some(compression) = exporter.compression {
            traced.env("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
        }
        Ok(Self {
            collector,
            backend,
            traced: Server::on_port("traced.py", traced, port)?,
        })
    }

    fn pids(&self) -> [u32; 2] {
        [self.traced.pid(), self.backend.pid()]
    }

    fn ask(&self, name: &str) -> Result<()> {
        let answer = get(&self.traced.address, &format!("/ask/{name}"))?;
        ensure!(answer.status == 200, "{name} is answered with {}", answer.status);
        Ok(())
    }

    /// Asks as a caller does that traces.
    fn ask_within(&self, name: &str, traceparent: &str) -> Result<()> {
        let mut connection = Connection::open(&self.traced.address)?;
        let head =
            format!("GET /ask/{name} HTTP/1.1\r\nHost: localhost\r\ntraceparent: {traceparent}\r\n\r\n");
        connection.send(head.as_bytes())?;
        let answer = connection.response("GET")?;
        ensure!(answer.status == 200, "{name} is answered with {}", answer.status);
        Ok(())
    }

    /// Lets the SDK export what there is.
    fn flush(&self) -> Result<()> {
        get(&self.traced.address, "/flush").map(drop)
    }

    /// What the SDK exported of a request, once it did.
    fn exported(&self, name: &str) -> Result<Exported> {
        let received = self
            .collector
            .wait_for("both spans of the SDK", |received| {
                Exported::find(received, name).is_some()
            })
            .with_context(|| self.traced.process.stderr.text())?;
        Exported::find(&received, name).context("the spans went away")
    }
}

/// What the SDK exported of one request, as the agent writes ids.
struct Exported {
    trace: String,
    call: String,
}

impl Exported {
    /// Of a request with this name: the call that names it, and the server's span that this belongs to.
    fn find(received: &[ResourceSpans], name: &str) -> Option<Self> {
        let spans = || {
            let scopes = received.iter().flat_map(|resource| &resource.scope_spans);
            scopes.flat_map(|scope| &scope.spans)
        };
        let call = spans()
            .find(|span| span.kind == i32::from(SpanKind::Client) && says(span, &format!("/items/{name}")))?;
        let server = spans().find(|span| span.span_id == call.parent_span_id)?;
        (server.kind == i32::from(SpanKind::Server)).then(|| Self {
            trace: hex(&call.trace_id),
            call: hex(&call.span_id),
        })
    }
}

/// Whether a text attribute of a span ends so.
fn says(span: &SdkSpan, end: &str) -> bool {
    let values = span
        .attributes
        .iter()
        .filter_map(|attribute| attribute.value.as_ref()?.value.as_ref());
    let mut texts = values.filter_map(|value| match value {
        Value::StringValue(text) => Some(text),
        _ => None,
    });
    texts.any(|text| text.ends_with(end))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// How often the SDK is told to export while the agent is there.
const FLUSHES: usize = 2;
const NAMES: [&str; 4] = ["second", "third", "fourth", "fifth"];
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn left_out(lab: &Lab, exporter: &Exporter, when: When) -> Result<()> {
    let scene = Scene::set(lab, exporter)?;
    if when == When::Later {
        scene.ask("before")?;
        scene.flush()?;
        scene.exported("before")?;
    }
    let agent = Agent::attach_with(&scene.pids(), &["--explain"])?;
    scene.ask("first")?;
    scene.flush()?;
    let first = scene.exported("first")?;
    for name in NAMES {
        scene.ask(name)?;
    }
    scene.ask_within("last", CALLER)?;
    scene.flush()?;
    let report = finish(&scene, agent, 2 + NAMES.len())?;
    joined(&scene, &report, "first", &first)?;
    for name in NAMES {
        let sdk = scene.exported(name)?;
        let served = at_the_backend(&scene, &report, name)?;
        ensure!(
            (&served.trace_id, &served.parent_span_id) == (&sdk.trace, &sdk.call),
            "the backend's span does not hang on the SDK's: {served:#?}"
        );
        let query = query(&report, name)?;
        ensure!(
            query.trace_id == sdk.trace && query.parent_span_id.is_empty() && query.no_parent.is_some(),
            "the statement is not the first of ours in the SDK's trace {}: {query:#?}",
            sdk.trace
        );
    }
    let query = query(&report, "last")?;
    ensure!(
        CALLER[3..] == format!("{}-{}-01", query.trace_id, query.parent_span_id),
        "the statement does not hang on what its request came with: {query:#?}"
    );
    nothing_doubled(&scene, &report)
}

/// Waits for all spans of so many requests at the backend and the database, and stops the agent.
fn finish(scene: &Scene, agent: Agent, requests: usize) -> Result<Report> {
    let backend = Some(scene.backend.pid());
    let is_served = |span: &Span| span.is_served() && span.pid() == backend;
    agent.wait_for("spans of the backend", requests, is_served)?;
    agent.wait_for("statements", requests, |span| span.query().contains(" AS r_"))?;
    agent.stop()
}

/// What was not known yet to be exported stands between the SDK's spans.
fn joined(scene: &Scene, report: &Report, name: &str, sdk: &Exported) -> Result<()> {
    let traced = Some(scene.traced.pid());
    let only = |what: &str, wanted: &dyn Fn(&Span) -> bool| {
        let mut found = report.only(wanted).into_iter().cloned();
        found
            .next()
            .with_context(|| format!("no {what} for {name} among {:#?}", report.spans))
    };
    let path = format!("/ask/{name}");
    let request = only("span of the request", &|span| {
        span.is_served() && span.path() == path
    })?;
    let end = format!("/items/{name}");
    let call = only("span of the call", &|span| {
        span.is_sent() && span.pid() == traced && span.text("url.full").ends_with(&end)
    })?;
    let answer = at_the_backend(scene, report, name)?;
    let query = query(report, name)?;
    for span in [&request, &call, answer, query] {
        ensure!(
            span.trace_id == sdk.trace,
            "not in the SDK's trace {}: {span:#?}",
            sdk.trace
        );
    }
    ensure!(
        call.parent_span_id == sdk.call,
        "the call does not hang on the SDK's: {call:#?}"
    );
    ensure!(
        answer.parent_span_id == call.span_id,
        "not a child of the call: {answer:#?}"
    );
    ensure!(
        query.parent_span_id == request.span_id,
        "not a child of the request: {query:#?}"
    );
    Ok(())
}

fn at_the_backend<'a>(scene: &Scene, report: &'a Report, name: &str) -> Result<&'a Span> {
    let path = format!("/items/{name}");
    let found = report.only(|span| span.pid() == Some(scene.backend.pid()) && span.path() == path);
    ensure!(
        found.len() == 1,
        "{} spans of the backend for {name}",
        found.len()
    );
    Ok(found[0])
}

fn query<'a>(report: &'a Report, name: &str) -> Result<&'a Span> {
    let end = format!(" AS r_{name}");
    let found = report.only(|span| span.query().ends_with(&end));
    ensure!(found.len() == 1, "{} statements for {name}", found.len());
    Ok(found[0])
}

/// Of the application with an SDK there are two HTTP spans, those that came before its exports; the others are counted.
fn nothing_doubled(scene: &Scene, report: &Report) -> Result<()> {
    let traced = Some(scene.traced.pid());
    let doubled =
        report.only(|span| span.pid() == traced && !span.is_query() && !span.path().ends_with("/first"));
    let doubled: Vec<_> = doubled
        .into_iter()
        .filter(|span| !span.text("url.full").ends_with("/first"))
        .collect();
    ensure!(
        doubled.is_empty(),
        "spans that the SDK exports, or of its exports: {doubled:#?}"
    );
    // Those that asked it to export have no calls.
    let counted = format!(" exported_by_sdk={}", 2 * (NAMES.len() + 1) + FLUSHES);
    ensure!(
        report.stderr.contains(&counted),
        "not counted as{counted}: {}",
        report.stderr
    );
    Ok(())
}

fn switched_off(lab: &Lab) -> Result<()> {
    let scene = Scene::set(lab, &Exporter::http(None))?;
    let pids = scene.pids().map(|pid| pid.to_string());
    let mut command = agent::command(&["attach", "--output", "json", "--pid", &pids[0], "--pid", &pids[1]]);
    command.env("SIDELIGHT_SDK_LEAVE_OUT", "none");
    let agent = Agent::start(command)?;
    scene.ask("first")?;
    scene.flush()?;
    scene.exported("first")?;
    for name in NAMES {
        scene.ask(name)?;
    }
    scene.flush()?;
    let report = finish(&scene, agent, 1 + NAMES.len())?;
    for name in NAMES {
        joined(&scene, &report, name, &scene.exported(name)?)?;
    }
    ensure!(!report.stderr.contains("exported_by_sdk"), "{}", report.stderr);
    Ok(())
}
