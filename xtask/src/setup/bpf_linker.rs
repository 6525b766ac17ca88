//! bpf-linker: makes one BPF object of LLVM bit code.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::command::{Cmd, cargo};
use crate::progress::Step;
use crate::workspace::Workspace;

/// Loads the LLVM of rustc itself, so that no LLVM needs to be installed; later versions link their own.
pub(crate) const VERSION: &str = "0.10.4";

/// Makes sure of bpf-linker, and returns the folder that has it.
pub(crate) fn ensure(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    if std::env::consts::ARCH != "x86_64" {
        bail!(
            "bpf-linker {VERSION} finds rustc's LLVM on x86-64 only: build the objects on such a machine (they are the same for all)"
        );
    }
    let tools = workspace.tools();
    let linker = tools.join("bin/bpf-linker");
    let is_wanted = |version: String| version.split_whitespace().any(|word| word == VERSION);
    if !Cmd::new(&linker).arg("--version").output().is_ok_and(is_wanted) {
        cargo()
            .args([
                "install",
                "bpf-linker",
                "--locked",
                "--force",
                "--version",
                VERSION,
                "--root",
            ])
            .arg(&tools)
            .env("CARGO_TARGET_DIR", workspace.target.join("tools/build"))
            .run(step)?;
    }
    Ok(tools.join("bin"))
}
