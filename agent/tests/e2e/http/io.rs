//! Every way in which a program can move bytes through a socket.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::watched;
use crate::{
    expect::{self, Request},
    harness::{
        agent::Agent,
        apps,
        client::{Connection, get, request},
        lab::{Lab, source},
        ports,
    },
};

const READS: [&str; 8] = [
    "recv",
    "recv-one-byte",
    "peek-first",
    "recv-into-pieces",
    "recvmsg",
    "readv",
    "read",
    "nonblocking",
];
const WRITES: [&str; 8] = [
    "sendall",
    "send-one-byte",
    "sendmsg",
    "writev",
    "write",
    "sendfile",
    "splice",
    "nonblocking",
];
const MIB: usize = 1024 * 1024;

pub(super) fn every_way_to_read(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "reads")?;
    let mut wanted = Vec::new();
    for how in READS {
        let mut connection = Connection::open(&sockets.address(how)?)?;
        let (post, get) = (format!("/sendall/5/{how}-post"), format!("/sendall/5/{how}-get"));
        // Twice a head without a body and once with one, so that a wrong count of bytes shows in the request after it.
        for (method, path, body) in [("POST", &post, &b"0123456789"[..]), ("GET", &get, b"")] {
            let response = connection
                .request(method, path, body)
                .with_context(|| how.to_owned())?;
            wanted.push(Request::new(method, path, response.status));
        }
    }
    expect::served(agent, &wanted).map(drop)
}

/// recvmmsg and sendmmsg. Python reaches them behind the back of its own imports, so everything has to be hooked, as
/// `run` does for what it selects by port.
pub(super) fn many_messages_a_call(_lab: &Lab) -> Result<()> {
    let port = ports::free()?;
    let mut command = Command::new(Lab::python()?);
    command
        .arg(source("tests/apps/many_messages.py"))
        .env("PORT", port.to_string());
    let server = apps::Server::on_port("many_messages", command, port)?;
    let agent = Agent::run_with(&["--port", &port.to_string()])?;
    let mut connection = Connection::open(&server.address)?;
    let mut wanted = Vec::new();
    for path in ["/one", "/a/path/that/is/longer/than/one/message", "/three"] {
        let response = connection.request("GET", path, b"")?;
        ensure!(response.body == b"hello", "{path}: {:?}", response.body);
        wanted.push(Request::new("GET", path, 200));
    }
    expect::served(agent, &wanted).map(drop)
}

pub(super) fn every_way_to_write(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "writes")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    let mut wanted = Vec::new();
    for how in WRITES {
        for size in [0, 1, 3000] {
            let path = format!("/{how}/{size}/{how}");
            let response = connection
                .request("GET", &path, b"")
                .with_context(|| path.clone())?;
            ensure!(
                response.body.len() == size,
                "{path}: {} bytes came",
                response.body.len()
            );
            wanted.push(Request::new("GET", &path, 200));
        }
    }
    expect::served(agent, &wanted).map(drop)
}

pub(super) fn byte_by_byte(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "bytes")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    for byte in request("POST", "/send-one-byte/20/slow-typist", b"and a body") {
        connection.send(&[byte])?;
    }
    let status = connection.response("POST")?.status;
    expect::served(
        agent,
        &[Request::new("POST", "/send-one-byte/20/slow-typist", status)],
    )
    .map(drop)
}

pub(super) fn address_families(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "families")?;
    let mut wanted = Vec::new();
    for family in ["recv", "ipv6", "dual", "unix"] {
        let path = format!("/sendall/6/{family}");
        wanted.push(Request::new(
            "GET",
            &path,
            get(&sockets.address(family)?, &path)?.status,
        ));
    }
    let report = expect::served(agent, &wanted)?;
    let peer = |family: &str| {
        let found = report.spans.iter().find(|span| span.path().ends_with(family));
        found
            .map(|span| span.text("network.peer.address").to_owned())
            .unwrap_or_default()
    };
    ensure!(
        peer("recv") == "127.0.0.1",
        "the peer over IPv4 is {}",
        peer("recv")
    );
    ensure!(peer("ipv6") == "::1", "the peer over IPv6 is {}", peer("ipv6"));
    ensure!(
        peer("dual") == "127.0.0.1",
        "an IPv4-mapped peer is shown as {}",
        peer("dual")
    );
    Ok(())
}

pub(super) fn large_bodies(lab: &Lab) -> Result<()> {
    let (sockets, agent) = watched(lab, "large")?;
    let mut connection = Connection::open(&sockets.address("recv")?)?;
    let mut wanted = Vec::new();
    for size in [MIB, 50 * MIB] {
        for how in ["sendall", "sendfile", "nonblocking"] {
            let path = format!("/{how}/{size}/down");
            let response = connection.request("GET", &path, b"")?;
            ensure!(
                response.body.len() == size,
                "{path}: {} bytes came",
                response.body.len()
            );
            wanted.push(Request::new("GET", &path, response.status));
        }
        let path = format!("/sendall/3/up-{size}");
        wanted.push(Request::new(
            "POST",
            &path,
            connection.request("POST", &path, &vec![b'u'; size])?.status,
        ));
    }
    // After so much, the next request must still be found at its place.
    wanted.push(Request::new(
        "GET",
        "/sendall/3/after",
        connection.request("GET", "/sendall/3/after", b"")?.status,
    ));
    expect::served(agent, &wanted).map(drop)
}

pub(super) fn go_files(lab: &Lab) -> Result<()> {
    let folder = lab.folder("files")?;
    write_file(&folder, "large", 8 * MIB)?;
    write_file(&folder, "small", 10)?;
    let server = apps::go_server(lab, &["-files", &folder.to_string_lossy()])?;
    let agent = Agent::attach(&[server.pid()])?;
    let mut connection = Connection::open(&server.address)?;
    let mut wanted = Vec::new();
    for path in [
        "/files/large",
        "/files/small",
        "/files/none",
        "/files/large",
        "/items/last",
    ] {
        wanted.push(Request::new(
            "GET",
            path,
            connection.request("GET", path, b"")?.status,
        ));
    }
    expect::served(agent, &wanted).map(drop)
}

fn write_file(folder: &Path, name: &str, size: usize) -> Result<()> {
    std::fs::write(folder.join(name), vec![b'f'; size]).with_context(|| format!("cannot write {name}"))
}
