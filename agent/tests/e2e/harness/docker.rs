//! A Docker engine of our own: its own data, its own socket, no network, no registry.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{lab::find, process::Process, until_within};

/// What an engine needs, as Debian and Ubuntu name the packages.
const PACKAGES: [&str; 3] = ["docker.io", "containerd", "runc"];
/// The newer releases have the command line in a package of its own.
const COMMAND_LINE: &str = "docker-cli";
const PATIENCE: Duration = Duration::from_mins(1);

/// Why there can be no engine on this machine; nothing when there can. Fetches it the first time.
pub(crate) fn missing() -> Option<String> {
    static ONCE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ONCE.lock();
    if unpacked().join("usr/sbin/dockerd").is_file() || find("dockerd").is_some() {
        return None;
    }
    fetch()
        .err()
        .map(|error| format!("needs a Docker engine, and it could not be fetched: {error:#}"))
}

/// A running engine.
pub(crate) struct Engine {
    daemon: Process,
    socket: String,
}

/// A running container; it ends with this.
pub(crate) struct Container<'a> {
    engine: &'a Engine,
    /// Its long id.
    pub(crate) id: String,
    /// Its first process, as the host sees it.
    pub(crate) pid: u32,
}

impl Engine {
    /// Starts one that keeps everything in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let below = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let socket = format!("unix://{}", below("socket"));
        let mut command = command("dockerd");
        command.args([
            "--bridge=none",
            "--iptables=false",
            "--ip-masq=false",
            "--storage-driver=vfs",
            "-H",
            &socket,
        ]);
        command.args([
            "--data-root",
            &below("data"),
            "--exec-root",
            &below("exec"),
            "--pidfile",
            &below("pid"),
        ]);
        let mut engine = Self {
            daemon: Process::spawn("dockerd", command)?,
            socket,
        };
        until_within(PATIENCE, "the Docker engine answers", || {
            (engine.docker(&["version"]).is_ok() || !engine.daemon.runs()).then_some(())
        })?;
        ensure!(
            engine.daemon.runs(),
            "dockerd ended:\n{}",
            engine.daemon.stderr.text()
        );
        Ok(engine)
    }

    /// Runs a static program, alone in its image, with `arguments`.
    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) -> Result<Container<'_>> {
        let (folder, name) = (
            program.parent().context("no folder")?,
            program.file_name().context("no name")?,
        );
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(folder)
            .arg("-c")
            .arg(name)
            .stdout(Stdio::piped())
            .spawn()?;
        let layers = tar.stdout.take().context("tar has no output")?;
        let import = self
            .command(&["import", "-", "sidelight-e2e"])
            .stdin(layers)
            .output()?;
        ensure!(
            tar.wait()?.success() && import.status.success(),
            "docker import: {import:?}"
        );

        let entry = Path::new("/").join(name).to_string_lossy().into_owned();
        let run = ["run", "--detach", "--network=none", "sidelight-e2e", &entry];
        let id = self.docker(&[&run[..], arguments].concat())?;
        let pid = self
            .docker(&["inspect", "--format={{.State.Pid}}", &id])?
            .parse()
            .context("no pid")?;
        Ok(Container {
            engine: self,
            id,
            pid,
        })
    }

    /// The name that it gave a container.
    pub(crate) fn name_of(&self, container: &Container<'_>) -> Result<String> {
        let name = self.docker(&["inspect", "--format={{.Name}}", &container.id])?;
        Ok(name.trim_start_matches('/').to_owned())
    }

    /// Where it listens.
    pub(crate) fn socket_path(&self) -> &str {
        self.socket.trim_start_matches("unix://")
    }

    fn docker(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command(arguments)
            .output()
            .context("docker cannot be started")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "docker {arguments:?}: {said}\ndockerd:\n{}",
            self.daemon.stderr.text()
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command("docker");
        command.args(["-H", &self.socket]).args(arguments);
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It takes containerd along, which is a process group of its own.
        if self.daemon.signal(Signal::TERM).is_ok() {
            let _ = self.daemon.wait(PATIENCE);
        }
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.engine.docker(&["rm", "--force", &self.id]);
    }
}

/// The userland proxy from one port of the loopback interface to another, as the engine starts it for a port that a
/// container publishes. It tells its descriptor 3 that it listens.
pub(crate) fn userland_proxy(port: u16, target: u16) -> Command {
    let mut proxy = Command::new("sh");
    proxy
        .args(["-c", "exec \"$0\" \"$@\" 3>/dev/null"])
        .arg(command("docker-proxy").get_program())
        .args([
            "-proto",
            "tcp",
            "-host-ip",
            "127.0.0.1",
            "-container-ip",
            "127.0.0.1",
        ])
        .args(["-host-port", &port.to_string()])
        .args(["-container-port", &target.to_string()]);
    proxy
}

/// A program of the engine's, which finds the others.
fn command(name: &str) -> Command {
    let mut folders = vec![unpacked().join("usr/sbin"), unpacked().join("usr/bin")];
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let path: OsString = std::env::join_paths(&folders).unwrap_or_default();
    let program = folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file());
    let mut command = Command::new(program.unwrap_or_else(|| name.into()));
    command.env("PATH", path);
    command
}

/// Where the engine is kept between runs.
fn unpacked() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("tools")
        .join("docker")
}

/// Downloads the engine's packages as this machine's own sources have them, and unpacks them; nothing is installed.
fn fetch() -> Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docker-packages");
    fs::create_dir_all(&folder)?;
    let split = checked(Command::new("apt-cache").args(["show", COMMAND_LINE])).is_ok();
    let mut download = Command::new("apt-get");
    download
        .arg("download")
        .args(PACKAGES)
        .args(split.then_some(COMMAND_LINE))
        .current_dir(&folder);
    checked(&mut download)?;
    let target = unpacked();
    fs::create_dir_all(&target)?;
    for entry in fs::read_dir(&folder)? {
        checked(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(&target))?;
    }
    fs::remove_dir_all(&folder).context("the packages cannot be removed")
}

fn checked(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}
