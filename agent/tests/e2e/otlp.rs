//! Spans over OTLP, as a receiver that nobody here wrote the messages of decodes them.

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, Span, span::SpanKind},
};
use rustix::process::Signal;

use crate::{
    Case, expect,
    harness::{
        PATIENCE, agent,
        apps::Sockets,
        client::get,
        collector::Collector,
        lab::{Lab, Need},
        process::Process,
    },
};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new(
        "otlp::http_protobuf_delivers_each_span_once",
        &[Need::Root, Need::Python],
        http_protobuf,
    )]
}

fn http_protobuf(lab: &Lab) -> Result<()> {
    const COUNT: usize = 50;
    let (collector, sockets) = (Collector::start()?, Sockets::start(&lab.folder("otlp")?)?);
    let pid = sockets.process.pid().to_string();
    let mut command = agent::command(&["attach", "--output", "none", "--otlp-protocol", "http/protobuf"]);
    command.args(["--pid", &pid, "--otlp-endpoint", &collector.endpoint()]);
    command.env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    let mut process = Process::spawn("sidelight", command)?;
    process
        .stderr
        .wait(PATIENCE, |_, line| line.contains("ready: watching "))?;
    let paths: Vec<String> = (0..COUNT).map(|number| format!("/sendall/3/{number}")).collect();
    for path in &paths {
        get(&sockets.address("recv")?, path)?;
    }
    let complete = |received: &[ResourceSpans]| spans(received).count() >= COUNT;
    collector
        .wait_for("all spans at the collector", complete)
        .with_context(|| process.stderr.text())?;
    process.signal(Signal::INT)?;
    ensure!(process.wait(PATIENCE)?.success(), "{}", process.stderr.text());
    ensure!(
        process.stdout.count() == 0,
        "`--output none` prints: {}",
        process.stdout.text()
    );

    let received = collector.wait_for("all spans at the collector", complete)?;
    for resource in &received {
        let attributes = resource
            .resource
            .as_ref()
            .map(|resource| &resource.attributes[..])
            .unwrap_or_default();
        ensure!(
            text(attributes, "service.name") == "sockets",
            "service.name: {attributes:?}"
        );
        ensure!(
            !text(attributes, "telemetry.sdk.language").is_empty(),
            "telemetry.sdk.language: {attributes:?}"
        );
        ensure!(
            text(attributes, "deployment.environment.name") == "test",
            "OTEL_RESOURCE_ATTRIBUTES: {attributes:?}"
        );
    }
    for span in spans(&received) {
        ensure!(span.kind == i32::from(SpanKind::Server), "kind: {span:?}");
        ensure!(
            span.trace_id.len() == 16 && span.span_id.len() == 8,
            "ids: {span:?}"
        );
        ensure!(
            span.start_time_unix_nano <= span.end_time_unix_nano,
            "times: {span:?}"
        );
    }
    let found = spans(&received).map(|span| text(&span.attributes, "url.path").to_owned());
    expect::each_once("spans at the collector", found, &paths)
}

fn spans(received: &[ResourceSpans]) -> impl Iterator<Item = &Span> {
    received
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> &'a str {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.as_ref()) {
        Some(AnyValue {
            value: Some(Value::StringValue(text)),
        }) => text,
        _ => "",
    }
}
