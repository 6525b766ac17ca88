//! The client: the same calls in the same order, always.

use std::{
    collections::BTreeMap,
    io::BufRead as _,
    net::TcpStream,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use anyhow::{Context as _, Result, bail};

use crate::{
    child,
    ways::{LARGE, READS, WRITES, read_some, write_all},
    wider::WIDER,
};

/// Where the listeners are, by name.
pub(crate) struct Places(BTreeMap<String, String>);

impl Places {
    /// Understands `NAME=ADDRESS`.
    pub(crate) fn parse(places: &[&str]) -> Option<Self> {
        let pairs = places.iter().map(|place| {
            let (name, address) = place.split_once('=')?;
            Some((name.to_owned(), address.to_owned()))
        });
        pairs.collect::<Option<_>>().map(Self)
    }

    fn connect(&self, name: &str) -> Result<OwnedFd> {
        let address = self.0.get(name).with_context(|| format!("no place {name}"))?;
        Ok(if address.starts_with('/') {
            UnixStream::connect(address)?.into()
        } else {
            TcpStream::connect(address)?.into()
        })
    }
}

/// Connects, says `connected`, and makes all calls for a line on standard input; says how many there were. For another line
/// it makes one more, on the connection that is older than the first.
pub(crate) fn call(places: &Places) -> Result<()> {
    let early = places.connect("recv")?;
    child::print("connected")?;
    let mut lines = std::io::stdin().lock().lines();
    lines.next().context("nobody says when to begin")??;
    let mut calls = 1;
    exchange(&early, ("write", "read"), "GET", "/write/early", b"")?;
    for (index, way) in READS.iter().enumerate() {
        let connection = places.connect(way)?;
        for (number, write) in WRITES.iter().enumerate() {
            let own = (*write, READS[(index + number) % READS.len()]);
            let path = format!("/{write}/plain/{way}");
            let (method, body) = if number % 2 == 0 {
                ("POST", &b"0123456789"[..])
            } else {
                ("GET", &b""[..])
            };
            exchange(&connection, own, method, &path, body)?;
            calls += 1;
        }
    }
    calls += large(places)?;
    for family in ["v6", "unix"] {
        let connection = places.connect(family)?;
        for write in WRITES {
            exchange(
                &connection,
                (write, "recv"),
                "GET",
                &format!("/{write}/family/{family}"),
                b"",
            )?;
            calls += 1;
        }
        exchange(
            &connection,
            ("write", "recv"),
            "GET",
            &format!("/write/missing/{family}"),
            b"",
        )?;
        exchange(
            &connection,
            ("write", "recv"),
            "GET",
            &format!("/write/chain/{family}"),
            b"",
        )?;
        // The server makes a call of its own.
        calls += 3;
    }
    child::print(&format!("calls {calls}"))?;
    lines.next().context("nobody says when to end")??;
    exchange(&early, ("write", "read"), "GET", "/write/late", b"")?;
    child::print("late")
}

/// The same for the ways of [`WIDER`]: two calls each.
pub(crate) fn call_wider(places: &Places) -> Result<()> {
    child::print("connected")?;
    let mut lines = std::io::stdin().lock().lines();
    lines.next().context("nobody says when to begin")??;
    for way in WIDER {
        let connection = places.connect(way)?;
        exchange(&connection, (way, way), "GET", &format!("/{way}/wider/get"), b"")?;
        exchange(
            &connection,
            (way, way),
            "POST",
            &format!("/{way}/wider/post"),
            &[b'z'; 300],
        )?;
    }
    child::print(&format!("calls {}", 2 * WIDER.len()))?;
    lines.next().context("nobody says when to end")??;
    child::print("late")
}

/// Bodies that do not fit into a socket's buffers, one up and one down for each way to write.
fn large(places: &Places) -> Result<usize> {
    let connection = places.connect("read")?;
    let body = vec![b'y'; LARGE];
    let ways = ["write", "writev", "nonblocking", "sendfile"];
    for way in ways {
        exchange(
            &connection,
            (way, "read"),
            "POST",
            &format!("/{way}/large/both"),
            &body,
        )?;
    }
    Ok(ways.len())
}

/// Sends a request and reads its response.
pub(crate) fn exchange(
    connection: &impl AsFd,
    (write, read): (&str, &str),
    method: &str,
    path: &str,
    body: &[u8],
) -> Result<()> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: golden\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    write_all(connection, write, &[head.as_bytes(), body].concat())?;
    let mut received = Vec::new();
    while message_length(&received).is_none_or(|length| received.len() < length) {
        let more = read_some(connection, read).with_context(|| path.to_owned())?;
        if more.is_empty() {
            bail!("{path}: the connection ended before the response did");
        }
        received.extend(more);
    }
    Ok(())
}

/// How long a message is, once its head is there.
pub(crate) fn message_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes
        .windows(4)
        .take(4096)
        .position(|window| window == b"\r\n\r\n")?
        + 4;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let body = text.lines().find_map(|line| {
        let value = line.strip_prefix("Content-Length: ")?;
        value.parse::<usize>().ok()
    });
    Some(head + body.unwrap_or(0))
}
