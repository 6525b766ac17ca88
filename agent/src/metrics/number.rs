//! Metrics that are one number a series.

use super::Labels;

/// A metric that is one number.
#[derive(Debug, PartialEq, Eq)]
pub struct NumberMetric {
    /// Name, as the conventions have it.
    pub name: &'static str,
    /// Unit, as UCUM writes it.
    pub unit: &'static str,
    /// What it says.
    pub description: &'static str,
    /// How it behaves.
    pub kind: NumberKind,
}

/// How a number behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberKind {
    /// It only grows; read from somewhere else, not counted here (an asynchronous counter).
    Counter,
    /// Parts of a sum that grows and shrinks.
    UpDownCounter,
    /// A value that is not to be added to others.
    Gauge,
}

/// A number at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The metric.
    pub metric: &'static NumberMetric,
    /// Attributes of its series.
    pub labels: Labels,
    /// The number.
    pub value: Number,
    /// Since when it counts, in nanoseconds since the Unix epoch.
    pub since_unix_nanos: u64,
}

/// A whole number or any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any.
    Float(f64),
}
