//! A PostgreSQL server of the demo's own: own files, own port, gone afterwards.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::Cmd;
use crate::ports;
use crate::process::Process;
use crate::progress::Step;
use crate::sys;

const USER: &str = "user";
const PASSWORD: &str = "password";
const DATABASE: &str = "db";
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Who runs the server when this program is root: PostgreSQL refuses root.
const UNPRIVILEGED: &str = "nobody";

/// The address that the services are given.
pub(super) fn url(port: u16) -> String {
    format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}")
}

/// Makes a database below `folder`, starts its server and loads `schema`.
pub(super) fn start(
    binaries: &Path,
    folder: &Path,
    port: u16,
    schema: &Path,
    step: &Step,
) -> Result<Process> {
    let home = folder.join("postgres");
    fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
    let owner = owner()?;
    if let Some((user, group)) = owner {
        chown(&home, Some(user), Some(group))
            .with_context(|| format!("giving {} to {UNPRIVILEGED}", home.display()))?;
    }
    let data = home.join("data");
    initialise(binaries, &home, &data, owner, step)?;

    let mut server = Command::new(binaries.join("postgres"));
    server.arg("-D").arg(&data).args(["-p", &port.to_string()]);
    // TCP alone: a socket file's path is limited to 107 bytes, which a deep target directory exceeds.
    server.args([
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
        "-c",
        "fsync=off",
    ]);
    run_as(&mut server, &home, owner);
    // SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for the services to hang up.
    let mut server =
        Process::with_log("PostgreSQL", server, &folder.join("postgres.log"))?.stopped_by(libc::SIGINT);
    server.wait_until("ready", START_TIMEOUT, || ready(binaries, port))?;

    psql(binaries, port, "postgres")
        .args(["-c", &format!("CREATE DATABASE {DATABASE}")])
        .run(step)?;
    psql(binaries, port, DATABASE).arg("-f").arg(schema).run(step)?;
    Ok(server)
}

/// Whether the user that runs the server can reach `folder`.
pub(super) fn may_be_entered(folder: &Path) -> bool {
    !sys::is_root()
        || folder.ancestors().all(|part| {
            part.metadata()
                .is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0)
        })
}

fn initialise(
    binaries: &Path,
    home: &Path,
    data: &Path,
    owner: Option<(u32, u32)>,
    step: &Step,
) -> Result<()> {
    let password = home.join("password");
    fs::write(&password, PASSWORD).with_context(|| format!("writing {}", password.display()))?;
    Cmd::new(binaries.join("initdb"))
        .args([
            "--username",
            USER,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ])
        .arg("--pwfile")
        .arg(&password)
        .arg("-D")
        .arg(data)
        .with(|command| run_as(command, home, owner))
        .run(step)
}

fn ready(binaries: &Path, port: u16) -> bool {
    ports::answers(port)
        && psql(binaries, port, "postgres")
            .args(["-c", "SELECT 1"])
            .output()
            .is_ok()
}

fn psql(binaries: &Path, port: u16, database: &str) -> Cmd {
    Cmd::new(binaries.join("psql"))
        .args([
            "--no-psqlrc",
            "--quiet",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
        ])
        .args(["-U", USER, "-d", database])
        .env("PGPASSWORD", PASSWORD)
}

fn owner() -> Result<Option<(u32, u32)>> {
    if !sys::is_root() {
        return Ok(None);
    }
    let ids = sys::user_ids(UNPRIVILEGED);
    ids.map(Some).with_context(|| format!("PostgreSQL refuses to run as root and there is no user {UNPRIVILEGED}: run `cargo xtask run` as another user"))
}

fn run_as(command: &mut Command, home: &Path, owner: Option<(u32, u32)>) {
    command.current_dir(home).env("HOME", home);
    if let Some((user, group)) = owner {
        // Without supplementary groups: std drops them when root sets a user.
        command.uid(user).gid(group);
    }
}
