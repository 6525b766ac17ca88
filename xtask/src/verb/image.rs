//! `cargo xtask image`: the agent's container image, by the last stage of its Dockerfile.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::build::{self, Profile};
use crate::progress::{Progress, Step};
use crate::setup::cross;
use crate::stack::engine::Engine;
use crate::workspace::Workspace;

const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
const IMAGE: &str = "sidelight";

/// Builds it for one architecture or for all.
pub(crate) fn run(workspace: &Workspace, progress: &Progress, only: Option<&str>) -> Result<()> {
    if let Some(unknown) = only.filter(|name| !ARCHITECTURES.contains(name)) {
        bail!("there is no kernel side for {unknown}: give amd64 or arm64");
    }
    let wanted = ARCHITECTURES
        .iter()
        .filter(|name| only.is_none_or(|only| only == **name));
    let folder = workspace.target.join("image");
    // Compiling takes long, and an engine can wait.
    let mut stages = Vec::new();
    for architecture in wanted {
        let stage = folder.join(architecture);
        super::stack::place(&agent(workspace, progress, architecture)?, &stage)?;
        stages.push((*architecture, stage));
    }
    let engine = super::stack::engine(workspace, progress)?;
    for (architecture, stage) in stages {
        let archive = folder.join(format!("sidelight-{architecture}.tar"));
        progress.step(archive.display(), |step| {
            build_image(workspace, &engine, architecture, &stage, step)?;
            engine
                .docker()
                .args(["save", "--output"])
                .arg(&archive)
                .arg(IMAGE)
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

/// The agent's executable for an architecture, which needs no library.
fn agent(workspace: &Workspace, progress: &Progress, architecture: &str) -> Result<PathBuf> {
    match architecture {
        "amd64" => build::build_static(workspace, progress, Profile::Release),
        _ => progress.step("the agent (arm64)", |step| {
            cross::build(workspace, "sidelight", Profile::Release, step)
        }),
    }
}

fn build_image(
    workspace: &Workspace,
    engine: &Engine,
    architecture: &str,
    stage: &Path,
    step: &Step,
) -> Result<()> {
    let platform = format!("linux/{architecture}");
    engine
        .docker()
        .args(["build", "--file", "deploy/agent/Dockerfile"])
        .args(["--tag", IMAGE, "--platform", &platform])
        // The program is compiled already: it stands in the place of the stage that would do so.
        .arg("--build-context")
        .arg(format!("build={}", stage.display()))
        .arg(".")
        .dir(&workspace.root)
        .run(step)
}
