//! The same across versions of the runtimes, with programs that need nothing but a runtime: a row each.

mod cpython;
mod go;

use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use super::{
    Phases, Sent, ask_in, is_long,
    runtimes::leaf,
    table::{self, Table},
    ways::Way,
};
use crate::{
    Case,
    harness::{agent::Agent, apps::Server, lab::Lab},
};

/// Lines of the table of all versions.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The short form has the oldest, the newest and the most usual ones.
pub(super) fn cases() -> impl Iterator<Item = Case> {
    let mut cases = cpython::short();
    cases.extend(go::short());
    if is_long() {
        cases.extend(cpython::long());
        cases.extend(go::long());
    }
    cases.into_iter()
}

fn phases() -> Phases {
    if is_long() {
        [(1, 200), (16, 2_000), (64, 1_300)]
    } else {
        [(1, 16), (16, 96), (64, 64)]
    }
}

/// `start` gets the leaf's address.
fn check(
    lab: &Lab,
    title: &str,
    ways: &'static [Way],
    start: impl FnOnce(&str) -> Result<Server>,
) -> Result<()> {
    let leaf = leaf(lab)?;
    let server = start(&leaf.url()?)?;
    let agent = Agent::attach(&[server.pid(), leaf.pid()])?;
    let sent = ask_in(phases(), ways, &server.address)?;
    let report = agent.settled(sent.spans())?;
    let table = sent.table(&report)?;
    remember(title, &sent, &table);
    let text = format!(
        "{}\n{}\n{}\n",
        table.text(title),
        report.stats.line(),
        report.stderr
    );
    table.judge(&text, report.stats.lost())
}

fn remember(title: &str, sent: &Sent, table: &Table) {
    let ways: Vec<&str> = sent.ways.iter().map(|way| way.name).collect();
    let [right, absent, unproved, wrong] = table.sums();
    let line = format!(
        "| {title} | {} | {} | {right} | {absent} | {unproved} | {wrong} |\n",
        ways.join(", "),
        sent.sum(|_| 1),
    );
    LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

/// Writes the table of all versions that were tested.
pub(crate) fn publish() -> Result<()> {
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.is_empty() {
        return Ok(());
    }
    lines.sort();
    table::publish(&format!(
        "\n## Versions\n\n| runtime | ways | requests | right | absent | absent where nothing proves it | wrong |\n\
         |---|---|--:|--:|--:|--:|--:|\n{}",
        lines.concat()
    ))
}
