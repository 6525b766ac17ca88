//! Metrics as text: Prometheus' own format and `OpenMetrics` 1.0, which has exemplars.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>.

use std::fmt::{self, Display, Write as _};

use super::{
    lines::{Head, Kind, Set},
    page::{self, Format},
};
use crate::metrics::{Exemplar, Histogram, Number, Snapshot};

const NANOS_PER_SECOND: f64 = 1e9;

/// The two text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

/// A snapshot as text.
pub(super) fn text(snapshot: &Snapshot, dialect: Dialect) -> String {
    let mut page = Text {
        written: String::new(),
        dialect,
        sample: String::new(),
    };
    page::write(snapshot, &mut page);
    if dialect == Dialect::OpenMetrics {
        page.written.push_str("# EOF\n");
    }
    page.written
}

struct Text {
    written: String,
    dialect: Dialect,
    /// What samples of the present metric are called.
    sample: String,
}

impl Format for Text {
    fn head(&mut self, head: Head<'_>) {
        self.sample = head.sample();
        // Writing to a string does not fail.
        let _ = self.write_head(&head);
    }

    fn number(&mut self, labels: &Set, value: Number, _since_unix_nanos: Option<u64>) {
        match value {
            Number::Int(value) => self.line("", labels, value),
            Number::Float(value) => self.line("", labels, number(value)),
        }
    }

    fn histogram(&mut self, bounds: &[f64], labels: &Set, histogram: &Histogram) {
        let mut below = 0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        for ((bound, count), exemplar) in bounds.zip(&histogram.buckets).zip(&histogram.exemplars) {
            below += count;
            let mut labels = labels.clone();
            labels.add_text("le", &number(bound));
            let _ = self.write_sample("_bucket", &labels, below);
            if let (Dialect::OpenMetrics, Some((value, exemplar))) = (self.dialect, exemplar) {
                let _ = self.write_exemplar(*value, exemplar);
            }
            self.written.push('\n');
        }
        self.line("_sum", labels, number(histogram.sum));
        self.line("_count", labels, histogram.count);
    }
}

impl Text {
    fn write_head(&mut self, head: &Head<'_>) -> fmt::Result {
        let (name, kind) = match (self.dialect, head.kind) {
            (Dialect::Prometheus, Kind::Info) => (self.sample.as_str(), "gauge"),
            (Dialect::Prometheus, Kind::Counter) => (self.sample.as_str(), "counter"),
            (_, Kind::Info) => (head.name.as_ref(), "info"),
            (_, Kind::Counter) => (head.name.as_ref(), "counter"),
            (_, Kind::Gauge) => (head.name.as_ref(), "gauge"),
            (_, Kind::Histogram) => (head.name.as_ref(), "histogram"),
        };
        writeln!(self.written, "# HELP {name} {}\n# TYPE {name} {kind}", head.help)?;
        if self.dialect == Dialect::OpenMetrics && !head.unit.is_empty() {
            writeln!(self.written, "# UNIT {name} {}", head.unit)?;
        }
        Ok(())
    }

    fn line(&mut self, end: &str, labels: &Set, value: impl Display) {
        let _ = self.write_sample(end, labels, value);
        self.written.push('\n');
    }

    fn write_sample(&mut self, end: &str, labels: &Set, value: impl Display) -> fmt::Result {
        write!(self.written, "{}{end}", self.sample)?;
        for (place, (name, text)) in labels.0.iter().enumerate() {
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let before = if place == 0 { '{' } else { ',' };
            write!(self.written, "{before}{name}=\"{text}\"")?;
        }
        let after = if labels.0.is_empty() { "" } else { "}" };
        write!(self.written, "{after} {value}")
    }

    fn write_exemplar(&mut self, value: f64, exemplar: &Exemplar) -> fmt::Result {
        write!(
            self.written,
            " # {{trace_id=\"{}\",span_id=\"{}\"}} {} {:.3}",
            exemplar.trace_id,
            exemplar.span_id,
            number(value),
            exemplar.unix_nanos as f64 / NANOS_PER_SECOND
        )
    }
}

/// A number as both formats have it; a whole one with `.0`, so that a bound is the same in both.
fn number(value: f64) -> String {
    if value.is_infinite() {
        "+Inf".to_owned()
    } else {
        format!("{value:?}")
    }
}
