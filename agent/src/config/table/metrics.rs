//! What is measured, and how metrics leave.

use super::{Setting, list, one, set};
use crate::config::{
    choices::{BUCKETS, METRICS_EXPORTERS, TEMPORALITIES},
    parse,
};

/// The settings of metrics, but for where they are sent over OTLP.
pub(super) static ROWS: &[Setting] = &[
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
        "metrics.timeout",
        None,
        "SIDELIGHT_METRICS_TIMEOUT",
        "30s",
        |draft, text| set(&mut draft.settings.export.periodic.timeout, parse::duration(text)),
    ),
    one(
        "metrics.prometheus_host",
        None,
        "SIDELIGHT_METRICS_PROMETHEUS_HOST",
        "localhost",
        |draft, text| {
            text.clone_into(&mut draft.scraped.host);
            Ok(())
        },
    ),
    one(
        "metrics.prometheus_port",
        None,
        "SIDELIGHT_METRICS_PROMETHEUS_PORT",
        "9464",
        |draft, text| set(&mut draft.scraped.port, parse::count(text)),
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
        "metrics.exemplars",
        None,
        "SIDELIGHT_METRICS_EXEMPLARS",
        "true",
        |draft, text| set(&mut draft.settings.metrics.exemplars, parse::boolean(text)),
    ),
    one(
        "metrics.active_by_server",
        None,
        "SIDELIGHT_METRICS_ACTIVE_BY_SERVER",
        "false",
        |draft, text| set(&mut draft.settings.metrics.active_by_server, parse::boolean(text)),
    ),
];
