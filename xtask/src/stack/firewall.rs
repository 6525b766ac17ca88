//! What an engine changes in the machine's network is undone when it ends: its chains, its policy of passing nothing on, its bridge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::command::Cmd;
use crate::progress;

/// Tables of iptables that an engine writes, and what they are where nobody wrote them.
const EMPTY: [(&str, &str); 2] = [
    (
        "*filter",
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n",
    ),
    (
        "*nat",
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n",
    ),
];
const BRIDGE: &str = "docker0";

/// The state of before, which is put back when this is dropped.
pub(super) struct Firewall {
    /// It outlives a run that is killed; the next one puts it back.
    kept: PathBuf,
}

impl Firewall {
    /// Keeps the present state in `folder`.
    pub(super) fn remember(folder: &Path) -> Result<Self> {
        let kept = folder.join("firewall");
        if kept.exists() {
            put_back(&kept)?;
        }
        let mut rules = Cmd::new("iptables-save").env("PATH", path()).output()?;
        for (table, empty) in EMPTY {
            if !rules.lines().any(|line| line == table) {
                rules.push_str(empty);
            }
        }
        if has_bridge() {
            rules.insert_str(0, "# with a bridge of another engine\n");
        }
        fs::write(&kept, rules).with_context(|| format!("writing {}", kept.display()))?;
        Ok(Self { kept })
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        if let Err(error) = put_back(&self.kept) {
            // Nothing is left to be done about it, but to say so.
            let _ = progress::print(&format!(
                "the engine's firewall rules stay: {error:#}; `iptables-restore < {}` removes them\n",
                self.kept.display()
            ));
        }
    }
}

fn put_back(kept: &Path) -> Result<()> {
    let rules = fs::read_to_string(kept).with_context(|| format!("reading {}", kept.display()))?;
    let input = fs::File::open(kept).with_context(|| format!("opening {}", kept.display()))?;
    let status = Command::new("iptables-restore")
        .env("PATH", path())
        .stdin(Stdio::from(input))
        .status()
        .context("running iptables-restore")?;
    anyhow::ensure!(status.success(), "iptables-restore ended with {status}");
    if !rules.starts_with('#') || !rules.contains("bridge of another engine") {
        remove_bridge()?;
    }
    fs::remove_file(kept).with_context(|| format!("removing {}", kept.display()))
}

fn remove_bridge() -> Result<()> {
    if has_bridge() {
        Cmd::new("ip")
            .env("PATH", path())
            .args(["link", "delete", BRIDGE])
            .output()?;
    }
    Ok(())
}

fn has_bridge() -> bool {
    Path::new("/sys/class/net").join(BRIDGE).exists()
}

/// Administrators' programs are not in everyone's path.
fn path() -> String {
    let own = std::env::var("PATH").unwrap_or_default();
    format!("{own}:/usr/sbin:/sbin")
}
