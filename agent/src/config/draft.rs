//! Settings while the layers are being put on top of each other.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
    time::Duration,
};

use super::{Compression, LeaveOut, Otlp, Output, Protocol, Selector, Settings, parse::Invalid};

/// Settings while the layers are being put on top of each other; a later layer overrides an earlier one.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says what one layer has done")]
pub struct Draft {
    /// What needs no further resolution.
    pub settings: Settings,
    /// Spans on stdout, if any layer says so.
    pub output: Option<Output>,
    /// The traces' way out.
    pub traces: Signal,
    /// The metrics' way out.
    pub metrics: Signal,
    /// `OTEL_EXPORTER_PROMETHEUS_HOST`.
    pub prometheus_host: Option<String>,
    /// `OTEL_EXPORTER_PROMETHEUS_PORT`.
    pub prometheus_port: Option<u16>,
    /// `OTEL_SDK_DISABLED`.
    pub disabled: bool,
    metrics_exporters: Option<Vec<MetricsExporter>>,
    layer_selects: bool,
    layer_leaves_out: bool,
    layer_exports: bool,
}

/// What the layers say of one signal's export.
#[derive(Debug, Default)]
pub struct Signal {
    /// Where it goes.
    pub endpoint: Option<Endpoint>,
    /// See [`Otlp`].
    pub protocol: Option<Protocol>,
    /// See [`Otlp`].
    pub headers: Option<BTreeMap<String, String>>,
    /// See [`Otlp`].
    pub timeout: Option<Duration>,
    /// See [`Otlp`].
    pub compression: Option<Compression>,
    /// See [`Otlp`].
    pub certificate: Option<PathBuf>,
}

/// A kind of spans that may be left out.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// HTTP requests that are served.
    Server,
    /// HTTP requests that are sent.
    Client,
    /// Statements that are sent to databases.
    Database,
    /// None of these.
    None,
}

/// A way that metrics leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsExporter {
    /// Over OTLP.
    Otlp,
    /// Where Prometheus may scrape.
    Prometheus,
    /// None of these.
    None,
}

/// The port that the specification gives a Prometheus exporter.
const PROMETHEUS_PORT: u16 = 9464;

/// An endpoint as it was given.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// For all signals: over HTTP each adds its own path.
    Base(String),
    /// For one signal: used as it is.
    Exact(String),
}

/// What a command does when nothing says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Spans on stdout.
    pub output: Output,
}

impl Draft {
    /// Starts the next layer.
    pub fn begin_layer(&mut self) {
        self.layer_selects = false;
        self.layer_leaves_out = false;
        self.layer_exports = false;
    }

    /// Adds to what is selected. The first selector of a layer replaces those of the layers below: a selection is one
    /// thought, and `--pid 7` must not also watch what some file selects.
    pub fn select(&mut self, selector: Result<Selector, Invalid>) -> Result<(), Invalid> {
        let selector = selector?;
        if !self.layer_selects {
            self.settings.select.clear();
            self.layer_selects = true;
        }
        self.settings.select.push(selector);
        Ok(())
    }

    /// Adds to what is left out. As with [`Self::select`], a layer's list replaces that of the layers below.
    pub fn leave_out(&mut self, kind: Result<Kind, Invalid>) -> Result<(), Invalid> {
        let kind = kind?;
        let kinds = &mut self.settings.leave_out;
        if !self.layer_leaves_out {
            *kinds = LeaveOut::NOTHING;
            self.layer_leaves_out = true;
        }
        match kind {
            Kind::Server => kinds.server = true,
            Kind::Client => kinds.client = true,
            Kind::Database => kinds.database = true,
            Kind::None => {}
        }
        Ok(())
    }

    /// Adds to the ways that metrics leave. As with [`Self::select`], a layer's list replaces that of the layers below.
    pub fn metrics_exporter(&mut self, exporter: Result<MetricsExporter, Invalid>) -> Result<(), Invalid> {
        let exporter = exporter?;
        if !self.layer_exports {
            self.metrics_exporters = None;
            self.layer_exports = true;
        }
        self.metrics_exporters.get_or_insert_default().push(exporter);
        Ok(())
    }

    /// Sets one thing for all signals.
    pub fn otlp<T: Clone>(
        &mut self,
        place: impl Fn(&mut Signal) -> &mut Option<T>,
        value: Result<T, Invalid>,
    ) -> Result<(), Invalid> {
        let value = value?;
        *place(&mut self.traces) = Some(value.clone());
        *place(&mut self.metrics) = Some(value);
        Ok(())
    }

    /// The settings, with what depends on several of them or on the command filled in.
    pub fn finish(self, defaults: Defaults) -> Settings {
        let mut settings = self.settings;
        if settings.select.is_empty() {
            settings.select.push(Selector::All);
        }
        settings.export.output = self.output.unwrap_or(defaults.output);
        if self.disabled {
            settings.export.prometheus = None;
            return settings;
        }
        let wanted = |exporter| {
            self.metrics_exporters
                .as_ref()
                .map(|list| list.contains(&exporter))
        };
        let (otlp, prometheus) = (
            wanted(MetricsExporter::Otlp),
            wanted(MetricsExporter::Prometheus) == Some(true),
        );
        // Spans that go nowhere help nobody: without any other place, the specification's default endpoint is theirs.
        let nowhere = settings.export.output == Output::None
            && settings.export.prometheus.is_none()
            && self.traces.endpoint.is_none()
            && self.metrics.endpoint.is_none();
        if prometheus && settings.export.prometheus.is_none() {
            settings.export.prometheus = scraped_at(self.prometheus_host.as_deref(), self.prometheus_port);
        }
        settings.export.traces = self.traces.resolve("/v1/traces", nowhere);
        if otlp != Some(false) {
            settings.export.metrics = self.metrics.resolve("/v1/metrics", nowhere || otlp == Some(true));
        }
        settings
    }
}

/// Where Prometheus may scrape by the standard variables.
fn scraped_at(host: Option<&str>, port: Option<u16>) -> Option<SocketAddr> {
    let host = host.unwrap_or("localhost");
    let port = port.unwrap_or(PROMETHEUS_PORT);
    (host, port).to_socket_addrs().ok()?.next()
}

impl Signal {
    fn resolve(self, path: &str, by_default: bool) -> Option<Otlp> {
        let protocol = self.protocol.unwrap_or_default();
        let endpoint = match (self.endpoint, protocol) {
            (None, _) if !by_default => return None,
            (None, Protocol::Grpc) => "http://localhost:4317".to_owned(),
            (None, Protocol::HttpProtobuf) => format!("http://localhost:4318{path}"),
            (Some(Endpoint::Base(base)), Protocol::HttpProtobuf) => {
                format!("{}{path}", base.trim_end_matches('/'))
            }
            (Some(Endpoint::Base(url) | Endpoint::Exact(url)), _) => url,
        };
        Some(Otlp {
            endpoint,
            protocol,
            headers: self.headers.unwrap_or_default(),
            timeout: self.timeout.unwrap_or(Duration::from_secs(10)),
            compression: self.compression.unwrap_or_default(),
            certificate: self.certificate,
        })
    }
}
