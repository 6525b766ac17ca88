//! EXPORT: finished spans leave over OTLP.
//!
//! A span waits in a bounded queue, is put together with others of its process (one OTLP resource a process), and is
//! sent by opentelemetry-otlp. While the collector is away spans are kept up to the bound and sent again.

mod attempts;
mod batch;
mod budget;
mod delivery;
mod encode;
mod error;
mod health;
pub mod metrics;
mod partial;
pub mod prometheus;
pub mod resource;
mod statistics;
#[cfg(test)]
mod tests;
mod tls;
mod transport;
mod worker;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    config::{Batch, Otlp},
    span::Span,
};

pub use error::Error;
pub use partial::layer as partial_success_layer;
pub use statistics::Statistics;

use self::{budget::Budget, delivery::Backoff, health::Health, statistics::Counters, transport::Transport};

/// Sends spans over OTLP without ever making its caller wait.
#[derive(Debug)]
pub struct Exporters {
    queue: mpsc::UnboundedSender<Queued>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    worker: JoinHandle<()>,
}

/// A span and the room it holds in the queue until it is sent or given up.
#[derive(Debug)]
struct Queued {
    span: Span,
    bytes: usize,
}

/// What the callers, the worker and the deliveries share.
#[derive(Debug)]
struct Shared {
    transport: Transport,
    budget: Budget,
    counters: Counters,
    health: Health,
    batch: Batch,
    backoff: Backoff,
}

impl Exporters {
    /// Starts the sending task; must be called inside a tokio runtime. Nothing is sent before the first span.
    pub fn start(otlp: &Otlp, batch: Batch) -> Result<Self, Error> {
        Self::start_with(otlp, batch, Backoff::default())
    }

    fn start_with(otlp: &Otlp, batch: Batch, backoff: Backoff) -> Result<Self, Error> {
        let (queue, spans) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            transport: Transport::new(otlp)?,
            budget: Budget::new(batch.queue_size),
            counters: Counters::default(),
            health: Health::new(&otlp.endpoint, batch.queue_size),
            batch,
            backoff,
        });
        let worker = tokio::spawn(worker::run(Arc::clone(&shared), spans, stopped));
        Ok(Self {
            queue,
            shared,
            stop,
            worker,
        })
    }

    /// Takes a span, or drops and counts it when the queue is full. Never waits.
    pub fn submit(&self, span: Span) {
        let bytes = budget::size_of(&span);
        if !self.shared.budget.take(bytes) {
            self.shared.counters.dropped(1);
        } else if self.queue.send(Queued { span, bytes }).is_err() {
            self.shared.budget.give_back(1, bytes);
            self.shared.counters.dropped(1);
        }
    }

    /// Spans that wait or are on their way.
    pub fn waiting(&self) -> usize {
        self.shared.budget.spans()
    }

    /// What was sent and lost so far.
    pub fn statistics(&self) -> Statistics {
        self.shared.counters.read()
    }

    /// Sends what is left, for at most `deadline`, and not even that long when the collector is known to be away. What
    /// could not be sent is counted as failed and said.
    pub async fn shutdown(self, deadline: Duration) -> Statistics {
        let Self {
            queue,
            shared,
            stop,
            mut worker,
        } = self;
        drop(queue);
        stop.send_replace(true);
        if tokio::time::timeout(deadline, &mut worker).await.is_err() {
            worker.abort();
            let _ = worker.await;
        }
        let left = shared.budget.spans();
        if left > 0 {
            shared.counters.failed(left as u64);
            shared.health.left_behind(left);
        }
        shared.counters.read()
    }
}
