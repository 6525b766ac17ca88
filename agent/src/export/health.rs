//! Whether the collector takes spans, said once when it changes.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Whether the collector takes spans.
#[derive(Debug)]
pub(super) struct Health {
    endpoint: String,
    kept: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    down: bool,
    /// A refusal was said since the collector last took something.
    refused: bool,
    taken: Option<Instant>,
}

impl Health {
    /// Health of the collector at `endpoint`, for which up to `kept` spans wait.
    pub(super) fn new(endpoint: &str, kept: usize) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            kept,
            state: Mutex::default(),
        }
    }

    /// The collector took a request.
    pub(super) fn up(&self) {
        let was_down = self.change(|state| {
            state.taken = Some(Instant::now());
            state.refused = false;
            std::mem::take(&mut state.down)
        });
        if was_down {
            tracing::info!("the OTLP collector at {} takes spans again", self.endpoint);
        }
    }

    /// A request that set out at `since` could not be delivered yet. True when that was no news.
    pub(super) fn down(&self, since: Instant, reason: &str) -> bool {
        // One request may fail while others pass: that is no outage.
        let (known, first) = self.change(|state| {
            let others_pass = state.taken.is_some_and(|taken| taken > since);
            let known = state.down;
            state.down |= !others_pass;
            (known, state.down && !known)
        });
        if first {
            tracing::warn!(
                "cannot send spans to the OTLP collector at {}: {reason}; up to {} spans are kept and sent again; \
                 start the collector or correct --otlp-endpoint and --otlp-protocol",
                self.endpoint,
                self.kept,
            );
        }
        known
    }

    /// Whether the collector took a request since then.
    pub(super) fn took_since(&self, since: Instant) -> bool {
        self.change(|state| state.taken.is_some_and(|taken| taken > since))
    }

    /// The collector answered that it will never take these spans.
    pub(super) fn refused(&self, spans: u64, reason: &str) {
        if self.change(|state| !std::mem::replace(&mut state.refused, true)) {
            tracing::warn!(
                "the OTLP collector at {} refused {spans} spans: {reason}; they are lost, and so are further ones that \
                 it refuses (counted); check OTEL_EXPORTER_OTLP_HEADERS, the endpoint and the protocol",
                self.endpoint,
            );
        }
    }

    /// The agent ends and leaves these spans behind.
    pub(super) fn left_behind(&self, spans: usize) {
        tracing::warn!(
            "{spans} spans were not sent: the OTLP collector at {} did not take them before the agent ended",
            self.endpoint,
        );
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
