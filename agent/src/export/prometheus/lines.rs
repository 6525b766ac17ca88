//! What every format is given: the head of a metric, and the labels of a series.

use std::borrow::Cow;

use crate::{metrics::Labels, span::Value};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Labels that say something; the value is 1.
    Info,
    Counter,
    Gauge,
    Histogram,
}

/// What stands above the series of a metric.
#[derive(Clone, Debug)]
pub(super) struct Head<'a> {
    /// Without `_total` and `_info`.
    pub(super) name: Cow<'a, str>,
    pub(super) kind: Kind,
    pub(super) unit: &'static str,
    pub(super) help: &'a str,
}

impl<'a> Head<'a> {
    pub(super) fn new(kind: Kind, name: impl Into<Cow<'a, str>>, help: &'a str) -> Self {
        Self {
            name: name.into(),
            kind,
            unit: "",
            help,
        }
    }

    pub(super) fn in_unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// What samples are called, and in the formats that are older than `OpenMetrics` the metric, too.
    pub(super) fn sample(&self) -> String {
        let end = match self.kind {
            Kind::Info => "_info",
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{}{end}", self.name)
    }
}

/// Labels, each name once: Prometheus refuses a whole page for one that comes twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Set(pub(super) Vec<(String, String)>);

impl Set {
    pub(super) fn of(name: &str, text: &str) -> Self {
        let mut labels = Self::default();
        labels.add_text(name, text);
        labels
    }

    pub(super) fn add(&mut self, name: &str, value: &Value) {
        match value {
            Value::String(text) => self.add_text(name, text),
            Value::Int(number) => self.add_text(name, &number.to_string()),
            Value::Bool(yes) => self.add_text(name, &yes.to_string()),
        }
    }

    /// Names that become the same have their values together, as OpenTelemetry's specification wants it; but who it is about
    /// stays who it is.
    pub(super) fn add_text(&mut self, name: &str, text: &str) {
        let name = label(name);
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            None => self.0.push((name, text.to_owned())),
            Some((known, _)) if known == "job" || known == "instance" => {}
            Some((_, texts)) => {
                texts.push(';');
                texts.push_str(text);
            }
        }
    }

    pub(super) fn with(&self, more: &Labels) -> Self {
        let mut all = self.clone();
        for (name, value) in more {
            all.add(name, value);
        }
        all
    }
}

pub(super) fn label(name: &str) -> String {
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
