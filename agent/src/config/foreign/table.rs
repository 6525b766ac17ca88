//! Their settings, and what each becomes.

use super::values::{self, Translate};

/// One of their settings.
pub(super) struct Row {
    /// Its variable, without the prefix.
    pub(super) name: &'static str,
    /// Its path in their file, if it has one.
    pub(super) path: &'static str,
    /// What it becomes.
    pub(super) becomes: Becomes,
}

/// What a setting becomes.
#[derive(Clone, Copy)]
pub(super) enum Becomes {
    /// One of ours.
    Setting(&'static str, Translate),
    /// Nothing, and why.
    Nothing(&'static str),
}

use Becomes::{Nothing, Setting};

const fn row(name: &'static str, path: &'static str, becomes: Becomes) -> Row {
    Row { name, path, becomes }
}

/// Why a setting that has no row is ignored.
pub(super) fn why_not(name: &str) -> &'static str {
    let name = name.to_ascii_uppercase().replace('.', "_");
    REASONS
        .iter()
        .find(|(start, _)| name.starts_with(start))
        .map_or("sidelight has nothing that it would change", |(_, reason)| {
            *reason
        })
}

const NETWORK: &str = "sidelight has no metrics of network flows";
const KUBERNETES: &str =
    "what is said of Kubernetes comes from the pod's own environment, without asking the API server";
const BUFFERS: &str = "a whole request head is copied anyway (capture.request_head_bytes)";
const LIMITS: &str = "what is kept is bounded by capture.* and limits.*";
const FEATURES: &str = "metrics of HTTP and of databases are counted whenever there is a place for them";
const OWN: &str = "the agent's own counts are on the same page as the metrics (prometheus)";
const ALWAYS: &str = "sidelight does this always";
const NO_INJECTION: &str =
    "nothing is written into traffic; both ends of a call on one host are joined without it";
const RUNTIMES: &str = "nothing is put into watched programs";
const GRAFANA: &str =
    "give the endpoint and headers of Grafana Cloud by OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS";

/// Reasons by the start of the name, or of the path with `_` for dots.
const REASONS: &[(&str, &str)] = &[
    ("NETWORK", NETWORK),
    ("STATS", NETWORK),
    ("GEOIP", NETWORK),
    ("REVERSE_DNS", NETWORK),
    ("KUBE", KUBERNETES),
    ("K8S", KUBERNETES),
    ("ATTRIBUTES_KUBERNETES", KUBERNETES),
    (
        "ATTRIBUTES_SELECT",
        "attributes of metrics are those of OpenTelemetry's conventions",
    ),
    ("BPF_BUFFER_SIZE", BUFFERS),
    ("EBPF_BUFFER_SIZES", BUFFERS),
    ("BPF", LIMITS),
    ("EBPF", LIMITS),
    ("HTTP", "bodies are not looked into"),
    ("INTERNAL_METRICS", OWN),
    ("JAVA", RUNTIMES),
    ("JVM", RUNTIMES),
    ("NODEJS", RUNTIMES),
    ("INJECTOR", RUNTIMES),
    ("NAME_RESOLVER", "addresses are reported as they are"),
    ("HOSTNAME", "host.name is that of the host"),
    ("HOST_ID", "host.name is that of the host"),
    ("GRAFANA", GRAFANA),
    ("ROUTES", "sidelight has no such setting for routes"),
    ("FILTER", "leave spans out in the collector"),
    ("CHANNEL", LIMITS),
    (
        "DISCOVERY_BPF_PID_FILTER_OFF",
        "only what is selected is watched: --all selects everything",
    ),
    (
        "DISCOVERY_DEFAULT_OTLP_GRPC_PORT",
        "exports of an SDK are told by what they say, not by their port",
    ),
    (
        "DISCOVERY_EXCLUDE_OTEL_INSTRUMENTED_SERVICES_SPAN_METRICS",
        "metrics count every exchange, whoever exports its span",
    ),
    (
        "DISCOVERY_EXCLUDED_LINUX_SYSTEM_PATHS",
        "programs are left out by exclude.exe",
    ),
    (
        "DISCOVERY_DISABLED_ROUTE_HARVESTERS",
        "routes.framework=false reads no routes from programs",
    ),
    (
        "DISCOVERY_ROUTE_HARVEST",
        "routes are read when a process first answers a request",
    ),
    ("DISCOVERY_SURVEY", "`sidelight ps` lists what could be watched"),
];

/// Their settings that have a counterpart, or of which there is more to say.
pub(super) static ROWS: &[Row] = &[
    row("OPEN_PORT", "open_port", Setting("select.port", values::list)),
    row(
        "AUTO_TARGET_EXE",
        "auto_target_exe",
        Setting("select.exe", values::globs),
    ),
    row(
        "EXECUTABLE_NAME",
        "executable_name",
        Setting("select.exe", values::expression),
    ),
    row(
        "EXECUTABLE_PATH",
        "executable_path",
        Setting("select.exe", values::globs),
    ),
    row("TARGET_PID", "target_pids", Setting("select.pid", values::list)),
    row(
        "AUTO_TARGET_LANGUAGE",
        "",
        Nothing("programs are not selected by language: select them by exe, port or service"),
    ),
    row(
        "SERVICE_NAME",
        "service_name",
        Setting("resource.service_name", values::same),
    ),
    row(
        "SERVICE_NAMESPACE",
        "service_namespace",
        Setting("resource.service_namespace", values::same),
    ),
    row(
        "TRACE_PRINTER",
        "trace_printer",
        Setting("output", values::printer),
    ),
    row("PRINT_TRACES", "print_traces", Setting("output", values::print)),
    row("LOG_LEVEL", "log_level", Setting("log.level", values::level)),
    row(
        "LOG_FORMAT",
        "log_format",
        Setting("log.format", values::lowercase),
    ),
    row(
        "PROMETHEUS_PORT",
        "prometheus_export.port",
        Setting("prometheus", values::listen),
    ),
    row(
        "PROMETHEUS_PATH",
        "prometheus_export.path",
        Setting("prometheus", values::path),
    ),
    row(
        "PROMETHEUS_TTL",
        "prometheus_export.ttl",
        Setting("metrics.idle", values::duration),
    ),
    row(
        "METRICS_TTL",
        "otel_metrics_export.ttl",
        Setting("metrics.idle", values::duration),
    ),
    row(
        "METRICS_INTERVAL",
        "otel_metrics_export.interval",
        Setting("metrics.interval", values::duration),
    ),
    row("METRICS_FEATURES", "metrics.features", Nothing(FEATURES)),
    row(
        "PROMETHEUS_FEATURES",
        "prometheus_export.features",
        Nothing(FEATURES),
    ),
    row(
        "METRICS_ENDPOINT",
        "otel_metrics_export.endpoint",
        Setting("otlp.metrics.endpoint", values::metrics_endpoint),
    ),
    row(
        "METRICS_PROTOCOL",
        "otel_metrics_export.protocol",
        Setting("otlp.metrics.protocol", values::same),
    ),
    row(
        "METRICS_INSTRUMENTATIONS",
        "otel_metrics_export.instrumentations",
        Nothing("every protocol that is known is watched"),
    ),
    row(
        "PROMETHEUS_INSTRUMENTATIONS",
        "prometheus_export.instrumentations",
        Nothing("every protocol that is known is watched"),
    ),
    row(
        "TRACES_INSTRUMENTATIONS",
        "otel_traces_export.instrumentations",
        Nothing("every protocol that is known is watched"),
    ),
    row(
        "TRACES_ENDPOINT",
        "otel_traces_export.endpoint",
        Setting("otlp.traces.endpoint", values::traces_endpoint),
    ),
    row(
        "TRACES_PROTOCOL",
        "otel_traces_export.protocol",
        Setting("otlp.traces.protocol", values::same),
    ),
    row(
        "TRACES_SAMPLER",
        "otel_traces_export.sampler.name",
        Setting("sampling.sampler", values::same),
    ),
    row(
        "TRACES_SAMPLER_ARG",
        "otel_traces_export.sampler.arg",
        Setting("sampling.ratio", values::same),
    ),
    row(
        "OTLP_TRACES_BATCH_TIMEOUT",
        "otel_traces_export.batch_timeout",
        Setting("batch.schedule_delay", values::duration),
    ),
    row(
        "OTLP_TRACES_BATCH_MAX_SIZE",
        "otel_traces_export.batch_max_size",
        Setting("batch.max_size", values::same),
    ),
    row(
        "OTLP_TRACES_MAX_EXPORT_BATCH_SIZE",
        "otel_traces_export.max_export_batch_size",
        Setting("batch.max_size", values::same),
    ),
    row(
        "OTLP_TRACES_QUEUE_SIZE",
        "otel_traces_export.queue_size",
        Setting("batch.queue_size", values::same),
    ),
    row(
        "OTLP_TRACES_MAX_QUEUE_SIZE",
        "otel_traces_export.max_queue_size",
        Setting("batch.queue_size", values::same),
    ),
    row(
        "INSECURE_SKIP_VERIFY",
        "otel_traces_export.insecure_skip_verify",
        Nothing("certificates are always checked: give the authority by otlp.certificate"),
    ),
    row(
        "EXCLUDE_OTEL_INSTRUMENTED_SERVICES",
        "discovery.exclude_otel_instrumented_services",
        Setting("sdk.leave_out", values::leave_out),
    ),
    row(
        "SKIP_GO_SPECIFIC_TRACERS",
        "discovery.skip_go_specific_tracers",
        Nothing(
            "goroutines are told apart where they can be; threads_only=true does without any probe in programs",
        ),
    ),
    row(
        "DISCOVERY_POLL_INTERVAL",
        "discovery.poll_interval",
        Nothing("the kernel tells of new processes at once"),
    ),
    row(
        "MIN_PROCESS_AGE",
        "discovery.min_process_age",
        Nothing("new processes are watched at once"),
    ),
    row(
        "BPF_CONTEXT_PROPAGATION",
        "ebpf.context_propagation",
        Setting("", values::propagation),
    ),
    row(
        "BPF_ENABLE_CONTEXT_PROPAGATION",
        "ebpf.enable_context_propagation",
        Setting("", values::propagation),
    ),
    row("ENABLE_CONTEXT_PROPAGATION", "", Setting("", values::propagation)),
    row(
        "BPF_TRACK_REQUEST_HEADERS",
        "ebpf.track_request_headers",
        Nothing(ALWAYS),
    ),
    row(
        "HEURISTIC_SQL_DETECT",
        "ebpf.heuristic_sql_detect",
        Nothing("protocols are told by what they say: there is nothing to guess"),
    ),
    row(
        "KUBE_METADATA_ENABLE",
        "attributes.kubernetes.enable",
        Nothing(KUBERNETES),
    ),
    row(
        "METRIC_SPAN_NAMES_LIMIT",
        "attributes.metric_span_names_limit",
        Nothing("series are bounded by metrics.max_series"),
    ),
    row(
        "METRICS_REPORT_CACHE_LEN",
        "otel_metrics_export.reporters_cache_len",
        Nothing("series are bounded by metrics.max_series"),
    ),
    row(
        "INTERNAL_METRICS_PROMETHEUS_PORT",
        "internal_metrics.prometheus.port",
        Nothing(OWN),
    ),
    row(
        "ENFORCE_SYS_CAPS",
        "enforce_sys_caps",
        Nothing("what is missing is an error where it is needed; `sidelight check` tells"),
    ),
    row(
        "SHUTDOWN_TIMEOUT",
        "shutdown_timeout",
        Nothing("the last spans have 5 s to leave"),
    ),
    row(
        "ROUTES_PATTERNS",
        "routes.patterns",
        Setting("routes.patterns", values::same),
    ),
    row(
        "ROUTES_UNMATCHED",
        "routes.unmatched",
        Nothing("routes come from the framework, from routes.patterns, or from a careful guess"),
    ),
];

/// Why context propagation is ignored.
pub(super) const PROPAGATION: &str = NO_INJECTION;
