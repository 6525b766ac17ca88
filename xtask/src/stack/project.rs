//! The Compose project: up, asked, down.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::ask::wait;
use super::engine::Engine;
use crate::command::Cmd;
use crate::progress::Step;
use crate::workspace::Workspace;

/// The project's name, which is not that of `docker compose up` in the repository: whoever uses that keeps what he has.
const NAME: &str = "sidelight-stack";

/// A project that is up; it goes, with its volumes, when this is dropped.
pub(crate) struct Project<'a> {
    workspace: &'a Workspace,
    engine: &'a Engine,
    files: &'a [&'a str],
}

impl<'a> Project<'a> {
    /// Builds and starts `services` and what they depend on.
    pub(crate) fn up(
        workspace: &'a Workspace,
        engine: &'a Engine,
        files: &'a [&'a str],
        services: &[&str],
        step: &Step,
    ) -> Result<Self> {
        let project = Self {
            workspace,
            engine,
            files,
        };
        // A run that was killed leaves its containers, which start again with the engine.
        project.down().context("ending what an earlier run left")?;
        project
            .compose()
            .args(["up", "--detach", "--build", "--quiet-pull"])
            .args(services)
            .run(step)
            .with_context(|| format!("the services said:\n{}", project.last_words()))?;
        Ok(project)
    }

    /// Waits until every service runs, is healthy if it can tell, or has ended well if it is one that ends.
    pub(crate) fn wait_until_well(&self, patience: Duration, step: &Step) -> Result<usize> {
        let mut left = Vec::new();
        let found = wait(step, patience, "health of every service", || {
            let states = self.output(&["ps", "--all", "--format", "json"])?;
            let states: Vec<Value> = states
                .lines()
                .map(serde_json::from_str)
                .collect::<Result<_, _>>()?;
            left = states.iter().filter_map(ailing).collect();
            Ok((left.is_empty() && !states.is_empty()).then_some(states.len()))
        });
        found.with_context(|| format!("{}; the services said:\n{}", left.join(", "), self.last_words()))
    }

    /// Starts one service anew, as other files have it.
    pub(crate) fn replace(&self, files: &[&str], service: &str, step: &Step) -> Result<()> {
        compose(self.workspace, self.engine, files)
            .args(["up", "--detach", "--no-deps", "--force-recreate", service])
            .run(step)
    }

    /// Starts one more service of a project that is up, when those that it depends on are well.
    pub(crate) fn start(&self, service: &str, step: &Step) -> Result<()> {
        self.compose()
            .args(["up", "--detach", "--no-recreate", service])
            .run(step)
    }

    /// Asks a service to end, and waits until it has.
    pub(crate) fn stop(&self, service: &str, step: &Step) -> Result<()> {
        self.compose().args(["stop", service]).run(step)
    }

    /// What a service wrote to its standard output. Compose itself would put sequences for terminals between the lines.
    pub(crate) fn lines(&self, service: &str) -> Result<String> {
        self.engine.docker().args(["logs", &self.id(service)?]).output()
    }

    /// All that a service wrote, for a person to read, without Compose's own words.
    pub(crate) fn logs(&self, service: &str) -> Result<String> {
        self.output(&["logs", "--no-log-prefix", "--no-color", service])
    }

    /// The address of a service within the project's network, which this machine reaches over its bridge.
    pub(crate) fn address(&self, service: &str) -> Result<String> {
        let id = self.id(service)?;
        let format = "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        self.engine.docker().args(["inspect", format, &id]).output()
    }

    fn id(&self, service: &str) -> Result<String> {
        let id = self.output(&["ps", "--all", "--quiet", service])?;
        ensure!(!id.is_empty(), "there is no container of {service}");
        Ok(id)
    }

    /// The end of what each service wrote.
    fn last_words(&self) -> String {
        self.output(&["logs", "--no-color", "--tail", "15"])
            .unwrap_or_else(|error| format!("{error:#}"))
    }

    fn down(&self) -> Result<String> {
        // What a profile started is no orphan.
        let down = self.compose().args(["--profile", "*", "down", "--volumes"]);
        let down = down.args(["--remove-orphans", "--timeout", "5"]);
        let images: &[&str] = if self.engine.is_of_user() {
            &["--rmi", "local"]
        } else {
            &[]
        };
        down.args(images).output()
    }

    fn output(&self, arguments: &[&str]) -> Result<String> {
        self.compose().args(arguments).output()
    }

    fn compose(&self) -> Cmd {
        compose(self.workspace, self.engine, self.files)
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        // What is left goes with the engine.
        let _ = self.down();
    }
}

/// A container's name and state, unless it is as it should be.
fn ailing(container: &Value) -> Option<String> {
    let text = |key: &str| container[key].as_str().unwrap_or_default();
    let well = match text("State") {
        "running" => matches!(text("Health"), "" | "healthy"),
        "exited" => container["ExitCode"] == 0,
        _ => false,
    };
    (!well).then(|| format!("{} is {} {}", text("Service"), text("State"), text("Health")))
}

fn compose(workspace: &Workspace, engine: &Engine, files: &[&str]) -> Cmd {
    let build = workspace.target.join("stack/build");
    let files = files.iter().flat_map(|file| ["--file", file]);
    engine
        .docker()
        .args(["compose", "--project-name", NAME])
        .args(files)
        .dir(&workspace.root)
        .env("LOCAL_BUILD", build)
        .env("DOCKER_DATA_ROOT", engine.data())
        .env("COMPOSE_PROGRESS", "plain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_well_or_is_named() {
        let container = |state: &str, health: &str, code: u32| {
            ailing(&serde_json::json!({"Service": "a", "State": state, "Health": health, "ExitCode": code}))
        };
        assert_eq!(container("running", "", 0), None);
        assert_eq!(container("running", "healthy", 0), None);
        assert_eq!(container("exited", "", 0), None);
        let named = |text: &str| Some(text.to_owned());
        assert_eq!(
            container("running", "starting", 0),
            named("a is running starting")
        );
        assert_eq!(container("exited", "", 1), named("a is exited "));
        assert_eq!(container("restarting", "", 0), named("a is restarting "));
    }
}
