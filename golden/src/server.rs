//! The server: a listener for each way of reading, a thread for each connection; the request's path says how to answer.

use std::{
    io::Read,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::Path,
    thread,
};

use anyhow::{Context as _, Result};

use crate::{
    child, client,
    ways::{LARGE, READS, read_some, write_all},
    wider::WIDER,
};

/// Serves until standard input ends. Says `place NAME ADDRESS` of each listener, then `ready`.
pub(crate) fn serve(folder: &Path) -> Result<()> {
    let leaf = listen("leaf", "127.0.0.1:0", "read", None)?;
    for &way in READS.iter().chain(WIDER) {
        listen(way, "127.0.0.1:0", way, Some(leaf))?;
    }
    listen("v6", "[::1]:0", "recv", Some(leaf))?;
    let path = folder.join("golden.sock");
    let listener = UnixListener::bind(&path).with_context(|| format!("binding {}", path.display()))?;
    child::print(&format!("place unix {}", path.display()))?;
    accept(move || Ok(listener.accept()?.0.into()), "recv", Some(leaf));
    child::print("ready")?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn listen(name: &str, address: &str, way: &'static str, leaf: Option<SocketAddr>) -> Result<SocketAddr> {
    let (listener, place) = free(address).with_context(|| format!("listening on {address}"))?;
    child::print(&format!("place {name} {place}"))?;
    accept(move || Ok(listener.accept()?.0.into()), way, leaf);
    Ok(place)
}

/// A listener whose port is no other place's, also not in the other family of addresses: a place is known by its port.
fn free(address: &str) -> std::io::Result<(TcpListener, SocketAddr)> {
    loop {
        let listener = TcpListener::bind(address)?;
        let place = listener.local_addr()?;
        if place.is_ipv4() || TcpListener::bind((Ipv4Addr::LOCALHOST, place.port())).is_ok() {
            return Ok((listener, place));
        }
    }
}

fn accept(
    mut next: impl FnMut() -> Result<OwnedFd> + Send + 'static,
    way: &'static str,
    leaf: Option<SocketAddr>,
) {
    thread::spawn(move || {
        while let Ok(socket) = next() {
            thread::spawn(move || {
                if let Err(error) = answer_all(&socket, way, leaf) {
                    child::say(&format!("server, {way}: {error:#}"));
                }
            });
        }
    });
}

fn answer_all(socket: &impl AsFd, way: &str, leaf: Option<SocketAddr>) -> Result<()> {
    let mut received = Vec::new();
    loop {
        while client::message_length(&received).is_none_or(|length| received.len() < length) {
            let more = read_some(socket, way)?;
            if more.is_empty() {
                return Ok(());
            }
            received.extend(more);
        }
        let length = client::message_length(&received).unwrap_or(received.len());
        let rest = received.split_off(length);
        answer(socket, &received, leaf)?;
        received = rest;
    }
}

/// `/WRITE/…`: by that way; `/WRITE/large/…`: much; `/WRITE/chain/…`: after a call of its own.
fn answer(socket: &impl AsFd, request: &[u8], leaf: Option<SocketAddr>) -> Result<()> {
    let text = String::from_utf8_lossy(request);
    let path = text.split(' ').nth(1).context("a request without a path")?;
    let mut parts = path.split('/').skip(1);
    let (write, what) = (parts.next().unwrap_or("write"), parts.next().unwrap_or_default());
    if let Some(leaf) = leaf.filter(|_| what == "chain") {
        let connection = TcpStream::connect(leaf)?;
        client::exchange(
            &connection,
            ("write", "read"),
            "GET",
            &format!("/write/leaf{path}"),
            b"",
        )?;
    }
    let body = if what == "large" {
        vec![b'x'; LARGE]
    } else {
        path.as_bytes().to_vec()
    };
    let status = if what == "missing" {
        "404 Not Found"
    } else {
        "200 OK"
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    write_all(socket, write, &[head.as_bytes(), &body].concat())
}
