//! PostgreSQL's server programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt;
use crate::command::{Cmd, find_in_path};
use crate::progress::Step;

const NEEDED: [&str; 4] = ["initdb", "postgres", "pg_ctl", "psql"];
/// Where Debian's packages say whether their installation makes and starts a cluster.
const CLUSTER_SETTINGS: &str = "/etc/postgresql-common/createcluster.conf";

/// Makes sure of the server programs, and returns the folder that has them all.
pub(crate) fn ensure(step: &Step) -> Result<PathBuf> {
    if let Some(folder) = search() {
        return Ok(folder);
    }
    step.detail("installing postgresql");
    install(step).context("the demo and the end-to-end tests need PostgreSQL's server programs")?;
    search().with_context(|| {
        format!(
            "postgresql is installed, but no folder has all of {}",
            NEEDED.join(", ")
        )
    })
}

fn search() -> Option<PathBuf> {
    let in_path = find_in_path("initdb")
        .and_then(|file| file.canonicalize().ok())
        .and_then(|file| Some(file.parent()?.to_owned()));
    let asked = Cmd::new("pg_config")
        .arg("--bindir")
        .output()
        .ok()
        .map(PathBuf::from);
    in_path
        .into_iter()
        .chain(asked)
        .chain(packaged())
        .find(|folder| NEEDED.iter().all(|name| folder.join(name).is_file()))
}

/// The folders of Debian's and Red Hat's packages, newest version first.
fn packaged() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix) in [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name
                .to_str()
                .and_then(|name| name.strip_prefix(prefix)?.parse().ok());
            found.extend(version.map(|version| (version, entry.path().join("bin"))));
        }
    }
    found.sort();
    found.into_iter().rev().map(|(_, folder)| folder).collect()
}

/// Debian's package starts a cluster on port 5432 as soon as it is installed. Nobody asked for that one, so it is
/// switched off for the time of the installation.
fn install(step: &Step) -> Result<()> {
    if !apt::may_install() {
        return apt::install(step, &["postgresql"]);
    }
    apt::install(step, &["postgresql-common"])?;
    let settings = Path::new(CLUSTER_SETTINGS);
    let before = fs::read_to_string(settings).with_context(|| format!("reading {CLUSTER_SETTINGS}"))?;
    let write = |text: &str| fs::write(settings, text).with_context(|| format!("writing {CLUSTER_SETTINGS}"));
    write(&format!("{before}\ncreate_main_cluster = false\n"))?;
    let installed = apt::install(step, &["postgresql"]);
    write(&before)?;
    installed
}
