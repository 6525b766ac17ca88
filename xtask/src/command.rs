//! Commands that are run to their end: their output feeds the status line, and a failure shows its last lines.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::progress::Step;

/// Lines of a failed command's output that are shown.
const TAIL: usize = 40;

/// A command to be run to its end.
pub(crate) struct Cmd(Command);

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self(Command::new(program))
    }

    /// A command that has been put together elsewhere.
    pub(crate) fn of(command: Command) -> Self {
        Self(command)
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.0.env_remove(name);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.0.current_dir(dir);
        self
    }

    /// Changes what the builder has no word for.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.0);
        self
    }

    /// The command as a user would type it.
    pub(crate) fn line(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        words
            .map(|word| quote(&word.to_string_lossy()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Runs it. An error names the command and ends with its last lines.
    pub(crate) fn run(self, step: &Step) -> Result<()> {
        let line = self.line();
        let (ok, tail) = self.lines(|line| step.detail(line))?;
        if !ok {
            bail!("`{line}` failed:\n{}", tail.trim_end());
        }
        Ok(())
    }

    /// Runs it and hands over every line of its standard output and standard error, in the order of their writing.
    /// Returns whether it succeeded, and its last lines.
    pub(crate) fn lines(mut self, mut each: impl FnMut(&str)) -> Result<(bool, String)> {
        let line = self.line();
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        self.0
            .stdin(Stdio::null())
            .stdout(writer.try_clone().context("cloning a pipe")?)
            .stderr(writer);
        let mut child = self.0.spawn().with_context(|| format!("starting `{line}`"))?;
        // The builder still holds the pipe's writing end: with it the end of the output would never come.
        drop(self);
        let mut tail = VecDeque::with_capacity(TAIL);
        for raw in BufReader::new(reader).split(b'\n') {
            let text =
                String::from_utf8_lossy(&raw.with_context(|| format!("reading from `{line}`"))?).into_owned();
            each(&text);
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(text);
        }
        let status = child.wait().with_context(|| format!("waiting for `{line}`"))?;
        Ok((status.success(), Vec::from(tail).join("\n")))
    }

    /// Runs it with this terminal as its own. Returns whether it succeeded.
    pub(crate) fn interactive(mut self) -> Result<bool> {
        let line = self.line();
        let status = self.0.status().with_context(|| format!("starting `{line}`"))?;
        Ok(status.success())
    }

    /// Runs it and returns its standard output, without surrounding white space.
    pub(crate) fn output(mut self) -> Result<String> {
        let line = self.line();
        let output = self
            .0
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting `{line}`"))?;
        if !output.status.success() {
            bail!(
                "`{line}` failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// The cargo that started this program.
pub(crate) fn cargo() -> Cmd {
    Cmd::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The first executable of that name in PATH.
pub(crate) fn find_in_path(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
