//! When to stop.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// A future that is done at the first SIGINT or SIGTERM.
///
/// Both are taken over at once, so none is lost before the future is first polled.
///
/// # Errors
///
/// Fails when the signal handlers cannot be set.
pub fn requested() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
