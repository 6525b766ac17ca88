//! A scenario whose spans are the same on every kernel and with every tier.
//!
//! `golden scenario AGENT TIER` starts a server and a client, attaches the agent to both, lets the client make its calls, and
//! prints the spans without times, ids and ports, sorted. Nothing but the kernel, these two programs and `/proc` is needed.
//!
//! `golden wider AGENT TIER` does the same with what only the tiers of functions see, and says itself whether all spans are there.
//!
//! `golden units AGENT TIER WAYS PROGRAM…` asks a server that serves many requests at once, and counts the parents of its calls.
//!
//! `golden databases AGENT TIER ROOT` has a client of PostgreSQL ask a server, both below ROOT, and says whether all spans are there.
//!
//! `golden refuse NAMES AGENT ARGUMENTS…` runs the agent on a kernel that refuses to load programs of these names. `golden cost AGENT`
//! measures what a call costs with each tier.

mod child;
mod client;
mod cost;
mod databases;
mod normal;
mod refuse;
mod scenario;
mod server;
mod sockmap;
mod units;
mod ways;
mod wider;

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
        ["units", agent, tier, ways, program @ ..] => units::run(agent, tier, ways, program),
        ["databases", agent, tier, root] => databases::run(agent, tier, root),
        ["wider", agent, tier] => scenario::run_wider(agent, tier),
        ["refuse", names, program, arguments @ ..] => refuse::run(names, program, arguments),
        ["answer", asked, names] => refuse::answer(asked, names),
        ["cost", agent] => cost::run(agent),
        ["loop"] => cost::send_to_itself(),
        ["serve", folder] => server::serve(folder.as_ref()),
        ["call", places @ ..] => client::call(&parse(places)?),
        ["call-wider", places @ ..] => client::call_wider(&parse(places)?),
        _ => bail!(
            "usage: golden scenario AGENT TIER, golden wider AGENT TIER, golden databases AGENT TIER ROOT, golden units AGENT TIER WAYS PROGRAM ARGUMENTS…, golden refuse NAMES AGENT ARGUMENTS…, or golden cost AGENT"
        ),
    }
}

fn parse(places: &[&str]) -> Result<client::Places> {
    client::Places::parse(places).context("a place is wrong")
}
