//! What each command does.

mod attach;
mod check;
mod ps;
mod run;
mod shutdown;
mod table;

use std::process::ExitCode;

use crate::{cli::Command, config::Settings};

/// Does what the command line asks for.
///
/// # Errors
///
/// Returns what kept the command from doing its job.
pub fn execute(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    match command {
        Command::Print(text) => {
            table::print(|out| out.write_all(text.as_bytes()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run => run::execute(settings),
        Command::Attach => attach::execute(settings),
        Command::Ps(listing) => ps::execute(listing, &settings),
        Command::Check(listing) => check::execute(listing, &settings),
        Command::CheckPrograms(listing) => check::execute_programs(listing, &settings),
    }
}
