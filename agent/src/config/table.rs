//! Every setting of the agent: one row each.

mod metrics;
mod otlp;
mod selection;

use super::{
    choices::{KINDS, LEVELS, LOG_FORMATS, NO_KIND, OUTPUTS, SAMPLERS, TIERS},
    draft::Draft,
    parse::{self, Invalid},
};

pub use selection::ALL;

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

/// All settings, in the order in which help shows them.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    selection::ROWS
        .iter()
        .chain(otlp::ROWS)
        .chain(SETTINGS)
        .chain(metrics::ROWS)
}

/// The setting with this path in the configuration file.
pub fn by_key(key: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.key == key)
}

/// The settings that are in no table of their own.
static SETTINGS: &[Setting] = &[
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
    list(
        "routes.patterns",
        None,
        "SIDELIGHT_ROUTES_PATTERNS",
        "",
        |draft, text| draft.route(parse::route(text)),
    ),
    one(
        "routes.framework",
        None,
        "SIDELIGHT_ROUTES_FRAMEWORK",
        "true",
        |draft, text| set(&mut draft.settings.routes.framework, parse::boolean(text)),
    ),
    one(
        "routes.heuristic",
        None,
        "SIDELIGHT_ROUTES_HEURISTIC",
        "true",
        |draft, text| set(&mut draft.settings.routes.heuristic, parse::boolean(text)),
    ),
    one(
        "routes.max_guessed",
        None,
        "SIDELIGHT_ROUTES_MAX_GUESSED",
        "500",
        |draft, text| set(&mut draft.settings.routes.max_guessed, parse::count(text)),
    ),
    one(
        "sampling.sampler",
        None,
        "SIDELIGHT_SAMPLING_SAMPLER",
        "parentbased_always_on",
        |draft, text| {
            set(
                &mut draft.sampling.sampler,
                parse::choice(text, SAMPLERS).map(Some),
            )
        },
    ),
    one(
        "sampling.ratio",
        None,
        "SIDELIGHT_SAMPLING_RATIO",
        "1 if the sampler keeps a share",
        |draft, text| set(&mut draft.sampling.ratio, parse::ratio(text).map(Some)),
    ),
    one(
        "resource.attributes",
        None,
        "SIDELIGHT_RESOURCE_ATTRIBUTES",
        "",
        |draft, text| {
            let mut attributes = parse::pairs(text)?;
            draft.settings.resource.service_name = attributes.remove("service.name");
            draft.settings.resource.attributes = attributes.into_iter().collect();
            Ok(())
        },
    ),
    one(
        "resource.service_name",
        None,
        "SIDELIGHT_RESOURCE_SERVICE_NAME",
        "",
        |draft, text| {
            draft.settings.resource.service_name = Some(text.to_owned());
            Ok(())
        },
    ),
    one(
        "resource.service_namespace",
        None,
        "SIDELIGHT_RESOURCE_SERVICE_NAMESPACE",
        "",
        |draft, text| {
            draft.service_namespace = Some(text.to_owned());
            Ok(())
        },
    ),
    one(
        "batch.schedule_delay",
        None,
        "SIDELIGHT_BATCH_SCHEDULE_DELAY",
        "5s",
        |draft, text| {
            set(
                &mut draft.settings.export.batch.schedule_delay,
                parse::delay(text),
            )
        },
    ),
    one(
        "batch.export_timeout",
        None,
        "SIDELIGHT_BATCH_EXPORT_TIMEOUT",
        "30s",
        |draft, text| {
            set(
                &mut draft.settings.export.batch.export_timeout,
                parse::duration(text),
            )
        },
    ),
    one(
        "batch.queue_size",
        None,
        "SIDELIGHT_BATCH_QUEUE_SIZE",
        "8192",
        |draft, text| set(&mut draft.settings.export.batch.queue_size, parse::count(text)),
    ),
    one(
        "batch.max_size",
        None,
        "SIDELIGHT_BATCH_MAX_SIZE",
        "512",
        |draft, text| set(&mut draft.settings.export.batch.batch_size, parse::count(text)),
    ),
    one(
        "containers.docker_socket",
        None,
        "SIDELIGHT_CONTAINERS_DOCKER_SOCKET",
        "/var/run/docker.sock",
        |draft, text| {
            draft.settings.docker_socket = Some(text.into());
            Ok(())
        },
    ),
    one("disabled", None, "SIDELIGHT_DISABLED", "false", |draft, text| {
        set(&mut draft.disabled, parse::boolean(text))
    }),
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
