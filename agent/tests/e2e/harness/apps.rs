//! Applications as the tests run them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{
    PATIENCE,
    client::Address,
    lab::{Lab, source},
    ports,
    process::Process,
    until,
};

/// A running server.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: Address,
}

impl Server {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where it is reached over TCP, as applications are told.
    pub(crate) fn url(&self) -> Result<String> {
        match &self.address {
            Address::Tcp(address) => Ok(format!("http://{address}")),
            Address::Unix(path) => anyhow::bail!("a server on {} has no URL", path.display()),
        }
    }

    /// A server that was told to listen on `port`; it listens when this returns.
    pub(crate) fn on_port(name: &str, command: Command, port: u16) -> Result<Self> {
        let address = ports::local(port);
        let mut process = Process::spawn(name, command)?;
        ports::wait(&mut process, address).with_context(|| format!("{name} does not start"))?;
        Ok(Self {
            process,
            address: address.into(),
        })
    }

    /// A server that was told to listen on a UNIX socket; it listens when this returns.
    pub(crate) fn on_path(name: &str, command: Command, path: &Path) -> Result<Self> {
        let mut process = Process::spawn(name, command)?;
        until(&format!("{name} listens on {}", path.display()), || {
            (std::os::unix::net::UnixStream::connect(path).is_ok() || !process.runs()).then_some(())
        })?;
        anyhow::ensure!(process.runs(), "{name} ended:\n{}", process.stderr.text());
        Ok(Self {
            process,
            address: path.into(),
        })
    }
}

/// A Python script of the tests with `arguments`.
pub(crate) fn script(name: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(Lab::python()?);
    command
        .arg(source("tests/apps").join(name))
        .args(arguments)
        .env("PYTHONUNBUFFERED", "1");
    Ok(command)
}

/// A Python module (`python -m NAME`) with `arguments`, run where the tests' applications are.
pub(crate) fn module(name: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(Lab::python()?);
    command
        .args(["-m", name])
        .args(arguments)
        .current_dir(source("tests/apps"));
    command
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// The tests' Go server.
pub(crate) fn go_server(lab: &Lab, more: &[&str]) -> Result<Server> {
    let port = ports::free()?;
    let mut command = Command::new(lab.go_test_app()?);
    command.args(["-listen", &format!("127.0.0.1:{port}")]).args(more);
    Server::on_port("the Go server", command, port)
}

/// The server on bare sockets: see `sockets.py`.
pub(crate) struct Sockets {
    pub(crate) process: Process,
    ports: HashMap<String, u16>,
    folder: PathBuf,
}

impl Sockets {
    /// Starts it with `folder` for its files.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        Self::spawn(script("sockets.py", &[&folder.to_string_lossy()])?, folder)
    }

    /// The same from a command that ends up as `sockets.py`.
    pub(crate) fn spawn(command: Command, folder: &Path) -> Result<Self> {
        let process = Process::spawn("sockets.py", command)?;
        process.line("listening sockets", |_, line| line.starts_with("ready "))?;
        let ports = process.stdout.since(0).into_iter().filter_map(|line| {
            let (name, port) = line.split_once(' ')?;
            Some((name.to_owned(), port.parse().ok()?))
        });
        Ok(Self {
            ports: ports.collect(),
            process,
            folder: folder.to_owned(),
        })
    }

    /// The port with this name.
    pub(crate) fn port(&self, name: &str) -> Result<u16> {
        self.ports
            .get(name)
            .copied()
            .with_context(|| format!("sockets.py does not listen as {name}"))
    }

    /// Where to reach it for this way of reading, or this address family.
    pub(crate) fn address(&self, name: &str) -> Result<Address> {
        Ok(match name {
            "unix" => self.folder.join("sockets.sock").as_path().into(),
            "ipv6" => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, self.port(name)?)).into(),
            _ => ports::local(self.port(name)?).into(),
        })
    }
}

/// A program that is told what to do line by line; it is ready when this returns.
pub(crate) fn told(name: &str, arguments: &[&str]) -> Result<Process> {
    let process = Process::spawn(name, script(name, arguments)?)?;
    process.line("line \"ready\"", |_, line| line.starts_with("ready"))?;
    Ok(process)
}

/// The same, but it starts only when it is told anything: until then it is a shell, so that an agent can be there first.
pub(crate) fn told_later(name: &str, arguments: &[&str]) -> Result<Process> {
    let script = script(name, arguments)?;
    let mut command = Command::new("sh");
    command
        .args(["-c", "read -r go; exec \"$0\" \"$@\""])
        .arg(script.get_program())
        .args(script.get_args());
    command.env("PYTHONUNBUFFERED", "1");
    Process::spawn(name, command)
}

/// The processes below `pid`, itself included, once there are at least `count`.
pub(crate) fn family(pid: u32, count: usize) -> Result<Vec<u32>> {
    until(
        &format!("{pid} and its children are {count} processes, within {PATIENCE:?}"),
        || {
            let mut all = vec![pid];
            let mut at = 0;
            while let Some(parent) = all.get(at).copied() {
                all.extend(children(parent));
                at += 1;
            }
            (all.len() >= count).then_some(all)
        },
    )
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect()
}
