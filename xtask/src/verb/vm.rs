//! `cargo xtask vm`: other kernels than this machine's, in virtual machines.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::build::{self, Profile};
use crate::command::Cmd;
use crate::progress::{Progress, print};
use crate::readme;
use crate::vm::golden::{self, EXPECTED, Extent};
use crate::vm::kernels::KERNELS;
use crate::vm::results::{self, Row};
use crate::vm::userland;
use crate::vm::{Files, Kernel, Laboratory, Outcome};
use crate::workspace::Workspace;

/// How long one kernel may take: it interprets every instruction, on a machine that may be busy.
pub(crate) const LIMIT: Duration = Duration::from_hours(1);

/// What is asked for.
pub(crate) struct Request {
    /// Parts of kernels' names; none: the first kernel.
    pub(crate) kernels: Vec<String>,
    pub(crate) all: bool,
    pub(crate) what: What,
    /// Write the README's table.
    pub(crate) table: bool,
}

/// What is run.
pub(crate) enum What {
    /// The scenario, with every tier.
    Scenario,
    /// Only who calls whom, with several versions of Go and Python.
    Versions,
    /// A shell command.
    Command(String),
    /// The scenario on this machine's own kernel, to write down what it gives.
    Update,
}

/// Runs the scenario with every tier on each kernel, and prints a table of what came of it.
pub(crate) fn run(workspace: &Workspace, progress: &Progress, request: &Request) -> Result<ExitCode> {
    if let What::Update = request.what {
        return update(workspace, progress).map(|()| ExitCode::SUCCESS);
    }
    if request.table && request.kernels.is_empty() && !request.all {
        return write_table(workspace).map(|()| ExitCode::SUCCESS);
    }
    let kernels = chosen(request)?;
    let laboratory = progress.step("QEMU", |step| Laboratory::ensure(workspace, step))?;
    match &request.what {
        What::Command(line) => return command(workspace, progress, &laboratory, &kernels, line),
        What::Versions => return versions(workspace, progress, &laboratory, &kernels),
        What::Scenario | What::Update => {}
    }
    let rows = scenario(workspace, progress, &laboratory, &kernels, Extent::Whole)?;
    print(&results::table(&rows))?;
    let good = rows.iter().all(Row::is_good);
    if request.table {
        write_table(workspace)?;
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Of each kernel what came of its last run.
fn write_table(workspace: &Workspace) -> Result<()> {
    readme::replace(workspace, "kernels", &results::remembered(workspace)?)
}

/// The scenario on each of these kernels.
pub(crate) fn scenario(
    workspace: &Workspace,
    progress: &Progress,
    laboratory: &Laboratory,
    kernels: &[Kernel],
    extent: Extent,
) -> Result<Vec<Row>> {
    let expected = golden::expected(workspace)?;
    let mut rows = Vec::new();
    for kernel in kernels {
        let name = kernel.name();
        let files = match extent {
            Extent::Tests => files(workspace, progress, kernel),
            Extent::Whole => all_files(workspace, progress, kernel),
        };
        let outcome = files.and_then(|files| {
            progress.step(format!("kernel {name}"), |step| {
                let command = golden::command(kernel, extent);
                let outcome = laboratory.run(workspace, kernel, &files, &command, LIMIT, step)?;
                let found = results::rows(*kernel, &outcome, &expected);
                if !found.iter().all(Row::is_good) {
                    step.flawed();
                }
                rows.extend(found);
                Ok(outcome)
            })
        });
        match outcome {
            Ok(outcome) => say_differences(progress, &rows, kernel, &outcome)?,
            Err(error) => rows.push(Row::failed(*kernel, &error)),
        }
        if extent == Extent::Whole {
            results::remember(workspace, kernel, &rows)?;
        }
    }
    Ok(rows)
}

/// The agent and the scenario.
pub(crate) fn files(workspace: &Workspace, progress: &Progress, kernel: &Kernel) -> Result<Files> {
    let agent = build::build_for(workspace, progress, kernel.machine)?;
    let program = progress.step("the scenario", |step| {
        golden::build(workspace, kernel.machine, step)
    })?;
    golden::files(&agent, &program)
}

/// The same, and the programs that are asked beside it.
fn all_files(workspace: &Workspace, progress: &Progress, kernel: &Kernel) -> Result<Files> {
    let mut files = files(workspace, progress, kernel)?;
    userland::add(workspace, progress, kernel, &mut files)?;
    Ok(files)
}

/// Shows what is wrong; the log goes when nothing is.
fn say_differences(progress: &Progress, rows: &[Row], kernel: &Kernel, outcome: &Outcome) -> Result<()> {
    let mut good = outcome.code == 0;
    for row in rows.iter().filter(|row| row.kernel == *kernel && !row.is_good()) {
        good = false;
        progress.say(format!(
            "          {}:\n{}",
            row.name(),
            row.differences.join("\n")
        ));
    }
    if good {
        std::fs::remove_file(&outcome.log).with_context(|| format!("removing {}", outcome.log.display()))?;
    } else {
        progress.say(format!("          the whole console: {}", outcome.log.display()));
    }
    Ok(())
}

fn chosen(request: &Request) -> Result<Vec<Kernel>> {
    if request.kernels.is_empty() && !request.all {
        return Ok(KERNELS[..1].to_vec());
    }
    named(&request.kernels, request.all)
}

/// The kernels whose names are one of these or, where none is called so, contain it; or all.
pub(crate) fn named(parts: &[String], all: bool) -> Result<Vec<Kernel>> {
    if all {
        return Ok(KERNELS.to_vec());
    }
    let is_whole = |part: &String| KERNELS.iter().any(|kernel| kernel.name() == *part);
    let wanted = |kernel: &&Kernel| {
        let name = kernel.name();
        parts.iter().any(|part| {
            if is_whole(part) {
                name == *part
            } else {
                name.contains(part)
            }
        })
    };
    let chosen: Vec<Kernel> = KERNELS.iter().filter(wanted).copied().collect();
    if chosen.is_empty() {
        let names: Vec<String> = KERNELS.iter().map(Kernel::name).collect();
        bail!("no kernel is called so; there are {}", names.join(", "));
    }
    Ok(chosen)
}

fn command(
    workspace: &Workspace,
    progress: &Progress,
    laboratory: &Laboratory,
    kernels: &[Kernel],
    command: &str,
) -> Result<ExitCode> {
    let mut code = 0;
    for kernel in kernels {
        let files = all_files(workspace, progress, kernel)?;
        let outcome = progress.step(format!("kernel {}", kernel.name()), |step| {
            laboratory.run(workspace, kernel, &files, command, LIMIT, step)
        })?;
        print(&outcome.output)?;
        code = code.max(outcome.code);
    }
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Asks programs of several versions of Go and Python who called whom, with the tier that loads soonest.
fn versions(
    workspace: &Workspace,
    progress: &Progress,
    laboratory: &Laboratory,
    kernels: &[Kernel],
) -> Result<ExitCode> {
    let mut good = true;
    for kernel in kernels.iter().filter(|kernel| kernel.units) {
        let mut files = all_files(workspace, progress, kernel)?;
        userland::add_versions(workspace, progress, kernel, &mut files)?;
        let tier = golden::ASKING;
        let commands: Vec<String> = userland::commands_of_versions(tier)
            .iter()
            .map(|(name, command)| {
                format!("echo '@@ {name}'; {{ {command}; }} 2>&1 && echo '@@ good' || echo '@@ wrong'")
            })
            .collect();
        let outcome = progress.step(format!("kernel {}, tier {tier}", kernel.name()), |step| {
            laboratory.run(workspace, kernel, &files, &commands.join("\n"), LIMIT, step)
        })?;
        print(&outcome.output)?;
        good &= outcome.output.contains("@@ good") && !outcome.output.contains("@@ wrong");
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn update(workspace: &Workspace, progress: &Progress) -> Result<()> {
    let agent = build::build(workspace, progress, Profile::Dev)?;
    let here = KERNELS
        .iter()
        .map(|kernel| kernel.machine)
        .find(|machine| machine.is_this())
        .context("the scenario is not built for this architecture")?;
    let program = progress.step("the scenario", |step| golden::build(workspace, here, step))?;
    let spans = progress.step("the scenario on this kernel", |_| {
        Cmd::new(&program)
            .arg("scenario")
            .arg(&agent)
            .arg("tracepoint")
            .output()
    })?;
    let file = workspace.root.join(EXPECTED);
    std::fs::write(&file, spans + "\n").with_context(|| format!("writing {}", file.display()))
}
