//! Exchanges that end otherwise than with an answer.

use anyhow::{Result, ensure};

use super::watched;
use crate::{
    expect::{self, Request},
    harness::{
        agent::Report,
        client::{Connection, get, request},
        lab::Lab,
        span::Span,
    },
};

pub(super) fn client_gone(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "gone")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    connection.send(&request("GET", "/given-up/0/impatient", b""))?;
    drop(connection);
    let report = expect::served(agent, &[Request::unanswered("GET", "/given-up/0/impatient")])?;
    fails(&report)
}

pub(super) fn server_silent(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "silent")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    connection.send(&request("GET", "/silent/0/ignored", b""))?;
    ensure!(connection.response("GET").is_err(), "the server answered");
    let report = expect::served(agent, &[Request::unanswered("GET", "/silent/0/ignored")])?;
    fails(&report)
}

fn fails(report: &Report) -> Result<()> {
    for span in report.only(Span::is_served) {
        ensure!(
            !span.text("error.type").is_empty(),
            "an unanswered request has no error.type: {span:?}"
        );
        ensure!(
            span.status.code == "ERROR",
            "an unanswered request is no error: {span:?}"
        );
    }
    Ok(())
}

pub(super) fn handed_over(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "handed-over")?;
    let inside = b"GET /sendall/3/inside HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut websocket = Connection::open(&sockets.address("recv")?)?;
    websocket.send(
        b"GET /upgrade/0/chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )?;
    ensure!(websocket.response("GET")?.status == 101, "no upgrade");
    let mut tunnel = Connection::open(&sockets.address("recv")?)?;
    ensure!(
        tunnel.request("CONNECT", "shop.test:443", b"")?.status == 200,
        "no tunnel"
    );
    for stream in [&mut websocket, &mut tunnel] {
        stream.send(inside)?;
        ensure!(
            stream.take(inside.len())? == inside,
            "the stream is not what was sent"
        );
    }
    drop((websocket, tunnel));
    // A request after it tells that everything before has been seen.
    let last = get(&sockets.address("recv")?, "/sendall/3/last")?.status;

    agent.wait_for("the last request", 1, |span| span.path() == "/sendall/3/last")?;
    let report = agent.stop()?;
    let found: Vec<_> = report
        .only(Span::is_served)
        .iter()
        .map(|span| (span.method(), span.http_status()))
        .collect();
    expect::each_once(
        "spans around handed-over streams",
        found.into_iter(),
        &[
            ("GET", Some(101)),
            ("CONNECT", Some(200)),
            ("GET", Some(i64::from(last))),
        ],
    )?;
    ensure!(
        report.only(|span| span.path().contains("inside")).is_empty(),
        "bytes inside a tunnel became a span"
    );
    Ok(())
}
