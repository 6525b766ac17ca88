//! The demo: a database and three services as plain local processes.

mod database;
mod http;
mod services;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub(crate) use http::get;

use crate::ports;
use crate::process::Process;
use crate::progress::Progress;
use crate::setup;
use crate::workspace::Workspace;

/// What the demo is started with; [`install`](Toolbox::install) gets it.
pub(crate) struct Toolbox {
    python: PathBuf,
    postgres: PathBuf,
    golang_app: PathBuf,
}

/// The running demo. Dropping it ends every process and removes every file.
pub(crate) struct Demo {
    // Fields are dropped in this order: the services before what they depend on.
    services: Vec<Process>,
    _database: Process,
    _folder: RunFolder,
    ports: Ports,
}

/// The ports of the demo, each with the variable that changes it.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) flask: u16,
    pub(crate) fastapi: u16,
    pub(crate) golang: u16,
    database: u16,
}

impl Toolbox {
    /// Looks for what the demo needs, and installs what is missing.
    pub(crate) fn install(workspace: &Workspace, progress: &Progress) -> Result<Self> {
        let python = progress.step("Python packages", |step| setup::python::ensure(workspace, step))?;
        let go = progress.step("Go toolchain", |step| setup::go::ensure(workspace, &python, step))?;
        let postgres = progress.step("PostgreSQL server", setup::postgres::ensure)?;
        let golang_app = workspace.target.join("demo/golang-app");
        progress.step("golang-app", |step| {
            setup::go::build(
                &go,
                &workspace.demo_apps().join("golang-app"),
                ".",
                &golang_app,
                step,
            )
        })?;
        Ok(Self {
            python,
            postgres,
            golang_app,
        })
    }
}

impl Ports {
    /// The documented ports, or what the environment says.
    pub(crate) fn from_environment() -> Result<Self> {
        Ok(Self {
            flask: port("DEMO_FLASK_PORT", 8001)?,
            fastapi: port("DEMO_FASTAPI_PORT", 8000)?,
            golang: port("DEMO_GOLANG_PORT", 8002)?,
            database: port("DEMO_POSTGRES_PORT", 15432)?,
        })
    }

    /// Fails, with the name of who has it, when one of them is taken.
    pub(crate) fn require_free(self) -> Result<()> {
        ports::require_free(self.flask, "flask-app", "DEMO_FLASK_PORT")?;
        ports::require_free(self.fastapi, "fastapi-app", "DEMO_FASTAPI_PORT")?;
        ports::require_free(self.golang, "golang-app", "DEMO_GOLANG_PORT")?;
        ports::require_free(self.database, "PostgreSQL", "DEMO_POSTGRES_PORT")
    }
}

impl Demo {
    /// Starts everything and returns when every port answers.
    pub(crate) fn start(workspace: &Workspace, toolbox: &Toolbox, progress: &Progress) -> Result<Self> {
        let ports = Ports::from_environment()?;
        ports.require_free()?;
        let folder = RunFolder::create(workspace)?;
        let schema = workspace.demo_apps().join("postgres/schema.sql");
        let database = progress.step(format!("PostgreSQL on port {}", ports.database), |step| {
            database::start(&toolbox.postgres, folder.path(), ports.database, &schema, step)
        })?;
        let url = database::url(ports.database);
        let mut services = services::start(workspace, toolbox, folder.path(), ports, &url)?;
        for (service, port) in services
            .iter_mut()
            .zip([ports.flask, ports.fastapi, ports.golang])
        {
            progress.step(format!("{} on port {port}", service.name), |_| {
                services::wait_for(service, port)
            })?;
        }
        Ok(Self {
            services,
            _database: database,
            _folder: folder,
            ports,
        })
    }

    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// The processes that the agent is to watch.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.services.iter().map(Process::pid).collect()
    }

    /// An error when a service has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.services.iter_mut().try_for_each(Process::check_alive)
    }
}

fn port(variable: &str, default: u16) -> Result<u16> {
    match std::env::var(variable) {
        Err(_) => Ok(default),
        Ok(text) => text
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .with_context(|| format!("{variable}={text} is not a port: give a number from 1 to 65535")),
    }
}

/// What a run's folder is called, before its process id.
const RUN_FOLDER: &str = "sidelight-demo-";

/// Logs and the database's files, removed at the end.
struct RunFolder(PathBuf);

impl RunFolder {
    fn create(workspace: &Workspace) -> Result<Self> {
        let inside = workspace.target.join("run");
        fs::create_dir_all(&inside).with_context(|| format!("creating {}", inside.display()))?;
        // PostgreSQL refuses to run as root, and another user cannot enter, say, root's home.
        let parent = if database::may_be_entered(&inside) {
            inside
        } else {
            std::env::temp_dir()
        };
        remove_abandoned(&parent);
        let folder = parent.join(format!("{RUN_FOLDER}{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // A folder that stays behind does no harm, and there is nobody left to be told.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A run that was killed leaves its folder, though none of its processes.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(RUN_FOLDER)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
