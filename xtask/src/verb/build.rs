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

impl Profile {
    /// Where below the target folder what is built lies.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }

    /// What cargo is told.
    pub(crate) fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &[],
            Self::Release => &["--release"],
        }
    }
}

/// Builds the agent for another machine and returns its executable; for this one it is what the tests use.
pub(crate) fn build_for(workspace: &Workspace, progress: &Progress, machine: Machine) -> Result<PathBuf> {
    if machine.is_this() {
        return build(workspace, progress, Profile::Dev);
    }
    progress.step(format!("the agent ({})", machine.rust()), |step| {
        cross::build(workspace, "sidelight", Profile::Dev, step)
    })
}

/// Builds the agent and returns its executable.
pub(crate) fn build(workspace: &Workspace, progress: &Progress, profile: Profile) -> Result<PathBuf> {
    let folder = profile.folder();
    progress.step(format!("the agent ({folder})"), |step| {
        cargo()
            .args(["build", "--color", "never", "--package", "sidelight"])
            .args(profile.flags())
            .arg("--target-dir")
            .arg(&workspace.target)
            .dir(&workspace.root)
            .run(step)
    })?;
    Ok(workspace.target.join(folder).join("sidelight"))
}

/// Builds the agent as a program that needs no library, for an image that has nothing else, and returns it.
pub(crate) fn build_static(workspace: &Workspace, progress: &Progress, profile: Profile) -> Result<PathBuf> {
    let folder = profile.folder();
    let built = workspace.target.join(folder).join("sidelight");
    progress.step(format!("the agent ({folder}, static)"), |step| {
        // Only the program itself is linked in another way: all that it is made of is what other builds have.
        cargo()
            .args([
                "rustc",
                "--color",
                "never",
                "--package",
                "sidelight",
                "--bin",
                "sidelight",
            ])
            .args(profile.flags())
            .arg("--target-dir")
            .arg(&workspace.target)
            .args(["--", "-C", "target-feature=+crt-static"])
            .dir(&workspace.root)
            .run(step)
    })?;
    Ok(built)
}
