//! `cargo xtask build`: the agent.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};

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
    let place = workspace.target.join("static").join(folder);
    fs::create_dir_all(&place).with_context(|| format!("creating {}", place.display()))?;
    let kept = place.join("sidelight");
    // Cargo has one name for both; what other builds made of it comes back.
    let other = Other::put_aside(&built, place.join("other"))?;
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
    fs::rename(&built, &kept).with_context(|| format!("moving {}", built.display()))?;
    drop(other);
    Ok(kept)
}

/// An executable that is put aside until this is dropped.
struct Other {
    place: PathBuf,
    aside: PathBuf,
}

impl Other {
    fn put_aside(place: &Path, aside: PathBuf) -> Result<Option<Self>> {
        match fs::rename(place, &aside) {
            Ok(()) => Ok(Some(Self {
                place: place.to_owned(),
                aside,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("moving {}", place.display())),
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Without it the next build makes it anew.
        let _ = fs::rename(&self.aside, &self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_build_made_comes_back() {
        let folder = std::env::temp_dir().join(format!("sidelight-build-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let place = folder.join("sidelight");
        assert!(
            Other::put_aside(&place, folder.join("other")).unwrap().is_none(),
            "there may be none"
        );
        fs::write(&place, "dynamic").unwrap();
        let other = Other::put_aside(&place, folder.join("other")).unwrap();
        fs::write(&place, "static").unwrap();
        fs::rename(&place, folder.join("kept")).unwrap();
        drop(other);
        assert_eq!(fs::read_to_string(&place).unwrap(), "dynamic");
        assert_eq!(fs::read_to_string(folder.join("kept")).unwrap(), "static");
        fs::remove_dir_all(&folder).unwrap();
    }
}
