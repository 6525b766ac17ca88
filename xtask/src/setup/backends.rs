//! Databases of metrics that the agent's are for: Debian's Prometheus, with its checker, and `VictoriaMetrics`.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::packages::{self, Wanted};
use crate::progress::Step;
use crate::workspace::Workspace;

/// The first release whose `VictoriaMetrics` takes OTLP. Its programs need no newer C library than the release before has.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 3] = ["prometheus", "promtool", "victoria-metrics"];

/// Makes sure of the programs, and returns the folder that has them.
pub(crate) fn ensure(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("Debian's name of {other} is not known here"),
    };
    let root = workspace.tools().join("backends");
    let wanted = Wanted {
        suite: SUITE,
        architecture,
        packages: &|_| Ok(PACKAGES.map(str::to_owned).to_vec()),
        key: "prometheus and victoria-metrics",
    };
    packages::unpack(&wanted, &root, step)?;
    Ok(root.join("usr/bin"))
}
