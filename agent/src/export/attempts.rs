//! What opentelemetry-otlp does within one round, seen from its transport: it reports neither how often it tried nor why
//! a request over HTTP failed.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::error::OTelSdkError;

use super::error::chain;

/// The attempts of one round.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    made: AtomicU64,
    last_error: Mutex<Option<String>>,
    rejected: Mutex<Option<Rejected>>,
}

/// Spans that the collector left out of a request it took, and what it said of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) spans: u64,
    pub(super) message: String,
}

impl Attempts {
    /// Another attempt begins.
    pub(super) fn begin(&self) {
        self.made.fetch_add(1, Relaxed);
    }

    /// Attempts so far.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Relaxed)
    }

    /// The round's error with all that is known of its reason.
    pub(super) fn explain(&self, error: &OTelSdkError) -> String {
        let outer = match error {
            OTelSdkError::InternalFailure(reason) => reason.clone(),
            other => other.to_string(),
        };
        let last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_deref() {
            Some(reason) => reason.to_owned(),
            // Which of its types failed is opentelemetry-otlp's own business.
            None => outer
                .split_once(" export failed with ")
                .map_or(outer.as_str(), |(_, reason)| reason)
                .to_owned(),
        }
    }

    /// The collector took the request without some of its spans.
    pub(super) fn reject(&self, spans: u64, message: String) {
        *self.rejected.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rejected { spans, message });
    }

    /// What the collector left out.
    pub(super) fn rejected(&self) -> Option<Rejected> {
        self.rejected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn end(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// An HTTP client whose attempts are counted and whose errors are kept.
#[derive(Debug)]
pub(super) struct Observed {
    client: Arc<dyn HttpClient>,
    attempts: Arc<Attempts>,
}

impl Observed {
    pub(super) fn new(client: &Arc<dyn HttpClient>, attempts: &Arc<Attempts>) -> Self {
        Self {
            client: Arc::clone(client),
            attempts: Arc::clone(attempts),
        }
    }
}

#[async_trait]
impl HttpClient for Observed {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.attempts.begin();
        let outcome = self.client.send_bytes(request).await;
        self.attempts
            .end(outcome.as_ref().err().map(|error| chain(error.as_ref())));
        outcome
    }
}
