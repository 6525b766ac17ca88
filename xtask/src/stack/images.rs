//! Base images, made of Debian's packages under the names that the Dockerfiles and docker-compose.yaml use.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use super::engine::Engine;
use crate::command::Cmd;
use crate::progress::Step;
use crate::setup::packages::{self, Wanted};
use crate::workspace::Workspace;

const SUITE: &str = "trixie";
/// The label that says what an image was made of.
const RECIPE: &str = "sidelight.recipe";
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// What every image has that has packages.
const BASE: [&str; 4] = ["base-files", "base-passwd", "dash", "coreutils"];
const NOBODY: u32 = 65534;
/// Compiling expressions takes more room than all the rest of PostgreSQL, which does without.
const LEFT_OUT: [&str; 2] = ["libllvm19=", "libz3-4="];

/// An image that a registry would give.
pub(crate) struct Image {
    pub(crate) name: &'static str,
    folder: &'static str,
    /// None where one program is all that there is.
    packages: &'static [&'static str],
    /// Files of the repository, and where they go.
    files: &'static [(&'static str, &'static str)],
    /// Files below `target`, and where they go.
    built: &'static [(&'static str, &'static str)],
    /// Folders that belong to whoever is nobody: volumes are as these at first.
    nobodys: &'static [&'static str],
    links: &'static [(&'static str, &'static str)],
    changes: &'static [&'static str],
}

pub(crate) const PYTHON: Image = Image {
    name: "python:3.13-slim-trixie",
    folder: "python",
    packages: &["python3.13", "python3.13-venv", "libstdc++6"],
    files: &[],
    built: &[],
    nobodys: &[],
    links: &[
        ("/usr/bin/python3.13", "usr/bin/python"),
        ("/usr/bin/python3.13", "usr/bin/python3"),
    ],
    changes: &["CMD [\"python\"]"],
};

pub(crate) const POSTGRES: Image = Image {
    name: "postgres:17-trixie",
    folder: "postgres",
    packages: &["postgresql-17", "util-linux"],
    files: &[("deploy/local/postgres/entrypoint.sh", "entrypoint.sh")],
    built: &[],
    nobodys: &[],
    links: &[("/usr/lib/postgresql/17/bin/pg_isready", "usr/bin/pg_isready")],
    changes: &["ENTRYPOINT [\"/entrypoint.sh\"]", "STOPSIGNAL SIGINT"],
};

pub(crate) const PROMETHEUS: Image = Image {
    name: "prom/prometheus:v3.14.0",
    folder: "prometheus",
    packages: &["prometheus", "promtool"],
    files: &[],
    built: &[],
    nobodys: &["prometheus"],
    links: &[],
    changes: &["USER 65534:65534", "ENTRYPOINT [\"/usr/bin/prometheus\"]"],
};

pub(crate) const ALERTMANAGER: Image = Image {
    name: "prom/alertmanager:v0.34.0",
    folder: "alertmanager",
    packages: &["prometheus-alertmanager"],
    files: &[],
    built: &[],
    nobodys: &["alertmanager"],
    links: &[],
    changes: &[
        "USER 65534:65534",
        "ENTRYPOINT [\"/usr/bin/prometheus-alertmanager\"]",
    ],
};

/// Of the program that `setup::collector` builds.
pub(crate) const COLLECTOR: Image = Image {
    name: "otel/opentelemetry-collector-contrib:0.159.0",
    folder: "collector",
    packages: &[],
    files: &[],
    built: &[("tools/collector/collector", "otelcol-contrib")],
    nobodys: &[],
    links: &[],
    changes: &["USER 10001:10001", "ENTRYPOINT [\"/otelcol-contrib\"]"],
};

/// Of the program that `setup::k6` builds.
pub(crate) const K6: Image = Image {
    name: "grafana/k6:2.2.0",
    folder: "k6",
    packages: &[],
    files: &[],
    built: &[("tools/k6/k6", "usr/bin/k6")],
    nobodys: &[],
    links: &[],
    changes: &["USER 12345:12345", "ENTRYPOINT [\"/usr/bin/k6\"]"],
};

impl Image {
    /// Makes sure that the engine has it: what a registry gave under its name stays.
    pub(crate) fn ensure(&self, workspace: &Workspace, engine: &Engine, step: &Step) -> Result<()> {
        let recipe = self.recipe(workspace)?;
        let found = engine.label(self.name, RECIPE);
        if found.as_ref().is_some_and(String::is_empty) {
            step.detail("the engine has what a registry gave");
            return Ok(());
        }
        // One that a run left which was killed is no less ours.
        engine.remember(self.name);
        if found.is_some_and(|found| found == recipe) {
            return Ok(());
        }
        let root = self.root(workspace, step)?;
        let archive = root.with_extension("tar");
        step.detail("packing");
        Cmd::new("tar")
            .arg("-C")
            .arg(&root)
            .args(["--exclude=./.made-from", "--numeric-owner", "-cf"])
            .arg(&archive)
            .arg(".")
            .run(step)?;
        step.detail("importing");
        let label = format!("LABEL {RECIPE}={recipe}");
        let changes = self
            .changes
            .iter()
            .copied()
            .chain([label.as_str()])
            .flat_map(|change| ["--change", change]);
        engine
            .docker()
            .arg("import")
            .args(changes)
            .arg(&archive)
            .arg(self.name)
            .run(step)?;
        fs::remove_file(&archive).with_context(|| format!("removing {}", archive.display()))
    }

    /// What it is made of, as one word.
    fn recipe(&self, workspace: &Workspace) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(format!(
            "{SUITE} {BASE:?} {:?} {:?} {:?} {:?}",
            self.packages, self.links, self.changes, self.nobodys
        ));
        for (from, name, _) in self.sources(workspace) {
            hash.update(fs::read(from.join(name)).with_context(|| format!("reading {name}"))?);
        }
        Ok(format!("{:x}", hash.finalize()))
    }

    /// All files that are no package's: folder, name within it, and where each goes.
    fn sources<'a>(
        &self,
        workspace: &'a Workspace,
    ) -> impl Iterator<Item = (&'a Path, &'static str, &'static str)> {
        let below = |folder: &'a Path| move |&(name, to): &(&'static str, &'static str)| (folder, name, to);
        let of_repository = self.files.iter().map(below(&workspace.root));
        of_repository.chain(self.built.iter().map(below(&workspace.target)))
    }

    /// Its files, below `target/tools`.
    fn root(&self, workspace: &Workspace, step: &Step) -> Result<PathBuf> {
        let root = workspace.tools().join("images").join(self.folder);
        if self.packages.is_empty() {
            fs::create_dir_all(&root).with_context(|| format!("creating {}", root.display()))?;
        } else {
            self.system(&root, step)?;
        }
        copy(Path::new("/"), CERTIFICATES, &root, CERTIFICATES)?;
        for (from, name, to) in self.sources(workspace) {
            copy(from, name, &root, to)?;
        }
        for folder in self.nobodys {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
            std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY))
                .with_context(|| format!("giving {} away", folder.display()))?;
        }
        for (to, link) in self.links {
            let link = root.join(link);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(to, &link).with_context(|| format!("linking {}", link.display()))?;
        }
        Ok(root)
    }

    /// Its packages, and what all need.
    fn system(&self, root: &Path, step: &Step) -> Result<()> {
        let names = [&BASE[..], self.packages].concat();
        let wanted = Wanted {
            suite: SUITE,
            architecture: "amd64",
            packages: &|apt| {
                let all = apt.with_dependencies(&names)?;
                let kept = |package: &String| !LEFT_OUT.iter().any(|left| package.starts_with(left));
                Ok(all.into_iter().filter(kept).collect())
            },
            key: &names.join(" "),
        };
        packages::unpack(&wanted, root, step)?;
        // What the packages' own scripts would do.
        for (from, to) in [("passwd.master", "etc/passwd"), ("group.master", "etc/group")] {
            copy(&root.join("usr/share/base-passwd"), from, root, to)?;
        }
        Ok(())
    }
}

fn copy(from: &Path, name: &str, root: &Path, to: &str) -> Result<()> {
    let (source, target) = (from.join(name), root.join(to));
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    fs::copy(&source, &target)
        .with_context(|| format!("copying {} to {}", source.display(), target.display()))
        .map(drop)
}
