//! The map of the program: every stage and every bounded channel between them.
//!
//! ```text
//! kernel ──ring buffer──▶ Reader ─▶ Order ─▶ Connections ─▶ Correlator ─▶ Sinks ──queue──▶ Exporters ─▶ OTLP
//!                            └────▶ Programs                       │        └────channel─▶ Printer ──▶ stdout
//!                                                         Metrics ◀┘ ◀──asks── Shown ─▶ OTLP, Prometheus
//! ```
//!
//! Everything up to the sinks runs on one thread, in batches: there is nothing to lock. What needs nothing but events
//! and the present is [`flow`], which a recorded run goes through as well. Bounded are the ring buffer (the kernel side
//! counts its drops), what waits in Order, the exporters' queue and the channel to stdout (both count what they drop).

mod emit;
mod flow;
#[cfg(test)]
mod replay;
mod shown;
mod sinks;
mod spans;
mod stages;
mod statistics;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::{
    attach::{self, Choice, KernelSettings},
    config::{Level, Selector, Settings, Tier},
    inspect, memory,
    metrics::Snapshot,
};
use shown::Shown;
use sinks::Sinks;
use stages::Stages;

/// How long the last spans may take to leave at the end.
const FLUSH: Duration = Duration::from_secs(5);
/// How long the capture thread waits for the kernel side before it looks by itself: the longest that an event waits
/// on a quiet host, and the time in which a busy host gathers a batch.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Runs all stages until `shutdown` is done or the set duration is over.
///
/// # Errors
/// When the kernel side cannot be loaded or attached, or what was selected does not exist.
pub async fn run(
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    inspect::tracefs()?;
    let mut shown = Shown::start(&settings).await?;
    let sinks = Arc::new(Sinks::start(&settings, shown.counts())?);
    let (kernel, refused) = attach::start(&kernel_settings(&settings), choice(settings.tier))?;
    let tier = kernel.hooks.tier().name();
    let mut stages = Stages::new(&settings, kernel, Arc::clone(&sinks), shown.asked.take())?;
    stages.watch_selected()?;
    if !refused.is_empty() {
        tracing::info!(
            "tier {tier} is used instead of a cheaper one: {}",
            attach::list_refusals(&refused)
        );
    }
    if let Some(prometheus) = &shown.prometheus {
        prometheus.ready();
        tracing::info!("metrics at http://{}/metrics", prometheus.address());
    }
    memory::give_back();
    say(&format!(
        "ready: watching {} process(es), tier {tier}",
        stages.watching()
    ));
    let stop = Arc::new(AtomicBool::new(false));
    let (thread, ended) = start(stages, Arc::clone(&stop))?;
    tokio::select! {
        () = shutdown => {}
        () = after(settings.duration) => {}
        () = sinks.closed() => {}
        _ = ended => {}
    }
    stop.store(true, Ordering::Relaxed);
    let (statistics, last) = thread
        .join()
        .map_err(|_| anyhow::anyhow!("the capture thread died; please report it"))??;
    let (mut sent, metrics) = tokio::join!(Sinks::finish(sinks, FLUSH), shown.finish(last, FLUSH));
    sent.metrics = metrics;
    if settings.log.level >= Level::Info {
        say(&format!("stats: {statistics} {sent}"));
    }
    Ok(())
}

fn choice(tier: Tier) -> Choice {
    match tier {
        Tier::Auto => Choice::Cheapest,
        Tier::Fentry => Choice::Only(attach::Tier::Fentry),
        Tier::Kprobe => Choice::Only(attach::Tier::Kprobe),
        Tier::Tracepoint => Choice::Only(attach::Tier::Tracepoint),
    }
}

/// What the kernel side is told, by these settings.
pub fn kernel_settings(settings: &Settings) -> KernelSettings {
    let capture = settings.capture;
    KernelSettings {
        btf: settings.btf.clone().unwrap_or_else(|| attach::KERNEL_BTF.into()),
        request_head_bytes: capture.request_head_bytes,
        response_head_bytes: capture.response_head_bytes,
        tail_bytes: capture.tail_bytes,
        ring_buffer_bytes: capture.ring_buffer_bytes,
        max_connections: capture.max_connections,
        max_processes: capture.max_processes,
        watch_new: selects_new(&settings.select),
        trace: settings.log.level == Level::Trace,
    }
}

/// True if processes that do not run yet, and have no watched parent, can be selected.
fn selects_new(select: &[Selector]) -> bool {
    select.iter().any(Selector::selects_new)
}

/// What the capture thread leaves behind: its counts, and the metrics at its end, if anybody wants them.
type Ended = (statistics::Statistics, Option<Snapshot>);

/// Starts the capture thread; the receiver is done when the thread ends by itself.
fn start(
    mut stages: Stages,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<(thread::JoinHandle<anyhow::Result<Ended>>, oneshot::Receiver<()>)> {
    let (ending, ended) = oneshot::channel();
    let capture = move || {
        // Dropped when the thread ends, in whichever way.
        let _ending: oneshot::Sender<()> = ending;
        while !stop.load(Ordering::Relaxed) {
            stages.turn(LOOK_EVERY)?;
        }
        Ok(stages.finish())
    };
    let thread = thread::Builder::new()
        .name("capture".to_owned())
        .spawn(capture)
        .context("the capture thread did not start")?;
    Ok((thread, ended))
}

async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// A line on stderr that is part of the interface, whatever the log's form and level.
#[expect(clippy::print_stderr, reason = "scripts wait for these lines")]
fn say(line: &str) {
    eprintln!("{line}");
}
