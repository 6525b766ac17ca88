//! Every setting of the agent: one row each.

use super::{
    Buckets, Compression, Level, LogFormat, Output, Protocol, Selector, Temporality, Tier,
    draft::{Draft, Endpoint, Kind, MetricsExporter},
    parse::{self, Invalid},
};

/// One setting, by whatever way it is given.
pub struct Setting {
    /// Its path in the configuration file.
    pub key: &'static str,
    /// Its long option, if it has one.
    pub flag: Option<&'static str>,
    /// Its environment variable.
    pub variable: &'static str,
    /// What holds when it is not set, as it would be written.
    pub default: &'static str,
    /// Whether it takes several values.
    pub list: bool,
    /// The value that an empty list stands for, if it does not stand for nothing.
    pub empty: Option<&'static str>,
    /// Puts one value (of a list: the next value) in its place.
    pub apply: Apply,
}

/// Puts one value in its place.
pub type Apply = fn(&mut Draft, &str) -> Result<(), Invalid>;

/// The variable that names the configuration file; the only one that is not also a key of that file.
pub const CONFIG_VARIABLE: &str = "SIDELIGHT_CONFIG";

const fn one(
    key: &'static str,
    flag: Option<&'static str>,
    variable: &'static str,
    default: &'static str,
    apply: Apply,
) -> Setting {
    Setting {
        key,
        flag,
        variable,
        default,
        list: false,
        empty: None,
        apply,
    }
}

const fn list(
    key: &'static str,
    flag: Option<&'static str>,
    variable: &'static str,
    default: &'static str,
    apply: Apply,
) -> Setting {
    let mut setting = one(key, flag, variable, default, apply);
    setting.list = true;
    setting
}

fn set<T>(place: &mut T, value: Result<T, Invalid>) -> Result<(), Invalid> {
    *place = value?;
    Ok(())
}

/// The setting with this path in the configuration file.
pub fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Names of the OTLP protocols.
pub const PROTOCOLS: &[(&str, Protocol)] = &[
    ("grpc", Protocol::Grpc),
    ("http/protobuf", Protocol::HttpProtobuf),
];

/// Names of the OTLP compressions.
pub const COMPRESSIONS: &[(&str, Compression)] = &[("none", Compression::None), ("gzip", Compression::Gzip)];

/// Names of what metrics are counted from.
pub const TEMPORALITIES: &[(&str, Temporality)] = &[
    ("cumulative", Temporality::Cumulative),
    ("delta", Temporality::Delta),
    ("lowmemory", Temporality::LowMemory),
];

/// Names of the ways that metrics leave.
pub const METRICS_EXPORTERS: &[(&str, MetricsExporter)] = &[
    ("otlp", MetricsExporter::Otlp),
    ("prometheus", MetricsExporter::Prometheus),
    ("none", MetricsExporter::None),
];

const BUCKETS: &[(&str, Buckets)] = &[
    ("explicit", Buckets::Explicit),
    ("exponential", Buckets::Exponential),
];

/// Names of the kinds of spans that are left out where a program's own SDK exports them.
const KINDS: &[(&str, Kind)] = &[
    ("server", Kind::Server),
    ("client", Kind::Client),
    ("db", Kind::Database),
    (NO_KIND, Kind::None),
];

const NO_KIND: &str = "none";

const OUTPUTS: &[(&str, Output)] = &[
    ("tree", Output::Tree),
    ("text", Output::Text),
    ("json", Output::Json),
    ("none", Output::None),
];

const TIERS: &[(&str, Tier)] = &[
    ("auto", Tier::Auto),
    ("fentry", Tier::Fentry),
    ("kprobe", Tier::Kprobe),
    ("tracepoint", Tier::Tracepoint),
];

const LEVELS: &[(&str, Level)] = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

const LOG_FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

/// All settings, in the order in which help shows them.
pub static SETTINGS: &[Setting] = &[
    list("select.pid", Some("pid"), "SIDELIGHT_PID", "", |draft, text| {
        draft.select(parse::pid(text).map(Selector::Pid))
    }),
    list(
        "select.port",
        Some("port"),
        "SIDELIGHT_PORT",
        "",
        |draft, text| draft.select(parse::ports(text).map(Selector::Ports)),
    ),
    list("select.exe", Some("exe"), "SIDELIGHT_EXE", "", |draft, text| {
        draft.select(parse::pattern(text).map(Selector::Executable))
    }),
    list(
        "select.service",
        Some("service"),
        "SIDELIGHT_SERVICE",
        "",
        |draft, text| draft.select(Ok(Selector::Service(text.to_owned()))),
    ),
    one(
        "select.all",
        Some("all"),
        "SIDELIGHT_ALL",
        "true if nothing else selects",
        |draft, text| {
            if parse::boolean(text)? {
                draft.select(Ok(Selector::All))
            } else {
                Ok(())
            }
        },
    ),
    one(
        "otlp.endpoint",
        Some("otlp-endpoint"),
        "SIDELIGHT_OTLP_ENDPOINT",
        "http://localhost:4318 if spans go nowhere else",
        |draft, text| {
            draft.otlp(
                |signal| &mut signal.endpoint,
                parse::url(text).map(Endpoint::Base),
            )
        },
    ),
    one(
        "otlp.protocol",
        Some("otlp-protocol"),
        "SIDELIGHT_OTLP_PROTOCOL",
        "http/protobuf",
        |draft, text| draft.otlp(|signal| &mut signal.protocol, parse::choice(text, PROTOCOLS)),
    ),
    one(
        "otlp.headers",
        None,
        "SIDELIGHT_OTLP_HEADERS",
        "",
        |draft, text| draft.otlp(|signal| &mut signal.headers, parse::pairs(text)),
    ),
    one(
        "otlp.timeout",
        None,
        "SIDELIGHT_OTLP_TIMEOUT",
        "10s",
        |draft, text| draft.otlp(|signal| &mut signal.timeout, parse::duration(text)),
    ),
    one(
        "otlp.compression",
        None,
        "SIDELIGHT_OTLP_COMPRESSION",
        "none",
        |draft, text| {
            draft.otlp(
                |signal| &mut signal.compression,
                parse::choice(text, COMPRESSIONS),
            )
        },
    ),
    one(
        "otlp.certificate",
        None,
        "SIDELIGHT_OTLP_CERTIFICATE",
        "",
        |draft, text| draft.otlp(|signal| &mut signal.certificate, Ok(text.into())),
    ),
    one(
        "prometheus",
        Some("prometheus"),
        "SIDELIGHT_PROMETHEUS",
        "",
        |draft, text| {
            set(
                &mut draft.settings.export.prometheus,
                parse::socket_address(text).map(Some),
            )
        },
    ),
    one(
        "output",
        Some("output"),
        "SIDELIGHT_OUTPUT",
        "attach: tree, run: none",
        |draft, text| set(&mut draft.output, parse::choice(text, OUTPUTS).map(Some)),
    ),
    one(
        "explain",
        Some("explain"),
        "SIDELIGHT_EXPLAIN",
        "false",
        |draft, text| set(&mut draft.settings.export.explain, parse::boolean(text)),
    ),
    one(
        "duration",
        Some("duration"),
        "SIDELIGHT_DURATION",
        "",
        |draft, text| set(&mut draft.settings.duration, parse::duration(text).map(Some)),
    ),
    one("tier", Some("tier"), "SIDELIGHT_TIER", "auto", |draft, text| {
        set(&mut draft.settings.tier, parse::choice(text, TIERS))
    }),
    one("log.level", None, "SIDELIGHT_LOG_LEVEL", "info", |draft, text| {
        set(&mut draft.settings.log.level, parse::choice(text, LEVELS))
    }),
    one(
        "log.format",
        Some("log-format"),
        "SIDELIGHT_LOG_FORMAT",
        "text",
        |draft, text| set(&mut draft.settings.log.format, parse::choice(text, LOG_FORMATS)),
    ),
    one(
        "report_noise",
        None,
        "SIDELIGHT_REPORT_NOISE",
        "false",
        |draft, text| set(&mut draft.settings.report_noise, parse::boolean(text)),
    ),
    one(
        "keep_query_values",
        None,
        "SIDELIGHT_KEEP_QUERY_VALUES",
        "false",
        |draft, text| set(&mut draft.settings.keep_query_values, parse::boolean(text)),
    ),
    Setting {
        empty: Some(NO_KIND),
        ..list(
            "sdk.leave_out",
            None,
            "SIDELIGHT_SDK_LEAVE_OUT",
            "server,client,db",
            |draft, text| draft.leave_out(parse::choice(text, KINDS)),
        )
    },
    one(
        "metrics.max_series",
        None,
        "SIDELIGHT_METRICS_MAX_SERIES",
        "2000",
        |draft, text| set(&mut draft.settings.metrics.limits.series, parse::count(text)),
    ),
    one(
        "metrics.idle",
        None,
        "SIDELIGHT_METRICS_IDLE",
        "10m",
        |draft, text| set(&mut draft.settings.metrics.limits.idle, parse::duration(text)),
    ),
    list(
        "metrics.exporter",
        None,
        "SIDELIGHT_METRICS_EXPORTER",
        "otlp, if an endpoint is set",
        |draft, text| draft.metrics_exporter(parse::choice(text, METRICS_EXPORTERS)),
    ),
    one(
        "metrics.interval",
        None,
        "SIDELIGHT_METRICS_INTERVAL",
        "60s",
        |draft, text| {
            set(
                &mut draft.settings.export.periodic.interval,
                parse::duration(text),
            )
        },
    ),
    one(
        "metrics.temporality",
        None,
        "SIDELIGHT_METRICS_TEMPORALITY",
        "cumulative",
        |draft, text| {
            set(
                &mut draft.settings.export.periodic.temporality,
                parse::choice(text, TEMPORALITIES),
            )
        },
    ),
    one(
        "metrics.buckets",
        None,
        "SIDELIGHT_METRICS_BUCKETS",
        "explicit",
        |draft, text| set(&mut draft.settings.metrics.buckets, parse::choice(text, BUCKETS)),
    ),
    one(
        "metrics.processes",
        None,
        "SIDELIGHT_METRICS_PROCESSES",
        "true",
        |draft, text| set(&mut draft.settings.metrics.processes, parse::boolean(text)),
    ),
    one(
        "metrics.agent",
        None,
        "SIDELIGHT_METRICS_AGENT",
        "true",
        |draft, text| set(&mut draft.settings.metrics.agent, parse::boolean(text)),
    ),
    one(
        "metrics.tempo",
        None,
        "SIDELIGHT_METRICS_TEMPO",
        "false",
        |draft, text| set(&mut draft.settings.metrics.tempo, parse::boolean(text)),
    ),
    one(
        "metrics.program_runs",
        None,
        "SIDELIGHT_METRICS_PROGRAM_RUNS",
        "false",
        |draft, text| set(&mut draft.settings.metrics.program_runs, parse::boolean(text)),
    ),
    one(
        "threads_only",
        None,
        "SIDELIGHT_THREADS_ONLY",
        "false",
        |draft, text| set(&mut draft.settings.threads_only, parse::boolean(text)),
    ),
    one(
        "capture.request_head_bytes",
        None,
        "SIDELIGHT_CAPTURE_REQUEST_HEAD_BYTES",
        "64KiB",
        |draft, text| set(&mut draft.settings.capture.request_head_bytes, parse::bytes(text)),
    ),
    one(
        "capture.response_head_bytes",
        None,
        "SIDELIGHT_CAPTURE_RESPONSE_HEAD_BYTES",
        "8KiB",
        |draft, text| {
            set(
                &mut draft.settings.capture.response_head_bytes,
                parse::bytes(text),
            )
        },
    ),
    one(
        "capture.tail_bytes",
        None,
        "SIDELIGHT_CAPTURE_TAIL_BYTES",
        "256",
        |draft, text| set(&mut draft.settings.capture.tail_bytes, parse::bytes(text)),
    ),
    one(
        "capture.ring_buffer_bytes",
        None,
        "SIDELIGHT_CAPTURE_RING_BUFFER_BYTES",
        "8MiB",
        |draft, text| {
            set(
                &mut draft.settings.capture.ring_buffer_bytes,
                parse::ring_buffer_bytes(text),
            )
        },
    ),
    one(
        "capture.max_connections",
        None,
        "SIDELIGHT_CAPTURE_MAX_CONNECTIONS",
        "65536",
        |draft, text| set(&mut draft.settings.capture.max_connections, parse::count(text)),
    ),
    one(
        "capture.max_processes",
        None,
        "SIDELIGHT_CAPTURE_MAX_PROCESSES",
        "8192",
        |draft, text| set(&mut draft.settings.capture.max_processes, parse::count(text)),
    ),
    one(
        "capture.btf",
        None,
        "SIDELIGHT_BTF",
        "/sys/kernel/btf/vmlinux",
        |draft, text| {
            draft.settings.btf = Some(text.into());
            Ok(())
        },
    ),
    one(
        "capture.record",
        None,
        "SIDELIGHT_CAPTURE_RECORD",
        "",
        |draft, text| {
            draft.settings.record = Some(text.into());
            Ok(())
        },
    ),
    one(
        "limits.head_bytes",
        None,
        "SIDELIGHT_LIMITS_HEAD_BYTES",
        "72KiB",
        |draft, text| set(&mut draft.settings.limits.head_bytes, parse::bytes(text)),
    ),
    one(
        "limits.reorder_bytes",
        None,
        "SIDELIGHT_LIMITS_REORDER_BYTES",
        "256KiB",
        |draft, text| set(&mut draft.settings.limits.reorder_bytes, parse::bytes(text)),
    ),
    one(
        "limits.pending_requests",
        None,
        "SIDELIGHT_LIMITS_PENDING_REQUESTS",
        "1024",
        |draft, text| set(&mut draft.settings.limits.pending_requests, parse::count(text)),
    ),
    one(
        "limits.query_bytes",
        None,
        "SIDELIGHT_LIMITS_QUERY_BYTES",
        "16KiB",
        |draft, text| set(&mut draft.settings.limits.query_bytes, parse::bytes(text)),
    ),
    one(
        "limits.statements",
        None,
        "SIDELIGHT_LIMITS_STATEMENTS",
        "1024",
        |draft, text| set(&mut draft.settings.limits.statements, parse::count(text)),
    ),
];
