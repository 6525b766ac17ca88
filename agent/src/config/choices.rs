//! The names of values of which there are only a few.

use super::{
    Buckets, Compression, Kept, Level, LogFormat, Output, Protocol, Temporality, Tier,
    draft::{Kind, MetricsExporter, TracesExporter},
};

/// Names of the OTLP protocols.
pub const PROTOCOLS: &[(&str, Protocol); 2] = &[
    ("grpc", Protocol::Grpc),
    ("http/protobuf", Protocol::HttpProtobuf),
];

/// Names of the OTLP compressions.
pub const COMPRESSIONS: &[(&str, Compression); 2] =
    &[("none", Compression::None), ("gzip", Compression::Gzip)];

/// Names of what metrics are counted from.
pub const TEMPORALITIES: &[(&str, Temporality); 3] = &[
    ("cumulative", Temporality::Cumulative),
    ("delta", Temporality::Delta),
    ("lowmemory", Temporality::LowMemory),
];

/// Names of the ways that spans leave.
pub const TRACES_EXPORTERS: &[(&str, TracesExporter); 3] = &[
    ("otlp", TracesExporter::Otlp),
    ("console", TracesExporter::Console),
    ("none", TracesExporter::None),
];

/// Names of the ways that metrics leave.
pub const METRICS_EXPORTERS: &[(&str, MetricsExporter); 3] = &[
    ("otlp", MetricsExporter::Otlp),
    ("prometheus", MetricsExporter::Prometheus),
    ("none", MetricsExporter::None),
];

/// Names of the ways to put values into buckets.
pub const BUCKETS: &[(&str, Buckets); 2] = &[
    ("explicit", Buckets::Explicit),
    ("exponential", Buckets::Exponential),
];

/// Names of the kinds of spans that are left out where a program's own SDK exports them.
pub const KINDS: &[(&str, Kind); 4] = &[
    ("server", Kind::Server),
    ("client", Kind::Client),
    ("db", Kind::Database),
    (NO_KIND, Kind::None),
];

/// The name of none of them.
pub const NO_KIND: &str = "none";

/// Names of the forms of spans on stdout.
pub const OUTPUTS: &[(&str, Output); 4] = &[
    ("tree", Output::Tree),
    ("text", Output::Text),
    ("json", Output::Json),
    ("none", Output::None),
];

/// Names of the tiers.
pub const TIERS: &[(&str, Tier); 4] = &[
    ("auto", Tier::Auto),
    ("fentry", Tier::Fentry),
    ("kprobe", Tier::Kprobe),
    ("tracepoint", Tier::Tracepoint),
];

/// Names of the log's levels.
pub const LEVELS: &[(&str, Level); 5] = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// Names of the log's forms.
pub const LOG_FORMATS: &[(&str, LogFormat); 2] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

/// Names of the samplers, as the OpenTelemetry specification has them: whether it follows the caller, and what it keeps.
pub const SAMPLERS: &[(&str, (bool, Kept)); 6] = &[
    ("always_on", (false, Kept::All)),
    ("always_off", (false, Kept::None)),
    ("traceidratio", (false, Kept::Share)),
    ("parentbased_always_on", (true, Kept::All)),
    ("parentbased_always_off", (true, Kept::None)),
    ("parentbased_traceidratio", (true, Kept::Share)),
];

/// The names alone.
pub const fn names<T: Copy, const N: usize>(choices: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut index = 0;
    while index < N {
        names[index] = choices[index].0;
        index += 1;
    }
    names
}
