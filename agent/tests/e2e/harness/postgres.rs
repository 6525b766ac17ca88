//! A PostgreSQL of our own, on the loopback interface.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{ports, process::Process, until};

/// PostgreSQL refuses to run as root; this is `nobody` on every distribution.
pub(crate) const NOBODY: u32 = 65534;

/// The tables that the tests' applications use; the demo's own come from its schema.
const SCHEMA: &str = "
    CREATE TABLE people (id integer PRIMARY KEY, name text NOT NULL);
    INSERT INTO people VALUES (1, 'ada'), (2, 'grace');
    CREATE TABLE notes (id serial PRIMARY KEY, person integer NOT NULL, body text NOT NULL);
";

/// A running database server, with the tests' tables and the demo's.
pub(crate) struct Postgres {
    process: Process,
    port: u16,
}

impl Postgres {
    /// Creates a cluster in `folder`, starts it and fills it.
    pub(crate) fn start(programs: &Path, folder: &Path) -> Result<Self> {
        let data = folder.join("data");
        if rustix::process::geteuid().is_root() {
            chown(folder, Some(NOBODY), Some(NOBODY))
                .context("the database's folder cannot be given away")?;
        }
        let mut initdb = plain(programs, "initdb");
        initdb.args([
            "--auth=trust",
            "--username=user",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
            "-D",
        ]);
        checked(initdb.arg(&data))?;

        let port = ports::free()?;
        let mut postgres = plain(programs, "postgres");
        postgres
            .arg("-D")
            .arg(&data)
            .args(["-c", "ssl=off", "-c", "fsync=off", "-c", "max_connections=200"]);
        postgres.args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}")]);
        postgres.args(["-c", &format!("unix_socket_directories={}", folder.display())]);
        let mut process = Process::spawn("postgres", postgres)?;
        ports::wait(&mut process, ports::local(port))?;

        let running = Self { process, port };
        running.fill(programs)?;
        Ok(running)
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A connection string that every driver reads.
    pub(crate) fn dsn(&self) -> String {
        format!("postgresql://user:password@127.0.0.1:{}/db", self.port)
    }

    fn fill(&self, programs: &Path) -> Result<()> {
        let demo = fs::read_to_string(super::lab::source("../demo-apps/postgres/schema.sql"))
            .context("the demo's schema cannot be read")?;
        until("the database accepts statements", || {
            self.psql(programs, "postgres", "SELECT 1").ok()
        })?;
        self.psql(programs, "postgres", "CREATE DATABASE db")?;
        self.psql(programs, "db", SCHEMA)?;
        self.psql(programs, "db", &demo)
    }

    fn psql(&self, programs: &Path, database: &str, statement: &str) -> Result<()> {
        let mut psql = plain(programs, "psql");
        psql.args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            "user",
            "-d",
            database,
        ]);
        checked(psql.args(["-p", &self.port.to_string(), "-c", statement]))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A fast shutdown takes its backends along, which are process groups of their own.
        if self.process.signal(Signal::INT).is_ok() {
            let _ = self.process.wait(Duration::from_secs(10));
        }
    }
}

/// A program of PostgreSQL's, run as somebody who is not root.
fn plain(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(PathBuf::from(programs).join(name));
    command.current_dir("/").env("LC_ALL", "C");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn checked(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed:\n{said}");
    Ok(())
}
