//! Docker's command line: the user's, or that of packages which are unpacked below `target/tools`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{Cmd, find_in_path};
use crate::progress::Step;
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
const PLUGINS: [&str; 2] = ["docker-compose", "docker-buildx"];

/// A program with what it needs to find its engine and its plugins.
pub(super) struct Client {
    program: PathBuf,
    variables: Vec<(&'static str, OsString)>,
}

impl Client {
    /// The user's, with his contexts and credentials, if he has one that knows Compose.
    pub(super) fn of_user() -> Option<Self> {
        let client = Self {
            program: find_in_path("docker")?,
            variables: Vec::new(),
        };
        let knows = client.docker().args(["compose", "version"]).output();
        knows.is_ok().then_some(client)
    }

    /// That of the packages, whose settings are in `folder`; without `host` it talks to the engine that the environment names.
    pub(super) fn of_packages(tools: &Path, folder: &Path, host: Option<String>) -> Result<Self> {
        let settings = folder.join("client");
        let plugins = settings.join("cli-plugins");
        fs::create_dir_all(&plugins).with_context(|| format!("creating {}", plugins.display()))?;
        for plugin in PLUGINS {
            let link = plugins.join(plugin);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(tools.join("usr/libexec/docker/cli-plugins").join(plugin), &link)
                .with_context(|| format!("linking {}", link.display()))?;
        }
        let mut variables = vec![
            ("PATH", path(tools)),
            ("DOCKER_CONFIG", settings.into_os_string()),
        ];
        variables.extend(host.map(|host| ("DOCKER_HOST", host.into())));
        Ok(Self {
            program: tools.join("usr/bin/docker"),
            variables,
        })
    }

    /// The command line without arguments.
    pub(super) fn docker(&self) -> Cmd {
        let command = Cmd::new(&self.program);
        let variables = self.variables.iter();
        variables.fold(command, |command, (name, value)| command.env(name, value))
    }
}

/// The programs find each other, and the machine's administrative ones.
pub(super) fn path(tools: &Path) -> OsString {
    let mut folders = vec![tools.join("usr/sbin"), tools.join("usr/bin")];
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    std::env::join_paths(folders).unwrap_or_default()
}

/// Engine and client, unpacked.
pub(super) fn tools(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let folder = workspace.tools().join("engine");
    let wanted = Wanted {
        suite: SUITE,
        architecture: "amd64",
        packages: &|_| Ok(PACKAGES.map(ToOwned::to_owned).to_vec()),
        key: "engine",
    };
    packages::unpack(&wanted, &folder, step)?;
    // Debian 13's runc is linked with libraries that Debian 12 has not; the machine's own sources have one that fits.
    let runc = Cmd::new(folder.join("usr/sbin/runc"));
    if runc.arg("--version").output().is_err() {
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
