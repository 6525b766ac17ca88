//! What each setting takes and means, for those who write files: the schema, the printed settings.

use super::choices::{self, names};

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A process id.
    Pid,
    /// A port.
    Port,
    /// A port, or the first and the last of a range.
    Ports,
    /// A shell pattern, or a regular expression after `re:`.
    Pattern,
    /// A pattern of paths.
    Route,
    /// Any text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// `http://…` or `https://…`.
    Url,
    /// One of these.
    Choice(&'static [&'static str]),
    /// `name=value,name=value`.
    Pairs,
    /// A span of time above 0.
    Duration,
    /// A span of time.
    Delay,
    /// A whole number above 0.
    Count,
    /// A size in bytes.
    Bytes,
    /// A share from 0 to 1.
    Ratio,
    /// An address and a port.
    Address,
}

impl Kind {
    /// Whether a value is written in YAML without quotation marks.
    pub fn is_plain(self) -> bool {
        matches!(
            self,
            Self::Pid
                | Self::Port
                | Self::Ports
                | Self::Boolean
                | Self::Choice(_)
                | Self::Duration
                | Self::Delay
                | Self::Count
                | Self::Bytes
                | Self::Ratio
        )
    }
}

/// What a setting takes and means. A setting without a row takes any text; a test asks for the row.
pub fn of(key: &str) -> (Kind, &'static str) {
    ROWS.iter()
        .find(|(known, ..)| *known == key)
        .map_or((Kind::Text, ""), |(_, kind, about)| (*kind, about))
}

/// Whether a setting holds what nobody is to see.
pub fn is_secret(key: &str) -> bool {
    key.ends_with(".headers")
}

const ROWS: &[(&str, Kind, &str)] = &[
    (
        "select.pid",
        Kind::Pid,
        "The process with this id, and its children",
    ),
    (
        "select.port",
        Kind::Ports,
        "Processes that listen on this TCP port, or on one of a range",
    ),
    (
        "select.exe",
        Kind::Pattern,
        "Processes whose executable's name (with a / in it: path) matches",
    ),
    (
        "select.service",
        Kind::Pattern,
        "Processes whose service.name matches",
    ),
    (
        "select.container",
        Kind::Pattern,
        "Processes in a container whose id or name matches",
    ),
    (
        "select.command_line",
        Kind::Pattern,
        "Processes whose command line matches",
    ),
    ("select.all", Kind::Boolean, "All processes"),
    (
        "exclude.observers",
        Kind::Boolean,
        "Watch no collector or agent of telemetry that only `all` or a port selects",
    ),
    (
        "exclude.pid",
        Kind::Pid,
        "Never the process with this id, nor its children",
    ),
    (
        "exclude.port",
        Kind::Ports,
        "Never processes that listen on this TCP port, or on one of a range",
    ),
    (
        "exclude.exe",
        Kind::Pattern,
        "Never processes whose executable's name (with a / in it: path) matches",
    ),
    (
        "exclude.service",
        Kind::Pattern,
        "Never processes whose service.name matches",
    ),
    (
        "exclude.container",
        Kind::Pattern,
        "Never processes in a container whose id or name matches",
    ),
    (
        "exclude.command_line",
        Kind::Pattern,
        "Never processes whose command line matches",
    ),
    (
        "otlp.endpoint",
        Kind::Url,
        "Where spans and metrics are sent over OTLP; each adds its own path over HTTP",
    ),
    (
        "otlp.protocol",
        Kind::Choice(&names(choices::PROTOCOLS)),
        "How they are encoded",
    ),
    ("otlp.headers", Kind::Pairs, "Headers of each request"),
    ("otlp.timeout", Kind::Duration, "How long a request may take"),
    (
        "otlp.compression",
        Kind::Choice(&names(choices::COMPRESSIONS)),
        "Compression of requests",
    ),
    (
        "otlp.certificate",
        Kind::Text,
        "PEM file with the authorities to trust instead of the system's",
    ),
    (
        "otlp.client_certificate",
        Kind::Text,
        "PEM file with the certificates by which the agent is known to the collector",
    ),
    ("otlp.client_key", Kind::Text, "PEM file with the key to them"),
    (
        "otlp.traces.endpoint",
        Kind::Url,
        "Where spans are sent, with the path",
    ),
    (
        "otlp.traces.protocol",
        Kind::Choice(&names(choices::PROTOCOLS)),
        "How spans are encoded",
    ),
    (
        "otlp.traces.headers",
        Kind::Pairs,
        "Headers of each request with spans",
    ),
    (
        "otlp.traces.timeout",
        Kind::Duration,
        "How long a request with spans may take",
    ),
    (
        "otlp.traces.compression",
        Kind::Choice(&names(choices::COMPRESSIONS)),
        "Compression of requests with spans",
    ),
    (
        "otlp.traces.certificate",
        Kind::Text,
        "PEM file with the authorities to trust with spans",
    ),
    (
        "otlp.traces.client_certificate",
        Kind::Text,
        "PEM file with the certificates by which the agent is known to the collector of spans",
    ),
    (
        "otlp.traces.client_key",
        Kind::Text,
        "PEM file with the key to them",
    ),
    (
        "otlp.metrics.endpoint",
        Kind::Url,
        "Where metrics are sent, with the path",
    ),
    (
        "otlp.metrics.protocol",
        Kind::Choice(&names(choices::PROTOCOLS)),
        "How metrics are encoded",
    ),
    (
        "otlp.metrics.headers",
        Kind::Pairs,
        "Headers of each request with metrics",
    ),
    (
        "otlp.metrics.timeout",
        Kind::Duration,
        "How long a request with metrics may take",
    ),
    (
        "otlp.metrics.compression",
        Kind::Choice(&names(choices::COMPRESSIONS)),
        "Compression of requests with metrics",
    ),
    (
        "otlp.metrics.certificate",
        Kind::Text,
        "PEM file with the authorities to trust with metrics",
    ),
    (
        "otlp.metrics.client_certificate",
        Kind::Text,
        "PEM file with the certificates by which the agent is known to the collector of metrics",
    ),
    (
        "otlp.metrics.client_key",
        Kind::Text,
        "PEM file with the key to them",
    ),
    (
        "traces.exporter",
        Kind::Choice(&names(choices::TRACES_EXPORTERS)),
        "The ways that spans leave; console is text on stdout, if the setting output does not say it",
    ),
    ("prometheus", Kind::Address, "Where Prometheus may scrape metrics"),
    (
        "output",
        Kind::Choice(&names(choices::OUTPUTS)),
        "Spans on stdout",
    ),
    ("explain", Kind::Boolean, "Say there why a span has no parent"),
    ("duration", Kind::Duration, "Stop by itself after this time"),
    (
        "tier",
        Kind::Choice(&names(choices::TIERS)),
        "Which hooks see the I/O",
    ),
    ("disabled", Kind::Boolean, "Export nothing"),
    (
        "log.level",
        Kind::Choice(&names(choices::LEVELS)),
        "The least important level of the log on stderr",
    ),
    (
        "log.format",
        Kind::Choice(&names(choices::LOG_FORMATS)),
        "The form of the log",
    ),
    (
        "report_noise",
        Kind::Boolean,
        "Also make spans of transactions, pings and driver noise",
    ),
    (
        "keep_query_values",
        Kind::Boolean,
        "Show the values of URL queries",
    ),
    (
        "sdk.leave_out",
        Kind::Choice(&names(choices::KINDS)),
        "What makes no span if a program's own SDK exports it",
    ),
    (
        "sampling.sampler",
        Kind::Choice(&names(choices::SAMPLERS)),
        "Which traces are kept",
    ),
    (
        "sampling.ratio",
        Kind::Ratio,
        "The share of the traces that begin here which are kept",
    ),
    (
        "resource.attributes",
        Kind::Pairs,
        "Attributes of every watched process that does not have them itself",
    ),
    (
        "resource.service_name",
        Kind::Text,
        "service.name of every watched process that does not say it itself",
    ),
    (
        "resource.service_namespace",
        Kind::Text,
        "service.namespace of every watched process that does not say it itself",
    ),
    (
        "batch.schedule_delay",
        Kind::Delay,
        "Longest time that a span waits for others",
    ),
    (
        "batch.export_timeout",
        Kind::Duration,
        "How long one export may take, with all its attempts",
    ),
    (
        "batch.queue_size",
        Kind::Count,
        "Spans that may wait; more are dropped and counted",
    ),
    ("batch.max_size", Kind::Count, "Most spans of one request"),
    (
        "metrics.exporter",
        Kind::Choice(&names(choices::METRICS_EXPORTERS)),
        "The ways that metrics leave",
    ),
    (
        "metrics.interval",
        Kind::Duration,
        "How often metrics are sent over OTLP",
    ),
    (
        "metrics.timeout",
        Kind::Duration,
        "How long one such export may take, with all its attempts",
    ),
    (
        "metrics.prometheus_host",
        Kind::Text,
        "Where the exporter prometheus listens, if the setting prometheus does not say it",
    ),
    ("metrics.prometheus_port", Kind::Port, "Its port"),
    (
        "metrics.temporality",
        Kind::Choice(&names(choices::TEMPORALITIES)),
        "What metrics sent over OTLP are counted from",
    ),
    (
        "metrics.buckets",
        Kind::Choice(&names(choices::BUCKETS)),
        "How the values of histograms are put into buckets over OTLP",
    ),
    (
        "metrics.processes",
        Kind::Boolean,
        "Also measure CPU time, memory, threads and file descriptors of the watched processes",
    ),
    (
        "metrics.agent",
        Kind::Boolean,
        "Also send over OTLP what the agent counts of itself",
    ),
    (
        "metrics.tempo",
        Kind::Boolean,
        "Also measure spans, and calls between services, in Tempo's names",
    ),
    (
        "metrics.program_runs",
        Kind::Boolean,
        "Let the kernel count the runs of the agent's programs, and their time",
    ),
    (
        "metrics.exemplars",
        Kind::Boolean,
        "Show spans that stand for values of histograms",
    ),
    (
        "metrics.active_by_server",
        Kind::Boolean,
        "Tell active requests also by the address and port that the client asked for",
    ),
    (
        "routes.patterns",
        Kind::Route,
        "Patterns of paths, such as /users/{id}, that are routes",
    ),
    (
        "routes.framework",
        Kind::Boolean,
        "Read the routes that a framework has from the process's memory",
    ),
    (
        "routes.heuristic",
        Kind::Boolean,
        "Guess routes from paths where nothing else is known",
    ),
    (
        "routes.max_guessed",
        Kind::Count,
        "Most routes that are guessed for one process",
    ),
    (
        "metrics.max_series",
        Kind::Count,
        "Series of one metric of one process, that of the overflow included",
    ),
    (
        "metrics.idle",
        Kind::Duration,
        "How long a series is kept to which nothing is added",
    ),
    (
        "threads_only",
        Kind::Boolean,
        "Tell only threads apart, and probe no program",
    ),
    (
        "containers.docker_socket",
        Kind::Text,
        "Where the Docker engine is asked for containers' names that its files do not tell",
    ),
    (
        "capture.request_head_bytes",
        Kind::Bytes,
        "Bytes copied from the start of a request",
    ),
    (
        "capture.response_head_bytes",
        Kind::Bytes,
        "Bytes copied from the start of a response",
    ),
    (
        "capture.tail_bytes",
        Kind::Bytes,
        "Bytes copied from the end of a direction's run",
    ),
    (
        "capture.ring_buffer_bytes",
        Kind::Bytes,
        "Size of the ring buffer, a power of two",
    ),
    (
        "capture.max_connections",
        Kind::Count,
        "Connections followed at once",
    ),
    ("capture.max_processes", Kind::Count, "Processes watched at once"),
    ("capture.btf", Kind::Text, "File with the kernel's types"),
    (
        "capture.record",
        Kind::Text,
        "File to which all that is captured is written, payload included",
    ),
    (
        "limits.head_bytes",
        Kind::Bytes,
        "Largest head of a message that is put together",
    ),
    (
        "limits.reorder_bytes",
        Kind::Bytes,
        "Bytes of a connection that may wait for what comes before them",
    ),
    (
        "limits.pending_requests",
        Kind::Count,
        "Requests of a connection that may wait for their response",
    ),
    (
        "limits.query_bytes",
        Kind::Bytes,
        "Longest statement that is kept",
    ),
    (
        "limits.statements",
        Kind::Count,
        "Prepared statements remembered of a connection",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings;

    #[test]
    fn every_setting_has_a_row_and_every_row_a_setting() {
        for setting in settings() {
            assert!(
                ROWS.iter()
                    .any(|(key, _, about)| *key == setting.key && !about.is_empty()),
                "what {} takes and means is not in ROWS",
                setting.key
            );
        }
        for (key, ..) in ROWS {
            assert!(settings().any(|setting| setting.key == *key), "{key}");
        }
    }
}
