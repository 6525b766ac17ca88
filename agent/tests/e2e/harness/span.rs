//! A span as the agent prints it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// One line of `--output json`.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names of the format")]
pub(crate) struct Span {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) parent_span_id: String,
    /// With `--explain` alone.
    pub(crate) no_parent: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: String,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    pub(crate) status: Status,
    pub(crate) attributes: BTreeMap<String, Value>,
    pub(crate) resource: BTreeMap<String, Value>,
}

/// How it went.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Status {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) message: String,
}

impl Span {
    /// Reads one line of output.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        serde_json::from_str(line)
            .with_context(|| format!("standard output has a line that is no span: {line:?}"))
    }

    /// A text attribute, empty when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.attributes
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A number attribute.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.attributes.get(name).and_then(Value::as_i64)
    }

    /// `http.request.method`.
    pub(crate) fn method(&self) -> &str {
        self.text("http.request.method")
    }

    /// `url.path`.
    pub(crate) fn path(&self) -> &str {
        self.text("url.path")
    }

    /// `http.response.status_code`.
    pub(crate) fn http_status(&self) -> Option<i64> {
        self.number("http.response.status_code")
    }

    /// `db.query.text`.
    pub(crate) fn query(&self) -> &str {
        self.text("db.query.text")
    }

    /// The process it happened in.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.resource
            .get("process.pid")
            .and_then(Value::as_u64)
            .and_then(|pid| u32::try_from(pid).ok())
    }

    /// Whether it is an HTTP request that the process answered.
    pub(crate) fn is_served(&self) -> bool {
        self.kind == "SERVER" && !self.method().is_empty()
    }

    /// Whether it is an HTTP request that the process sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.kind == "CLIENT" && !self.method().is_empty()
    }

    /// Whether it is a statement that the process sent.
    pub(crate) fn is_query(&self) -> bool {
        self.kind == "CLIENT" && self.attributes.contains_key("db.system.name")
    }

    /// Start and end, in nanoseconds since the Unix epoch.
    pub(crate) fn times(&self) -> Result<(i128, i128)> {
        let start = self
            .start_time_unix_nano
            .parse()
            .context("startTimeUnixNano is no number")?;
        let end = self
            .end_time_unix_nano
            .parse()
            .context("endTimeUnixNano is no number")?;
        Ok((start, end))
    }

    /// How long it took.
    pub(crate) fn seconds(&self) -> Result<f64> {
        let (start, end) = self.times()?;
        Ok((end - start) as f64 / 1e9)
    }
}
