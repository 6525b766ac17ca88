//! Span times against an account that the agent had no hand in: strace's, of the same requests.

use std::{io::Read as _, net::TcpStream, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    harness::{
        agent::Agent,
        apps::{self, Sockets},
        client::{Address, get},
        lab::{Lab, Need},
        note, ports,
        strace::Strace,
    },
};

/// How far a span may be off, in nanoseconds.
const TOLERANCE: i128 = 1_000_000;

const MIB: usize = 1024 * 1024;

pub(crate) fn cases() -> Vec<Case> {
    let python = &[Need::Root, Need::Python, Need::Tool("strace"), Need::Tool("chrt")];
    let go = &[Need::Root, Need::Go, Need::Tool("strace"), Need::Tool("chrt")];
    vec![
        Case::new("times::python_agrees_with_strace", python, python_times).alone(),
        Case::new("times::go_agrees_with_strace", go, go_times).alone(),
    ]
}

fn python_times(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("times-python")?)?;
    let address = sockets.address("recv")?;
    let large = format!("/sendall/{}/slow", 8 * MIB);
    let paths = [
        "/sleep/80/a",
        "/sleep/5/b",
        "/chunked-slowly/6/a",
        "/chunked-slowly/2/b",
        "/sendall/3/quick",
    ];
    compare(
        lab,
        "python",
        sockets.process.pid(),
        &address,
        &paths,
        &large,
        sockets.port("recv")?,
    )
}

fn go_times(lab: &Lab) -> Result<()> {
    let server = apps::go_server(lab, &[])?;
    let Address::Tcp(address) = &server.address else {
        anyhow::bail!("the Go server has a TCP port")
    };
    let large = format!("/bytes/{}/slow", 8 * MIB);
    let paths = [
        "/sleep/80/a",
        "/sleep/5/b",
        "/stream/6/a",
        "/stream/2/b",
        "/items/quick",
    ];
    compare(
        lab,
        "go",
        server.pid(),
        &server.address,
        &paths,
        &large,
        address.port(),
    )
}

/// Asks for `paths`, and for `large` with a client that reads slowly; every span must agree with what strace saw.
fn compare(
    lab: &Lab,
    name: &str,
    pid: u32,
    address: &Address,
    paths: &[&str],
    large: &str,
    port: u16,
) -> Result<()> {
    let agent = Agent::attach(&[pid])?;
    let strace = Strace::attach(pid, &lab.folder(&format!("strace-{name}"))?)?;
    for path in paths {
        get(address, path)?;
    }
    read_slowly(port, large)?;
    agent.wait_for("spans of the traced requests", paths.len() + 1, |_| true)?;
    let (report, calls) = (agent.stop()?, strace.stop()?);

    let mut largest = 0;
    for path in paths.iter().copied().chain([large]) {
        let span = report
            .spans
            .iter()
            .find(|span| span.path() == path)
            .with_context(|| format!("no span {path}"))?;
        let (window, (start, end)) = (calls.window(path)?, span.times()?);
        let (early, late) = (start - window.first_read, end - window.last_write);
        largest = largest.max(early.abs()).max(late.abs());
        ensure!(
            early.abs() <= TOLERANCE,
            "{path}: the span starts {early} ns after the first read"
        );
        ensure!(
            late.abs() <= TOLERANCE,
            "{path}: the span ends {late} ns after the last write"
        );
    }
    note(&format!(
        "{name}: the largest deviation from strace is {} µs",
        largest / 1000
    ));
    Ok(())
}

/// Takes a large answer in small pieces, so that the server has to wait for room.
fn read_slowly(port: u16, path: &str) -> Result<()> {
    let mut stream = TcpStream::connect(ports::local(port))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes())?;
    let mut piece = vec![0; 256 * 1024];
    // The pause is the scenario, not a wait for something.
    while stream.read(&mut piece)? > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
