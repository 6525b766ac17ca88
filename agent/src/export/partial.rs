//! Spans that a collector left out of a request it took.
//!
//! opentelemetry-otlp does not hand on the `partial_success` of an answer, it only logs it. The log event is made while
//! the round that it is about is polled, which is how it finds its way to that round.

use std::{fmt, future::Future, sync::Arc};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::Context,
    registry::LookupSpan,
};

use super::attempts::Attempts;

/// The name under which opentelemetry-otlp logs, and how the names of the events in question end.
const TARGET: &str = "opentelemetry-otlp";
const EVENT: &str = ".PartialSuccess";

tokio::task_local! {
    static ROUND: Arc<Attempts>;
}

/// The layer that must be part of the log for partial successes to be counted.
pub fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    PartialSuccess.with_filter(Targets::new().with_target(TARGET, LevelFilter::WARN))
}

/// Polls `round` so that its partial success is entered in its `attempts`.
pub(super) fn observe<F: Future>(attempts: &Arc<Attempts>, round: F) -> impl Future<Output = F::Output> {
    ROUND.scope(Arc::clone(attempts), round)
}

struct PartialSuccess;

impl<S: Subscriber> Layer<S> for PartialSuccess {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().name().ends_with(EVENT) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            // Outside a round there is nothing to count for.
            let _ = ROUND.try_with(|round| round.reject(fields.rejected, fields.message));
        }
    }
}

#[derive(Default)]
struct Fields {
    rejected: u64,
    message: String,
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "rejected_spans" {
            self.rejected = u64::try_from(value).unwrap_or_default();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "error_message" {
            value.clone_into(&mut self.message);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
