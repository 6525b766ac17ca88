//! Where spans and metrics are sent over OTLP.

use super::{Setting, list, one, set};
use crate::config::{
    choices::{COMPRESSIONS, PROTOCOLS, TRACES_EXPORTERS},
    draft::Endpoint,
    parse,
};

/// The settings of both signals, those of one, and whether spans take this way.
pub(super) static ROWS: &[Setting] = &[
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
        "otlp.client_certificate",
        None,
        "SIDELIGHT_OTLP_CLIENT_CERTIFICATE",
        "",
        |draft, text| draft.otlp(|signal| &mut signal.client_certificate, Ok(text.into())),
    ),
    one(
        "otlp.client_key",
        None,
        "SIDELIGHT_OTLP_CLIENT_KEY",
        "",
        |draft, text| draft.otlp(|signal| &mut signal.client_key, Ok(text.into())),
    ),
    one(
        "otlp.traces.endpoint",
        None,
        "SIDELIGHT_OTLP_TRACES_ENDPOINT",
        "",
        |draft, text| {
            set(
                &mut draft.traces.endpoint,
                parse::url(text).map(Endpoint::Exact).map(Some),
            )
        },
    ),
    one(
        "otlp.traces.protocol",
        None,
        "SIDELIGHT_OTLP_TRACES_PROTOCOL",
        "",
        |draft, text| {
            set(
                &mut draft.traces.protocol,
                parse::choice(text, PROTOCOLS).map(Some),
            )
        },
    ),
    one(
        "otlp.traces.headers",
        None,
        "SIDELIGHT_OTLP_TRACES_HEADERS",
        "",
        |draft, text| set(&mut draft.traces.headers, parse::pairs(text).map(Some)),
    ),
    one(
        "otlp.traces.timeout",
        None,
        "SIDELIGHT_OTLP_TRACES_TIMEOUT",
        "",
        |draft, text| set(&mut draft.traces.timeout, parse::duration(text).map(Some)),
    ),
    one(
        "otlp.traces.compression",
        None,
        "SIDELIGHT_OTLP_TRACES_COMPRESSION",
        "",
        |draft, text| {
            set(
                &mut draft.traces.compression,
                parse::choice(text, COMPRESSIONS).map(Some),
            )
        },
    ),
    one(
        "otlp.traces.certificate",
        None,
        "SIDELIGHT_OTLP_TRACES_CERTIFICATE",
        "",
        |draft, text| set(&mut draft.traces.certificate, Ok(Some(text.into()))),
    ),
    one(
        "otlp.traces.client_certificate",
        None,
        "SIDELIGHT_OTLP_TRACES_CLIENT_CERTIFICATE",
        "",
        |draft, text| set(&mut draft.traces.client_certificate, Ok(Some(text.into()))),
    ),
    one(
        "otlp.traces.client_key",
        None,
        "SIDELIGHT_OTLP_TRACES_CLIENT_KEY",
        "",
        |draft, text| set(&mut draft.traces.client_key, Ok(Some(text.into()))),
    ),
    one(
        "otlp.metrics.endpoint",
        None,
        "SIDELIGHT_OTLP_METRICS_ENDPOINT",
        "",
        |draft, text| {
            set(
                &mut draft.metrics.endpoint,
                parse::url(text).map(Endpoint::Exact).map(Some),
            )
        },
    ),
    one(
        "otlp.metrics.protocol",
        None,
        "SIDELIGHT_OTLP_METRICS_PROTOCOL",
        "",
        |draft, text| {
            set(
                &mut draft.metrics.protocol,
                parse::choice(text, PROTOCOLS).map(Some),
            )
        },
    ),
    one(
        "otlp.metrics.headers",
        None,
        "SIDELIGHT_OTLP_METRICS_HEADERS",
        "",
        |draft, text| set(&mut draft.metrics.headers, parse::pairs(text).map(Some)),
    ),
    one(
        "otlp.metrics.timeout",
        None,
        "SIDELIGHT_OTLP_METRICS_TIMEOUT",
        "",
        |draft, text| set(&mut draft.metrics.timeout, parse::duration(text).map(Some)),
    ),
    one(
        "otlp.metrics.compression",
        None,
        "SIDELIGHT_OTLP_METRICS_COMPRESSION",
        "",
        |draft, text| {
            set(
                &mut draft.metrics.compression,
                parse::choice(text, COMPRESSIONS).map(Some),
            )
        },
    ),
    one(
        "otlp.metrics.certificate",
        None,
        "SIDELIGHT_OTLP_METRICS_CERTIFICATE",
        "",
        |draft, text| set(&mut draft.metrics.certificate, Ok(Some(text.into()))),
    ),
    one(
        "otlp.metrics.client_certificate",
        None,
        "SIDELIGHT_OTLP_METRICS_CLIENT_CERTIFICATE",
        "",
        |draft, text| set(&mut draft.metrics.client_certificate, Ok(Some(text.into()))),
    ),
    one(
        "otlp.metrics.client_key",
        None,
        "SIDELIGHT_OTLP_METRICS_CLIENT_KEY",
        "",
        |draft, text| set(&mut draft.metrics.client_key, Ok(Some(text.into()))),
    ),
    list(
        "traces.exporter",
        None,
        "SIDELIGHT_TRACES_EXPORTER",
        "otlp, if an endpoint is set",
        |draft, text| draft.traces_exporter(parse::choice(text, TRACES_EXPORTERS)),
    ),
];
