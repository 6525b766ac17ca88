//! The programs of a measurement: the agent, servers that do next to nothing, and the load generator.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command::Cmd;
use crate::ports;
use crate::process::Process;
use crate::progress::Progress;
use crate::setup;
use crate::verb::build::{self, Profile};
use crate::workspace::Workspace;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The programs, and a folder for what they write, which is empty again when this value is dropped.
pub(super) struct Programs {
    agent: PathBuf,
    server: PathBuf,
    generator: PathBuf,
    python: PathBuf,
    sources: PathBuf,
    folder: PathBuf,
}

/// A server that answers.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) address: String,
}

/// What the load generator is to do.
pub(super) struct Drive<'a> {
    pub(super) address: &'a str,
    /// Requests a second; 0: as many as are answered.
    pub(super) rate: u32,
    pub(super) connections: u32,
    pub(super) length: Duration,
    /// The only CPU that it may use.
    pub(super) cpu: Option<u32>,
}

impl Programs {
    pub(super) fn build(workspace: &Workspace, progress: &Progress) -> Result<Self> {
        let agent = build::build(workspace, progress, Profile::Release)?;
        let python = progress.step("Python packages", |step| setup::python::ensure(workspace, step))?;
        let go = progress.step("Go toolchain", |step| setup::go::ensure(workspace, &python, step))?;
        let folder = workspace.target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let sources = workspace.root.join("xtask/bench");
        let build = |name: &str| -> Result<PathBuf> {
            let binary = folder.join(name);
            progress.step(format!("bench {name}"), |step| {
                setup::go::build(&go, &sources, &format!("./{name}"), &binary, step)
            })?;
            Ok(binary)
        };
        Ok(Self {
            agent,
            server: build("server")?,
            generator: build("load")?,
            python,
            sources,
            folder,
        })
    }

    /// A Go server on `cpu` alone, if one is given, that answers itself or asks the server at `next`.
    pub(super) fn go_server(&self, name: &str, next: Option<&str>, cpu: Option<u32>) -> Result<Server> {
        self.start(name, |address| {
            let mut command = on(cpu, self.server.as_os_str());
            command.arg(address).args(next);
            command
        })
    }

    /// An ASGI application of two lines in uvicorn, with `options`.
    pub(super) fn uvicorn(&self, name: &str, options: &[&str], cpu: Option<u32>) -> Result<Server> {
        self.start(name, |address| {
            let port = address.rsplit(':').next().unwrap_or_default();
            let mut command = on(cpu, self.python.as_os_str());
            command
                .args(["-m", "uvicorn", "asgi:app", "--no-access-log", "--port", port])
                .args(options)
                .current_dir(&self.sources)
                .env("PYTHONDONTWRITEBYTECODE", "1");
            command
        })
    }

    fn start(&self, name: &str, command: impl FnOnce(&str) -> Command) -> Result<Server> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut process = Process::with_log(name, command(&address), &self.log(name))?;
        process.wait_until("listening", START_TIMEOUT, || ports::answers(port))?;
        Ok(Server { process, address })
    }

    /// The agent on the process `pid`, with `settings` in its environment.
    pub(super) fn attach(
        &self,
        name: &str,
        pid: u32,
        settings: &[(&str, &str)],
        cpu: Option<u32>,
    ) -> Result<Process> {
        let mut command = on(cpu, self.agent.as_os_str());
        command
            .args(["attach", "--pid", &pid.to_string(), "--output", "none"])
            .envs(settings.iter().copied());
        let mut agent = Process::with_log(name, command, &self.log(name))?;
        let is_ready = || {
            self.log_of(name)
                .is_ok_and(|log| log.lines().any(|line| line.starts_with("ready:")))
        };
        agent.wait_until("ready", START_TIMEOUT, is_ready)?;
        Ok(agent)
    }

    /// The load generator's answer.
    pub(super) fn drive(&self, drive: &Drive<'_>) -> Result<Value> {
        let mut command = on(drive.cpu, self.generator.as_os_str());
        command
            .args(["-address", drive.address])
            .args(["-rate", &drive.rate.to_string()])
            .args(["-connections", &drive.connections.to_string()])
            .args(["-length", &format!("{}s", drive.length.as_secs())]);
        let written = Cmd::of(command)
            .with(|command| {
                command.stderr(Stdio::inherit());
            })
            .output()?;
        serde_json::from_str(&written)
            .with_context(|| format!("the load generator's answer is not JSON: {written}"))
    }

    /// What the process of this name has written so far.
    pub(super) fn log_of(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.log(name)).with_context(|| format!("reading the log of {name}"))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let Ok(files) = fs::read_dir(&self.folder) else {
            return;
        };
        let is_log = |file: &Path| file.extension() == Some(OsStr::new("log"));
        for log in files
            .flatten()
            .map(|file| file.path())
            .filter(|file| is_log(file))
        {
            // What stays behind is overwritten by the next run.
            let _ = fs::remove_file(log);
        }
    }
}

/// `program`, on one CPU if one is given.
fn on(cpu: Option<u32>, program: &OsStr) -> Command {
    let Some(cpu) = cpu else {
        return Command::new(program);
    };
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &cpu.to_string()]).arg(program);
    command
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}
