//! The environment's layer: OpenTelemetry's standard variables, then the agent's own.

use std::collections::BTreeMap;

use super::{
    Buckets, Error, Sampler,
    draft::{Draft, Endpoint},
    nearest::nearest,
    parse::{self, Invalid},
    table::{Apply, COMPRESSIONS, CONFIG_VARIABLE, METRICS_EXPORTERS, PROTOCOLS, SETTINGS, TEMPORALITIES},
};

const PREFIX: &str = "SIDELIGHT_";
/// Starts of variables that build and test sidelight, which an agent started by these tools inherits.
const OF_THE_TOOLS: [&str; 2] = ["SIDELIGHT_TEST_", "SIDELIGHT_EBPF_OBJECT"];

/// Variables by name.
pub type Environment = BTreeMap<String, String>;

/// Puts the environment on top of the layers so far; returns warnings.
///
/// The specification wants an empty standard variable to count as unset, and a value that makes no sense to be warned
/// of and ignored (OpenTelemetry specification, "Environment Variable Specification"). The agent's own variables are
/// strict.
///
/// # Errors
///
/// Fails on a variable that starts like the agent's own and is none, or has a value that does not fit.
pub fn apply(draft: &mut Draft, environment: &Environment) -> Result<Vec<String>, Error> {
    draft.begin_layer();
    let warnings = apply_standard(draft, environment);
    // The agent's own variables win.
    draft.begin_layer();
    for name in environment.keys().filter(|name| name.starts_with(PREFIX)) {
        refuse_unknown(name)?;
    }
    for setting in SETTINGS {
        let Some(text) = environment.get(setting.variable).filter(|text| !text.is_empty()) else {
            continue;
        };
        let values = if setting.list {
            text.split(',').collect()
        } else {
            vec![text.as_str()]
        };
        for value in values {
            (setting.apply)(draft, value.trim()).map_err(|invalid| Error::Value {
                origin: setting.variable.to_owned(),
                value: value.to_owned(),
                invalid,
            })?;
        }
    }
    Ok(warnings)
}

fn refuse_unknown(name: &str) -> Result<(), Error> {
    let valid = || {
        SETTINGS
            .iter()
            .map(|setting| setting.variable)
            .chain([CONFIG_VARIABLE])
    };
    let is_a_tools = OF_THE_TOOLS.iter().any(|start| name.starts_with(start));
    if is_a_tools || valid().any(|variable| variable == name) {
        return Ok(());
    }
    Err(Error::UnknownVariable {
        name: name.to_owned(),
        nearest: nearest(name, valid()).unwrap_or(PREFIX),
    })
}

fn apply_standard(draft: &mut Draft, environment: &Environment) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, apply) in STANDARD {
        let Some(text) = environment.get(*name).filter(|text| !text.is_empty()) else {
            continue;
        };
        if let Err(invalid) = apply(draft, text) {
            warnings.push(format!(
                "{name}: {text:?} is not {}: ignored; {}",
                invalid.expected, invalid.remedy
            ));
        }
    }
    warnings.extend(sampler(draft, environment).err());
    warnings
}

/// `OTEL_TRACES_SAMPLER` means something only together with `OTEL_TRACES_SAMPLER_ARG`.
fn sampler(draft: &mut Draft, environment: &Environment) -> Result<(), String> {
    let Some(name) = environment
        .get("OTEL_TRACES_SAMPLER")
        .filter(|name| !name.is_empty())
    else {
        return Ok(());
    };
    let (parent_based, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name.as_str()),
    };
    let ratio = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => sampler_ratio(environment)?,
        _ => {
            return Err(format!(
                "OTEL_TRACES_SAMPLER: {name:?} is not a sampler that sidelight has: ignored; \
                 use [parentbased_]always_on, always_off or traceidratio"
            ));
        }
    };
    draft.settings.sampler = Sampler { parent_based, ratio };
    Ok(())
}

fn sampler_ratio(environment: &Environment) -> Result<f64, String> {
    match environment
        .get("OTEL_TRACES_SAMPLER_ARG")
        .filter(|text| !text.is_empty())
    {
        None => Ok(1.0),
        Some(text) => parse::ratio(text).map_err(|invalid| {
            format!(
                "OTEL_TRACES_SAMPLER_ARG: {text:?} is not {}: the sampler is ignored; {}",
                invalid.expected, invalid.remedy
            )
        }),
    }
}

fn set<T>(place: &mut T, value: Result<T, Invalid>) -> Result<(), Invalid> {
    *place = value?;
    Ok(())
}

/// What the specification calls the ways to put values into buckets.
const AGGREGATIONS: &[(&str, Buckets)] = &[
    ("explicit_bucket_histogram", Buckets::Explicit),
    ("base2_exponential_bucket_histogram", Buckets::Exponential),
];

/// The standard variables; what holds for all signals stands before what holds for one, so that the latter wins.
const STANDARD: &[(&str, Apply)] = &[
    ("OTEL_EXPORTER_OTLP_ENDPOINT", |draft, text| {
        draft.otlp(
            |signal| &mut signal.endpoint,
            parse::url(text).map(Endpoint::Base),
        )
    }),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", |draft, text| {
        draft.otlp(|signal| &mut signal.protocol, parse::choice(text, PROTOCOLS))
    }),
    ("OTEL_EXPORTER_OTLP_HEADERS", |draft, text| {
        draft.otlp(|signal| &mut signal.headers, parse::pairs(text))
    }),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", |draft, text| {
        draft.otlp(|signal| &mut signal.timeout, parse::milliseconds(text))
    }),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", |draft, text| {
        draft.otlp(
            |signal| &mut signal.compression,
            parse::choice(text, COMPRESSIONS),
        )
    }),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", |draft, text| {
        draft.otlp(|signal| &mut signal.certificate, Ok(text.into()))
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", |draft, text| {
        set(
            &mut draft.traces.endpoint,
            parse::url(text).map(Endpoint::Exact).map(Some),
        )
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", |draft, text| {
        set(
            &mut draft.traces.protocol,
            parse::choice(text, PROTOCOLS).map(Some),
        )
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", |draft, text| {
        set(&mut draft.traces.headers, parse::pairs(text).map(Some))
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", |draft, text| {
        set(&mut draft.traces.timeout, parse::milliseconds(text).map(Some))
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", |draft, text| {
        set(
            &mut draft.traces.compression,
            parse::choice(text, COMPRESSIONS).map(Some),
        )
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", |draft, text| {
        set(&mut draft.traces.certificate, Ok(Some(text.into())))
    }),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", |draft, text| {
        set(
            &mut draft.metrics.endpoint,
            parse::url(text).map(Endpoint::Exact).map(Some),
        )
    }),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", |draft, text| {
        set(
            &mut draft.metrics.protocol,
            parse::choice(text, PROTOCOLS).map(Some),
        )
    }),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", |draft, text| {
        set(&mut draft.metrics.headers, parse::pairs(text).map(Some))
    }),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", |draft, text| {
        set(&mut draft.metrics.timeout, parse::milliseconds(text).map(Some))
    }),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", |draft, text| {
        set(
            &mut draft.metrics.compression,
            parse::choice(text, COMPRESSIONS).map(Some),
        )
    }),
    ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", |draft, text| {
        set(&mut draft.metrics.certificate, Ok(Some(text.into())))
    }),
    ("OTEL_RESOURCE_ATTRIBUTES", |draft, text| {
        let mut attributes = parse::pairs(text)?;
        draft.settings.resource.service_name = attributes.remove("service.name");
        draft.settings.resource.attributes = attributes.into_iter().collect();
        Ok(())
    }),
    ("OTEL_SERVICE_NAME", |draft, text| {
        draft.settings.resource.service_name = Some(text.to_owned());
        Ok(())
    }),
    ("OTEL_BSP_SCHEDULE_DELAY", |draft, text| {
        set(
            &mut draft.settings.export.batch.schedule_delay,
            parse::milliseconds(text),
        )
    }),
    ("OTEL_BSP_EXPORT_TIMEOUT", |draft, text| {
        set(
            &mut draft.settings.export.batch.export_timeout,
            parse::milliseconds(text),
        )
    }),
    ("OTEL_BSP_MAX_QUEUE_SIZE", |draft, text| {
        set(&mut draft.settings.export.batch.queue_size, parse::count(text))
    }),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", |draft, text| {
        set(&mut draft.settings.export.batch.batch_size, parse::count(text))
    }),
    ("OTEL_METRIC_EXPORT_INTERVAL", |draft, text| {
        set(
            &mut draft.settings.export.periodic.interval,
            parse::milliseconds(text),
        )
    }),
    ("OTEL_METRIC_EXPORT_TIMEOUT", |draft, text| {
        set(
            &mut draft.settings.export.periodic.timeout,
            parse::milliseconds(text),
        )
    }),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        |draft, text| {
            // The specification wants these values to be read whatever their case.
            set(
                &mut draft.settings.export.periodic.temporality,
                parse::choice(&text.to_ascii_lowercase(), TEMPORALITIES),
            )
        },
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        |draft, text| {
            set(
                &mut draft.settings.metrics.buckets,
                parse::choice(&text.to_ascii_lowercase(), AGGREGATIONS),
            )
        },
    ),
    ("OTEL_METRICS_EXPORTER", |draft, text| {
        let names = text.split(',').map(str::trim);
        let exporters: Vec<_> = names
            .map(|name| parse::choice(name, METRICS_EXPORTERS))
            .collect::<Result<_, _>>()?;
        exporters
            .into_iter()
            .try_for_each(|exporter| draft.metrics_exporter(Ok(exporter)))
    }),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", |draft, text| {
        draft.prometheus_host = Some(text.to_owned());
        Ok(())
    }),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", |draft, text| {
        set(&mut draft.prometheus_port, parse::count(text).map(Some))
    }),
    ("OTEL_SDK_DISABLED", |draft, text| {
        set(&mut draft.disabled, parse::boolean(&text.to_ascii_lowercase()))
    }),
];
