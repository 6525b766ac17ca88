//! A Docker engine of our own: own data, own socket, ended with this program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::client::{self, Client};
use super::firewall::Firewall;
use crate::command::find_in_path;
use crate::process::Process;
use crate::progress::Step;
use crate::setup::apt;
use crate::sys;

const START: Duration = Duration::from_mins(1);

/// The daemon and what goes with it.
pub(super) struct Own {
    /// Its own containerd goes with it.
    _daemon: Process,
    /// Put back when the daemon has ended.
    _firewall: Firewall,
}

impl Own {
    /// Starts it, of the programs below `tools`, and waits until it answers `client`; what it is given is kept in `folder`.
    pub(super) fn start(tools: &Path, folder: &Path, client: &Client, step: &Step) -> Result<Self> {
        ensure!(sys::is_root(), "a Docker engine of its own needs root");
        if find_in_path("iptables").is_none() && !Path::new("/usr/sbin/iptables").exists() {
            step.detail("installing iptables");
            apt::install(step, &["iptables"]).context("the engine's networks need iptables")?;
        }
        let firewall = Firewall::remember(folder)?;
        step.detail("starting");
        let mut daemon = Command::new(tools.join("usr/sbin/dockerd"));
        daemon.env("PATH", client::path(tools));
        let below = |name: &str| folder.join(name);
        daemon.arg("--data-root").arg(data(folder));
        daemon.arg("--exec-root").arg(below("exec"));
        daemon.arg("--pidfile").arg(below("pid"));
        daemon.arg("--host").arg(host(folder));
        let mut daemon = Process::with_log("the Docker engine", daemon, &below("log"))?;
        let answers = || client.docker().arg("version").output().is_ok();
        daemon.wait_until("answering", START, answers)?;
        Ok(Self {
            _daemon: daemon,
            _firewall: firewall,
        })
    }
}

/// Where it keeps its containers.
pub(super) fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Where it listens, as `DOCKER_HOST` says it.
pub(super) fn host(folder: &Path) -> String {
    format!("unix://{}", folder.join("socket").display())
}
