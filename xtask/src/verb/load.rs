//! `cargo xtask load`: what the verifier thinks of each program, so that growth is seen.

use anyhow::{Result, bail};

use super::build::{self, Profile};
use super::vm::{self, LIMIT};
use crate::command::Cmd;
use crate::progress::{Progress, print};
use crate::sys;
use crate::vm::Laboratory;
use crate::vm::budget::{self, Budget};
use crate::workspace::Workspace;

/// Prints a table for this kernel, or for each of those that are named.
pub(crate) fn run(workspace: &Workspace, progress: &Progress, names: &[String], all: bool) -> Result<()> {
    if names.is_empty() && !all {
        return here(workspace, progress);
    }
    let kernels = vm::named(names, all)?;
    let laboratory = progress.step("QEMU", |step| Laboratory::ensure(workspace, step))?;
    for kernel in kernels {
        let files = vm::files(workspace, progress, &kernel)?;
        let outcome = progress.step(format!("kernel {}", kernel.name()), |step| {
            laboratory.run(workspace, &kernel, &files, budget::COMMAND, LIMIT, step)
        })?;
        let programs = budget::parse(&outcome.output);
        if programs.is_empty() {
            bail!(
                "the agent does not say what its programs cost:\n{}",
                outcome.output
            );
        }
        print(&format!(
            "{}, {}\n\n{}",
            outcome.release,
            kernel.machine.rust(),
            table(&programs)
        ))?;
    }
    Ok(())
}

fn here(workspace: &Workspace, progress: &Progress) -> Result<()> {
    let agent = build::build(workspace, progress, Profile::Dev)?;
    let command = if sys::is_root() {
        Cmd::new(agent)
    } else {
        Cmd::new("sudo").arg(agent)
    };
    let mut said = String::new();
    // It fails when a program is refused, which the table says.
    command
        .args(["check", "--programs", "--output", "json"])
        .lines(|line| {
            said.push_str(line);
            said.push('\n');
        })?;
    let programs = budget::parse(&said);
    if programs.is_empty() {
        bail!("the agent does not say what its programs cost:\n{said}");
    }
    print(&table(&programs))
}

fn table(programs: &[Budget]) -> String {
    let lines: Vec<String> = programs.iter().map(line).collect();
    format!(
        "| program | instructions | states | stack | |\n|---|--:|--:|--:|---|\n{}\n",
        lines.join("\n")
    )
}

fn line(one: &Budget) -> String {
    format!(
        "| {} | {} | {} | {} | {} |",
        one.program,
        one.instructions,
        one.states,
        one.stack,
        one.refused.as_deref().unwrap_or_default()
    )
}
