//! `cargo xtask ci`: what has to pass before a change lands.

use std::process::ExitCode;

use anyhow::Result;

use super::{lint, test};
use crate::progress::Progress;
use crate::workspace::Workspace;

/// Lints, then tests; the counts of the tests are the last line either way.
pub(crate) fn run(workspace: &Workspace, progress: &Progress) -> Result<ExitCode> {
    let linted = lint::run(workspace, progress);
    if let Err(error) = &linted {
        progress.say(format!("error: {error:#}"));
    }
    let tested = test::run(
        workspace,
        progress,
        &test::Request {
            filter: None,
            soak: false,
        },
    )?;
    Ok(if linted.is_ok() { tested } else { ExitCode::FAILURE })
}
