//! The task between the queue and the deliveries.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    Queued, Shared,
    batch::{Gathered, Gathering},
    delivery,
};

/// Requests on their way at the same time: enough to hide the round trip to a far collector.
const IN_FLIGHT: usize = 8;

/// Spans taken from the queue in one go.
const TAKE: usize = 512;

/// Gathers and sends until the queue is closed, then sends the rest.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut queue: mpsc::UnboundedReceiver<Queued>,
    stopped: watch::Receiver<bool>,
) {
    let mut gathering = Gathering::new(shared.batch);
    let mut ready = VecDeque::new();
    let mut flying = JoinSet::new();
    let mut taken = Vec::with_capacity(TAKE);
    let mut open = true;
    while open || !ready.is_empty() || !flying.is_empty() {
        launch(&shared, &mut ready, &mut flying, &stopped);
        tokio::select! {
            count = queue.recv_many(&mut taken, TAKE), if open => {
                open = count > 0;
                let now = Instant::now();
                taken.drain(..).for_each(|queued| gathering.push(queued, now, &mut ready));
                if !open {
                    gathering.rest(&mut ready);
                }
            }
            () = wait(gathering.next_due()), if open => gathering.due(Instant::now(), &mut ready),
            _ = flying.join_next(), if !flying.is_empty() => {}
        }
    }
}

/// Starts what may be under way.
fn launch(
    shared: &Arc<Shared>,
    ready: &mut VecDeque<Gathered>,
    flying: &mut JoinSet<()>,
    stopped: &watch::Receiver<bool>,
) {
    while flying.len() < IN_FLIGHT
        && let Some(gathered) = ready.pop_front()
    {
        flying.spawn(delivery::deliver(Arc::clone(shared), gathered, stopped.clone()));
    }
}

/// Waits until `due`, for ever when there is no such time.
async fn wait(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
