//! k6, built from its module: its container image's one program.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Stamp;
use crate::command::Cmd;
use crate::progress::Step;
use crate::workspace::Workspace;

/// The newest that the module proxy has. What `k6-script.js` uses is the same in the version that docker-compose.yaml names.
const MODULE: &str = "go.k6.io/k6@v1.8.1";

/// Makes sure of k6, and returns its program.
pub(crate) fn ensure(workspace: &Workspace, go: &Path, step: &Step) -> Result<PathBuf> {
    let folder = workspace.tools().join("k6");
    let stamp = Stamp::new(&folder, &[MODULE.as_bytes()]);
    if !stamp.is_current() {
        stamp.clear()?;
        Cmd::new(go)
            .args([
                "install",
                "-buildvcs=false",
                "-trimpath",
                "-ldflags",
                "-s -w",
                MODULE,
            ])
            .env("GOBIN", &folder)
            .env("CGO_ENABLED", "0")
            .env("GOTOOLCHAIN", "local")
            .env_remove("GO111MODULE")
            .run(step)
            .context("k6 could not be built")?;
        stamp.write()?;
    }
    Ok(folder.join("k6"))
}
