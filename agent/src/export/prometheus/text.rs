//! Metrics as text: Prometheus' own format and `OpenMetrics` 1.0, which has exemplars.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>. Names are made as
//! <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/> says: the resource is `target_info`,
//! and what names it is in every series.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use super::lines::{Head, Set, label, number};
use crate::{
    discover::Process,
    export::resource,
    metrics::{
        Exemplar, Histogram, INSTRUMENTS, Instrument, Number, NumberKind, Reading, Snapshot,
        SnapshotOfProcess, tempo,
    },
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

pub(super) struct Page {
    text: String,
    format: Format,
}

impl Page {
    fn write(&mut self, snapshot: &Snapshot) -> fmt::Result {
        self.targets(snapshot)?;
        for (place, instrument) in INSTRUMENTS.iter().enumerate() {
            self.instrument(snapshot, instrument, place)?;
        }
        self.numbers(snapshot)?;
        if let Some(tempo) = &snapshot.tempo {
            self.tempo(tempo)?;
        }
        self.agent(&snapshot.agent)?;
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
            self.line("target_info", &labels, format_args!("1"))?;
        }
        Ok(())
    }

    fn instrument(&mut self, snapshot: &Snapshot, instrument: &Instrument, place: usize) -> fmt::Result {
        let unit = unit(instrument.unit);
        let name = named(instrument.name, unit);
        let mut begun = false;
        for of_process in &snapshot.processes {
            let identity = identity(&of_process.process);
            for (own, histogram) in of_process.families.get(place).into_iter().flatten() {
                if !begun {
                    begun = true;
                    self.head(&Head::histogram(&name, unit, instrument.description))?;
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
        let sum = number(histogram.sum);
        self.line(&format!("{name}_sum"), labels, format_args!("{sum}"))?;
        self.line(
            &format!("{name}_count"),
            labels,
            format_args!("{}", histogram.count),
        )
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

    /// What is one number a series, of all processes together: a metric has one head.
    fn numbers(&mut self, snapshot: &Snapshot) -> fmt::Result {
        let readings = snapshot.processes.iter().flat_map(|of_process| {
            let readings = of_process.readings.iter();
            readings.map(move |reading| (reading.metric.name, of_process, reading))
        });
        let mut by_name: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (name, of_process, reading) in readings {
            by_name.entry(name).or_default().push((of_process, reading));
        }
        for readings in by_name.into_values() {
            self.number(&readings)?;
        }
        Ok(())
    }

    fn number(&mut self, readings: &[(&SnapshotOfProcess, &Reading)]) -> fmt::Result {
        let Some((_, first)) = readings.first() else {
            return Ok(());
        };
        let metric = first.metric;
        let unit = unit(metric.unit);
        let is_counter = metric.kind == NumberKind::Counter;
        let name = named(&plural(metric.name), unit);
        let head = if is_counter {
            Head::counter(&name, metric.description)
        } else {
            Head::gauge(&name, metric.description)
        };
        self.head(&head.in_unit(unit))?;
        let sample = if is_counter {
            format!("{name}_total")
        } else {
            name.clone()
        };
        for (of_process, reading) in readings {
            let labels = identity(&of_process.process).with(&reading.labels);
            match reading.value {
                Number::Int(value) => self.line(&sample, &labels, format_args!("{value}"))?,
                Number::Float(value) => self.line(&sample, &labels, format_args!("{}", number(value)))?,
            }
        }
        Ok(())
    }

    /// The metrics in Tempo's names, which are of no process.
    fn tempo(&mut self, snapshot: &tempo::Snapshot) -> fmt::Result {
        for metric in snapshot.counts.iter().filter(|metric| !metric.series.is_empty()) {
            self.head(&Head::counter(metric.name, metric.description))?;
            let name = format!("{}_total", metric.name);
            for (labels, count) in &metric.series {
                let labels = Set::default().with(labels);
                self.line(&name, &labels, format_args!("{}", count.value))?;
            }
        }
        for metric in snapshot
            .histograms
            .iter()
            .filter(|metric| !metric.series.is_empty())
        {
            self.head(&Head::histogram(metric.name, "", metric.description))?;
            for (labels, histogram) in &metric.series {
                let labels = Set::default().with(labels);
                self.histogram(metric.name, metric.bounds, &labels, histogram)?;
            }
        }
        Ok(())
    }

    pub(super) fn head(&mut self, head: &Head<'_>) -> fmt::Result {
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

    /// A sample on a line of its own.
    pub(super) fn line(&mut self, name: &str, labels: &Set, value: fmt::Arguments<'_>) -> fmt::Result {
        self.sample(name, labels, value)?;
        self.text.push('\n');
        Ok(())
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

/// `process.thread.count` is `process.threads`: Prometheus keeps the word count for histograms.
fn plural(name: &str) -> Cow<'_, str> {
    match name.strip_suffix(".count") {
        Some(counted) => format!("{counted}s").into(),
        None => name.into(),
    }
}

/// `http.server.request.duration` in seconds is `http_server_request_duration_seconds`; what is only counted has no unit.
fn named(name: &str, unit: &str) -> String {
    let name = label(name);
    if unit.is_empty() {
        name
    } else {
        format!("{name}_{unit}")
    }
}

fn unit(ucum: &str) -> &'static str {
    match ucum {
        "s" => "seconds",
        "By" => "bytes",
        _ => "",
    }
}
