//! Programs that are started, talked to, and surely ended.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Long enough in a virtual machine that interprets every instruction, on a machine that is busy with other things: the verifier
/// takes most of it.
const PATIENCE: Duration = Duration::from_mins(4);
/// So long nothing more comes where some lines are missing.
const SILENCE: Duration = Duration::from_mins(1);

/// A running program and the lines that it writes to both of its outputs.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    /// All of them so far.
    pub(crate) seen: Vec<String>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let (sender, lines) = mpsc::channel();
        let errors = child.stderr.take().context("no standard error")?;
        let output = child.stdout.take().context("no standard output")?;
        let other = sender.clone();
        thread::spawn(move || pass_on(errors, &other));
        thread::spawn(move || pass_on(output, &sender));
        Ok(Self {
            child,
            lines,
            seen: Vec::new(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The rest of the next line that begins with `word`.
    pub(crate) fn wait_for(&mut self, word: &str) -> Result<String> {
        self.wait_until(word, |lines| {
            let line = lines.last()?;
            line.strip_prefix(word).map(|rest| rest.trim().to_owned())
        })
    }

    /// Waits until the lines so far are `enough`; that is asked again for each new one.
    pub(crate) fn wait_until<T>(&mut self, what: &str, enough: impl Fn(&[String]) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = enough(&self.seen) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let left = if self.seen.is_empty() {
                left
            } else {
                left.min(SILENCE)
            };
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(_) => bail!(
                    "waited in vain for {what}; there were {} lines:\n{}",
                    self.seen.len(),
                    self.words()
                ),
            }
        }
    }

    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self
            .child
            .stdin
            .as_mut()
            .context("its standard input is closed")?;
        writeln!(input, "{line}").context("it does not listen")
    }

    /// What it said, without data.
    pub(crate) fn words(&self) -> String {
        let words: Vec<&str> = self
            .seen
            .iter()
            .map(String::as_str)
            .filter(|line| !line.starts_with('{'))
            .collect();
        words.join("\n")
    }

    /// Ends it as a user does, and takes what it still says.
    pub(crate) fn interrupt(&mut self) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a process without an id")?, Signal::INT)?;
        let status = self.child.wait()?;
        self.seen.extend(self.lines.iter());
        if !status.success() {
            bail!("it ended with {status}:\n{}", self.words());
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(output: impl io::Read, lines: &mpsc::Sender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if lines.send(line).is_err() {
            return;
        }
    }
}

/// A line on standard output.
pub(crate) fn print(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("writing to standard output")
}

/// A line on standard error, which may be closed.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
