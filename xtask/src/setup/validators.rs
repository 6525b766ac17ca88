//! What checks the files below `deploy` and the compose files: programs of Debian, Python packages and one of npm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::packages::{self, Wanted};
use super::{Stamp, python};
use crate::command::{Cmd, find_in_path};
use crate::progress::Step;
use crate::workspace::Workspace;

/// The first release with compose in its second version. What is unpacked of it also runs on the release before.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 3] = ["docker-compose", "prometheus-alertmanager", "promtool"];
const LOCK: &str = "xtask/validators.lock";
const DASHBOARDS: &str = "xtask/dashboards.py";
const DCLINT: &str = "dclint@3.1.0";

/// Programs of Debian: `docker-compose`, `promtool` and `amtool`.
pub(crate) struct Debian(PathBuf);

impl Debian {
    pub(crate) fn ensure(workspace: &Workspace, step: &Step) -> Result<Self> {
        let folder = workspace.tools().join("validators-debian");
        let wanted = Wanted {
            suite: SUITE,
            architecture: if cfg!(target_arch = "aarch64") {
                "arm64"
            } else {
                "amd64"
            },
            packages: &|_| Ok(PACKAGES.map(str::to_owned).to_vec()),
            key: &PACKAGES.join(" "),
        };
        packages::unpack(&wanted, &folder, step)?;
        Ok(Self(folder))
    }

    pub(crate) fn compose(&self) -> Cmd {
        Cmd::new(self.0.join("usr/libexec/docker/cli-plugins/docker-compose"))
    }

    pub(crate) fn program(&self, name: &str) -> Cmd {
        Cmd::new(self.0.join("usr/bin").join(name))
    }
}

/// Programs of Python packages: `hadolint`, `kubectl` and `kubernetes-validate`.
pub(crate) struct Python {
    interpreter: PathBuf,
    folder: PathBuf,
}

impl Python {
    pub(crate) fn ensure(workspace: &Workspace, step: &Step) -> Result<Self> {
        let interpreter = python::ensure(workspace, step)?;
        let folder = python::ensure_beside(workspace, &interpreter, &workspace.root.join(LOCK), step)?;
        Ok(Self { interpreter, folder })
    }

    pub(crate) fn program(&self, name: &str) -> Cmd {
        Cmd::new(self.folder.join("bin").join(name))
    }

    /// One that is written in Python.
    pub(crate) fn script(&self, name: &str) -> Cmd {
        Cmd::new(&self.interpreter)
            .arg(self.folder.join("bin").join(name))
            .env("PYTHONPATH", &self.folder)
    }
}

/// A command that holds dashboards against Grafana's schemas; their files are its arguments.
pub(crate) fn dashboards(workspace: &Workspace, step: &Step) -> Result<Cmd> {
    let interpreter = python::ensure(workspace, step)?;
    let lock = workspace.root.join(DASHBOARDS).with_extension("lock");
    let folder = python::ensure_beside(workspace, &interpreter, &lock, step)?;
    Ok(Cmd::new(&interpreter)
        .args(["-B", DASHBOARDS])
        .env("PYTHONPATH", &folder))
}

/// dclint, from npm.
pub(crate) fn dclint(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let folder = workspace.tools().join("dclint");
    let npm = find_in_path("npm").context("dclint needs npm; `apt install npm` has it")?;
    let stamp = Stamp::new(&folder, &[DCLINT.as_bytes()]);
    if !stamp.is_current() {
        stamp.clear()?;
        Cmd::new(npm)
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(&folder)
            .arg(DCLINT)
            .run(step)?;
        stamp.write()?;
    }
    Ok(folder.join("node_modules/.bin/dclint"))
}

/// systemd's own check of a unit, in a folder that has this machine's other units and, where the unit looks for it, a program.
pub(crate) fn systemd(work: &Path, unit: &Path, program: &str) -> Result<Cmd> {
    let analyze = find_in_path("systemd-analyze").context("this machine has no systemd-analyze")?;
    let units = Path::new("/usr/lib/systemd/system");
    let (etc, executable) = (work.join("etc/systemd/system"), work.join(program));
    let name = unit.file_name().context("a unit has a name")?;
    let prepare = || {
        fs::create_dir_all(&etc)?;
        fs::create_dir_all(work.join("usr/lib/systemd"))?;
        fs::create_dir_all(executable.parent().unwrap_or(work))?;
        fs::copy(unit, etc.join(name))?;
        fs::copy("/bin/true", &executable).map(drop)
    };
    prepare().with_context(|| format!("preparing {}", work.display()))?;
    Cmd::new("cp")
        .arg("-a")
        .arg(units)
        .arg(work.join("usr/lib/systemd"))
        .output()?;
    Ok(Cmd::new(analyze)
        .args(["verify", "--man=no", "--root"])
        .arg(work)
        .arg(name))
}
