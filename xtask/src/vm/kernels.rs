//! The kernels: what Debian's releases have for clouds, which are small and know QEMU's devices.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::progress::Step;
use crate::setup::packages::{self, Wanted};
use crate::setup::private_apt::PrivateApt;
use crate::workspace::Workspace;

/// A kernel that can be booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// Its series: the first numbers of its version.
    pub(crate) series: &'static str,
    /// Debian's release that has it.
    suite: &'static str,
    pub(crate) machine: Machine,
    /// The tiers that have to work.
    pub(crate) tiers: &'static [&'static str],
    /// What it is told when it boots.
    pub(super) parameters: &'static str,
    /// Whether probes in programs can say where they are (`bpf_get_attach_cookie`, since 5.15): without, the unit is the thread.
    pub(crate) units: bool,
}

/// All tiers.
pub(super) const ALL: &[&str] = &["fentry", "kprobe", "tracepoint"];
const NO_FENTRY: &[&str] = &["kprobe", "tracepoint"];

/// An architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    Amd64,
    Arm64,
}

/// All of them; the first is the one that every test run boots. The newest takes the CPU away from programs wherever it can, which
/// is more than it does by itself.
pub(crate) const KERNELS: [Kernel; 9] = [
    amd64("6.1", "bookworm", ALL),
    amd64("6.12", "trixie", ALL),
    threads_only(amd64("5.10", "bullseye", ALL)),
    amd64("7", "trixie-backports", ALL),
    preempting(amd64("7", "trixie-backports", ALL)),
    arm64("6.1", "bookworm", NO_FENTRY),
    arm64("6.12", "trixie", ALL),
    threads_only(arm64("5.10", "bullseye", NO_FENTRY)),
    arm64("7", "trixie-backports", ALL),
];

const fn amd64(series: &'static str, suite: &'static str, tiers: &'static [&'static str]) -> Kernel {
    Kernel {
        series,
        suite,
        machine: Machine::Amd64,
        tiers,
        parameters: "",
        units: true,
    }
}

const fn arm64(series: &'static str, suite: &'static str, tiers: &'static [&'static str]) -> Kernel {
    Kernel {
        machine: Machine::Arm64,
        ..amd64(series, suite, tiers)
    }
}

const fn preempting(kernel: Kernel) -> Kernel {
    Kernel {
        parameters: "preempt=full",
        ..kernel
    }
}

const fn threads_only(kernel: Kernel) -> Kernel {
    Kernel {
        units: false,
        ..kernel
    }
}

impl Machine {
    /// Debian's name.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's name.
    pub(crate) fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// This machine's.
    pub(super) fn this() -> Result<Self> {
        let mut all = [Self::Amd64, Self::Arm64].into_iter();
        all.find(|machine| machine.is_this())
            .context("there is nothing for this architecture")
    }

    /// Whether this machine is one.
    pub(crate) fn is_this(self) -> bool {
        self.rust() == std::env::consts::ARCH
    }
}

impl Kernel {
    /// What it is called on the command line: `6.1-amd64`, `7-amd64 preempt=full`.
    pub(crate) fn name(&self) -> String {
        let name = format!("{} {}", self.package(), self.parameters);
        name.trim_end().to_owned()
    }

    /// The same without what it is told.
    fn package(&self) -> String {
        format!("{}-{}", self.series, self.machine.debian())
    }

    /// Makes sure of the kernel, and returns the file to boot.
    pub(super) fn ensure(&self, workspace: &Workspace, step: &Step) -> Result<PathBuf> {
        let folder = workspace.tools().join("kernels").join(self.package());
        let wanted = Wanted {
            suite: self.suite,
            architecture: self.machine.debian(),
            packages: &|apt| self.packages(apt),
            key: self.series,
        };
        packages::unpack(&wanted, &folder, step)?;
        let release = std::fs::read_dir(folder.join("boot"))
            .into_iter()
            .chain(std::fs::read_dir(folder.join("usr/lib/modules")))
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .find_map(|name| release_in(&name).map(ToOwned::to_owned))
            .with_context(|| format!("{} has no kernel", folder.display()))?;
        let places = [
            format!("boot/vmlinuz-{release}"),
            format!("usr/lib/modules/{release}/vmlinuz"),
        ];
        packages::first(&folder, &places)
    }

    /// The newest of the series. Its image is in `linux-image-RELEASE`, which since 7.0 is empty and needs `linux-binary-RELEASE`.
    fn packages(&self, apt: &PrivateApt) -> Result<Vec<String>> {
        let meta = format!("linux-image-cloud-{}", self.machine.debian());
        let version = apt
            .newest(&meta, self.series)?
            .with_context(|| format!("{} has no {meta} of series {}", self.suite, self.series))?;
        let described = apt.describe(&format!("{meta}={version}"))?;
        let image = described
            .lines()
            .filter_map(|line| line.strip_prefix("Depends: "))
            .flat_map(|depends| depends.split([' ', ',']))
            .find(|name| name.starts_with("linux-image-"))
            .with_context(|| format!("{meta} {version} names no image"))?;
        let binary = image.replacen("image", "binary", 1);
        let mut packages = vec![format!("{image}={version}")];
        if apt
            .describe(&format!("{binary}={version}"))
            .is_ok_and(|found| !found.is_empty())
        {
            packages.push(format!("{binary}={version}"));
        }
        Ok(packages)
    }
}

/// The release in a name that is one, or begins with `vmlinuz-`.
fn release_in(name: &str) -> Option<&str> {
    let name = name.strip_prefix("vmlinuz-").unwrap_or(name);
    name.starts_with(|first: char| first.is_ascii_digit())
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_found_in_names_of_files_and_folders() {
        assert_eq!(
            release_in("vmlinuz-6.1.0-56-cloud-amd64"),
            Some("6.1.0-56-cloud-amd64")
        );
        assert_eq!(
            release_in("7.3.4+deb13-cloud-amd64"),
            Some("7.3.4+deb13-cloud-amd64")
        );
        assert_eq!(release_in("config-6.1.0"), None);
    }

    #[test]
    fn names_are_of_one_kernel_each() {
        let names: std::collections::BTreeSet<_> = KERNELS.iter().map(Kernel::name).collect();
        assert_eq!(names.len(), KERNELS.len());
    }
}
