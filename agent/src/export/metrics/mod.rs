//! Metrics leave over OTLP, every so often.
//!
//! What is counted from the beginning needs no queue: while the collector is away, the next attempt says what then holds. What is
//! counted from one export to the next is put into requests once, which are sent as they are until the collector has taken or
//! refused them; meanwhile the capture thread goes on counting, and the next requests begin where these ended. So an attempt
//! whose outcome is not known is repeated with the same times, as the protocol has it, and nothing is counted in two intervals.

mod encode;
mod points;
mod requests;
mod send;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use tokio::{sync::watch, task::JoinHandle};

use super::{delivery::Backoff, error::Error};
use crate::{
    config::{Otlp, Periodic, Temporality},
    metrics::{Asker, Settled, Snapshot},
};
use points::{Baseline, From};
use send::{Outcome, Sender};

/// How long an attempt that is under way may still take once the agent is to end.
const LAST_ATTEMPT: Duration = Duration::from_secs(1);
/// The longest pause once the agent is to end: there is little time left.
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// Sends metrics; it ends with this.
#[derive(Debug)]
pub struct MetricsExporter {
    task: JoinHandle<Worker>,
    stop: watch::Sender<bool>,
    counters: Arc<Counters>,
}

/// What became of the points, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricsStatistics {
    /// Points that the collector took.
    pub points: u64,
    /// Points that it refused, or that were left when the agent stopped.
    pub failed: u64,
    /// Attempts that failed and were made again.
    pub retries: u64,
}

/// [`MetricsStatistics`] at any time.
#[derive(Clone, Debug)]
pub struct MetricsCounts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    points: AtomicU64,
    failed: AtomicU64,
    retries: AtomicU64,
}

#[derive(Debug)]
struct Worker {
    sender: Sender,
    asker: Asker,
    settled: Settled,
    periodic: Periodic,
    with_agent: bool,
    backoff: Backoff,
    counters: Arc<Counters>,
    baseline: Baseline,
    /// Requests that the collector has not taken or refused yet.
    left: VecDeque<ExportMetricsServiceRequest>,
    /// Attempts in a row that failed.
    failures: u32,
    /// The agent is to end.
    ending: bool,
    /// A refusal was said since the collector last took something.
    refused: bool,
}

impl MetricsExporter {
    /// Starts the sending task; must be called inside a tokio runtime. `settled` learns which moments need not be remembered.
    ///
    /// # Errors
    /// [`Error`] with settings with which nothing could ever be sent.
    pub fn start(
        otlp: &Otlp,
        periodic: Periodic,
        with_agent: bool,
        asker: Asker,
        settled: Settled,
    ) -> Result<Self, Error> {
        Self::start_with(otlp, periodic, with_agent, asker, settled, Backoff::default())
    }

    fn start_with(
        otlp: &Otlp,
        periodic: Periodic,
        with_agent: bool,
        asker: Asker,
        settled: Settled,
        backoff: Backoff,
    ) -> Result<Self, Error> {
        let counters = Arc::<Counters>::default();
        let worker = Worker {
            sender: Sender::new(otlp, periodic.timeout)?,
            asker,
            settled,
            periodic,
            with_agent,
            backoff,
            counters: Arc::clone(&counters),
            baseline: Baseline::default(),
            left: VecDeque::new(),
            failures: 0,
            ending: false,
            refused: false,
        };
        let (stop, stopped) = watch::channel(false);
        Ok(Self {
            task: tokio::spawn(worker.run(stopped)),
            stop,
            counters,
        })
    }

    /// What was sent and lost, at any time.
    pub fn counts(&self) -> MetricsCounts {
        MetricsCounts(Arc::clone(&self.counters))
    }

    /// Sends what the last snapshot says, for at most `deadline`.
    pub async fn shutdown(self, last: Option<Snapshot>, deadline: Duration) -> MetricsStatistics {
        let Self {
            mut task,
            stop,
            counters,
        } = self;
        let until = tokio::time::Instant::now() + deadline;
        stop.send_replace(true);
        match tokio::time::timeout_at(until, &mut task).await {
            Ok(Ok(mut worker)) => worker.finish(last, until).await,
            Ok(Err(_)) => {}
            Err(_) => task.abort(),
        }
        counters.read()
    }
}

impl Worker {
    /// Sends every so often, until it is told to stop.
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Self {
        let mut due = Instant::now() + self.periodic.interval;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return self,
            }
            let began = Instant::now();
            let pause = tokio::select! {
                pause = self.export() => pause,
                // An attempt whose outcome is not known is made again, and may count twice: better to wait for it.
                () = stopped_for(&mut stopped, LAST_ATTEMPT) => return self,
            };
            due = match pause {
                Some(pause) => Instant::now() + pause,
                None => began + self.periodic.interval,
            };
        }
    }

    /// One export. The pause after which it is to be tried again, if that is worth it.
    async fn export(&mut self) -> Option<Duration> {
        if self.left.is_empty() {
            let Some(snapshot) = self.asker.snapshot().await else {
                tracing::debug!("the capture thread gave no metrics in time");
                return None;
            };
            self.fill(snapshot);
        }
        let pause = self.send_left().await;
        match pause {
            // What failed is outdated by then.
            Some(_) if self.periodic.temporality == Temporality::Cumulative => self.left.clear(),
            Some(_) => {}
            None => self.failures = 0,
        }
        pause
    }

    /// Sends what is left, and then what the last snapshot says.
    async fn finish(&mut self, last: Option<Snapshot>, until: tokio::time::Instant) {
        if self.periodic.temporality == Temporality::Cumulative {
            self.left.clear();
        }
        self.ending = true;
        let sending = async {
            if let Some(last) = last {
                self.fill(last);
            }
            self.send_last().await;
        };
        // Whether that was enough is seen by what is left.
        let _ = tokio::time::timeout_at(until, sending).await;
        let left: u64 = self.left.iter().map(requests::points).sum();
        if left > 0 {
            self.counters.failed.fetch_add(left, Relaxed);
            tracing::warn!(
                "{left} points of metrics were not sent: the OTLP collector at {} did not take them before the agent ended",
                self.sender.endpoint()
            );
        }
    }

    async fn send_last(&mut self) {
        let was_away = self.failures > 0;
        while self.send_left().await.is_some() {
            // It is known to be away: there is no use in waiting for it.
            if was_away || self.failures > 3 {
                return;
            }
            tokio::time::sleep(LAST_PAUSE).await;
        }
    }

    /// Makes requests of a snapshot.
    fn fill(&mut self, snapshot: Snapshot) {
        let from = From::new(self.periodic.temporality, &self.baseline);
        self.left
            .extend(encode::requests(&snapshot, from, self.with_agent));
        self.settled.until(snapshot.at);
        self.baseline = Baseline::of(snapshot);
    }

    /// Sends what is left. The pause after which that is to be tried again, if the collector may take it then.
    async fn send_left(&mut self) -> Option<Duration> {
        while let Some(request) = self.left.front() {
            let points = requests::points(request);
            match self.sender.send(request).await {
                Outcome::Taken { rejected, message } => self.taken(points, rejected.min(points), &message),
                Outcome::Refused(reason) => self.lost(points, &reason),
                Outcome::NotYet { reason, after } => return Some(self.failed(&reason, after)),
            }
            self.left.pop_front();
        }
        None
    }

    fn taken(&mut self, points: u64, rejected: u64, message: &str) {
        if mem::take(&mut self.failures) > 0 {
            tracing::info!(
                "the OTLP collector at {} takes metrics again",
                self.sender.endpoint()
            );
        }
        self.counters.points.fetch_add(points - rejected, Relaxed);
        if rejected > 0 {
            self.lost(rejected, message);
        } else {
            self.refused = false;
        }
    }

    fn lost(&mut self, points: u64, reason: &str) {
        self.counters.failed.fetch_add(points, Relaxed);
        if !mem::replace(&mut self.refused, true) {
            tracing::warn!(
                "the OTLP collector at {} refused {points} points of metrics: {reason}; further ones that it refuses are \
                 counted; set OTEL_METRICS_EXPORTER=none if it takes none, else check the endpoint, the protocol and \
                 OTEL_EXPORTER_OTLP_HEADERS",
                self.sender.endpoint()
            );
        }
    }

    fn failed(&mut self, reason: &str, after: Option<Duration>) -> Duration {
        // At the end it is said what is left.
        if self.failures == 0 && !self.ending {
            tracing::warn!(
                "cannot send metrics to the OTLP collector at {}: {reason}; counting goes on, and it is tried again; start \
                 the collector, correct --otlp-endpoint and --otlp-protocol, or set OTEL_METRICS_EXPORTER=none",
                self.sender.endpoint()
            );
        }
        let pause = self.backoff.pause(self.failures);
        self.failures += 1;
        self.counters.retries.fetch_add(1, Relaxed);
        after.map_or(pause, |after| after.max(pause))
    }
}

impl MetricsCounts {
    /// What was sent and lost so far.
    pub fn read(&self) -> MetricsStatistics {
        self.0.read()
    }
}

impl MetricsStatistics {
    /// All counts by name.
    pub fn pairs(self) -> [(&'static str, u64); 3] {
        let Self {
            points,
            failed,
            retries,
        } = self;
        [
            ("metric_points", points),
            ("metric_points_failed", failed),
            ("metric_retries", retries),
        ]
    }
}

/// Waits until the agent is to end, and then for this long.
async fn stopped_for(stopped: &mut watch::Receiver<bool>, grace: Duration) {
    // Whoever could say so is gone: that is the end, too.
    drop(stopped.wait_for(|stopped| *stopped).await);
    tokio::time::sleep(grace).await;
}

impl Counters {
    fn read(&self) -> MetricsStatistics {
        MetricsStatistics {
            points: self.points.load(Relaxed),
            failed: self.failed.load(Relaxed),
            retries: self.retries.load(Relaxed),
        }
    }
}
