//! Child processes that must not outlive the command that started them.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::sys;

/// How often something that is expected is looked for.
pub(crate) const POLL: Duration = Duration::from_millis(20);
/// Lines of a dead process's log that are shown.
const TAIL: usize = 15;

/// A running child in a process group of its own, ended when this value is dropped.
pub(crate) struct Process {
    pub(crate) name: String,
    child: Child,
    log: Option<PathBuf>,
    stop_signal: i32,
    grace: Duration,
}

impl Process {
    /// Starts `command` with its output in `log`.
    pub(crate) fn with_log(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let errors = file
            .try_clone()
            .with_context(|| format!("opening {} twice", log.display()))?;
        command.stdout(file).stderr(errors);
        let mut process = Self::start(name, command)?;
        process.log = Some(log.to_owned());
        Ok(process)
    }

    /// Starts `command` with the standard output and standard error that it was given.
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Self> {
        sys::isolate(&mut command);
        let program = command.get_program().to_owned();
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {name} ({})", program.to_string_lossy()))?;
        let grace = Duration::from_secs(10);
        Ok(Self {
            name: name.to_owned(),
            child,
            log: None,
            stop_signal: libc::SIGTERM,
            grace,
        })
    }

    /// The signal that asks this program to end; SIGTERM unless said otherwise.
    pub(crate) fn stopped_by(mut self, signal: i32) -> Self {
        self.stop_signal = signal;
        self
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, to take its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// An error that shows the end of its log when it has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} ended ({status}){}", self.name, self.log_tail());
        }
        Ok(())
    }

    /// Its exit status, when it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("looking after {}", self.name))
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// The process ended, or `within` has passed.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        within: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let since = Instant::now();
        while !ready() {
            self.check_alive()?;
            if since.elapsed() > within {
                bail!(
                    "{} is not {what} after {} s{}",
                    self.name,
                    within.as_secs(),
                    self.log_tail()
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Asks it to end, waits, and ends it by force when it does not. The status is that of the first to work.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        sys::kill(self.group(), self.stop_signal);
        let since = Instant::now();
        while since.elapsed() < self.grace {
            if let Some(status) = self.ended()? {
                // What it started itself goes with it.
                sys::kill(self.group(), libc::SIGKILL);
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        sys::kill(self.group(), libc::SIGKILL);
        self.child
            .wait()
            .with_context(|| format!("waiting for {}", self.name))
    }

    fn group(&self) -> i32 {
        -(self.child.id() as i32)
    }

    fn log_tail(&self) -> String {
        let Some(log) = &self.log else {
            return String::new();
        };
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n    ");
        format!("; the end of {}:\n    {tail}", log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to be told of an error.
        let _ = self.stop();
    }
}

/// An exit status in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
