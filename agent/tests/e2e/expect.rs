//! What spans must be there: these, each once, and no others.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::harness::{
    agent::{Agent, Report},
    span::Span,
};

/// One HTTP request as a test sent it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The status that came back; nothing when none did.
    pub(crate) status: Option<i64>,
}

impl Request {
    /// A request that was answered.
    pub(crate) fn new(method: &str, path: &str, status: u16) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            status: Some(i64::from(status)),
        }
    }

    /// A request that was not.
    pub(crate) fn unanswered(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            status: None,
        }
    }

    /// A request as a span tells of it.
    pub(crate) fn of(span: &Span) -> Self {
        Self {
            method: span.method().to_owned(),
            path: span.path().to_owned(),
            status: span.http_status(),
        }
    }
}

/// Waits for the SERVER spans, stops the agent, and demands exactly one for each request.
pub(crate) fn served(agent: Agent, requests: &[Request]) -> Result<Report> {
    agent.wait_for("HTTP server spans", requests.len(), Span::is_served)?;
    let report = agent.stop()?;
    each_once(
        "HTTP server spans",
        report.only(Span::is_served).into_iter().map(Request::of),
        requests,
    )?;
    Ok(report)
}

/// Waits for statements, stops the agent, and demands exactly these texts, as often as they are listed.
pub(crate) fn queried(agent: Agent, texts: &[&str]) -> Result<Report> {
    agent.wait_for("SQL spans", texts.len(), Span::is_query)?;
    let report = agent.stop()?;
    let wanted: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    each_once(
        "SQL spans",
        report
            .only(Span::is_query)
            .into_iter()
            .map(|span| span.query().to_owned()),
        &wanted,
    )?;
    Ok(report)
}

/// Compares as multisets; what differs is named.
pub(crate) fn each_once<T: Ord + Clone + std::fmt::Debug>(
    what: &str,
    found: impl Iterator<Item = T>,
    wanted: &[T],
) -> Result<()> {
    let mut balance: BTreeMap<T, i64> = BTreeMap::new();
    for item in wanted {
        *balance.entry(item.clone()).or_default() += 1;
    }
    for item in found {
        *balance.entry(item).or_default() -= 1;
    }
    let missing: Vec<_> = balance.iter().filter(|(_, count)| **count > 0).collect();
    let surplus: Vec<_> = balance.iter().filter(|(_, count)| **count < 0).collect();
    ensure!(
        missing.is_empty() && surplus.is_empty(),
        "{what}: of {} wanted, {} missing: {:?}; {} too many (negative: how often): {:?}",
        wanted.len(),
        missing.len(),
        &missing[..missing.len().min(5)],
        surplus.len(),
        &surplus[..surplus.len().min(5)],
    );
    Ok(())
}
