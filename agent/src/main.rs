//! sidelight: HTTP and SQL spans and metrics of untouched programs, seen from the kernel.
#![expect(
    unreachable_pub,
    reason = "in a binary, pub says what a module offers to its siblings"
)]

mod attach;
mod capture;
mod cli;
mod commands;
mod config;
mod conventions;
mod correlate;
mod discover;
mod export;
mod inspect;
mod live;
mod logging;
mod memory;
mod metrics;
mod pipeline;
mod routes;
mod span;
mod utc;

use std::process::ExitCode;

use config::Notice;

/// Bad usage: an option, a variable or a configuration file that cannot be understood.
const BAD_USAGE: u8 = 2;

fn main() -> ExitCode {
    let invocation = match cli::parse() {
        Ok(invocation) => invocation,
        Err(error) => return fail(&error.into(), ExitCode::from(BAD_USAGE)),
    };
    logging::start(invocation.settings.log);
    for notice in &invocation.notices {
        match notice {
            Notice::Told(line) => tracing::info!("{line}"),
            Notice::Warning(line) => tracing::warn!("{line}"),
        }
    }
    commands::execute(invocation.command, invocation.settings)
        .unwrap_or_else(|error| fail(&error, ExitCode::FAILURE))
}

/// Says in one line what, why and what to do.
#[expect(clippy::print_stderr, reason = "an error is shown whatever the log is set to")]
fn fail(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    eprintln!("sidelight: {error:#}");
    code
}
