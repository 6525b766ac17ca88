//! Where Prometheus scrapes: `/metrics`, `/healthz` and `/readyz`.
//!
//! The capture thread has the metrics, and nothing else touches them: a scrape asks it for a snapshot, which it gives
//! between two batches, and writes the page itself.

mod accept;
mod lines;
mod messages;
mod own;
mod page;
mod protobuf;
mod server;
#[cfg(test)]
mod tests;
mod text;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::metrics::Asker;

/// Why nothing can be scraped.
#[derive(Debug, Error)]
pub enum PrometheusError {
    /// The address is taken, or not this host's.
    #[error("cannot listen on {address} for Prometheus: {source}; choose another address with --prometheus")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// The endpoint; it ends with this.
#[derive(Debug)]
pub struct Prometheus {
    task: JoinHandle<()>,
    ready: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Prometheus {
    /// Listens on `address` and asks for snapshots when it is scraped; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`PrometheusError`] when that cannot be done.
    pub async fn start(address: SocketAddr, asker: Asker) -> Result<Self, PrometheusError> {
        let refused = |source| PrometheusError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let ready = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(server::serve(listener, asker, Arc::clone(&ready)));
        Ok(Self { task, ready, address })
    }

    /// Everything is attached.
    pub fn ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.task.abort();
    }
}
