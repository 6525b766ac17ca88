//! Where things are in the repository and below its target directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The repository's folders.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the repository that this program was built from, and the target directory that it was built into.
    pub(crate) fn locate() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask's folder has no parent: the repository was moved while building, run it again")?
            .to_owned();
        // target/debug/xtask: holds for CARGO_TARGET_DIR and build.target-dir as well.
        let executable = std::env::current_exe().context("asking for this program's own path")?;
        let target = executable
            .ancestors()
            .nth(2)
            .context("this program is not in a target directory: start it as `cargo xtask`")?
            .to_owned();
        Ok(Self { root, target })
    }

    /// What is installed for this repository alone.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// The services of the demo, as sources.
    pub(crate) fn demo_apps(&self) -> PathBuf {
        self.root.join("demo-apps")
    }
}
