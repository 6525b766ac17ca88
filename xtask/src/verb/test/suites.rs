//! The workspace's test programs: built by cargo, run one by one from here, so that only the end-to-end tests are root.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::Value;

use super::outcome::{Failure, Line, Outcome, Skip};
use super::{Laboratory, Request};
use crate::command::{Cmd, cargo};
use crate::progress::{Progress, Step};
use crate::sys;
use crate::workspace::Workspace;

/// The test program that attaches real agents to real processes.
const END_TO_END: &str = "e2e";

/// A test program.
struct Suite {
    package: String,
    target: String,
    folder: PathBuf,
    executable: PathBuf,
}

/// Builds and runs every suite, the documentation's examples included.
pub(super) fn run(
    workspace: &Workspace,
    progress: &Progress,
    request: &Request,
    laboratory: &Laboratory,
    outcome: &mut Outcome,
) -> Result<()> {
    let suites = progress.step("test programs", |step| build(workspace, step))?;
    for suite in suites {
        let command = suite.command(request, laboratory);
        let name = format!("{} {}", suite.package, suite.target);
        progress.step(&name, |step| collect(command, &name, step, outcome))?;
    }
    let examples = cargo()
        .args([
            "test",
            "--workspace",
            "--doc",
            "--color",
            "never",
            "--no-fail-fast",
        ])
        .arg("--target-dir")
        .arg(&workspace.target)
        .arg("--")
        .args(&request.filter)
        .dir(&workspace.root);
    progress.step("examples of the documentation", |step| {
        collect(examples, "examples", step, outcome)
    })
}

fn build(workspace: &Workspace, step: &Step) -> Result<Vec<Suite>> {
    let mut suites = Vec::new();
    let (built, tail) = cargo()
        .args([
            "test",
            "--workspace",
            "--no-run",
            "--color",
            "never",
            "--message-format",
            "json-render-diagnostics",
        ])
        .arg("--target-dir")
        .arg(&workspace.target)
        .dir(&workspace.root)
        .lines(|line| match serde_json::from_str::<Value>(line) {
            Ok(message) => suites.extend(Suite::of(&message)),
            Err(_) => step.detail(line),
        })?;
    if !built {
        let readable: Vec<&str> = tail.lines().filter(|line| !line.starts_with('{')).collect();
        bail!(
            "the tests do not build (`cargo test --workspace --no-run` shows all of it):\n{}",
            readable.join("\n")
        );
    }
    // The quick ones first.
    suites.sort_by_key(|suite| suite.target == END_TO_END);
    Ok(suites)
}

impl Suite {
    /// The test program that a message of cargo tells of, if it does.
    fn of(message: &Value) -> Option<Self> {
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
            return None;
        }
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        let executable = message["executable"].as_str()?.into();
        let package = folder.file_name()?.to_string_lossy().into_owned();
        Some(Self {
            package,
            target: message["target"]["name"].as_str()?.to_owned(),
            folder,
            executable,
        })
    }

    fn command(&self, request: &Request, laboratory: &Laboratory) -> Cmd {
        let variables = || {
            laboratory
                .variables
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
        };
        let end_to_end = self.target == END_TO_END;
        let command = if end_to_end && !sys::is_root() && sudo_is_open() {
            Cmd::new("sudo")
                .args(["-n", "env"])
                .args(variables())
                .arg(&self.executable)
        } else {
            Cmd::new(&self.executable)
        };
        let command = command
            .args(&request.filter)
            .dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder);
        if !end_to_end {
            return command;
        }
        laboratory
            .variables
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value))
    }
}

/// Whether sudo would run something without asking.
fn sudo_is_open() -> bool {
    Cmd::new("sudo").args(["-n", "true"]).output().is_ok()
}

/// Runs a test program and adds what it says to the outcome.
fn collect(command: Cmd, suite: &str, step: &Step, outcome: &mut Outcome) -> Result<()> {
    let line = command.line();
    let mut output = String::new();
    let mut failed = Vec::new();
    let (succeeded, tail) = command.lines(|line| {
        output.push_str(line);
        output.push('\n');
        match Line::parse(line) {
            Some(Line::Passed(name)) => {
                outcome.passed += 1;
                step.detail(name);
            }
            Some(Line::Failed(name)) => {
                // Why comes at the end, and whoever ends the tests before that wants to know which it was.
                step.say(format!("  FAILED  {name}"));
                failed.push(name.to_owned());
            }
            Some(Line::Ignored(name, reason)) => {
                outcome.skipped.push(Skip {
                    name: name.to_owned(),
                    reason: reason.to_owned(),
                });
            }
            None => {}
        }
    })?;
    if !succeeded {
        step.flawed();
    }
    let crashed = !succeeded && failed.is_empty();
    if crashed {
        outcome.failed.push(Failure {
            name: suite.to_owned(),
            again: line,
            output: tail,
        });
        return Ok(());
    }
    outcome.failed.extend(failed.into_iter().map(|name| Failure {
        again: format!("cargo xtask test {name}"),
        output: said_about(&output, &name),
        name,
    }));
    Ok(())
}

/// The section that a test program writes about a failed test.
fn said_about(output: &str, name: &str) -> String {
    let start = format!("---- {name} ");
    let section = output
        .split_inclusive('\n')
        .skip_while(|line| !line.starts_with(&start))
        .skip(1);
    let section: String = section
        .take_while(|line| !line.starts_with("---- ") && !line.starts_with("failures:"))
        .collect();
    if section.is_empty() {
        "it wrote nothing".to_owned()
    } else {
        section
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_its_own_section() {
        let output = "running 2 tests\ntest a ... FAILED\ntest b ... FAILED\n\nfailures:\n\n\
                      ---- a stdout ----\nleft\nright\n\n---- b stdout ----\nother\n\nfailures:\n    a\n    b\n";
        assert_eq!(said_about(output, "a"), "left\nright\n\n");
        assert_eq!(said_about(output, "b"), "other\n\n");
        assert_eq!(said_about(output, "c"), "it wrote nothing");
    }

    #[test]
    fn only_test_programs_are_suites() {
        let message = |test: bool, executable: &str| {
            serde_json::json!({"reason": "compiler-artifact", "manifest_path": "/r/agent/Cargo.toml",
                "target": {"name": "e2e"}, "profile": {"test": test}, "executable": executable})
        };
        let suite = Suite::of(&message(true, "/t/e2e-1")).unwrap();
        assert_eq!((suite.package.as_str(), suite.target.as_str()), ("agent", "e2e"));
        assert!(Suite::of(&message(false, "/t/e2e-1")).is_none());
        assert!(Suite::of(&serde_json::json!({"reason": "build-finished"})).is_none());
    }
}
