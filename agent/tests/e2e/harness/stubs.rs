//! An OTLP receiver on OpenTelemetry's own stubs for Python.

use std::{collections::BTreeMap, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;

use super::{
    PATIENCE,
    apps::script,
    lab::{Lab, Need},
    ports,
    process::Process,
    until_within,
};

/// What it needs besides what its test needs.
pub(crate) const NEEDS: &[Need] = &[Need::Root, Need::Python, Need::OpenTelemetry, Need::Go];

/// A running receiver.
pub(crate) struct Stubs {
    process: Process,
}

/// One point of a metric, as the stubs decode it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Point {
    pub(crate) metric: String,
    pub(crate) unit: String,
    pub(crate) kind: String,
    pub(crate) temporality: String,
    pub(crate) monotonic: bool,
    pub(crate) start: u64,
    pub(crate) time: u64,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) exemplars: Vec<(String, String)>,
    pub(crate) value: Option<f64>,
    #[serde(default)]
    pub(crate) count: u64,
    #[serde(default)]
    pub(crate) buckets: Vec<u64>,
}

/// What was said of one resource in one request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Received {
    pub(crate) resource: BTreeMap<String, Value>,
    pub(crate) scopes: Vec<String>,
    pub(crate) points: Vec<Point>,
    pub(crate) spans: Vec<(String, String)>,
}

impl Stubs {
    /// Listens when this returns.
    pub(crate) fn start(protocol: &str, port: u16) -> Result<Self> {
        let kind = if protocol == "grpc" { "grpc" } else { "http" };
        let mut command: Command = script("collector.py", &[kind, &port.to_string()])?;
        command.env("PYTHONPATH", Lab::opentelemetry()?);
        let mut process = Process::spawn("the receiver", command)?;
        ports::wait(&mut process, ports::local(port)).context("the receiver does not start")?;
        Ok(Self { process })
    }

    /// Ends it at once; everything that it said.
    pub(crate) fn stop(mut self) -> Result<Vec<Received>> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE)?;
        self.received()
    }

    /// Everything so far.
    pub(crate) fn received(&self) -> Result<Vec<Received>> {
        let lines = self.process.stdout.since(0);
        lines
            .iter()
            .map(|line| serde_json::from_str(line).with_context(|| line.clone()))
            .collect()
    }

    /// Everything so far, once that satisfies.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        satisfied: impl Fn(&[Received]) -> bool,
    ) -> Result<Vec<Received>> {
        self.wait_within(PATIENCE, what, satisfied)
    }

    /// The same with another patience.
    pub(crate) fn wait_within(
        &self,
        patience: Duration,
        what: &str,
        satisfied: impl Fn(&[Received]) -> bool,
    ) -> Result<Vec<Received>> {
        until_within(patience, what, || {
            let received = self.received().ok()?;
            satisfied(&received).then_some(received)
        })
        .with_context(|| self.process.stderr.text())
    }
}

/// The points of one metric that `service` has, in the order in which they came.
pub(crate) fn points<'a>(
    received: &'a [Received],
    service: &'a str,
    metric: &'a str,
) -> impl Iterator<Item = &'a Point> {
    received
        .iter()
        .filter(move |received| {
            received
                .resource
                .get("service.name")
                .is_some_and(|name| name == service)
        })
        .flat_map(|received| &received.points)
        .filter(move |point| point.metric == metric)
}
