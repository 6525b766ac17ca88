//! The settings, resolved: what the rest of the program sees.

use std::{collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use agent_protocols::Limits;

use super::{Rule, Selector};
use crate::routes::RoutePattern;

/// Everything that can be set, after flags, environment, file and defaults have been put together.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Settings {
    /// What is watched; any match selects. Never empty for `run` and `attach`.
    pub select: Vec<Selector>,
    /// What is not watched, though it is selected; any match excludes.
    pub exclude: Vec<Selector>,
    /// Collectors and agents of telemetry are watched though nothing but `all` or a port selects them; default false.
    pub watch_observers: bool,
    /// What holds for some services alone.
    pub services: Vec<ServiceSettings>,
    /// Where the Docker engine listens, if not where it usually does.
    pub docker_socket: Option<PathBuf>,
    /// Where spans go.
    pub export: Export,
    /// Stop by itself this long after the probes are attached.
    pub duration: Option<Duration>,
    /// Which hooks see the I/O.
    pub tier: Tier,
    /// What the kernel side copies and holds.
    pub capture: Capture,
    /// The kernel's types (BTF), if not where a running kernel publishes them.
    pub btf: Option<PathBuf>,
    /// Where all that the kernel side reports is recorded, with the captured payload, if anywhere.
    pub record: Option<PathBuf>,
    /// What one connection may hold.
    pub limits: Limits,
    /// Also make spans of transactions, pings and driver noise, which otherwise are only counted.
    pub report_noise: bool,
    /// Show query values in `url.full` and `url.query`; otherwise they are redacted.
    pub keep_query_values: bool,
    /// What makes no span if a program's own SDK exports it.
    pub leave_out: LeaveOut,
    /// Tell only threads apart, and not tasks, goroutines and greenlets; default false.
    pub threads_only: bool,
    /// What the agent says of every watched process.
    pub resource: Resource,
    /// Which traces are kept.
    pub sampler: Sampler,
    /// What is measured.
    pub metrics: MetricsSettings,
    /// Where routes come from.
    pub routes: RouteSettings,
    /// The agent's own log.
    pub log: Log,
}

/// Where spans go.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// OTLP traces, if wanted.
    pub traces: Option<Otlp>,
    /// OTLP metrics, if wanted.
    pub metrics: Option<Otlp>,
    /// When and how metrics are sent over OTLP.
    pub periodic: Periodic,
    /// Where Prometheus may scrape.
    pub prometheus: Option<SocketAddr>,
    /// Spans on stdout.
    pub output: Output,
    /// Say there why a span has no parent.
    pub explain: bool,
    /// The batching of spans on their way out.
    pub batch: Batch,
}

/// How one signal is sent over OTLP.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// The signal's own URL: with its path (`/v1/traces`) for HTTP, without for gRPC.
    pub endpoint: String,
    /// The encoding.
    pub protocol: Protocol,
    /// Headers (or gRPC metadata) of each request.
    pub headers: BTreeMap<String, String>,
    /// How long one request may take; default 10 s.
    pub timeout: Duration,
    /// Compression of the body.
    pub compression: Compression,
    /// PEM file with the authorities to trust instead of the system's.
    pub certificate: Option<PathBuf>,
    /// PEM file with the certificates by which the agent is known to the collector.
    pub client_certificate: Option<PathBuf>,
    /// PEM file with the key to them.
    pub client_key: Option<PathBuf>,
}

/// An OTLP encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol buffers over gRPC.
    Grpc,
    /// Protocol buffers over HTTP/1.1; the specification's default.
    #[default]
    HttpProtobuf,
}

/// Compression of OTLP bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// gzip.
    Gzip,
}

/// How spans are shown on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Not at all.
    #[default]
    None,
    /// The spans of a trace together, indented under their parents.
    Tree,
    /// One line of text a span.
    Text,
    /// One JSON object a span and line.
    Json,
}

#[expect(
    clippy::struct_field_names,
    reason = "batch_size is what OpenTelemetry calls it"
)]
/// `OTEL_BSP_*`: how spans are gathered into requests.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Longest time a span waits for others; default 5 s.
    pub schedule_delay: Duration,
    /// Spans that may wait; more are dropped and counted; default 8192: the specification's 2048 are meant for the spans
    /// of one process, and these are those of a host.
    pub queue_size: usize,
    /// Most spans of one request; default 512.
    pub batch_size: usize,
    /// How long one export may take; default 30 s.
    pub export_timeout: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            schedule_delay: Duration::from_secs(5),
            queue_size: 8192,
            batch_size: 512,
            export_timeout: Duration::from_secs(30),
        }
    }
}

/// When and how metrics are sent over OTLP.
#[derive(Clone, Copy, Debug)]
pub struct Periodic {
    /// How often; default 60 s.
    pub interval: Duration,
    /// How long one export may take; default 30 s.
    pub timeout: Duration,
    /// What each number is counted from.
    pub temporality: Temporality,
}

impl Default for Periodic {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(30),
            temporality: Temporality::default(),
        }
    }
}

/// What metrics sent over OTLP are counted from
/// (<https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/#additional-environment-variable-configuration>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    /// All from their beginning.
    #[default]
    Cumulative,
    /// Counters and histograms from one export to the next.
    Delta,
    /// As delta, except for what is not counted here but read from elsewhere.
    LowMemory,
}

/// How the values of histograms are put into buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Buckets {
    /// By the bounds that the conventions advise.
    #[default]
    Explicit,
    /// Over OTLP in buckets that grow by a factor, which adapts.
    Exponential,
}

/// Which hooks see the I/O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// The cheapest that loads and attaches.
    #[default]
    Auto,
    /// fentry and fexit on the socket functions.
    Fentry,
    /// kprobe and kretprobe on the same functions.
    Kprobe,
    /// The tracepoints of the system calls.
    Tracepoint,
}

/// What the kernel side copies and holds.
#[derive(Clone, Copy, Debug)]
pub struct Capture {
    /// Bytes copied from the start of a request; default 64 KiB.
    pub request_head_bytes: u32,
    /// Bytes copied from the start of a response; default 8 KiB.
    pub response_head_bytes: u32,
    /// Bytes copied from the end of a direction's run; default 256.
    pub tail_bytes: u32,
    /// Size of the ring buffer, a power of two; default 8 MiB.
    pub ring_buffer_bytes: u32,
    /// Connections followed at once; default 65,536.
    pub max_connections: u32,
    /// Processes watched at once; default 8192.
    pub max_processes: u32,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            request_head_bytes: 64 * 1024,
            response_head_bytes: 8 * 1024,
            tail_bytes: 256,
            ring_buffer_bytes: 8 * 1024 * 1024,
            max_connections: 65_536,
            max_processes: 8192,
        }
    }
}

/// What makes no span if a program's own OpenTelemetry SDK exports it; default everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaveOut {
    /// HTTP requests that are served.
    pub server: bool,
    /// HTTP requests that are sent.
    pub client: bool,
    /// Statements that are sent to databases.
    pub database: bool,
}

impl LeaveOut {
    /// Nothing is left out.
    pub const NOTHING: Self = Self {
        server: false,
        client: false,
        database: false,
    };

    /// Something may be left out.
    pub fn is_something(self) -> bool {
        self != Self::NOTHING
    }
}

impl Default for LeaveOut {
    fn default() -> Self {
        Self {
            server: true,
            client: true,
            database: true,
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct MetricsSettings {
    /// What bounds the metrics.
    pub limits: MetricsLimits,
    /// How the values of histograms are put into buckets.
    pub buckets: Buckets,
    /// Also measure CPU time, memory, threads and file descriptors of the watched processes; default true.
    pub processes: bool,
    /// Also send over OTLP what the agent counts of itself; default true.
    pub agent: bool,
    /// Also measure spans, and calls between services, in Tempo's names; default false.
    pub tempo: bool,
    /// Let the kernel count the runs of the agent's programs, and their time; default false.
    pub program_runs: bool,
    /// Show spans that stand for values of histograms; default true.
    pub exemplars: bool,
    /// Tell active requests also by the server's address and port; default false.
    pub active_by_server: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            limits: MetricsLimits::default(),
            buckets: Buckets::default(),
            processes: true,
            agent: true,
            tempo: false,
            program_runs: false,
            exemplars: true,
            active_by_server: false,
        }
    }
}

/// What bounds the metrics.
#[derive(Clone, Copy, Debug)]
pub struct MetricsLimits {
    /// Series of one metric of one process, that of the overflow included; default 2000, as the SDK specification has it.
    pub series: usize,
    /// How long a series is kept to which nothing is added; default 10 min.
    pub idle: Duration,
}

impl Default for MetricsLimits {
    fn default() -> Self {
        Self {
            series: 2000,
            idle: Duration::from_mins(10),
        }
    }
}

/// Where routes come from.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// Those that are known by name; the first that fits counts.
    pub patterns: Vec<RoutePattern>,
    /// Read them from the memory of processes whose framework is known; default true.
    pub framework: bool,
    /// Guess them from the path where nothing else is known; default true.
    pub heuristic: bool,
    /// Most routes that are guessed for one process; default 500.
    pub max_guessed: usize,
}

impl Default for RouteSettings {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            framework: true,
            heuristic: true,
            max_guessed: 500,
        }
    }
}

/// What the agent says of every watched process.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    /// `OTEL_SERVICE_NAME` of the agent: the name of every watched process that does not name itself.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES` of the agent, added to every process's own.
    pub attributes: Vec<(String, String)>,
}

/// Which traces are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Follow the caller's sampled flag when there is one.
    pub parent_based: bool,
    /// Share of the traces that start here which are kept, 0 to 1.
    pub ratio: f64,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            parent_based: true,
            ratio: 1.0,
        }
    }
}

/// How it is decided which traces are kept, as it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampling {
    /// OpenTelemetry's name of it, split: whether it follows the caller, and what it does without one.
    pub sampler: Option<(bool, Kept)>,
    /// Share of the traces that are kept, for those that keep a share.
    pub ratio: Option<f64>,
}

/// Which traces a sampler keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All.
    All,
    /// None.
    None,
    /// A share, 1 unless given.
    Share,
}

impl Sampling {
    /// What was given, if anything was. A share alone is one of those traces that nobody has decided about.
    pub fn sampler(self) -> Option<Sampler> {
        let (parent_based, kept) = match (self.sampler, self.ratio) {
            (Some(sampler), _) => sampler,
            (None, Some(_)) => (true, Kept::Share),
            (None, None) => return None,
        };
        let ratio = match kept {
            Kept::All => 1.0,
            Kept::None => 0.0,
            Kept::Share => self.ratio.unwrap_or(1.0),
        };
        Some(Sampler { parent_based, ratio })
    }
}

/// What holds for some services alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceSettings {
    /// For which.
    pub rule: Rule,
    /// Their `service.name`.
    pub name: Option<String>,
    /// Their `service.namespace`.
    pub namespace: Option<String>,
    /// Which traces are kept that begin in them.
    pub sampling: Sampling,
    /// Patterns of their paths, such as `/users/{id}`. They go before those for all.
    pub routes: Vec<RoutePattern>,
    /// The ports whose requests make spans and metrics; all if empty.
    pub ports: Vec<RangeInclusive<u16>>,
}

/// The agent's own log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log {
    /// The least important level that is shown.
    pub level: Level,
    /// Its form on stderr.
    pub format: LogFormat,
}

/// A level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only what kept the agent from doing its job.
    Error,
    /// And what costs a feature.
    Warn,
    /// And the milestones.
    #[default]
    Info,
    /// And what the agent decides.
    Debug,
    /// And what the kernel side says.
    Trace,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
