//! OpenTelemetry's standard variables, and the settings that they are other names of.
#![expect(clippy::unnecessary_wraps, reason = "all of them are rows of one table")]

use super::{
    Environment,
    draft::Draft,
    layers::{Layers, Origin},
    parse::{self, Invalid},
    table::by_key,
};

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// A standard variable: its name, the setting, and how its value is written there.
type Row = (&'static str, &'static str, fn(&str) -> Result<String, Invalid>);

/// Puts the standard variables on top of the layers so far; returns warnings.
///
/// The specification wants an empty standard variable to count as unset, and a value that makes no sense to be warned
/// of and ignored (OpenTelemetry specification, "Environment Variable Specification").
pub fn apply(layers: &mut Layers, environment: &Environment) -> Vec<String> {
    let mut warnings = Vec::new();
    for (variable, key, translate) in STANDARD {
        let Some(text) = set(environment, variable) else {
            continue;
        };
        let given = translate(text).and_then(|value| give(layers, key, &value, variable));
        if let Err(invalid) = given {
            warnings.push(format!(
                "{variable}: {text:?} is not {}: ignored; {}",
                invalid.expected, invalid.remedy
            ));
        }
    }
    warnings.extend(sampler(layers, environment).err());
    warnings
}

fn set<'a>(environment: &'a Environment, variable: &str) -> Option<&'a str> {
    environment
        .get(variable)
        .map(String::as_str)
        .filter(|text| !text.is_empty())
}

fn give(layers: &mut Layers, key: &str, value: &str, variable: &str) -> Result<(), Invalid> {
    let Some(setting) = by_key(key) else { return Ok(()) };
    let values = if setting.list {
        value.split(',').map(str::trim).collect()
    } else {
        vec![value]
    };
    for value in &values {
        (setting.apply)(&mut Draft::default(), value)?;
    }
    let origin = || Origin::Variable(variable.to_owned());
    values
        .into_iter()
        .try_for_each(|value| layers.give(setting, value, origin()))
}

/// `OTEL_TRACES_SAMPLER_ARG` means something only together with `OTEL_TRACES_SAMPLER`.
fn sampler(layers: &mut Layers, environment: &Environment) -> Result<(), String> {
    let Some(name) = set(environment, SAMPLER) else {
        return Ok(());
    };
    if !super::choices::SAMPLERS.iter().any(|(known, _)| *known == name) {
        return Err(format!(
            "{SAMPLER}: {name:?} is not a sampler that sidelight has: ignored; \
             use [parentbased_]always_on, always_off or traceidratio"
        ));
    }
    let argument = set(environment, SAMPLER_ARGUMENT).filter(|_| name.ends_with("traceidratio"));
    if let Some(text) = argument {
        parse::ratio(text).map_err(|invalid| {
            format!(
                "{SAMPLER_ARGUMENT}: {text:?} is not {}: the sampler is ignored; {}",
                invalid.expected, invalid.remedy
            )
        })?;
    }
    // Without an argument the share is 1, whatever a file says.
    let ratio = (
        argument.unwrap_or("1"),
        argument.map_or(SAMPLER, |_| SAMPLER_ARGUMENT),
    );
    let given = give(layers, "sampling.sampler", name, SAMPLER)
        .and_then(|()| give(layers, "sampling.ratio", ratio.0, ratio.1));
    given.map_err(|invalid| format!("{SAMPLER}: not {}", invalid.expected))
}

fn same(text: &str) -> Result<String, Invalid> {
    Ok(text.to_owned())
}

fn milliseconds(text: &str) -> Result<String, Invalid> {
    parse::milliseconds(text).map(|duration| format!("{}ms", duration.as_millis()))
}

fn lowercase(text: &str) -> Result<String, Invalid> {
    Ok(text.to_ascii_lowercase())
}

/// What the specification calls the ways to put values into buckets.
fn aggregation(text: &str) -> Result<String, Invalid> {
    const NAMES: &[(&str, &str)] = &[
        ("explicit_bucket_histogram", "explicit"),
        ("base2_exponential_bucket_histogram", "exponential"),
    ];
    parse::choice(&text.to_ascii_lowercase(), NAMES).map(str::to_owned)
}

/// Which spans may stand for values. An exemplar of `always_on` would name traces that nobody keeps.
fn exemplars(text: &str) -> Result<String, Invalid> {
    const NAMES: &[(&str, &str)] = &[("trace_based", "true"), ("always_off", "false")];
    parse::choice(&text.to_ascii_lowercase(), NAMES).map(str::to_owned)
}

const STANDARD: &[Row] = &[
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "otlp.endpoint", same),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "otlp.protocol", same),
    ("OTEL_EXPORTER_OTLP_HEADERS", "otlp.headers", same),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "otlp.timeout", milliseconds),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "otlp.compression", same),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "otlp.certificate", same),
    (
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "otlp.client_certificate",
        same,
    ),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "otlp.client_key", same),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "otlp.traces.endpoint", same),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "otlp.traces.protocol", same),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "otlp.traces.headers", same),
    (
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "otlp.traces.timeout",
        milliseconds,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "otlp.traces.compression",
        same,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "otlp.traces.certificate",
        same,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
        "otlp.traces.client_certificate",
        same,
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
        "otlp.traces.client_key",
        same,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "otlp.metrics.endpoint",
        same,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "otlp.metrics.protocol",
        same,
    ),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "otlp.metrics.headers", same),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
        "otlp.metrics.timeout",
        milliseconds,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
        "otlp.metrics.compression",
        same,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
        "otlp.metrics.certificate",
        same,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
        "otlp.metrics.client_certificate",
        same,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
        "otlp.metrics.client_key",
        same,
    ),
    ("OTEL_RESOURCE_ATTRIBUTES", "resource.attributes", same),
    ("OTEL_SERVICE_NAME", "resource.service_name", same),
    ("OTEL_BSP_SCHEDULE_DELAY", "batch.schedule_delay", milliseconds),
    ("OTEL_BSP_EXPORT_TIMEOUT", "batch.export_timeout", milliseconds),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "batch.queue_size", same),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "batch.max_size", same),
    ("OTEL_METRIC_EXPORT_INTERVAL", "metrics.interval", milliseconds),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "metrics.timeout", milliseconds),
    // The specification wants these values to be read whatever their case.
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "metrics.temporality",
        lowercase,
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "metrics.buckets",
        aggregation,
    ),
    ("OTEL_TRACES_EXPORTER", "traces.exporter", same),
    ("OTEL_METRICS_EXPORTER", "metrics.exporter", same),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "metrics.exemplars", exemplars),
    ("OTEL_LOG_LEVEL", "log.level", lowercase),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", "metrics.prometheus_host", same),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "metrics.prometheus_port", same),
    ("OTEL_SDK_DISABLED", "disabled", lowercase),
];
