//! OpenTelemetry's Collector with the parts that the tests and `deploy/collector/config.yaml` need, built from their modules.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Stamp;
use crate::command::Cmd;
use crate::progress::Step;
use crate::workspace::Workspace;

/// Its main package, and which modules it is made of.
const SOURCE: &str = "xtask/versions/collector";
const FILES: [&str; 3] = ["main.go", "go.mod", "go.sum"];

/// Makes sure of the collector, and returns its program.
pub(crate) fn ensure(workspace: &Workspace, go: &Path, step: &Step) -> Result<PathBuf> {
    let source = workspace.root.join(SOURCE);
    let read = |name: &&str| fs::read(source.join(name)).with_context(|| format!("reading {SOURCE}/{name}"));
    let files = FILES.iter().map(read).collect::<Result<Vec<_>>>()?;
    let version = Cmd::new(go).args(["env", "GOVERSION"]).output()?;
    let mut ingredients: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    ingredients.push(version.as_bytes());
    let folder = workspace.tools().join("collector");
    let program = folder.join("collector");
    let stamp = Stamp::new(&folder, &ingredients);
    if !stamp.is_current() {
        stamp.clear()?;
        build(go, &source, &program, step).context("OpenTelemetry's Collector could not be built")?;
        stamp.write()?;
    }
    Ok(program)
}

fn build(go: &Path, source: &Path, program: &Path, step: &Step) -> Result<()> {
    Cmd::new(go)
        // Git refuses to tell root about another user's clone, which would end the build.
        .args(["build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(program)
        .arg(".")
        .dir(source)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env_remove("GO111MODULE")
        .run(step)
}
