//! A program of a test: its own process group, its output kept, ended with everything it started.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{PATIENCE, reaper, until_within};

/// A running program.
pub(crate) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    /// Its standard output, line by line.
    pub(crate) stdout: Arc<Lines>,
    /// Its standard error, line by line.
    pub(crate) stderr: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` in a process group of its own.
    pub(crate) fn spawn(name: &str, mut command: Command) -> Result<Self> {
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("{name} cannot be started ({command:?})"))?;
        reaper::adopt(child.id());
        let (stdout, stderr) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
        let mut readers = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            readers.push(collect(pipe, Arc::clone(&stdout)));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.push(collect(pipe, Arc::clone(&stderr)));
        }
        let input = child.stdin.take();
        Ok(Self {
            name: name.to_owned(),
            child,
            input,
            stdout,
            stderr,
            readers,
            ended: None,
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes one line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self
            .input
            .as_mut()
            .with_context(|| format!("{} has no standard input", self.name))?;
        writeln!(input, "{line}").with_context(|| format!("{} no longer reads", self.name))
    }

    /// Writes one line to its standard input and waits for the line with which it answers.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        let before = self.stdout.count();
        self.tell(line)?;
        let what = format!("an answer to {line:?}");
        self.line(&what, |at, _| at >= before)
    }

    /// Waits for a line of standard output; `wanted` gets its number, from 0, and its text.
    pub(crate) fn line(&self, what: &str, wanted: impl Fn(usize, &str) -> bool) -> Result<String> {
        self.stdout.wait(PATIENCE, wanted).with_context(|| {
            format!(
                "no {what} from {}; its standard error:\n{}",
                self.name,
                self.stderr.text()
            )
        })
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(pid_of(self.pid())?, signal).with_context(|| format!("signal to {}", self.name))
    }

    /// Waits for its end; its output is complete then.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        self.input = None;
        let child = &mut self.child;
        let status = until_within(patience, "the end of the program", || {
            child.try_wait().ok().flatten()
        })
        .with_context(|| {
            format!(
                "{} does not end; its standard error:\n{}",
                self.name,
                self.stderr.text()
            )
        })?;
        self.ended = Some(status);
        self.end_group();
        for reader in self.readers.drain(..) {
            if reader.join().is_err() {
                bail!("the output of {} could not be read", self.name);
            }
        }
        Ok(status)
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.ended.is_none() && matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends whatever is left of the process group, so that its pipes close.
    fn end_group(&self) {
        if let Ok(group) = pid_of(self.child.id()) {
            // Fails when the group is empty, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
        reaper::forget(self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.end_group();
            // Killed above: this only takes the exit status.
            let _ = self.child.wait();
        }
    }
}

/// The process id as the kernel interface wants it.
pub(crate) fn pid_of(pid: u32) -> Result<Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .with_context(|| format!("{pid} is no process id"))
}

fn collect(pipe: impl Read + Send + 'static, lines: Arc<Lines>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

/// Lines of output that grow while others wait for them.
#[derive(Default)]
pub(crate) struct Lines {
    held: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        self.lock().push(line);
        self.grown.notify_all();
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// All of them.
    pub(crate) fn text(&self) -> String {
        self.lock().join("\n")
    }

    /// Those from number `from` on.
    pub(crate) fn since(&self, from: usize) -> Vec<String> {
        self.lock().get(from..).unwrap_or_default().to_vec()
    }

    /// The first line that is wanted, as soon as it is there.
    pub(crate) fn wait(&self, patience: Duration, wanted: impl Fn(usize, &str) -> bool) -> Result<String> {
        let deadline = Instant::now() + patience;
        let mut held = self.lock();
        loop {
            if let Some((_, line)) = held.iter().enumerate().find(|(at, line)| wanted(*at, line)) {
                return Ok(line.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!(
                    "waited {patience:?} in vain; the lines so far:\n{}",
                    held.join("\n")
                );
            }
            held = self
                .grown
                .wait_timeout(held, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Returns when there are more than `seen` lines, or after `patience`.
    pub(crate) fn wait_for_more(&self, seen: usize, patience: Duration) {
        let held = self.lock();
        drop(
            self.grown
                .wait_timeout_while(held, patience, |held| held.len() <= seen),
        );
    }
}

/// KiB of a process's memory.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.context("no VmRSS")
}
