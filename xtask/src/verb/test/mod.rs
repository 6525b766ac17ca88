//! `cargo xtask test`: everything that can be tested on this machine.

mod deployment;
mod outcome;
mod suites;

use std::process::ExitCode;

use anyhow::Result;

use super::build_ebpf;
use crate::progress::Progress;
use crate::setup;
use crate::vm::{self, golden::Extent};
use crate::workspace::Workspace;
use outcome::{Failure, Outcome, Skip};

/// What is asked for.
pub(crate) struct Request {
    /// Only tests whose name contains this.
    pub(crate) filter: Option<String>,
    /// The load tests in their long form.
    pub(crate) soak: bool,
}

/// Runs the tests and closes with their counts.
pub(crate) fn run(workspace: &Workspace, progress: &Progress, request: &Request) -> Result<ExitCode> {
    let mut outcome = Outcome::default();
    let laboratory = Laboratory::equip(workspace, progress, request.soak);
    suites::run(workspace, progress, request, &laboratory, &mut outcome)?;
    deployment::run(workspace, progress, request.filter.as_deref(), &mut outcome)?;
    if request
        .filter
        .as_deref()
        .is_none_or(|filter| KERNEL_SIDE.contains(filter))
    {
        kernel_side(workspace, progress, &mut outcome);
    }
    if request
        .filter
        .as_deref()
        .is_none_or(|filter| OTHER_KERNELS.contains(filter))
    {
        other_kernels(workspace, progress, &mut outcome);
    }
    if request
        .filter
        .as_deref()
        .is_none_or(|filter| CONTAINERS.contains(filter))
    {
        containers(workspace, progress, &mut outcome);
    }
    outcome.report(progress);
    Ok(if outcome.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the end-to-end tests are handed, as environment variables. A tool that cannot be had is left out, and the tests
/// that need it skip themselves with that reason.
pub(crate) struct Laboratory {
    variables: Vec<(&'static str, String)>,
}

impl Laboratory {
    fn equip(workspace: &Workspace, progress: &Progress, soak: bool) -> Self {
        let mut variables = Vec::new();
        let mut offer = |name, tool: Result<std::path::PathBuf>| match tool {
            Ok(path) => {
                variables.push((name, path.display().to_string()));
                Some(path)
            }
            Err(error) => {
                progress.say(format!("          tests that need it are skipped: {error:#}"));
                None
            }
        };
        let python = progress.step("Python packages", |step| setup::python::ensure(workspace, step));
        if let Some(python) = offer("SIDELIGHT_TEST_PYTHON", python) {
            offer(
                "SIDELIGHT_TEST_OLD_UVLOOP",
                progress.step("an older uvloop", |step| {
                    setup::python::ensure_beside(workspace, &python, &workspace.root.join(OLD_UVLOOP), step)
                }),
            );
            offer(
                "SIDELIGHT_TEST_OPENTELEMETRY",
                progress.step("OpenTelemetry's SDK for Python", |step| {
                    setup::python::ensure_beside(
                        workspace,
                        &python,
                        &workspace.root.join(OPENTELEMETRY),
                        step,
                    )
                }),
            );
            let go = progress.step("Go toolchain", |step| setup::go::ensure(workspace, &python, step));
            if let Some(go) = offer("SIDELIGHT_TEST_GO", go) {
                offer(
                    "SIDELIGHT_TEST_COLLECTOR",
                    progress.step("OpenTelemetry's Collector", |step| {
                        setup::collector::ensure(workspace, &go, step)
                    }),
                );
            }
            offer(
                "SIDELIGHT_TEST_VERSIONS",
                setup::versions::ensure(workspace, &python, soak, progress),
            );
        }
        offer(
            "SIDELIGHT_TEST_PG_BIN",
            progress.step("PostgreSQL server", setup::postgres::ensure),
        );
        offer(
            "SIDELIGHT_TEST_BACKENDS",
            progress.step("Prometheus and VictoriaMetrics", |step| {
                setup::backends::ensure(workspace, step)
            }),
        );
        if let Err(error) = progress.step("kernel file systems", setup::mounts::ensure) {
            progress.say(format!("          {error:#}"));
        }
        let _ = progress.step("strace, bpftool, ip and nft", |step| {
            setup::witnesses::ensure(step);
            Ok(())
        });
        // Other users may have others.
        let pyenv =
            std::env::var("PYENV_ROOT").or_else(|_| std::env::var("HOME").map(|home| home + "/.pyenv"));
        variables.extend(pyenv.map(|folder| ("PYENV_ROOT", folder)));
        if let Ok(report) = std::env::var(REPORT) {
            // The test program runs in another folder.
            let absolute = std::path::absolute(&report).map_or(report, |path| path.display().to_string());
            variables.push((REPORT, absolute));
        }
        if soak {
            variables.push(("SIDELIGHT_TEST_FULL", "1".to_owned()));
        }
        Self { variables }
    }
}

/// Before 0.23, uvloop wrote to a socket only after the task that asked for it had run.
const OLD_UVLOOP: &str = "agent/tests/apps/parents/uvloop-before-0.23.lock";

/// The SDK is in a folder of its own, so that no other program of the tests has it.
const OPENTELEMETRY: &str = "agent/tests/apps/opentelemetry.lock";

/// The variable that names the file for tables of results.
const REPORT: &str = "SIDELIGHT_TEST_REPORT";

/// The tests on other kernels, each with the name of kernel and tier behind it.
const OTHER_KERNELS: &str = "kernels";

/// The scenario on the first kernel of the list, with every tier.
fn other_kernels(workspace: &Workspace, progress: &Progress, outcome: &mut Outcome) {
    let laboratory = progress.step("QEMU", |step| vm::Laboratory::ensure(workspace, step));
    let kernels = &vm::kernels::KERNELS[..1];
    let ready = laboratory.and_then(|laboratory| {
        // What cannot be had is no failure of the tests.
        progress.step("a kernel", |step| {
            vm::Laboratory::prepare(workspace, &kernels[0], step)
        })?;
        Ok(laboratory)
    });
    let laboratory = match ready {
        Ok(laboratory) => laboratory,
        Err(error) => {
            outcome.skipped.push(Skip {
                name: OTHER_KERNELS.to_owned(),
                reason: format!("{error:#}"),
            });
            return;
        }
    };
    let failure = |name: String, output: String| Failure {
        name,
        again: format!("cargo xtask vm {}", kernels[0].name()),
        output,
    };
    match super::vm::scenario(workspace, progress, &laboratory, kernels, Extent::Tests) {
        Ok(rows) => {
            outcome.passed += rows.iter().filter(|row| row.is_good()).count();
            let bad = rows.iter().filter(|row| !row.is_good());
            outcome.failed.extend(bad.map(|row| {
                let name = format!("{OTHER_KERNELS}::{}", row.name());
                failure(name, row.differences.join("\n"))
            }));
        }
        Err(error) => outcome
            .failed
            .push(failure(OTHER_KERNELS.to_owned(), format!("{error:#}"))),
    }
}

/// The demo and the agent as containers, each scenario with the agent's privileges behind it.
const CONTAINERS: &str = "containers";

fn containers(workspace: &Workspace, progress: &Progress, outcome: &mut Outcome) {
    let laboratory = match super::stack::Laboratory::ensure(workspace, progress) {
        Ok(laboratory) => laboratory,
        Err(error) => {
            // What cannot be had is no failure of the tests.
            outcome.skipped.push(Skip {
                name: CONTAINERS.to_owned(),
                reason: format!("{error:#}"),
            });
            return;
        }
    };
    let results = laboratory
        .scenarios(workspace, progress)
        .unwrap_or_else(|error| vec![("compose".to_owned(), Err(error))]);
    for (name, result) in results {
        match result {
            Ok(()) => outcome.passed += 1,
            Err(error) => outcome.failed.push(Failure {
                name: format!("{CONTAINERS}::{name}"),
                again: "cargo xtask stack".to_owned(),
                output: format!("{error:#}"),
            }),
        }
    }
}

const KERNEL_SIDE: &str = "the checked-in kernel side is what its sources give";

fn kernel_side(workspace: &Workspace, progress: &Progress, outcome: &mut Outcome) {
    match build_ebpf::Toolchain::ensure(workspace, progress) {
        Err(error) => outcome.skipped.push(Skip {
            name: KERNEL_SIDE.to_owned(),
            reason: format!("{error:#}"),
        }),
        Ok(toolchain) => match build_ebpf::check(workspace, progress, &toolchain) {
            Ok(()) => outcome.passed += 1,
            Err(error) => outcome.failed.push(Failure {
                name: KERNEL_SIDE.to_owned(),
                again: "cargo xtask build-ebpf --check".to_owned(),
                output: format!("{error:#}"),
            }),
        },
    }
}
