//! QEMU, unpacked from Debian's packages with every library that it needs: nothing is installed, and it runs on any release.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::kernels::{Kernel, Machine};
use crate::progress::Step;
use crate::setup::packages::{self, Wanted};
use crate::workspace::Workspace;

/// The release whose QEMU is used, and its packages.
const SUITE: &str = "trixie";
/// Its clock counts instructions, a nanosecond each, and jumps to the next timer when there is nothing to do. So a limit of time there
/// means the same however busy this machine is, and a tick does not come ten times as often among its instructions as on a real one.
const CLOCK: &str = "shift=0,sleep=off";
const PACKAGES: [&str; 2] = ["qemu-system-x86", "qemu-system-arm"];

/// QEMU below `target/tools`.
pub(super) struct Qemu {
    root: PathBuf,
}

impl Qemu {
    /// Makes sure of it.
    pub(super) fn ensure(workspace: &Workspace, step: &Step) -> Result<Self> {
        let root = workspace.tools().join("qemu");
        let wanted = Wanted {
            suite: SUITE,
            architecture: Machine::this()?.debian(),
            packages: &|apt| apt.with_dependencies(&PACKAGES),
            key: "qemu",
        };
        packages::unpack(&wanted, &root, step)?;
        Ok(Self { root })
    }

    /// The command that boots a kernel, with its console on standard output.
    pub(super) fn command(&self, kernel: &Kernel, image: &Path, initramfs: &Path) -> Result<Command> {
        let Kernel {
            machine, parameters, ..
        } = kernel;
        let console = match machine {
            Machine::Amd64 => "ttyS0",
            Machine::Arm64 => "ttyAMA0",
        };
        let mut command = self.program(&format!("qemu-system-{}", machine.rust()))?;
        let (kind, processor): (&str, &str) = match machine {
            Machine::Amd64 => ("q35", "max,la57=off"),
            Machine::Arm64 => ("virt,gic-version=3", "cortex-a72"),
        };
        command
            .args([
                "-machine", kind, "-cpu", processor, "-accel", "tcg", "-icount", CLOCK,
            ])
            .args(["-m", "2048", "-smp", "1", "-nodefaults", "-no-user-config"])
            .args(["-display", "none", "-serial", "stdio", "-no-reboot"])
            .arg("-kernel")
            .arg(image)
            .arg("-initrd")
            .arg(initramfs)
            .arg("-append")
            .arg(format!(
                "console={console} panic=-1 quiet loglevel=3 mitigations=off nokaslr {parameters}"
            ));
        Ok(command)
    }

    /// Started by its own loader, which finds its own libraries.
    fn program(&self, name: &str) -> Result<Command> {
        let loaders = ["ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];
        let places: Vec<String> = loaders
            .iter()
            .flat_map(|loader| [format!("usr/lib64/{loader}"), format!("usr/lib/{loader}")])
            .collect();
        let loader = packages::first(&self.root, &places)?;
        let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
        let libraries = ["usr/lib", "lib"].map(|folder| self.root.join(folder).join(&triple));
        let libraries = std::env::join_paths(libraries).context("the path has a colon in it")?;
        let mut command = Command::new(loader);
        command
            .arg("--library-path")
            .arg(libraries)
            .arg(self.root.join("usr/bin").join(name));
        for folder in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(self.root.join(folder));
        }
        Ok(command)
    }
}
