//! `sidelight attach`: the daemon for running processes and their children.

use std::process::ExitCode;

use super::run;
use crate::config::Settings;

/// Watches the named processes; [`crate::cli`] has already made them the selection and the tree the default output.
pub fn execute(settings: Settings) -> anyhow::Result<ExitCode> {
    run::execute(settings)
}
