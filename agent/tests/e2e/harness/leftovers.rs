//! What an agent holds in the kernel, and whether it is gone.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use super::{lab::find, until_within};

/// The kernel frees programs and maps some time after their last user has gone.
const GRACE: Duration = Duration::from_secs(15);

/// Kernel objects of one agent, by kind and id.
#[derive(Debug)]
pub(crate) struct Held(BTreeSet<(Kind, u64)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Prog,
    Map,
    Link,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Prog, Self::Map, Self::Link];

    fn name(self) -> &'static str {
        match self {
            Self::Prog => "prog",
            Self::Map => "map",
            Self::Link => "link",
        }
    }
}

impl Held {
    /// What the file descriptors of `pid` stand for.
    pub(crate) fn by(pid: u32) -> Result<Self> {
        let mut held = BTreeSet::new();
        for entry in
            fs::read_dir(format!("/proc/{pid}/fdinfo")).context("the agent has no file descriptors")?
        {
            // A descriptor may be closed between the listing and the look.
            let text = fs::read_to_string(entry?.path()).unwrap_or_default();
            for kind in Kind::ALL {
                let id = text
                    .lines()
                    .find_map(|line| line.strip_prefix(kind.name())?.strip_prefix("_id:"));
                if let Some(Ok(id)) = id.map(|id| id.trim().parse()) {
                    held.insert((kind, id));
                }
            }
        }
        ensure!(
            held.iter().any(|(kind, _)| *kind == Kind::Prog),
            "the agent {pid} holds no eBPF program"
        );
        Ok(Self(held))
    }

    /// Waits until none of it exists any more.
    pub(crate) fn gone(&self) -> Result<()> {
        let mut left = BTreeSet::new();
        until_within(GRACE, "the agent's programs, maps and links are gone", || {
            left = existing().ok()?.intersection(&self.0).copied().collect();
            left.is_empty().then_some(())
        })
        .with_context(|| format!("left behind: {left:?}"))
    }
}

/// Files below the BPF file system that carry our name.
pub(crate) fn pinned() -> Vec<String> {
    fn visit(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.to_string_lossy().contains("sidelight") {
                found.push(path.to_string_lossy().into_owned());
            }
            if path.is_dir() {
                visit(&path, found);
            }
        }
    }
    let mut found = Vec::new();
    visit(Path::new("/sys/fs/bpf"), &mut found);
    found
}

/// Everything that the kernel has now.
fn existing() -> Result<BTreeSet<(Kind, u64)>> {
    let bpftool = find("bpftool").context("bpftool is not in PATH")?;
    let mut all = BTreeSet::new();
    for kind in Kind::ALL {
        let output = Command::new(&bpftool)
            .args(["--json", kind.name(), "list"])
            .output()
            .context("bpftool")?;
        let listed: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "bpftool {} list: {}",
                kind.name(),
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        all.extend(
            listed
                .iter()
                .filter_map(|object| Some((kind, object.get("id")?.as_u64()?))),
        );
    }
    Ok(all)
}
