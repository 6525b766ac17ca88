//! The Python that runs the demo's services and the tests' programs: a virtual environment made from the lock file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Stamp, apt};
use crate::command::{Cmd, find_in_path};
use crate::progress::Step;
use crate::workspace::Workspace;

/// The oldest Python that the lock file has packages for.
const OLDEST: (u32, u32) = (3, 10);
/// Asked for by name when `python3` itself is too old.
const CANDIDATES: [&str; 6] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
];

/// Makes sure of the virtual environment, and returns its interpreter.
pub(crate) fn ensure(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let folder = workspace.tools().join("venv");
    let interpreter = folder.join("bin/python");
    let lock = workspace.demo_apps().join("requirements.lock");
    let locked = fs::read(&lock).with_context(|| format!("reading {}", lock.display()))?;
    let (base, version) = base_interpreter(step)?;
    // An environment is bound to its folder and to the interpreter that made it.
    let stamp = Stamp::new(
        &folder,
        &[&locked, version.as_bytes(), folder.as_os_str().as_encoded_bytes()],
    );
    if stamp.is_current() && Cmd::new(&interpreter).args(["-c", ""]).output().is_ok() {
        return Ok(interpreter);
    }
    stamp.clear()?;
    create(&base, &folder, step)?;
    install(&interpreter, &[], &lock, step)?;
    stamp.write()?;
    Ok(interpreter)
}

/// Makes sure of the packages of `lock` in a folder of their own, for `interpreter` to find when it is told to, and returns it.
pub(crate) fn ensure_beside(
    workspace: &Workspace,
    interpreter: &Path,
    lock: &Path,
    step: &Step,
) -> Result<PathBuf> {
    let name = lock.file_stem().context("a lock file has a name")?;
    let folder = workspace.tools().join(name);
    let locked = fs::read(lock).with_context(|| format!("reading {}", lock.display()))?;
    let version = version(interpreter).context("the environment's Python does not run")?;
    let stamp = Stamp::new(&folder, &[&locked, version.as_bytes()]);
    if !stamp.is_current() {
        stamp.clear()?;
        let target = folder.display().to_string();
        install(interpreter, &["--no-deps", "--target", &target], lock, step)?;
        stamp.write()?;
    }
    Ok(folder)
}

/// Installs exactly what `lock` lists.
fn install(interpreter: &Path, options: &[&str], lock: &Path, step: &Step) -> Result<()> {
    Cmd::new(interpreter)
        .args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
        ])
        .args([
            "--progress-bar",
            "off",
            "--require-hashes",
            "--only-binary",
            ":all:",
        ])
        .args(options)
        .arg("-r")
        .arg(lock)
        .run(step)
}

/// The machine's own Python, and the version that it calls itself.
pub(crate) fn base_interpreter(step: &Step) -> Result<(PathBuf, String)> {
    if let Some(found) = search() {
        return Ok(found);
    }
    step.detail("installing python3");
    apt::install(step, &["python3", "python3-venv"])
        .context("the demo's services need Python 3.10 or later")?;
    search().context("no Python 3.10 or later in PATH, and this release's packages have none: install one and run this again")
}

fn search() -> Option<(PathBuf, String)> {
    CANDIDATES
        .iter()
        .filter_map(|name| find_in_path(name))
        .find_map(|interpreter| {
            let version = version(&interpreter)?;
            (version.ends_with("CPython") && parse(&version)? >= OLDEST).then_some((interpreter, version))
        })
}

fn version(interpreter: &Path) -> Option<String> {
    Cmd::new(interpreter)
        .args([
            "-c",
            "import platform; print(platform.python_version(), platform.python_implementation())",
        ])
        .output()
        .ok()
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn create(base: &Path, folder: &Path, step: &Step) -> Result<()> {
    let venv = || Cmd::new(base).args(["-m", "venv", "--clear"]).arg(folder);
    if has_venv(base) {
        return venv().run(step);
    }
    step.detail("installing python3-venv");
    apt::install(step, &["python3-venv"])?;
    if !has_venv(base) {
        bail!(
            "{} has no venv and ensurepip modules: install them for it and run this again",
            base.display()
        );
    }
    venv().run(step)
}

/// Debian's python3 comes without what makes an environment.
fn has_venv(base: &Path) -> bool {
    Cmd::new(base)
        .args(["-c", "import venv, ensurepip"])
        .output()
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse("3.9.18 CPython").unwrap() < OLDEST);
        assert!(parse("3.10.13 CPython").unwrap() >= OLDEST);
        assert!(parse("3.14.0rc1 CPython").unwrap() > OLDEST);
        assert_eq!(parse("Python"), None);
    }
}
