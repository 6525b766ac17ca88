//! Ports on the loopback interface.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result};

use super::{process::Process, until};

/// A port that nobody listens on, for programs that cannot choose one and tell.
pub(crate) fn free() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The address of a port on the loopback interface.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Waits until `server` accepts connections.
pub(crate) fn wait(server: &mut Process, address: SocketAddr) -> Result<()> {
    until(&format!("something listens on {address}"), || {
        (TcpStream::connect(address).is_ok() || !server.runs()).then_some(())
    })
    .and_then(|()| {
        anyhow::ensure!(
            server.runs(),
            "the server ended instead of listening on {address}"
        );
        Ok(())
    })
    .with_context(|| format!("standard error of the server:\n{}", server.stderr.text()))
}
