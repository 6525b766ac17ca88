//! One request on its way: sent again for as long as the collector may still take it.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    trace::{SpanData, SpanExporter as _},
};
use tokio::sync::watch;

use super::{
    Shared,
    attempts::{Attempts, Rejected},
    batch::Gathered,
    encode, partial, resource,
};

/// Pauses between the rounds of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// The first pause; each next one is twice as long.
    pub(super) first: Duration,
    /// The longest pause.
    pub(super) most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// The pause after round number `round` (from 0): between a half and the whole of its step, so that agents that lost
    /// the same collector do not come back together.
    pub(super) fn pause(self, round: u32) -> Duration {
        let step = self.first.saturating_mul(1 << round.min(16)).min(self.most);
        let half = step / 2;
        let random = RandomState::new().hash_one(round);
        half + Duration::from_nanos(random.checked_rem(half.as_nanos() as u64).unwrap_or_default())
    }
}

/// Rounds after which a request is given up if the collector takes others meanwhile: then it is the request's fault.
const MOST_ROUNDS: u32 = 10;

/// The longest pause once the agent is to end: there is little time left.
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// How a round ended.
#[derive(Debug)]
enum Outcome {
    /// The collector took the request, maybe without some of its spans.
    Taken(Option<Rejected>),
    /// It will never take it.
    Refused(String),
    /// It may take it later.
    NotYet(String),
}

/// Sends one request until the collector has taken or refused it, or the agent ends while the collector is away.
pub(super) async fn deliver(shared: Arc<Shared>, gathered: Gathered, stopped: watch::Receiver<bool>) {
    let started = Instant::now();
    let spans = gathered.spans.len() as u64;
    let resource = resource::otlp(&gathered.process);
    let data: Vec<SpanData> = gathered.spans.into_iter().map(encode::span_data).collect();
    for number in 0.. {
        let began = Instant::now();
        match round(&shared, &resource, data.clone(), number > 0).await {
            Outcome::Taken(rejected) => {
                shared.health.up();
                let lost = rejected.as_ref().map_or(0, |rejected| rejected.spans.min(spans));
                shared.counters.exported(spans - lost);
                if let Some(rejected) = rejected {
                    lose(&shared, lost, &rejected.message);
                }
                break;
            }
            Outcome::Refused(reason) => {
                lose(&shared, spans, &reason);
                break;
            }
            Outcome::NotYet(reason) if number >= MOST_ROUNDS && shared.health.took_since(started) => {
                lose(&shared, spans, &reason);
                break;
            }
            Outcome::NotYet(reason) => {
                let known = shared.health.down(started, &reason);
                if known && *stopped.borrow() {
                    // The spans keep their room, by which the end knows how many are left.
                    return;
                }
            }
        }
        // A collector that asked for a pause got it within the round; it shall not be pressed harder between rounds.
        let pause = shared.backoff.pause(number).max(began.elapsed());
        rest(pause, stopped.clone()).await;
    }
    shared.budget.give_back(spans as usize, gathered.bytes);
}

fn lose(shared: &Shared, spans: u64, reason: &str) {
    shared.counters.failed(spans);
    shared.health.refused(spans, reason);
}

/// One round: an attempt, and the repetition that opentelemetry-otlp makes of it if the answer allows one.
async fn round(shared: &Shared, resource: &Resource, data: Vec<SpanData>, again: bool) -> Outcome {
    let attempts = Arc::new(Attempts::default());
    let exporter = match shared.transport.exporter(resource, &attempts) {
        Ok(exporter) => exporter,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let limit = shared.batch.export_timeout;
    let result = tokio::time::timeout(limit, partial::observe(&attempts, exporter.export(data))).await;
    let made = attempts.made();
    shared
        .counters
        .retries(if again { made } else { made.saturating_sub(1) });
    match result {
        Ok(Ok(())) => Outcome::Taken(attempts.rejected()),
        // What may be repeated was repeated, so a round that ended at its first attempt met a final answer.
        Ok(Err(error)) if made > 1 || broke_off(&error) => Outcome::NotYet(attempts.explain(&error)),
        Ok(Err(error)) => Outcome::Refused(attempts.explain(&error)),
        Err(_) => Outcome::NotYet(format!("no answer within {limit:?}")),
    }
}

/// Whether a connection of gRPC broke off in mid-request: what was sent may have arrived or not. tonic gives that the code `Unknown`,
/// with its reason as the source (0.14, `Status::from_error`), which a collector's own word does not have; opentelemetry-otlp writes
/// both into its error (0.33, src/exporter/tonic/mod.rs, `handle_tonic_export_error`).
fn broke_off(error: &OTelSdkError) -> bool {
    matches!(error, OTelSdkError::InternalFailure(reason) if reason.contains("gRPC code: Unknown: "))
}

/// Waits for `pause`, but at the end of the agent no longer than [`LAST_PAUSE`].
async fn rest(pause: Duration, mut stopped: watch::Receiver<bool>) {
    let shortened = async {
        drop(stopped.wait_for(|stopped| *stopped).await);
        tokio::time::sleep(LAST_PAUSE).await;
    };
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = shortened => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_broke_off_is_no_refusal() {
        let failed = |code: &str| {
            OTelSdkError::InternalFailure(format!("TonicTracesClient export failed with gRPC code: {code}"))
        };
        assert!(broke_off(&failed("Unknown: transport error")));
        assert!(!broke_off(&failed("Unknown")));
        assert!(!broke_off(&failed("InvalidArgument")));
    }

    #[test]
    fn pauses_grow_to_their_bound_and_differ() {
        let backoff = Backoff::default();
        for (round, step) in [(0, 1), (1, 2), (4, 16), (5, 30), (60, 30)] {
            let step = Duration::from_secs(step);
            let pauses: Vec<_> = (0..20).map(|_| backoff.pause(round)).collect();
            assert!(
                pauses.iter().all(|pause| (step / 2..=step).contains(pause)),
                "{pauses:?}"
            );
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{pauses:?}");
        }
    }
}
