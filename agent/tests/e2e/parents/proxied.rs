//! A call that goes through Docker's userland proxy is one with the request at the other end.

use anyhow::{Context as _, Result};

use super::{
    ask, conclude,
    runtimes::{self, leaf},
};
use crate::harness::{agent::Agent, apps::Server, docker, lab::Lab, ports};

/// A Go program with many calls at once, which keep their connections, calls the leaf through the proxy.
pub(super) fn check(lab: &Lab) -> Result<()> {
    let runtime = &runtimes::GO;
    let leaf = leaf(lab)?;
    let port = ports::free()?;
    let url = leaf.url()?;
    let target = url.rsplit(':').next().context("no port")?.parse()?;
    let proxy = Server::on_port("docker-proxy", docker::userland_proxy(port, target), port)?;
    let server = (runtime.start)(lab, &proxy.url()?)?;
    let agent = Agent::attach(&[server.pid(), leaf.pid()])?;
    let sent = ask(runtime.ways, &server.address)?;
    conclude("Go, net/http, through a userland proxy", agent, &sent)
}
