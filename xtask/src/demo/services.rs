//! flask-app, fastapi-app and golang-app, started as their team would start them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Ports, Toolbox};
use crate::ports;
use crate::process::Process;
use crate::workspace::Workspace;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts the three, in the order flask-app, fastapi-app, golang-app; `logs` takes their output.
pub(super) fn start(
    workspace: &Workspace,
    toolbox: &Toolbox,
    logs: &Path,
    ports: Ports,
    database_url: &str,
) -> Result<Vec<Process>> {
    let local = |port: u16| format!("http://127.0.0.1:{port}");
    let python = |name: &str| {
        let folder = workspace.demo_apps().join(name);
        let mut command = Command::new(&toolbox.python);
        // No byte code: nothing is written into the sources' folders.
        command
            .arg("app.py")
            .current_dir(folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1");
        command
    };

    let mut flask = python("flask-app");
    flask.env("PORT", ports.flask.to_string());
    flask
        .env("FASTAPI_URL", local(ports.fastapi))
        .env("GOLANG_URL", local(ports.golang));
    let mut fastapi = python("fastapi-app");
    fastapi
        .env("PORT", ports.fastapi.to_string())
        .env("DATABASE_URL", database_url);
    let mut golang = Command::new(&toolbox.golang_app);
    golang.current_dir(workspace.demo_apps().join("golang-app"));
    golang
        .env("PORT", ports.golang.to_string())
        .env("DATABASE_URL", database_url);

    [
        ("flask-app", flask),
        ("fastapi-app", fastapi),
        ("golang-app", golang),
    ]
    .into_iter()
    .map(|(name, mut command)| {
        command.env("HOST", "127.0.0.1");
        Process::with_log(name, command, &logs.join(format!("{name}.log")))
    })
    .collect()
}

/// Waits until the service accepts connections.
pub(super) fn wait_for(service: &mut Process, port: u16) -> Result<()> {
    service.wait_until("listening", START_TIMEOUT, || ports::answers(port))
}
