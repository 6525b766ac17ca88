//! `cargo xtask build`: the agent.

use std::path::PathBuf;

use anyhow::Result;

use crate::command::cargo;
use crate::progress::Progress;
use crate::setup::cross;
use crate::vm::kernels::Machine;
use crate::workspace::Workspace;

/// How the agent is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// What is measured and shipped.
    Release,
}

/// Builds the agent for another machine and returns its executable; for this one it is what the tests use.
pub(crate) fn build_for(workspace: &Workspace, progress: &Progress, machine: Machine) -> Result<PathBuf> {
    if machine.is_this() {
        return build(workspace, progress, Profile::Dev);
    }
    progress.step(format!("the agent ({})", machine.rust()), |step| {
        cross::build(workspace, "sidelight", step)
    })
}

/// Builds the agent and returns its executable.
pub(crate) fn build(workspace: &Workspace, progress: &Progress, profile: Profile) -> Result<PathBuf> {
    let (folder, flags): (_, &[&str]) = match profile {
        Profile::Dev => ("debug", &[]),
        Profile::Release => ("release", &["--release"]),
    };
    progress.step(format!("the agent ({folder})"), |step| {
        cargo()
            .args(["build", "--color", "never", "--package", "sidelight"])
            .args(flags)
            .arg("--target-dir")
            .arg(&workspace.target)
            .dir(&workspace.root)
            .run(step)
    })?;
    Ok(workspace.target.join(folder).join("sidelight"))
}
