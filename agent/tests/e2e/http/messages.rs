//! Every way in which a message says where it ends, and heads that are out of the ordinary.

use anyhow::{Result, ensure};

use super::watched;
use crate::{
    expect::{self, Request},
    harness::{
        client::{Connection, get, request},
        lab::Lab,
        span::Span,
    },
};

pub(super) fn every_body_framing(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "framings")?;
    let address = sockets.address("recv")?;
    let mut wanted = Vec::new();
    let mut connection = Connection::open(&address)?;
    for path in [
        "/chunked/3/a",
        "/trailers/2/b",
        "/chunked-slowly/3/c",
        "/chunked/0/d",
        "/sendall/9/e",
    ] {
        wanted.push(Request::new(
            "GET",
            path,
            connection.request("GET", path, b"")?.status,
        ));
    }
    let upload = b"POST /sendall/2/f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;x=y\r\nGET /\r\n3\r\nabc\r\n0\r\nX-Sum: 8\r\n\r\n";
    connection.send(upload)?;
    wanted.push(Request::new(
        "POST",
        "/sendall/2/f",
        connection.response("POST")?.status,
    ));
    wanted.push(Request::new(
        "GET",
        "/sendall/2/g",
        connection.request("GET", "/sendall/2/g", b"")?.status,
    ));
    wanted.push(Request::new(
        "GET",
        "/close-delimited/70/h",
        get(&address, "/close-delimited/70/h")?.status,
    ));
    expect::served(agent, &wanted).map(drop)
}

pub(super) fn without_body(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "bodiless")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    let mut wanted = Vec::new();
    let requests = [
        ("HEAD", "/sendall/100/a"),
        ("GET", "/status/204/b"),
        ("GET", "/status/304/c"),
        ("DELETE", "/status/404/d"),
        ("PUT", "/status/500/e"),
        ("OPTIONS", "/sendall/0/f"),
        ("GET", "/sendall/7/g"),
    ];
    for (method, path) in requests {
        wanted.push(Request::new(
            method,
            path,
            connection.request(method, path, b"")?.status,
        ));
    }
    let report = expect::served(agent, &wanted)?;
    for span in report.only(Span::is_served) {
        let wanted = if span.http_status() >= Some(500) {
            "ERROR"
        } else {
            "UNSET"
        };
        ensure!(
            span.status.code == wanted,
            "a server span's status for its HTTP status: {span:?}"
        );
    }
    Ok(())
}

pub(super) fn pipelined(lab: &Lab) -> Result<()> {
    const COUNT: usize = 60;
    let (sockets, agent) = watched(lab, "pipeline")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    let requests: Vec<(&str, String)> = (0..COUNT)
        .map(|number| match number % 4 {
            0 => ("GET", format!("/sendall/{number}/n{number}")),
            1 => ("HEAD", format!("/sendall/50/n{number}")),
            2 => ("GET", format!("/chunked/2/n{number}")),
            _ => ("POST", format!("/status/404/n{number}")),
        })
        .collect();
    let bytes: Vec<u8> = requests
        .iter()
        .flat_map(|(method, path)| {
            request(
                method,
                path,
                if *method == "POST" {
                    b"GET / HTTP/1.1\r\n\r\n"
                } else {
                    b""
                },
            )
        })
        .collect();
    connection.send(&bytes)?;
    let mut wanted = Vec::new();
    for (method, path) in &requests {
        wanted.push(Request::new(method, path, connection.response(method)?.status));
    }
    expect::served(agent, &wanted).map(drop)
}

pub(super) fn expect_continue(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "continue")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    connection.send(
        b"PUT /sendall/4/upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n",
    )?;
    ensure!(
        connection.take(25)? == b"HTTP/1.1 100 Continue\r\n\r\n",
        "the server does not ask for the body"
    );
    connection.send(b"the body")?;
    let status = connection.response("PUT")?.status;
    expect::served(agent, &[Request::new("PUT", "/sendall/4/upload", status)]).map(drop)
}

pub(super) fn large_head(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "head")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    let filler = format!("X-Filler: {}\r\n", "f".repeat(1000)).repeat(60);
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    connection.send(
        format!(
            "GET /sendall/4/large HTTP/1.1\r\nHost: a\r\n{filler}traceparent: 00-{trace}-{parent}-01\r\n\r\n"
        )
        .as_bytes(),
    )?;
    let status = connection.response("GET")?.status;
    let report = expect::served(agent, &[Request::new("GET", "/sendall/4/large", status)])?;
    for span in report.only(Span::is_served) {
        ensure!(
            span.trace_id == trace && span.parent_span_id == parent,
            "the traceparent is not adopted: {span:?}"
        );
    }
    Ok(())
}

pub(super) fn absolute_form(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "absolute")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    let status = connection
        .request("GET", "http://shop.test/sendall/4/absolute?q=1", b"")?
        .status;
    expect::served(agent, &[Request::new("GET", "/sendall/4/absolute", status)]).map(drop)
}
