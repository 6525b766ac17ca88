//! The client's side: libraries that people use.

use anyhow::{Context as _, Result, ensure};

use crate::{
    expect,
    harness::{
        agent::Agent,
        apps::{self, Sockets},
        lab::Lab,
        span::Span,
    },
};

pub(super) fn client_libraries(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("libraries")?)?;
    let port = sockets.port("recv")?;
    for library in ["http.client", "requests", "httpx", "httpx-async", "aiohttp"] {
        let mut client = apps::told("clients.py", &[library])?;
        let agent = Agent::attach(&[client.pid()])?;
        let mut wanted = Vec::new();
        for (method, target) in [
            ("GET", "/sendall/3000/a"),
            ("GET", "/chunked/3/b"),
            ("HEAD", "/sendall/10/c"),
            ("DELETE", "/status/404/d"),
            ("GET", "/status/500/e"),
            ("GET", "/sendall/3/f?token=secret"),
        ] {
            let status = client.ask(&format!("{method} http://127.0.0.1:{port}{target}"))?;
            wanted.push((
                method.to_owned(),
                target.split('?').next().unwrap_or(target).to_owned(),
                status.parse().ok(),
            ));
        }
        sent(agent, port, &wanted).with_context(|| library.to_owned())?;
    }
    Ok(())
}

/// Demands exactly one CLIENT span for each request, with the conventions' attributes.
fn sent(agent: Agent, port: u16, wanted: &[(String, String, Option<i64>)]) -> Result<()> {
    agent.wait_for("HTTP client spans", wanted.len(), Span::is_sent)?;
    let report = agent.stop()?;
    let base = format!("http://127.0.0.1:{port}");
    let spans = report.only(Span::is_sent);
    for span in &spans {
        ensure!(
            span.text("server.address") == "127.0.0.1",
            "server.address: {span:?}"
        );
        ensure!(
            span.number("server.port") == Some(i64::from(port)),
            "server.port: {span:?}"
        );
        ensure!(
            !span.text("url.full").contains("secret"),
            "a query value is shown: {span:?}"
        );
        let wanted = if span.http_status() >= Some(400) {
            "ERROR"
        } else {
            "UNSET"
        };
        ensure!(
            span.status.code == wanted,
            "a client span's status for its HTTP status: {span:?}"
        );
    }
    let found = spans.into_iter().map(|span| {
        let path = span
            .text("url.full")
            .strip_prefix(&base)
            .unwrap_or_default()
            .split('?')
            .next()
            .unwrap_or_default();
        (span.method().to_owned(), path.to_owned(), span.http_status())
    });
    expect::each_once("HTTP client spans", found, wanted)
}
