//! `cargo xtask lint`: what a machine can say about the sources without running them.

mod hygiene;

use anyhow::{Result, bail};

use crate::command::{Cmd, cargo, find_in_path};
use crate::progress::Progress;
use crate::workspace::Workspace;

/// Runs every check, and fails after the last when one of them failed.
pub(crate) fn run(workspace: &Workspace, progress: &Progress) -> Result<()> {
    let mut failed = Vec::new();
    let mut check = |name: &'static str, again: &str, result: Result<()>| {
        if let Err(error) = result {
            progress.say(format!("{error:#}"));
            failed.push(format!("{name} (again: {again})"));
        }
    };
    let at_root = |command: Cmd| command.dir(&workspace.root);
    let format = at_root(cargo().args(["fmt", "--all", "--check"]));
    check(
        "formatting",
        "cargo fmt --all",
        progress.step("formatting", |step| format.run(step)),
    );

    let clippy = at_root(cargo().args(["clippy", "--workspace", "--all-targets", "--color", "never"]))
        .arg("--target-dir")
        .arg(&workspace.target)
        .args(["--", "-D", "warnings"]);
    check(
        "clippy",
        "cargo clippy --workspace --all-targets",
        progress.step("clippy", |step| clippy.run(step)),
    );

    check(
        "hygiene",
        "cargo xtask lint",
        progress.step("file hygiene", |_| hygiene::check(&workspace.root)),
    );

    if find_in_path("cargo-deny").is_some() {
        let deny = at_root(cargo().args(["deny", "--all-features", "check"]));
        check(
            "licences and advisories",
            "cargo deny check",
            progress.step("cargo-deny", |step| deny.run(step)),
        );
    } else {
        progress.say(" skipped  cargo-deny: not installed, `cargo install --locked cargo-deny` does it");
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}
