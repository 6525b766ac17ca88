//! Children of watched processes are watched from their first byte.

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case, expect,
    harness::{
        agent::Agent,
        apps::{self, Sockets},
        lab::{Lab, Need},
        span::Span,
    },
};

const NEEDS: &[Need] = &[Need::Root, Need::Python];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("children::forked_without_exec", NEEDS, |lab| {
            children(lab, "fork")
        }),
        Case::new(
            "children::forked_and_executed_for_some_milliseconds",
            NEEDS,
            |lab| children(lab, "exec"),
        ),
        Case::new("children::grandchildren", NEEDS, |lab| {
            children(lab, "grandchild")
        }),
        Case::new("children::threads_are_the_process_itself", NEEDS, |lab| {
            children(lab, "thread")
        }),
    ]
}

/// Ten children, one request each: each request is one CLIENT span of the process that the child itself named.
fn children(lab: &Lab, how: &str) -> Result<()> {
    let sockets = Sockets::start(&lab.folder(&format!("children-{how}"))?)?;
    let port = sockets.port("recv")?.to_string();
    let mut parent = apps::told("family.py", &["127.0.0.1", &port])?;
    let agent = Agent::attach(&[parent.pid()])?;
    let mut wanted = Vec::new();
    for number in 0..10 {
        let path = format!("/sendall/9/{how}-{number}");
        let answer = parent.ask(&format!("{how} {path}"))?;
        let (pid, status) = answer.split_once(' ').context("no answer")?;
        ensure!(status == "200", "{how}: {answer}");
        let pid: u32 = pid.parse()?;
        ensure!(
            (pid == parent.pid()) == (how == "thread"),
            "{how}: the request was sent by {pid}"
        );
        wanted.push((pid, path));
    }
    agent.wait_for("client spans of children", wanted.len(), Span::is_sent)?;
    let report = agent.stop()?;
    let found = report.only(Span::is_sent).into_iter().map(|span| {
        let full = span.text("url.full");
        let path = full
            .find("/sendall")
            .map(|at| full[at..].to_owned())
            .unwrap_or_default();
        (span.pid().unwrap_or_default(), path)
    });
    expect::each_once("client spans of children", found, &wanted)
}
