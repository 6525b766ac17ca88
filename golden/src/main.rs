//! A scenario whose spans are the same on every kernel and with every tier.
//!
//! `golden scenario AGENT TIER` starts a server and a client, attaches the agent to both, lets the client make its calls, and
//! prints the spans without times, ids and ports, sorted. Nothing but the kernel, these two programs and `/proc` is needed.
//!
//! `golden refuse NAMES AGENT ARGUMENTS…` runs the agent on a kernel that refuses to load programs of these names. `golden cost AGENT`
//! measures what a call costs with each tier.

mod child;
mod client;
mod cost;
mod normal;
mod refuse;
mod scenario;
mod server;
mod ways;

use std::{env, process::ExitCode};

use anyhow::{Context as _, Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            child::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["scenario", agent, tier] => scenario::run(agent, tier),
        ["refuse", names, program, arguments @ ..] => refuse::run(names, program, arguments),
        ["answer", asked, names] => refuse::answer(asked, names),
        ["cost", agent] => cost::run(agent),
        ["loop"] => cost::send_to_itself(),
        ["serve", folder] => server::serve(folder.as_ref()),
        ["call", places @ ..] => client::call(&client::Places::parse(places).context("a place is wrong")?),
        _ => bail!(
            "usage: golden scenario AGENT TIER, golden refuse NAMES AGENT ARGUMENTS…, or golden cost AGENT"
        ),
    }
}
