//! Which format a client gets: what it accepts.

use super::{protobuf, text};
use crate::metrics::Snapshot;

const PROTOBUF: &str = "application/vnd.google.protobuf";
const OPEN_METRICS: &str = "application/openmetrics-text";

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Text(text::Dialect),
    Protobuf,
}

impl Wanted {
    /// `OpenMetrics` for who knows it; protobuf for who likes nothing better, as Prometheus does where it takes native histograms.
    pub(super) fn accepted(accept: &str) -> Self {
        let kinds: Vec<Accepted<'_>> = accept.split(',').map(Accepted::parse).collect();
        let protobuf = kinds.iter().filter(|kind| kind.is_protobuf());
        let protobuf = protobuf.map(|kind| kind.weight).fold(0.0, f64::max);
        let is_best = kinds.iter().all(|kind| kind.weight <= protobuf);
        if protobuf > 0.0 && is_best {
            Self::Protobuf
        } else if accept.contains(OPEN_METRICS) {
            Self::Text(text::Dialect::OpenMetrics)
        } else {
            Self::Text(text::Dialect::Prometheus)
        }
    }

    /// Its media type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text(text::Dialect::Prometheus) => "text/plain; version=0.0.4; charset=utf-8",
            Self::Text(text::Dialect::OpenMetrics) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// A snapshot in it.
    pub(super) fn page(self, snapshot: &Snapshot) -> Vec<u8> {
        match self {
            Self::Text(dialect) => text::text(snapshot, dialect).into_bytes(),
            Self::Protobuf => protobuf::protobuf(snapshot),
        }
    }
}

/// One of the media types that a client accepts.
struct Accepted<'a> {
    kind: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    weight: f64,
}

impl<'a> Accepted<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let weight = parameters.iter().find(|(name, _)| *name == "q");
        let weight = weight.map_or(Some(1.0), |(_, weight)| weight.parse().ok());
        Self {
            kind,
            parameters,
            weight: weight.unwrap_or(0.0),
        }
    }

    /// Whether it is the messages that there are here, in the encoding that there is.
    fn is_protobuf(&self) -> bool {
        let says = |wanted: (&str, &str)| self.parameters.contains(&wanted);
        self.kind == PROTOBUF
            && says(("proto", "io.prometheus.client.MetricFamily"))
            && says(("encoding", "delimited"))
    }
}

#[cfg(test)]
mod tests {
    use super::{text::Dialect, *};

    #[test]
    fn who_asks_for_protobuf_first_gets_it() {
        let of_prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
            application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Wanted::accepted(of_prometheus), Wanted::Protobuf);
        let alone =
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        assert_eq!(Wanted::accepted(alone), Wanted::Protobuf);
    }

    #[test]
    fn all_others_get_text() {
        for (accept, dialect) in [
            ("", Dialect::Prometheus),
            ("*/*", Dialect::Prometheus),
            ("text/html,text/plain;q=0.9", Dialect::Prometheus),
            (
                "text/plain;q=0.5,application/openmetrics-text;version=1.0.0;q=0.1",
                Dialect::OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
                Dialect::Prometheus,
            ),
            (
                "application/openmetrics-text,application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.4",
                Dialect::OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0",
                Dialect::Prometheus,
            ),
        ] {
            assert_eq!(Wanted::accepted(accept), Wanted::Text(dialect), "{accept}");
        }
    }
}
