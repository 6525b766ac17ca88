//! What a page of metrics says, whatever it is written in.
//!
//! Names are made as <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/> says: the resource is
//! `target_info`, and what names it is in every series.

use std::{borrow::Cow, collections::BTreeMap};

use super::lines::{Head, Kind, Set, label};
use crate::{
    discover::Process,
    export::resource,
    metrics::{
        Histogram, INSTRUMENTS, Instrument, Number, NumberKind, Reading, Snapshot, SnapshotOfProcess, tempo,
    },
};

/// A format that a page is written in. What follows a head belongs to it.
pub(super) trait Format {
    /// A metric begins.
    fn head(&mut self, head: Head<'_>);

    /// A series that is one number, counted since a moment if that is known.
    fn number(&mut self, labels: &Set, value: Number, since_unix_nanos: Option<u64>);

    /// A series that is a histogram with these bounds.
    fn histogram(&mut self, bounds: &[f64], labels: &Set, histogram: &Histogram);

    /// A series that is one whole number.
    fn whole(&mut self, labels: &Set, value: u64, since_unix_nanos: Option<u64>) {
        let value = Number::Int(i64::try_from(value).unwrap_or(i64::MAX));
        self.number(labels, value, since_unix_nanos);
    }
}

/// Writes a snapshot.
pub(super) fn write(snapshot: &Snapshot, out: &mut dyn Format) {
    targets(snapshot, out);
    for (place, instrument) in INSTRUMENTS.iter().enumerate() {
        of_instrument(snapshot, instrument, place, out);
    }
    numbers(snapshot, out);
    if let Some(tempo) = &snapshot.tempo {
        of_tempo(tempo, out);
    }
    super::own::write(&snapshot.agent, out);
}

fn targets(snapshot: &Snapshot, out: &mut dyn Format) {
    if snapshot.processes.is_empty() {
        return;
    }
    let help = "Attributes of a watched process.";
    out.head(Head::new(Kind::Info, "target", help));
    for of_process in &snapshot.processes {
        let mut labels = identity(&of_process.process);
        for (name, value) in resource::attributes(&of_process.process) {
            labels.add(&name, &value);
        }
        out.whole(&labels, 1, None);
    }
}

fn of_instrument(snapshot: &Snapshot, instrument: &Instrument, place: usize, out: &mut dyn Format) {
    let unit = unit(instrument.unit);
    let name = named(instrument.name, unit);
    let mut begun = false;
    for of_process in &snapshot.processes {
        let identity = identity(&of_process.process);
        for (own, histogram) in of_process.families.get(place).into_iter().flatten() {
            if !begun {
                begun = true;
                let head = Head::new(Kind::Histogram, &name, instrument.description);
                out.head(head.in_unit(unit));
            }
            out.histogram(instrument.bounds, &identity.with(own), histogram);
        }
    }
}

/// What is one number a series, of all processes together: a metric has one head.
fn numbers(snapshot: &Snapshot, out: &mut dyn Format) {
    let readings = snapshot.processes.iter().flat_map(|of_process| {
        let readings = of_process.readings.iter();
        readings.map(move |reading| (reading.metric.name, of_process, reading))
    });
    let mut by_name: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (name, of_process, reading) in readings {
        by_name.entry(name).or_default().push((of_process, reading));
    }
    for readings in by_name.into_values() {
        number(&readings, out);
    }
}

fn number(readings: &[(&SnapshotOfProcess, &Reading)], out: &mut dyn Format) {
    let Some((_, first)) = readings.first() else {
        return;
    };
    let metric = first.metric;
    let unit = unit(metric.unit);
    let kind = match metric.kind {
        NumberKind::Counter => Kind::Counter,
        NumberKind::UpDownCounter | NumberKind::Gauge => Kind::Gauge,
    };
    let name = named(&plural(metric.name), unit);
    out.head(Head::new(kind, name, metric.description).in_unit(unit));
    for (of_process, reading) in readings {
        let labels = identity(&of_process.process).with(&reading.labels);
        let since = (kind == Kind::Counter).then_some(reading.since_unix_nanos);
        out.number(&labels, reading.value, since);
    }
}

/// The metrics in Tempo's names, which are of no process.
fn of_tempo(snapshot: &tempo::Snapshot, out: &mut dyn Format) {
    for metric in snapshot.counts.iter().filter(|metric| !metric.series.is_empty()) {
        out.head(Head::new(Kind::Counter, metric.name, metric.description));
        for (labels, count) in &metric.series {
            let labels = Set::default().with(labels);
            out.whole(&labels, count.value, Some(count.since_unix_nanos));
        }
    }
    for metric in snapshot
        .histograms
        .iter()
        .filter(|metric| !metric.series.is_empty())
    {
        out.head(Head::new(Kind::Histogram, metric.name, metric.description));
        for (labels, histogram) in &metric.series {
            out.histogram(metric.bounds, &Set::default().with(labels), histogram);
        }
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
