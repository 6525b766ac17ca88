//! The agent's own log, on stderr.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    config::{Level, Log, LogFormat},
    export,
};

/// The parts of this program by the names under which they log; what libraries say matters only as a warning.
const OWN_TARGETS: [&str; 3] = ["sidelight", "agent_protocols", "agent_ebpf"];

/// The names under which OpenTelemetry's crates log. What they say of a failed attempt ("data will be lost") is wrong here,
/// as the agent sends again; it reports export failures itself.
const OPENTELEMETRY_TARGETS: &str = "opentelemetry";

/// Starts the log.
pub fn start(log: Log) {
    let level = level_filter(log.level);
    let filter = Targets::new()
        .with_targets(OWN_TARGETS.map(|target| (target, level)))
        .with_target(OPENTELEMETRY_TARGETS, LevelFilter::OFF)
        .with_default(level.min(LevelFilter::WARN));
    let layer = fmt::layer()
        .with_writer(io::stderr)
        .with_target(level >= LevelFilter::DEBUG)
        .with_ansi(io::stderr().is_terminal());
    let layer = match log.format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .with(export::partial_success_layer())
        .init();
}

fn level_filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}
