//! `cargo xtask fuzz`: every fuzz target of the protocols, for a while.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::{Cmd, find_in_path};
use crate::progress::Progress;
use crate::workspace::Workspace;

/// Runs `target`, or each, for `each`.
pub(crate) fn run(
    workspace: &Workspace,
    progress: &Progress,
    target: Option<&str>,
    each: Duration,
) -> Result<()> {
    if find_in_path("cargo-fuzz").is_none() {
        bail!("cargo-fuzz is not installed: run `cargo install --locked cargo-fuzz`");
    }
    let folder = workspace.root.join("agent-protocols");
    let fuzz = |verb: &str| {
        Cmd::new("cargo")
            .args(["+nightly", "fuzz", verb])
            .dir(&folder)
            .env_remove("RUSTUP_TOOLCHAIN")
    };
    let listed = fuzz("list")
        .output()
        .context("fuzzing needs a nightly compiler: run `rustup toolchain install nightly`")?;
    let targets: Vec<&str> = listed
        .lines()
        .filter(|name| target.is_none_or(|target| *name == target))
        .collect();
    if targets.is_empty() {
        bail!(
            "there is no such fuzz target; there are: {}",
            listed.replace('\n', ", ")
        );
    }
    for name in targets {
        progress.step(format!("fuzzing {name} for {} s", each.as_secs()), |step| {
            let limit = format!("-max_total_time={}", each.as_secs());
            fuzz("run")
                .args([name, "--", &limit, "-rss_limit_mb=1024", "-timeout=10"])
                .run(step)
        })?;
    }
    Ok(())
}
