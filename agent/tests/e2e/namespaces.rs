//! Processes in namespaces of their own, named by the pid that the host sees.

use std::{fs::File, os::fd::AsFd as _, process::Command};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    Case,
    expect::{self, Request},
    harness::{
        agent::Agent,
        apps::{self, Sockets},
        client::get,
        lab::{Lab, Need, source},
        span::Span,
        until,
    },
};

const NEEDS: &[Need] = &[Need::Root, Need::Python, Need::Tool("unshare"), Need::Tool("ip")];

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new(
        "namespaces::pid_mount_and_network_of_its_own",
        NEEDS,
        own_namespaces,
    )]
}

fn own_namespaces(lab: &Lab) -> Result<()> {
    let folder = lab.folder("namespaces")?;
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--mount",
        "--net",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
    ]);
    command
        .arg("ip link set lo up && exec \"$0\" \"$@\"")
        .arg(Lab::python()?)
        .arg(source("tests/apps/sockets.py"));
    let sockets = Sockets::spawn(
        {
            command.arg(&folder).env("PYTHONUNBUFFERED", "1");
            command
        },
        &folder,
    )?;
    let pid = *apps::family(sockets.process.pid(), 2)?
        .last()
        .context("no process in the namespace")?;
    ensure!(
        inner_pid(pid)? == 1,
        "{pid} is not the first process of a namespace of its own"
    );

    let agent = Agent::attach(&[pid])?;
    let (address, path) = (sockets.address("recv")?, "/sendall/12/inside");
    let status = within_network(pid, || Ok(get(&address, path)?.status))?;
    let report = expect::served(agent, &[Request::new("GET", path, status)])?;
    for span in report.only(Span::is_served) {
        ensure!(
            span.pid() == Some(pid),
            "process.pid is not what the host sees, {pid}: {span:?}"
        );
        ensure!(
            span.resource
                .get("service.name")
                .is_some_and(|name| name == "sockets"),
            "service.name: {span:?}"
        );
    }
    Ok(())
}

/// The pid that the process has inside.
pub(crate) fn inner_pid(pid: u32) -> Result<u32> {
    until("the kernel tells of the process", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?
            .split_whitespace()
            .last()?
            .parse()
            .ok()
    })
}

/// Runs `action` on a thread that has moved to the network of `pid`.
pub(crate) fn within_network<T: Send>(pid: u32, action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let network = File::open(format!("/proc/{pid}/ns/net")).context("the process has no network")?;
    std::thread::scope(|scope| {
        let moved = scope.spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                .context("the thread cannot move to the other network")?;
            action()
        });
        moved
            .join()
            .map_err(|_| anyhow!("the thread in the other network panicked"))?
    })
}
