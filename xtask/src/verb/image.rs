//! `cargo xtask image`: the agent's container image, by the last stage of its Dockerfile.

use std::fs;

use anyhow::{Context, Result, bail};

use super::build::{self, Profile};
use crate::progress::Progress;
use crate::setup::cross;
use crate::stack::engine::Engine;
use crate::workspace::Workspace;

const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// Builds it for one architecture or for all.
pub(crate) fn run(workspace: &Workspace, progress: &Progress, only: Option<&str>) -> Result<()> {
    if let Some(unknown) = only.filter(|name| !ARCHITECTURES.contains(name)) {
        bail!("there is no kernel side for {unknown}: give amd64 or arm64");
    }
    let engine = progress.step("Docker engine", |step| Engine::start(workspace, step))?;
    let folder = workspace.target.join("image");
    for architecture in ARCHITECTURES {
        if only.is_some_and(|only| only != architecture) {
            continue;
        }
        let agent = match architecture {
            "amd64" => build::build_static(workspace, progress, Profile::Release)?,
            _ => progress.step("the agent (arm64)", |step| {
                cross::build(workspace, "sidelight", Profile::Release, step)
            })?,
        };
        let stage = folder.join(architecture);
        super::stack::place(&agent, &stage)?;
        let archive = folder.join(format!("sidelight-{architecture}.tar"));
        progress.step(archive.display(), |step| {
            let platform = format!("linux/{architecture}");
            engine
                .docker()
                .args([
                    "build",
                    "--file",
                    "deploy/agent/Dockerfile",
                    "--tag",
                    "sidelight",
                    "--platform",
                    &platform,
                ])
                // The program is compiled already: it stands in the place of the stage that would do so.
                .arg("--build-context")
                .arg(format!("build={}", stage.display()))
                .arg(".")
                .dir(&workspace.root)
                .run(step)?;
            engine
                .docker()
                .args(["save", "--output"])
                .arg(&archive)
                .arg("sidelight")
                .run(step)
        })?;
        let size = fs::metadata(&archive)
            .with_context(|| format!("looking at {}", archive.display()))?
            .len();
        progress.say(format!(
            "          {} MiB; `docker load --input {}`",
            size >> 20,
            archive.display()
        ));
    }
    Ok(())
}
