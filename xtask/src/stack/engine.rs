//! A Docker engine of our own, apart from the user's: own data, own socket, ended with this program.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::firewall::Firewall;
use crate::command::{Cmd, find_in_path};
use crate::process::Process;
use crate::progress::Step;
use crate::setup::apt;
use crate::setup::packages::{self, Wanted};
use crate::workspace::Workspace;

/// Debian's release whose engine knows the capabilities of eBPF: 20.10, before it, refuses `--cap-add BPF`.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 6] = [
    "docker.io",
    "docker-cli",
    "docker-compose",
    "docker-buildx",
    "containerd",
    "runc",
];
const START: Duration = Duration::from_mins(1);

/// A running engine.
pub(crate) struct Engine {
    folder: PathBuf,
    tools: PathBuf,
    /// Its own containerd goes with it.
    daemon: Process,
    /// Put back when the daemon has ended.
    _firewall: Firewall,
    /// There is one at a time; released last.
    _turn: fs::File,
}

impl Engine {
    /// Starts one, of packages that are unpacked below `target/tools`; what it is given is kept in `target/stack` between runs.
    pub(crate) fn start(workspace: &Workspace, step: &Step) -> Result<Self> {
        let tools = tools(workspace, step)?;
        if find_in_path("iptables").is_none() && !Path::new("/usr/sbin/iptables").exists() {
            step.detail("installing iptables");
            apt::install(step, &["iptables"]).context("the engine's networks need iptables")?;
        }
        let folder = workspace.target.join("stack/engine");
        let plugins = folder.join("client/cli-plugins");
        fs::create_dir_all(&plugins).with_context(|| format!("creating {}", plugins.display()))?;
        for plugin in ["docker-compose", "docker-buildx"] {
            let link = plugins.join(plugin);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(tools.join("usr/libexec/docker/cli-plugins").join(plugin), &link)
                .with_context(|| format!("linking {}", link.display()))?;
        }
        step.detail("waiting for another run to end");
        let turn = fs::File::create(folder.join("lock")).context("making the engine's lock")?;
        turn.lock().context("waiting for the engine's lock")?;
        let firewall = Firewall::remember(&folder)?;
        step.detail("starting");
        let mut daemon = Command::new(tools.join("usr/sbin/dockerd"));
        daemon.env("PATH", path(&tools));
        let below = |name: &str| folder.join(name);
        daemon.arg("--data-root").arg(below("data"));
        daemon.arg("--exec-root").arg(below("exec"));
        daemon.arg("--pidfile").arg(below("pid"));
        daemon
            .arg("--host")
            .arg(format!("unix://{}", below("socket").display()));
        let daemon = Process::with_log("the Docker engine", daemon, &below("log"))?;
        let mut engine = Self {
            folder,
            tools,
            daemon,
            _firewall: firewall,
            _turn: turn,
        };
        let (tools, folder) = (engine.tools.clone(), engine.folder.clone());
        engine.daemon.wait_until("answering", START, || {
            client(&tools, &folder).arg("version").output().is_ok()
        })?;
        Ok(engine)
    }

    /// The command line of this engine.
    pub(crate) fn docker(&self) -> Cmd {
        client(&self.tools, &self.folder)
    }

    /// Where it keeps its containers.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What a label of an image says, when it has that image.
    pub(crate) fn label(&self, image: &str, label: &str) -> Option<String> {
        let format = format!("--format={{{{index .Config.Labels \"{label}\"}}}}");
        self.docker()
            .args(["image", "inspect", &format, image])
            .output()
            .ok()
    }
}

fn client(tools: &Path, folder: &Path) -> Cmd {
    Cmd::new(tools.join("usr/bin/docker"))
        .env("PATH", path(tools))
        .env(
            "DOCKER_HOST",
            format!("unix://{}", folder.join("socket").display()),
        )
        .env("DOCKER_CONFIG", folder.join("client"))
}

/// The engine's programs find each other, and the machine's administrative ones.
fn path(tools: &Path) -> OsString {
    let mut folders = vec![tools.join("usr/sbin"), tools.join("usr/bin")];
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    std::env::join_paths(folders).unwrap_or_default()
}

fn tools(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let folder = workspace.tools().join("engine");
    let wanted = Wanted {
        suite: SUITE,
        architecture: "amd64",
        packages: &|_| Ok(PACKAGES.map(ToOwned::to_owned).to_vec()),
        key: "engine",
    };
    packages::unpack(&wanted, &folder, step)?;
    // Debian 13's runc is linked with libraries that Debian 12 has not; the machine's own sources have one that fits.
    if Cmd::new(folder.join("usr/sbin/runc"))
        .arg("--version")
        .output()
        .is_err()
    {
        let own = folder.join("own");
        fs::create_dir_all(&own).with_context(|| format!("creating {}", own.display()))?;
        Cmd::new("apt-get")
            .args(["-q", "download", "runc"])
            .dir(&own)
            .run(step)?;
        for file in fs::read_dir(&own).context("listing packages")?.flatten() {
            Cmd::new("dpkg-deb")
                .arg("-x")
                .arg(file.path())
                .arg(&folder)
                .run(step)?;
        }
    }
    Ok(folder)
}
