//! What this machine offers to the tests, and what they share.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use anyhow::{Context as _, Error, Result, ensure};

use super::postgres::Postgres;

/// Something a test cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The privilege to load eBPF programs.
    Root,
    /// A Python with the libraries of the demo applications and of the tests.
    Python,
    /// A uvloop whose writes wait for the event loop, besides the environment's own.
    OldUvloop,
    /// OpenTelemetry's SDK for Python.
    OpenTelemetry,
    /// A Go toolchain.
    Go,
    /// Another version of a runtime than the machine's own: a file in the folder that has them.
    Version(&'static str),
    /// A `CPython` of this version with its library beside it, as pyenv installs them.
    Pyenv(&'static str),
    /// OpenTelemetry's Collector.
    Collector,
    /// Prometheus, its checker, and `VictoriaMetrics`.
    Backends,
    /// PostgreSQL's server programs.
    Postgres,
    /// A Docker engine, which is fetched where packages can be had.
    Docker,
    /// Network namespaces with address translation.
    Networks,
    /// A program in PATH.
    Tool(&'static str),
}

/// What this machine offers to the tests, and what they share.
pub(crate) struct Lab {
    folder: PathBuf,
    postgres: Mutex<Option<Result<Arc<Postgres>, String>>>,
    test_app: OnceLock<Result<PathBuf, String>>,
    parents_app: OnceLock<Result<PathBuf, String>>,
    demo_app: OnceLock<Result<PathBuf, String>>,
}

impl Lab {
    /// An empty lab with a folder of its own.
    pub(crate) fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("sidelight-e2e-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            folder,
            postgres: Mutex::default(),
            test_app: OnceLock::new(),
            parents_app: OnceLock::new(),
            demo_app: OnceLock::new(),
        })
    }

    /// Why a test with this need cannot run here; nothing when it can.
    pub(crate) fn missing(need: Need) -> Option<String> {
        match need {
            Need::Root => {
                (!rustix::process::geteuid().is_root()).then(|| "needs root to load eBPF programs".to_owned())
            }
            Need::Python => unset(
                "SIDELIGHT_TEST_PYTHON",
                "a Python with demo-apps/requirements.lock installed",
            ),
            Need::OldUvloop => unset("SIDELIGHT_TEST_OLD_UVLOOP", "a folder with a uvloop before 0.23"),
            Need::OpenTelemetry => unset(
                "SIDELIGHT_TEST_OPENTELEMETRY",
                "a folder with OpenTelemetry's SDK for Python",
            ),
            Need::Go => unset("SIDELIGHT_TEST_GO", "a Go toolchain"),
            Need::Version(file) => unset(
                "SIDELIGHT_TEST_VERSIONS",
                "a folder with versions of Go and CPython",
            )
            .or_else(|| {
                let found = Self::version(file).is_ok_and(|file| file.exists());
                (!found).then(|| format!("{file} could not be had: `cargo xtask test` says why"))
            }),
            Need::Pyenv(version) => Self::pyenv(version).err().map(|error| format!("{error:#}")),
            Need::Collector => unset("SIDELIGHT_TEST_COLLECTOR", "OpenTelemetry's Collector"),
            Need::Backends => unset(
                "SIDELIGHT_TEST_BACKENDS",
                "the folder with prometheus, promtool and victoria-metrics",
            ),
            Need::Postgres => unset(
                "SIDELIGHT_TEST_PG_BIN",
                "the folder with PostgreSQL's initdb and postgres",
            ),
            Need::Networks => super::networks::missing(),
            Need::Docker => super::docker::missing(),
            Need::Tool(name) => find(name)
                .is_none()
                .then(|| format!("needs {name}, which is not in PATH")),
        }
    }

    /// A fresh folder, readable by everybody.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// The Python to run applications with.
    pub(crate) fn python() -> Result<PathBuf> {
        from_environment("SIDELIGHT_TEST_PYTHON")
    }

    /// The folder of a uvloop before 0.23.
    pub(crate) fn old_uvloop() -> Result<PathBuf> {
        from_environment("SIDELIGHT_TEST_OLD_UVLOOP")
    }

    /// The folder of OpenTelemetry's SDK for Python.
    pub(crate) fn opentelemetry() -> Result<PathBuf> {
        from_environment("SIDELIGHT_TEST_OPENTELEMETRY")
    }

    /// OpenTelemetry's Collector.
    pub(crate) fn collector() -> Result<PathBuf> {
        from_environment("SIDELIGHT_TEST_COLLECTOR")
    }

    /// Prometheus, promtool or `VictoriaMetrics`, by the program's name.
    pub(crate) fn backend(program: &str) -> Result<PathBuf> {
        Ok(from_environment("SIDELIGHT_TEST_BACKENDS")?.join(program))
    }

    /// A file among other versions of the runtimes.
    pub(crate) fn version(file: &str) -> Result<PathBuf> {
        Ok(from_environment("SIDELIGHT_TEST_VERSIONS")?.join(file))
    }

    /// Where pyenv has the newest `CPython` of a version such as 3.12.
    pub(crate) fn pyenv(version: &str) -> Result<PathBuf> {
        let root = from_environment("PYENV_ROOT");
        let root = root.or_else(|_| from_environment("HOME").map(|home| home.join(".pyenv")))?;
        let folder = root.join("versions");
        let installed = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        installed
            .map(|entry| entry.path())
            .filter(|path| path.join(format!("lib/libpython{version}.so.1.0")).exists())
            .max()
            .with_context(|| {
                format!(
                    "{} has no CPython {version} with its library beside it",
                    folder.display()
                )
            })
    }

    /// The database that all tests share.
    pub(crate) fn postgres(&self) -> Result<Arc<Postgres>> {
        let mut shared = self.postgres.lock().unwrap_or_else(PoisonError::into_inner);
        let started =
            shared.get_or_insert_with(|| self.start_postgres().map_err(|error| format!("{error:#}")));
        started.clone().map_err(Error::msg)
    }

    fn start_postgres(&self) -> Result<Arc<Postgres>> {
        let programs = from_environment("SIDELIGHT_TEST_PG_BIN")?;
        Ok(Arc::new(Postgres::start(&programs, &self.folder("postgres")?)?))
    }

    /// The tests' own Go program, static and stripped.
    pub(crate) fn go_test_app(&self) -> Result<PathBuf> {
        self.built(&self.test_app, &source("tests/apps/go"), "testapp")
    }

    /// The Go program whose calls name their requests, and their leaf.
    pub(crate) fn go_parents_app(&self) -> Result<PathBuf> {
        self.built(&self.parents_app, &source("tests/apps/parents/go"), "parents")
    }

    /// The demo's Go program, static and stripped.
    pub(crate) fn go_demo_app(&self) -> Result<PathBuf> {
        self.built(&self.demo_app, &source("../demo-apps/golang-app"), "golang-app")
    }

    fn built(&self, once: &OnceLock<Result<PathBuf, String>>, source: &Path, name: &str) -> Result<PathBuf> {
        let binary = self.folder.join(name);
        once.get_or_init(|| {
            build(source, &binary)
                .map(|()| binary)
                .map_err(|error| format!("{error:#}"))
        })
        .clone()
        .map_err(Error::msg)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The database holds files in the folder.
        *self.postgres.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A path of the agent's crate.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Where PATH has a program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Administrators' programs are not in every user's PATH.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

fn from_environment(name: &str) -> Result<PathBuf> {
    std::env::var_os(name)
        .map(PathBuf::from)
        .with_context(|| format!("{name} is not set"))
}

fn unset(name: &str, meaning: &str) -> Option<String> {
    std::env::var_os(name)
        .is_none()
        .then(|| format!("{name} is not set: it names {meaning}; `cargo xtask test` sets it"))
}

fn build(source: &Path, binary: &Path) -> Result<()> {
    let output = Command::new(from_environment("SIDELIGHT_TEST_GO")?)
        .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(binary)
        .arg(".")
        .current_dir(source)
        .env("CGO_ENABLED", "0")
        .output()
        .context("the Go toolchain cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "go build in {} failed:\n{said}",
        source.display()
    );
    Ok(())
}
