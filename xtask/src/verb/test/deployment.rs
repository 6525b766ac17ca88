//! The compose files and what is below `deploy`, each checked by the program that knows its form.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::outcome::{Failure, Outcome, Skip};
use crate::command::Cmd;
use crate::progress::{Progress, Step};
use crate::setup::{self, validators};
use crate::workspace::Workspace;

/// The beginning of the names of these tests.
const GROUP: &str = "deployment";

const COMPOSE: [&str; 3] = [
    "docker-compose.yaml",
    "docker-compose.least-privilege.yaml",
    "docker-compose.generators.yaml",
];
const MANIFESTS: [&str; 2] = ["deploy/kubernetes/base", "deploy/kubernetes/sidecar"];
/// The version of Kubernetes whose schemas the manifests are held against.
const KUBERNETES: &str = "1.34";
const SETTINGS: [&str; 2] = [
    "deploy/sidelight/sidelight.yaml",
    "deploy/kubernetes/base/sidelight.yaml",
];
const COLLECTOR: &str = "deploy/collector/config.yaml";
const UNIT: &str = "deploy/systemd/sidelight.service";

/// Files whose programs are in no package registry, and what checks them where there are container images.
const BY_HAND: [(&str, &str); 5] = [
    (
        "collector::service-graph",
        "its connector is no module of the proxy: `docker compose run --rm otel-collector validate \
         --config=/etc/otelcol/config.yaml --config=/etc/otelcol/service-graph.yaml`",
    ),
    (
        "tempo",
        "in no package: `docker compose run --rm tempo -config.verify -config.file=/etc/tempo/tempo.yaml`",
    ),
    (
        "loki",
        "in no package: `docker compose run --rm loki -verify-config -config.file=/etc/loki/loki.yaml`",
    ),
    (
        "jaeger",
        "in no package: `docker compose run --rm jaeger validate --config=/etc/jaeger/config.yaml`",
    ),
    ("pyroscope", "in no package, and it has no command for it"),
];

/// Runs what there are programs for, and names the rest.
pub(super) fn run(
    workspace: &Workspace,
    progress: &Progress,
    filter: Option<&str>,
    outcome: &mut Outcome,
) -> Result<()> {
    if !filter.is_none_or(|filter| filter.contains(GROUP) || GROUP.contains(filter)) {
        return Ok(());
    }
    let wanted = |name: &str| filter.is_none_or(|filter| format!("{GROUP}::{name}").contains(filter));
    progress.step("files for deployment", |step| {
        let mut group = Group {
            workspace,
            step,
            outcome,
        };
        for (name, check) in groups() {
            group.add(name, check(workspace, step), &wanted);
        }
        for (name, reason) in BY_HAND {
            group.skip(name, reason);
        }
        Ok(())
    })
}

/// A test: its name, and a command that fails or complains when it fails.
type Check = (String, Cmd);
/// Finds the program and returns its tests; an error says why there is none.
type Checks = fn(&Workspace, &Step) -> Result<Vec<Check>>;

fn groups() -> [(&'static str, Checks); 8] {
    [
        ("compose", compose),
        ("prometheus", prometheus),
        ("collector", collector),
        ("dclint", dclint),
        ("dashboards", dashboards),
        ("dockerfiles_and_manifests", python),
        ("systemd", systemd),
        ("sidelight", sidelight),
    ]
}

fn compose(workspace: &Workspace, step: &Step) -> Result<Vec<Check>> {
    let programs = validators::Debian::ensure(workspace, step)?;
    let [main, overlays @ ..] = COMPOSE;
    let check = |files: &[&str]| {
        let files = files.iter().flat_map(|file| ["-f", file]);
        let command = programs.compose().args(files);
        command.args(["--profile", "load", "config", "--quiet"])
    };
    let alone = (format!("compose::{main}"), check(&[main]));
    let laid_over = overlays.map(|overlay| (format!("compose::{overlay}"), check(&[main, overlay])));
    Ok(std::iter::once(alone).chain(laid_over).collect())
}

fn prometheus(workspace: &Workspace, step: &Step) -> Result<Vec<Check>> {
    let programs = validators::Debian::ensure(workspace, step)?;
    let mut checks = vec![
        (
            "prometheus::config".to_owned(),
            programs
                .program("promtool")
                .args(["check", "config", "deploy/prometheus/prometheus.yaml"]),
        ),
        (
            "alertmanager::config".to_owned(),
            programs
                .program("amtool")
                .args(["check-config", "deploy/alertmanager/alertmanager.yaml"]),
        ),
    ];
    let ours = |file: &Path, what: &str| is_yaml(file) && parent_name(file).starts_with(what);
    for (what, verb) in [("rules", "check"), ("tests", "test")] {
        for file in files(&workspace.root, "deploy/prometheus", |file| ours(file, what))? {
            let command = programs.program("promtool").args([verb, "rules", &file]);
            checks.push((format!("prometheus::{file}"), command));
        }
    }
    Ok(checks)
}

/// With all but the service graph's connector, which the proxy of Go's modules has not.
fn collector(workspace: &Workspace, step: &Step) -> Result<Vec<Check>> {
    let python = setup::python::ensure(workspace, step)?;
    let go = setup::go::ensure(workspace, &python, step)?;
    let program = setup::collector::ensure(workspace, &go, step)?;
    // It wants the folder to be there.
    let folder = workspace.target.join("collector");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let storage = format!("yaml:extensions::file_storage::directory: {}", folder.display());
    let command = Cmd::new(program).args(["validate", "--config", COLLECTOR, "--config", &storage]);
    Ok(vec![(format!("collector::{COLLECTOR}"), command)])
}

fn dclint(workspace: &Workspace, step: &Step) -> Result<Vec<Check>> {
    let program = validators::dclint(workspace, step)?;
    let command = Cmd::new(program)
        .args(["--config", ".dclintrc.yaml"])
        .args(COMPOSE);
    Ok(vec![("dclint".to_owned(), command)])
}

fn dashboards(workspace: &Workspace, step: &Step) -> Result<Vec<Check>> {
    let is_dashboard = |file: &Path| file.extension().is_some_and(|extension| extension == "json");
    let found = files(&workspace.root, "deploy/grafana/dashboards", is_dashboard)?;
    let check = |file: String| {
        let command = validators::dashboards(workspace, step)?.arg(&file);
        Ok((format!("dashboards::{file}"), command))
    };
    found.into_iter().map(check).collect()
}

fn python(workspace: &Workspace, step: &Step) -> Result<Vec<Check>> {
    let programs = validators::Python::ensure(workspace, step)?;
    let mut checks = Vec::new();
    let is_dockerfile = |file: &Path| file.to_string_lossy().ends_with("Dockerfile");
    for file in files(&workspace.root, "deploy", is_dockerfile)? {
        let command = programs.program("hadolint").args(["--no-color", &file]);
        checks.push((format!("hadolint::{file}"), command));
    }
    let built = workspace.target.join("manifests");
    fs::create_dir_all(&built).with_context(|| format!("creating {}", built.display()))?;
    for folder in MANIFESTS {
        let file = built.join(format!("{}.yaml", folder.replace('/', "-")));
        let resources = programs
            .program("kubectl")
            .args(["kustomize", folder])
            .dir(&workspace.root)
            .output()?;
        fs::write(&file, resources).with_context(|| format!("writing {}", file.display()))?;
        let command = programs
            .script("kubernetes-validate")
            .args(["--strict", "--kubernetes-version", KUBERNETES])
            .arg(file);
        checks.push((format!("kubernetes::{folder}"), command));
    }
    Ok(checks)
}

fn systemd(workspace: &Workspace, _: &Step) -> Result<Vec<Check>> {
    let work = workspace.target.join("systemd");
    let unit = workspace.root.join(UNIT);
    let command = validators::systemd(&work, &unit, "usr/local/bin/sidelight")?;
    Ok(vec![("systemd::unit".to_owned(), command)])
}

/// The agent's own settings, read by the agent that the tests before have built.
fn sidelight(workspace: &Workspace, _: &Step) -> Result<Vec<Check>> {
    let agent = workspace.target.join("debug/sidelight");
    if !agent.is_file() {
        bail!("{} is not built", agent.display());
    }
    let check = |file: &str| {
        let command = Cmd::new(&agent).args(["config", "--print", "--config", file]);
        (format!("sidelight::{file}"), command)
    };
    Ok(SETTINGS.map(check).into())
}

struct Group<'a> {
    workspace: &'a Workspace,
    step: &'a Step,
    outcome: &'a mut Outcome,
}

impl Group<'_> {
    fn add(&mut self, name: &str, checks: Result<Vec<Check>>, wanted: &impl Fn(&str) -> bool) {
        match checks {
            Err(error) => self.skip(name, &format!("{error:#}")),
            Ok(checks) => {
                for (name, command) in checks.into_iter().filter(|(name, _)| wanted(name)) {
                    self.check(&name, command);
                }
            }
        }
    }

    fn check(&mut self, name: &str, command: Cmd) {
        self.step.detail(name);
        let command = command.dir(&self.workspace.root);
        let again = command.line();
        let result = command.lines(|_| {});
        match result {
            Ok((true, said)) if !complains(name, &said) => self.outcome.passed += 1,
            Ok((_, said)) => self.fail(name, again, said),
            Err(error) => self.fail(name, again, format!("{error:#}")),
        }
    }

    fn fail(&mut self, name: &str, again: String, output: String) {
        self.step.flawed();
        self.outcome.failed.push(Failure {
            name: format!("{GROUP}::{name}"),
            again,
            output,
        });
    }

    fn skip(&mut self, name: &str, reason: &str) {
        self.outcome.skipped.push(Skip {
            name: format!("{GROUP}::{name}"),
            reason: reason.to_owned(),
        });
    }
}

/// systemd names what it does not know in a unit, and is content.
fn complains(name: &str, said: &str) -> bool {
    name.starts_with("systemd") && said.contains(".service")
}

/// Files in a folder and below it, relative to `root`, in the order of their names.
fn files(root: &Path, folder: &str, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>> {
    let (mut found, mut open) = (Vec::new(), vec![root.join(folder)]);
    while let Some(folder) = open.pop() {
        let listing = || format!("listing {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(listing)? {
            let path = entry.with_context(listing)?.path();
            if path.is_dir() {
                open.push(path);
            } else if wanted(&path) {
                let inside = path.strip_prefix(root).unwrap_or(&path);
                found.push(inside.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_yaml(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "yaml")
}

fn parent_name(file: &Path) -> String {
    let name = file.parent().and_then(Path::file_name);
    name.map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    /// `NAME==VERSION`, one a package.
    fn packages(lock: &str) -> Vec<String> {
        let text = fs::read_to_string(root().join(lock)).unwrap();
        let lines = text.lines().filter(|line| line.contains("=="));
        lines
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn images_have_the_packages_that_the_demo_is_tested_with() {
        let tested = packages("demo-apps/requirements.lock");
        for service in ["flask-app", "fastapi-app"] {
            let installed = packages(&format!("deploy/apps/{service}.lock"));
            assert!(!installed.is_empty());
            for package in installed {
                assert!(tested.contains(&package), "{service}: {package}");
            }
        }
    }

    #[test]
    fn every_compose_file_is_checked() {
        let entries = fs::read_dir(root()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        for file in names.filter(|name| name.starts_with("docker-compose")) {
            assert!(COMPOSE.contains(&file.as_str()), "{file}");
        }
    }

    #[test]
    fn files_are_found_in_folders_of_folders() {
        let dockerfiles = files(&root(), "deploy", |file| file.ends_with("Dockerfile")).unwrap();
        assert!(dockerfiles.contains(&"deploy/agent/Dockerfile".to_owned()));
        let manifests = files(&root(), "deploy", is_yaml).unwrap();
        assert!(manifests.contains(&"deploy/kubernetes/base/daemonset.yaml".to_owned()));
    }

    #[test]
    fn what_systemd_does_not_know_is_a_failure() {
        assert!(complains(
            "systemd::unit",
            "/x/a.service:3: Unknown key name 'Foo'"
        ));
        assert!(!complains("systemd::unit", ""));
        assert!(!complains("compose::a", "a.service"));
    }
}
