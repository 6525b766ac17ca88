//! Building programs for arm64 on x86-64: a cross compiler of Debian's, unpacked below `target/tools`, and Rust's standard library
//! from its sources.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::packages::{self, Wanted};
use super::rust_src;
use crate::command::{Cmd, cargo};
use crate::progress::Step;
use crate::verb::build::Profile;
use crate::workspace::Workspace;

/// The oldest release whose programs run on every later one.
const SUITE: &str = "bookworm";
const PACKAGES: [&str; 2] = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// The tools that a build calls.
const TOOLS: [&str; 2] = ["gcc", "ar"];

/// Builds a package of the workspace as a program that needs no library, and returns it.
pub(crate) fn build(workspace: &Workspace, package: &str, profile: Profile, step: &Step) -> Result<PathBuf> {
    let library = rust_src::ensure(workspace, step)?;
    let [compiler, archiver] = tools(workspace, step)?;
    build_command(workspace, package)
        .args(profile.flags())
        // Cargo looks for the library's sources in the compiler's own folder otherwise.
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", &library)
        // Features of cargo that are not stable yet.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", &compiler)
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "-C target-feature=+crt-static",
        )
        .env("CC_aarch64_unknown_linux_gnu", &compiler)
        .env("AR_aarch64_unknown_linux_gnu", &archiver)
        .run(step)?;
    Ok(target_dir(workspace)
        .join(TARGET)
        .join(profile.folder())
        .join(package))
}

fn build_command(workspace: &Workspace, package: &str) -> Cmd {
    cargo()
        .args(["build", "--color", "never", "-Z", "build-std=std,panic_unwind"])
        .args(["--target", TARGET, "--package", package, "--target-dir"])
        .arg(target_dir(workspace))
        .dir(&workspace.root)
}

/// A folder of its own: many build scripts run again when `RUSTC_BOOTSTRAP` changes.
fn target_dir(workspace: &Workspace) -> PathBuf {
    workspace.target.join("cross")
}

/// Makes sure of the compiler, and returns what has to be called in the place of each tool.
fn tools(workspace: &Workspace, step: &Step) -> Result<[PathBuf; TOOLS.len()]> {
    let root = workspace.tools().join("cross-arm64");
    let wanted = Wanted {
        suite: SUITE,
        architecture: "amd64",
        packages: &|apt| apt.with_dependencies(&PACKAGES),
        key: "gcc",
    };
    packages::unpack(&wanted, &root, step)?;
    let [compiler, archiver] = TOOLS;
    Ok([wrapper(&root, compiler)?, wrapper(&root, archiver)?])
}

/// A script that starts a tool with the libraries that were unpacked beside it.
fn wrapper(root: &Path, tool: &str) -> Result<PathBuf> {
    let file = root.join(tool);
    let script = format!(
        "#!/bin/sh\nhere=$(dirname \"$0\")\nLD_LIBRARY_PATH=\"$here/usr/lib/x86_64-linux-gnu\" exec \
         \"$here/usr/bin/aarch64-linux-gnu-{tool}\" \"$@\"\n"
    );
    let write = || {
        fs::write(&file, script)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}
