//! The sources of Rust's core library, of exactly the compiler's version: the BPF target has no prebuilt core.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::private_apt::PrivateApt;
use crate::command::Cmd;
use crate::progress::Step;
use crate::workspace::Workspace;

/// Debian's suites that may have it, and the package's name there.
const SUITES: [&str; 4] = ["trixie-backports", "trixie", "testing", "unstable"];

/// Makes sure of the sources, and returns their `library` folder.
pub(crate) fn ensure(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let sysroot = PathBuf::from(rustc().args(["--print", "sysroot"]).output()?);
    let component = sysroot.join("lib/rustlib/src/rust/library");
    let version = version()?;
    let own = workspace.tools().join(format!("rust-src-{version}/library"));
    if let Some(found) = [&component, &own].into_iter().find(|library| is_whole(library)) {
        return Ok(found.clone());
    }
    let refused = match add_component(step) {
        Ok(()) if is_whole(&component) => return Ok(component),
        Ok(()) => format!("rustup added rust-src, but not to {}", component.display()),
        Err(error) => format!("{error:#}"),
    };
    step.detail("rustup has no rust-src here, asking Debian's archive");
    match from_debian(workspace, &version, &own, step) {
        Ok(()) => Ok(own),
        Err(error) => bail!(
            "no sources of core {version}: `rustup component add rust-src` says: {}; Debian's archive: {error:#}",
            refused.lines().last().unwrap_or_default().trim()
        ),
    }
}

/// The compiler's version, as `1.95.0`.
pub(crate) fn version() -> Result<String> {
    let text = rustc().arg("--version").output()?;
    let version = text.split_whitespace().nth(1);
    version
        .map(ToOwned::to_owned)
        .with_context(|| format!("rustc's version is not understood: {text}"))
}

fn rustc() -> Cmd {
    Cmd::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

fn is_whole(library: &Path) -> bool {
    library.join("core/src/lib.rs").is_file() && library.join("Cargo.lock").is_file()
}

fn add_component(step: &Step) -> Result<()> {
    Cmd::new("rustup")
        .args(["component", "add", "rust-src"])
        .run(step)
}

/// Takes the package rust-src out of Debian's archive, with lists and settings of its own: nothing on the machine changes.
fn from_debian(workspace: &Workspace, version: &str, own: &Path, step: &Step) -> Result<()> {
    let private = workspace.tools().join("apt");
    for suite in SUITES {
        let apt = PrivateApt::create(&private, suite)?;
        if apt.update(step).is_err() {
            continue;
        }
        if let Some(package) = apt.find("rust-src", version)? {
            step.detail(&format!("downloading rust-src {package} from {suite}"));
            apt.download(&[format!("rust-src={package}")], step)?;
            unpack(&apt, version, own, step)?;
            return apt.remove();
        }
    }
    bail!("none of {} has rust-src {version}", SUITES.join(", "))
}

fn unpack(apt: &PrivateApt, version: &str, own: &Path, step: &Step) -> Result<()> {
    let package = apt
        .downloaded()?
        .pop()
        .context("apt-get download left no package")?;
    let parent = own.parent().context("the folder for rust-src has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    step.detail("unpacking");
    // Only library/: the rest is the compiler, a hundred times as much.
    let script =
        r#"dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --strip-components=4 "./usr/src/rustc-$3/library""#;
    Cmd::new("sh")
        .args(["-c", script, "sh"])
        .arg(&package)
        .arg(parent)
        .arg(version)
        .run(step)?;
    if !is_whole(own) {
        bail!("{} has no core library in it", package.display());
    }
    Ok(())
}
