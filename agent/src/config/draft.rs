//! Settings while they are put together from what was given.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
    time::Duration,
};

use super::{
    Compression, LeaveOut, Otlp, Output, Protocol, Sampling, Selector, Settings,
    entries::{self, LISTS},
    layers::Layers,
    parse::Invalid,
    table::settings,
};
use crate::routes::RoutePattern;

/// Settings while they are put together from what was given.
#[derive(Debug, Default)]
pub struct Draft {
    /// What needs no further resolution.
    pub settings: Settings,
    /// Spans on stdout, if anything says so.
    pub output: Option<Output>,
    /// The traces' way out.
    pub traces: Signal,
    /// The metrics' way out.
    pub metrics: Signal,
    /// Which traces are kept.
    pub sampling: Sampling,
    /// `service.namespace` of those that do not say it.
    pub service_namespace: Option<String>,
    /// `OTEL_SDK_DISABLED`.
    pub disabled: bool,
    /// Where the exporter `prometheus` listens.
    pub scraped: Scraped,
    leaves_out: bool,
    traces_exporters: Option<Vec<TracesExporter>>,
    metrics_exporters: Option<Vec<MetricsExporter>>,
}

/// What is said of one signal's export.
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
    /// See [`Otlp`].
    pub client_certificate: Option<PathBuf>,
    /// See [`Otlp`].
    pub client_key: Option<PathBuf>,
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

/// A way that spans leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TracesExporter {
    /// Over OTLP.
    Otlp,
    /// On stdout.
    Console,
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

/// Where Prometheus finds its exporter, by the standard variables.
#[derive(Clone, Debug)]
pub struct Scraped {
    /// An address, or a name of this host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// As the specification has it.
impl Default for Scraped {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 9464,
        }
    }
}

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
    /// Puts what was given in its places, in the order of the table: what holds for all signals comes before what holds
    /// for one.
    pub fn of(layers: &Layers) -> Self {
        let mut draft = Self::default();
        for setting in settings() {
            let values = layers
                .given(setting.key)
                .into_iter()
                .flat_map(|given| &given.values);
            for value in values {
                // What does not fit was refused when it was given.
                let _ = (setting.apply)(&mut draft, value);
            }
        }
        for list in LISTS {
            for entry in layers.entries(list.key) {
                draft.add(list.key, entries::build(list.fields, entry));
            }
        }
        draft
    }

    /// Adds to what is selected.
    pub fn select(&mut self, selector: Result<Selector, Invalid>) -> Result<(), Invalid> {
        self.settings.select.push(selector?);
        Ok(())
    }

    /// Adds to what is not watched though it is selected.
    pub fn exclude(&mut self, selector: Result<Selector, Invalid>) -> Result<(), Invalid> {
        self.settings.exclude.push(selector?);
        Ok(())
    }

    /// Adds to what is left out; the first replaces the default.
    pub fn leave_out(&mut self, kind: Result<Kind, Invalid>) -> Result<(), Invalid> {
        let kind = kind?;
        let kinds = &mut self.settings.leave_out;
        if !self.leaves_out {
            *kinds = LeaveOut::NOTHING;
            self.leaves_out = true;
        }
        match kind {
            Kind::Server => kinds.server = true,
            Kind::Client => kinds.client = true,
            Kind::Database => kinds.database = true,
            Kind::None => {}
        }
        Ok(())
    }

    /// Adds a pattern of routes.
    pub fn route(&mut self, pattern: Result<RoutePattern, Invalid>) -> Result<(), Invalid> {
        self.settings.routes.patterns.push(pattern?);
        Ok(())
    }

    /// Adds to the ways that spans leave.
    pub fn traces_exporter(&mut self, exporter: Result<TracesExporter, Invalid>) -> Result<(), Invalid> {
        self.traces_exporters.get_or_insert_default().push(exporter?);
        Ok(())
    }

    /// Adds to the ways that metrics leave.
    pub fn metrics_exporter(&mut self, exporter: Result<MetricsExporter, Invalid>) -> Result<(), Invalid> {
        self.metrics_exporters.get_or_insert_default().push(exporter?);
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
    pub fn finish(mut self, defaults: Defaults) -> Settings {
        let mut settings = std::mem::take(&mut self.settings);
        if settings.select.is_empty() {
            settings.select.push(Selector::All);
        }
        if let Some(namespace) = self.service_namespace.take() {
            let attributes = &mut settings.resource.attributes;
            attributes.retain(|(name, _)| name != "service.namespace");
            attributes.push(("service.namespace".to_owned(), namespace));
        }
        settings.sampler = self.sampling.sampler().unwrap_or_default();
        let to_stdout = self.sends_spans(TracesExporter::Console) == Some(true);
        let output = if to_stdout { Output::Text } else { defaults.output };
        settings.export.output = self.output.unwrap_or(output);
        if self.disabled {
            settings.export.prometheus = None;
            return settings;
        }
        self.export(&mut settings);
        settings
    }

    /// Where spans and metrics go, apart from stdout.
    fn export(self, settings: &mut Settings) {
        let export = &mut settings.export;
        // Spans that go nowhere help nobody: without any other place, the specification's default endpoint is theirs.
        let nowhere = export.output == Output::None
            && export.prometheus.is_none()
            && self.traces.endpoint.is_none()
            && self.metrics.endpoint.is_none();
        let (spans, metrics, prometheus) = (
            self.sends_spans(TracesExporter::Otlp),
            self.sends_metrics(MetricsExporter::Otlp),
            self.sends_metrics(MetricsExporter::Prometheus) == Some(true),
        );
        if prometheus && export.prometheus.is_none() {
            export.prometheus = self.scraped.address();
        }
        if spans != Some(false) {
            export.traces = self.traces.resolve("/v1/traces", nowhere || spans == Some(true));
        }
        if metrics != Some(false) {
            export.metrics = self
                .metrics
                .resolve("/v1/metrics", nowhere || metrics == Some(true));
        }
    }

    /// Whether spans leave this way, if anything says how they do.
    fn sends_spans(&self, way: TracesExporter) -> Option<bool> {
        self.traces_exporters.as_ref().map(|ways| ways.contains(&way))
    }

    /// Whether metrics leave this way, if anything says how they do.
    fn sends_metrics(&self, way: MetricsExporter) -> Option<bool> {
        self.metrics_exporters.as_ref().map(|ways| ways.contains(&way))
    }

    fn add(&mut self, list: &str, entry: super::ServiceSettings) {
        match list {
            "select.match" => self.settings.select.push(Selector::Rule(entry.rule)),
            "exclude.match" => self.settings.exclude.push(Selector::Rule(entry.rule)),
            _ => self.settings.services.push(entry),
        }
    }
}

impl Scraped {
    fn address(&self) -> Option<SocketAddr> {
        (self.host.as_str(), self.port).to_socket_addrs().ok()?.next()
    }
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
            client_certificate: self.client_certificate,
            client_key: self.client_key,
        })
    }
}
