//! `sidelight run`: the daemon.

use std::process::ExitCode;

use anyhow::Context as _;

use super::shutdown;
use crate::{config::Settings, pipeline};

/// Watches what the settings select, now and in future, until it is told to stop.
pub fn execute(settings: Settings) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the worker threads did not start")?;
    runtime.block_on(async {
        let shutdown = shutdown::requested()?;
        pipeline::run(settings, shutdown).await
    })?;
    Ok(ExitCode::SUCCESS)
}
