//! `cargo xtask stack`: the demo's containers and the agent's, on a real engine, and what the traces of two requests have to be.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::build::{self, Profile};
use crate::command::Cmd;
use crate::progress::{Progress, Step};
use crate::setup;
use crate::stack::engine::Engine;
use crate::stack::project::Project;
use crate::stack::spans::{self, Link};
use crate::stack::{hurried, images, objectives, panels, pipelines, real};
use crate::sys;
use crate::workspace::Workspace;

const PRIVILEGED: [&str; 3] = [
    "docker-compose.yaml",
    "deploy/local/compose.yaml",
    "deploy/local/test.yaml",
];
const LEAST_PRIVILEGE: [&str; 4] = [
    "docker-compose.yaml",
    "docker-compose.least-privilege.yaml",
    "deploy/local/compose.yaml",
    "deploy/local/test.yaml",
];
const COLLECTOR: &str = "otel-collector";
const PATIENCE: Duration = Duration::from_mins(3);

/// Path at flask-app, and the chain of its trace.
const SCENARIOS: [(&str, [Link; 4]); 2] = [
    (
        "/users",
        [
            ("flask-app", "SERVER", "GET /users"),
            ("flask-app", "CLIENT", "GET"),
            ("fastapi-app", "SERVER", "GET /users"),
            ("fastapi-app", "CLIENT", "SELECT users"),
        ],
    ),
    (
        "/albums",
        [
            ("flask-app", "SERVER", "GET /albums"),
            ("flask-app", "CLIENT", "GET"),
            ("golang-app", "SERVER", "GET /albums"),
            ("golang-app", "CLIENT", "SELECT albums"),
        ],
    ),
];

/// An engine with the images that a registry would give, and the programs that the build's first stages would compile.
pub(crate) struct Laboratory {
    engine: Engine,
}

/// A scenario and what came of it.
type Outcome = (String, Result<()>);

/// What is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Everything that can be had: the plain stack where a registry answers.
    All,
    /// The third scenario alone.
    Objectives,
    /// The plain stack, of a registry's images.
    Real,
}

/// Runs the scenarios; ends everything that it started.
pub(crate) fn run(workspace: &Workspace, progress: &Progress, what: What) -> Result<()> {
    let engine = engine(workspace, progress)?;
    if what == What::Real || (what == What::All && real::is_reachable(&engine)) {
        progress.say("          as it is in docker-compose.yaml, of the registries' images; load and alerts: `--objectives`");
        return real::run(workspace, &engine, &SCENARIOS, progress);
    }
    let laboratory = Laboratory::around(engine, workspace, progress)?;
    if what == What::All {
        for (name, outcome) in laboratory.scenarios(workspace, progress)? {
            outcome.with_context(|| format!("{name} failed"))?;
        }
    }
    laboratory.objectives(workspace, progress)
}

/// An engine, and who has it.
pub(super) fn engine(workspace: &Workspace, progress: &Progress) -> Result<Engine> {
    progress.step("kernel file systems", setup::mounts::ensure)?;
    let engine = progress.step("Docker engine", |step| Engine::ensure(workspace, step))?;
    progress.say(format!("          {engine}"));
    Ok(engine)
}

impl Laboratory {
    /// Gets all that is missing; an error says what cannot be had.
    pub(crate) fn ensure(workspace: &Workspace, progress: &Progress) -> Result<Self> {
        Self::around(engine(workspace, progress)?, workspace, progress)
    }

    fn around(engine: Engine, workspace: &Workspace, progress: &Progress) -> Result<Self> {
        ensure!(
            sys::is_root(),
            "making images needs root, to whom their files belong"
        );
        binaries(workspace, progress)?;
        for image in [images::PYTHON, images::POSTGRES] {
            progress.step(image.name, |step| image.ensure(workspace, &engine, step))?;
        }
        Ok(Self { engine })
    }

    /// Both requests with both variants of the agent's container.
    pub(crate) fn scenarios(&self, workspace: &Workspace, progress: &Progress) -> Result<Vec<Outcome>> {
        let project = progress.step("docker compose up", |step| {
            Project::up(
                workspace,
                &self.engine,
                &PRIVILEGED,
                &["flask-app", "sidelight"],
                step,
            )
        })?;
        let mut outcomes = requests(&project, "privileged", progress);
        progress.step("the agent with named capabilities", |step| {
            project.replace(&LEAST_PRIVILEGE, "sidelight", step)?;
            // Afterwards, so that the new one gets nothing of the agent before.
            project.replace(&LEAST_PRIVILEGE, COLLECTOR, step)?;
            // Its connections have prepared statements, whose text an agent that comes later cannot know.
            project.replace(&LEAST_PRIVILEGE, "golang-app", step)
        })?;
        outcomes.extend(requests(&project, "least_privilege", progress));
        Ok(outcomes)
    }

    /// Load with faults: what it leaves in the backends, the alerts, the dashboards' queries, the objectives; with shorter times in
    /// Prometheus.
    fn objectives(&self, workspace: &Workspace, progress: &Progress) -> Result<()> {
        let go = progress.step("Go toolchain", |step| {
            setup::go::ensure(workspace, &setup::python::ensure(workspace, step)?, step)
        })?;
        progress.step("k6", |step| setup::k6::ensure(workspace, &go, step))?;
        progress.step("OpenTelemetry's Collector", |step| {
            setup::collector::ensure(workspace, &go, step)
        })?;
        for image in [
            images::PROMETHEUS,
            images::ALERTMANAGER,
            images::COLLECTOR,
            images::K6,
        ] {
            progress.step(image.name, |step| image.ensure(workspace, &self.engine, step))?;
        }
        hurried::write(workspace, &workspace.target.join("stack/build/prometheus"))?;
        progress.say(format!(
            "          the rules have each time divided by {}, and Prometheus' settings have shorter ones, too",
            hurried::FACTOR
        ));
        let project = progress.step("docker compose up", |step| {
            Project::up(
                workspace,
                &self.engine,
                &objectives::FILES,
                &objectives::SERVICES,
                step,
            )
        })?;
        objectives::load(&project, progress)?;
        pipelines::run(&project, &SCENARIOS.map(|(_, links)| links), progress)?;
        objectives::alerts(&project, progress)?;
        panels::run(workspace, &project, progress)?;
        objectives::predictions(&project, progress)
    }
}

fn requests(project: &Project<'_>, variant: &str, progress: &Progress) -> Vec<Outcome> {
    let one = |(path, links): &(&str, [Link; 4])| {
        let name = format!("{variant}{}", path.replace('/', "::"));
        let outcome = progress.step(&name, |step| traced(project, path, links, step));
        (name, outcome)
    };
    SCENARIOS.iter().map(one).collect()
}

/// What the build's first stages would compile.
fn binaries(workspace: &Workspace, progress: &Progress) -> Result<()> {
    let folder = workspace.target.join("stack/build");
    let agent = build::build_static(workspace, progress, Profile::Dev)?;
    place(&agent, &folder.join("sidelight"))?;
    let python = progress.step("Python packages", |step| setup::python::ensure(workspace, step))?;
    let go = progress.step("Go toolchain", |step| setup::go::ensure(workspace, &python, step))?;
    let binary = folder.join("golang-app/golang-app");
    progress.step("golang-app", |step| {
        setup::go::build(&go, &workspace.demo_apps().join("golang-app"), ".", &binary, step)
    })
}

/// Puts the agent and the certificates where the image's last stage expects them.
pub(super) fn place(agent: &Path, folder: &Path) -> Result<()> {
    const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
    let target = folder.join(CERTIFICATES);
    let parent = target.parent().context("certificates are in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    fs::copy(Path::new("/").join(CERTIFICATES), &target).context("copying the machine's certificates")?;
    fs::copy(agent, folder.join("sidelight"))
        .context("copying the agent")
        .map(drop)
}

/// Sends requests to flask-app until one has its whole trace: the agent may have to find the programs first.
fn traced(project: &Project<'_>, path: &str, links: &[Link], step: &Step) -> Result<()> {
    let url = format!("http://{}:8001{path}", project.address("flask-app")?);
    let since = Instant::now();
    loop {
        let answer = Cmd::new("curl")
            .args([
                "-sS",
                "--fail-with-body",
                "--noproxy",
                "*",
                "--max-time",
                "20",
                &url,
            ])
            .output();
        let spans = spans::parse(&project.lines(COLLECTOR)?);
        step.detail(&format!("{} spans", spans.len()));
        if spans::chain(&spans, links).is_some() {
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            bail!(
                "no trace of {path} has the chain {links:?}; it was answered with {answer:?}; the collector got {spans:#?}; the agent said:\n{}",
                project.logs("sidelight")?
            );
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}
