//! Booting a kernel for one command.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::initramfs::{self, Files};
use super::kernels::Kernel;
use super::qemu::Qemu;
use crate::process::Process;
use crate::progress::Step;
use crate::workspace::Workspace;

/// Lines of a console that are shown when a machine did not get to its end.
const TAIL: usize = 20;

/// What virtual machines need.
pub(crate) struct Laboratory {
    qemu: Qemu,
    logs: PathBuf,
}

/// What a command in a virtual machine did.
pub(crate) struct Outcome {
    /// The kernel's release.
    pub(crate) release: String,
    /// What it wrote, both outputs together.
    pub(crate) output: String,
    pub(crate) code: i32,
    /// Until the command began.
    pub(crate) booted: Duration,
    /// The whole console; it goes when all is well.
    pub(crate) log: PathBuf,
}

impl Laboratory {
    /// Makes sure of QEMU.
    pub(crate) fn ensure(workspace: &Workspace, step: &Step) -> Result<Self> {
        let logs = workspace.target.join("vm");
        fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
        Ok(Self {
            qemu: Qemu::ensure(workspace, step)?,
            logs,
        })
    }

    /// Fetches what a kernel needs to be booted, unless it is here.
    pub(crate) fn prepare(workspace: &Workspace, kernel: &Kernel, step: &Step) -> Result<()> {
        kernel.ensure(workspace, step)?;
        initramfs::busybox(workspace, kernel.machine, step).map(drop)
    }

    /// Boots a kernel and runs a shell command among these files, as root.
    ///
    /// # Errors
    /// When the machine does not get so far, or not to the command's end within `limit`.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        kernel: &Kernel,
        files: &Files,
        command: &str,
        limit: Duration,
        step: &Step,
    ) -> Result<Outcome> {
        let image = kernel.ensure(workspace, step)?;
        let busybox = initramfs::busybox(workspace, kernel.machine, step)?;
        step.detail("waiting for another command with this kernel");
        let lock = self.logs.join(format!("{}.lock", kernel.name()));
        let lock = File::create(&lock).with_context(|| format!("creating {}", lock.display()))?;
        lock.lock()
            .context("waiting for another command with this kernel")?;
        step.detail("packing");
        let root = self.logs.join(format!("{}.cpio", kernel.name()));
        fs::write(&root, initramfs::pack(&busybox, files, command)?)
            .with_context(|| format!("writing {}", root.display()))?;
        let log = self.logs.join(format!("{}.log", kernel.name()));
        step.detail("booting");
        let ended = self.boot(kernel, &image, &root, &log, limit);
        fs::remove_file(&root).with_context(|| format!("removing {}", root.display()))?;
        ended
    }

    fn boot(
        &self,
        kernel: &Kernel,
        image: &Path,
        root: &Path,
        log: &Path,
        limit: Duration,
    ) -> Result<Outcome> {
        let mut command = self.qemu.command(kernel, image, root)?;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let since = Instant::now();
        let mut process = Process::start(&format!("QEMU with {}", kernel.name()), command)?;
        let output = process.child().stdout.take().context("QEMU has no output")?;
        let errors = process.child().stderr.take().context("QEMU has no errors")?;
        let (sender, lines) = mpsc::channel();
        let other = sender.clone();
        thread::spawn(move || pass_on(output, &sender));
        thread::spawn(move || pass_on(errors, &other));
        let mut console = Console::create(log)?;
        while console.code.is_none() {
            match lines.recv_timeout(limit.saturating_sub(since.elapsed())) {
                Ok(line) => console.take(&line, since.elapsed())?,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("not at its end after {limit:?}{}", console.tail(log))
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the machine died{}", console.tail(log)),
            }
        }
        Ok(Outcome {
            release: console.release,
            output: console.output,
            code: console.code.unwrap_or(1),
            booted: console.booted,
            log: log.to_owned(),
        })
    }
}

/// What comes out of a machine.
struct Console {
    file: File,
    lines: Vec<String>,
    release: String,
    output: String,
    booted: Duration,
    code: Option<i32>,
}

impl Console {
    fn create(log: &Path) -> Result<Self> {
        Ok(Self {
            file: File::create(log).with_context(|| format!("creating {}", log.display()))?,
            lines: Vec::new(),
            release: String::new(),
            output: String::new(),
            booted: Duration::ZERO,
            code: None,
        })
    }

    fn take(&mut self, line: &str, now: Duration) -> Result<()> {
        let line = line.trim_end_matches('\r');
        writeln!(self.file, "{line}").context("writing a machine's log")?;
        self.lines.push(line.to_owned());
        if let Some((before, code)) = line.split_once("@@end ") {
            self.output.push_str(before);
            self.code = Some(code.trim().parse().context("a command's exit code")?);
        } else if let Some((_, release)) = line.split_once("@@begin ") {
            release.trim().clone_into(&mut self.release);
            self.booted = now;
        } else if !self.release.is_empty() {
            self.output.push_str(line);
            self.output.push('\n');
        }
        Ok(())
    }

    fn tail(&self, log: &Path) -> String {
        let from = self.lines.len().saturating_sub(TAIL);
        format!(
            "; {} ends with:\n{}",
            log.display(),
            self.lines[from..].join("\n")
        )
    }
}

fn pass_on(output: impl std::io::Read, lines: &mpsc::Sender<String>) {
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if lines.send(line).is_err() {
            return;
        }
    }
}
