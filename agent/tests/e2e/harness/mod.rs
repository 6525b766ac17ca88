//! What the scenarios stand on: programs that are started and surely ended, the agent, clients, and what they leave behind.

pub(crate) mod agent;
pub(crate) mod apps;
pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod docker;
pub(crate) mod lab;
pub(crate) mod leftovers;
pub(crate) mod load;
pub(crate) mod networks;
pub(crate) mod ports;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod reaper;
pub(crate) mod span;
pub(crate) mod strace;
pub(crate) mod stubs;
pub(crate) mod wire;

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Long enough for anything that works on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Tries until `attempt` gives something; gives up with `what` after [`PATIENCE`].
pub(crate) fn until<T>(what: &str, attempt: impl FnMut() -> Option<T>) -> Result<T> {
    until_within(PATIENCE, what, attempt)
}

/// Tries until `attempt` gives something; gives up with `what` after `patience`.
pub(crate) fn until_within<T>(
    patience: Duration,
    what: &str,
    mut attempt: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = attempt() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {patience:?} in vain: {what}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A figure for whoever runs the tests by hand.
pub(crate) fn note(text: &str) {
    // A closed stderr is no reason to fail a test.
    let _ = writeln!(std::io::stderr(), "\n  note: {text}");
}
