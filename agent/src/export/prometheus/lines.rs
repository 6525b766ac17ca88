//! The parts of lines: what stands above the samples of a metric, labels, and numbers.

use std::fmt::Write as _;

use crate::{metrics::Labels, span::Value};

/// What stands above the samples of a metric.
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'static str,
    pub(super) unit: &'static str,
    pub(super) help: &'a str,
}

impl<'a> Head<'a> {
    pub(super) fn histogram(name: &'a str, unit: &'static str, help: &'a str) -> Self {
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

    pub(super) fn info(name: &'a str, help: &'a str) -> Self {
        Self::plain(name, "info", help)
    }

    pub(super) fn counter(name: &'a str, help: &'a str) -> Self {
        Self::plain(name, "counter", help)
    }

    pub(super) fn gauge(name: &'a str, help: &'a str) -> Self {
        Self::plain(name, "gauge", help)
    }

    pub(super) fn in_unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }
}

/// Labels as they are written, without the braces.
#[derive(Clone, Debug, Default)]
pub(super) struct Set(pub(super) String);

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

    pub(super) fn add_text(&mut self, name: &str, text: &str) {
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

/// A number as both formats have it; a whole one with `.0`, so that a bound is the same in both.
pub(super) fn number(value: f64) -> String {
    if value.is_infinite() {
        "+Inf".to_owned()
    } else {
        format!("{value:?}")
    }
}
