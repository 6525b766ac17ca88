//! Metrics as text: Prometheus' own format and `OpenMetrics` 1.0, which has exemplars.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>. Names are made as
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/> says: the resource is `target_info`,
//! and what names it is in every series.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use crate::{
    discover::Process,
    export::resource,
    metrics::{Exemplar, Histogram, INSTRUMENTS, Instrument, Labels, Snapshot},
    span::Value,
};

const NANOS_PER_SECOND: f64 = 1e9;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Format {
    /// The best of those that a client accepts.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes a snapshot.
pub fn text(snapshot: &Snapshot, format: Format) -> String {
    let mut page = Page {
        text: String::new(),
        format,
    };
    // Writing to a string does not fail.
    let _ = page.write(snapshot);
    page.text
}

struct Page {
    text: String,
    format: Format,
}

impl Page {
    fn write(&mut self, snapshot: &Snapshot) -> fmt::Result {
        self.targets(snapshot)?;
        for (place, instrument) in INSTRUMENTS.iter().enumerate() {
            self.instrument(snapshot, instrument, place)?;
        }
        self.agent(snapshot)?;
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        Ok(())
    }

    fn targets(&mut self, snapshot: &Snapshot) -> fmt::Result {
        if snapshot.processes.is_empty() {
            return Ok(());
        }
        self.head(&Head::info("target", "Attributes of a watched process."))?;
        for of_process in &snapshot.processes {
            let mut labels = identity(&of_process.process);
            for (name, value) in resource::attributes(&of_process.process) {
                labels.add(&name, &value);
            }
            self.sample("target_info", &labels, format_args!("1"))?;
            self.text.push('\n');
        }
        Ok(())
    }

    fn instrument(&mut self, snapshot: &Snapshot, instrument: &Instrument, place: usize) -> fmt::Result {
        let name = name(instrument);
        let mut begun = false;
        for of_process in &snapshot.processes {
            let identity = identity(&of_process.process);
            for (own, histogram) in of_process.families.get(place).into_iter().flatten() {
                if !begun {
                    begun = true;
                    self.head(&Head::histogram(&name, unit(instrument), instrument.description))?;
                }
                self.histogram(&name, instrument.bounds, &identity.with(own), histogram)?;
            }
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, bounds: &[f64], labels: &Set, histogram: &Histogram) -> fmt::Result {
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        for ((bound, count), exemplar) in bounds.zip(&histogram.buckets).zip(&histogram.exemplars) {
            below += count;
            let mut labels = labels.clone();
            labels.add_text("le", &number(bound));
            self.sample(&bucket, &labels, format_args!("{below}"))?;
            if let (Format::OpenMetrics, Some((value, exemplar))) = (self.format, exemplar) {
                self.exemplar(*value, exemplar)?;
            }
            self.text.push('\n');
        }
        self.sample(
            &format!("{name}_sum"),
            labels,
            format_args!("{}", number(histogram.sum)),
        )?;
        self.text.push('\n');
        self.sample(
            &format!("{name}_count"),
            labels,
            format_args!("{}", histogram.count),
        )?;
        self.text.push('\n');
        Ok(())
    }

    fn exemplar(&mut self, value: f64, exemplar: &Exemplar) -> fmt::Result {
        write!(
            self.text,
            " # {{trace_id=\"{}\",span_id=\"{}\"}} {} {:.3}",
            exemplar.trace_id,
            exemplar.span_id,
            number(value),
            exemplar.unix_nanos as f64 / NANOS_PER_SECOND
        )
    }

    /// What the agent says of itself.
    fn agent(&mut self, snapshot: &Snapshot) -> fmt::Result {
        self.head(&Head::info(
            "sidelight_build",
            "The agent's version, and the hooks that it uses.",
        ))?;
        let mut version = Set::default();
        version.add_text("version", env!("CARGO_PKG_VERSION"));
        version.add_text("tier", snapshot.tier);
        self.sample("sidelight_build_info", &version, format_args!("1"))?;
        self.text.push('\n');
        self.head(&Head::gauge(
            "sidelight_watched_processes",
            "Processes that are watched.",
        ))?;
        let watching = snapshot.watching;
        self.sample(
            "sidelight_watched_processes",
            &Set::default(),
            format_args!("{watching}"),
        )?;
        self.text.push('\n');
        for (counter, value) in &snapshot.agent {
            let name = format!("sidelight_{counter}");
            self.head(&Head::counter(
                &name,
                "Of the agent's own counts; the same as in its last line on stderr.",
            ))?;
            self.sample(&format!("{name}_total"), &Set::default(), format_args!("{value}"))?;
            self.text.push('\n');
        }
        Ok(())
    }

    fn head(&mut self, head: &Head<'_>) -> fmt::Result {
        let Head {
            name,
            kind,
            unit,
            help,
        } = head;
        let (name, kind): (Cow<'_, str>, _) = match (self.format, *kind) {
            (Format::Prometheus, "info") => (format!("{name}_info").into(), "gauge"),
            (Format::Prometheus, "counter") => (format!("{name}_total").into(), "counter"),
            (_, kind) => ((*name).into(), kind),
        };
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        if self.format == Format::OpenMetrics && !unit.is_empty() {
            writeln!(self.text, "# UNIT {name} {unit}")?;
        }
        Ok(())
    }

    fn sample(&mut self, name: &str, labels: &Set, value: fmt::Arguments<'_>) -> fmt::Result {
        if labels.0.is_empty() {
            write!(self.text, "{name} {value}")
        } else {
            write!(self.text, "{name}{{{}}} {value}", labels.0)
        }
    }
}

/// What stands above the samples of a metric.
struct Head<'a> {
    name: &'a str,
    kind: &'static str,
    unit: &'static str,
    help: &'a str,
}

impl<'a> Head<'a> {
    fn histogram(name: &'a str, unit: &'static str, help: &'a str) -> Self {
        Self {
            name,
            kind: "histogram",
            unit,
            help,
        }
    }

    fn plain(name: &'a str, kind: &'static str, help: &'a str) -> Self {
        Self {
            name,
            kind,
            unit: "",
            help,
        }
    }

    fn info(name: &'a str, help: &'a str) -> Self {
        Self::plain(name, "info", help)
    }

    fn counter(name: &'a str, help: &'a str) -> Self {
        Self::plain(name, "counter", help)
    }

    fn gauge(name: &'a str, help: &'a str) -> Self {
        Self::plain(name, "gauge", help)
    }
}

/// Labels as they are written, without the braces.
#[derive(Clone, Debug, Default)]
struct Set(String);

impl Set {
    fn add(&mut self, name: &str, value: &Value) {
        match value {
            Value::String(text) => self.add_text(name, text),
            Value::Int(number) => self.add_text(name, &number.to_string()),
            Value::Bool(yes) => self.add_text(name, &yes.to_string()),
        }
    }

    fn add_text(&mut self, name: &str, text: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        let name = label(name);
        let text = text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        // Writing to a string does not fail.
        let _ = write!(self.0, "{name}=\"{text}\"");
    }

    fn with(&self, more: &Labels) -> Self {
        let mut all = self.clone();
        for (name, value) in more {
            all.add(name, value);
        }
        all
    }
}

/// What every series of a process has: who it is, for Prometheus and for people.
fn identity(process: &Process) -> Set {
    let said = |wanted: &str| {
        let mut said = process.resource_attributes.iter();
        said.find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
    };
    let job = match said("service.namespace") {
        Some(namespace) => format!("{namespace}/{}", process.service_name),
        None => process.service_name.clone(),
    };
    let mut labels = Set::default();
    labels.add_text("job", &job);
    labels.add_text("instance", &process.service_instance_id);
    labels
}

/// `http.server.request.duration` in seconds is `http_server_request_duration_seconds`.
fn name(instrument: &Instrument) -> String {
    format!("{}_{}", label(instrument.name), unit(instrument))
}

fn unit(instrument: &Instrument) -> &'static str {
    match instrument.unit {
        "s" => "seconds",
        _ => "bytes",
    }
}

fn label(name: &str) -> String {
    let known = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut label: String = name
        .chars()
        .map(|character| if known(character) { character } else { '_' })
        .collect();
    if label.starts_with(|first: char| first.is_ascii_digit()) {
        label.insert_str(0, "key_");
    }
    label
}

/// A number as both formats have it; a whole one with `.0`, so that a bound is the same in both.
fn number(value: f64) -> String {
    if value.is_infinite() {
        "+Inf".to_owned()
    } else {
        format!("{value:?}")
    }
}
