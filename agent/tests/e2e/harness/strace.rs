//! What strace saw of a process: an account of its system calls that the agent had no hand in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::{PATIENCE, process::Process, until};

const READS: [&str; 5] = ["read", "readv", "recvfrom", "recvmsg", "recvmmsg"];
const WRITES: [&str; 6] = ["write", "writev", "sendto", "sendmsg", "sendmmsg", "sendfile"];

/// A running strace.
pub(crate) struct Strace {
    process: Process,
    prefix: PathBuf,
}

/// One finished system call.
#[derive(Clone, Debug)]
struct Call {
    /// End, nanoseconds since the Unix epoch.
    end: i128,
    name: String,
    descriptor: i32,
    result: i64,
    text: String,
}

/// First read and last write of one request: nanoseconds since the Unix epoch, each at the end of the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) first_read: i128,
    pub(crate) last_write: i128,
}

impl Strace {
    /// Attaches to all threads of `pid`, and to those to come.
    pub(crate) fn attach(pid: u32, folder: &Path) -> Result<Self> {
        let prefix = folder.join("trace");
        let calls = [&READS[..], &WRITES[..]].concat().join(",");
        // Ahead of everything else on the machine: strace takes its times when it gets to run.
        let mut command = Command::new("chrt");
        command
            .args(["--fifo", "10"])
            .arg(super::lab::find("strace").context("strace is not in PATH")?);
        // One file for each thread, so that no call is printed in two halves.
        command.args([
            "-ff",
            "-T",
            "--absolute-timestamps=format:unix,precision:ns",
            "--syscall-times=ns",
        ]);
        command.args([
            "-s",
            "80",
            "-e",
            &format!("trace={calls}"),
            "-p",
            &pid.to_string(),
            "-o",
        ]);
        command.arg(&prefix);
        let process = Process::spawn("strace", command)?;
        let status = format!("/proc/{pid}/status");
        until("strace is attached", || {
            let text = fs::read_to_string(&status).ok()?;
            text.lines()
                .any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
                .then_some(())
        })
        .with_context(|| process.stderr.text())?;
        Ok(Self { process, prefix })
    }

    /// Detaches, and gives what was seen.
    pub(crate) fn stop(mut self) -> Result<Calls> {
        self.process.signal(Signal::INT)?;
        self.process.wait(PATIENCE)?;
        let folder = self.prefix.parent().context("the trace has no folder")?;
        let mut calls = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("trace."))
            {
                calls.extend(fs::read_to_string(path)?.lines().filter_map(Call::parse));
            }
        }
        calls.sort_by_key(|call| call.end);
        Ok(Calls(calls))
    }
}

/// All calls of a traced process, in the order in which they ended.
pub(crate) struct Calls(Vec<Call>);

impl Calls {
    /// The first read and the last write of the request with this path.
    pub(crate) fn window(&self, path: &str) -> Result<Window> {
        let begins = |call: &Call| READS.contains(&call.name.as_str()) && call.text.contains("HTTP/1.1");
        let at = self
            .0
            .iter()
            .position(|call| begins(call) && call.text.contains(path))
            .with_context(|| format!("strace saw no read of {path}"))?;
        let first = &self.0[at];
        let rest = self.0[at + 1..]
            .iter()
            .filter(|call| call.descriptor == first.descriptor);
        let last = rest
            .take_while(|call| !begins(call))
            .filter(|call| WRITES.contains(&call.name.as_str()) && call.result > 0)
            .last()
            .with_context(|| format!("strace saw no write of the answer to {path}"))?;
        Ok(Window {
            first_read: first.end,
            last_write: last.end,
        })
    }
}

impl Call {
    /// `1700000000.123456789 recvfrom(7, "GET /"..., 65536, 0, NULL, NULL) = 83 <0.000012345>`
    fn parse(line: &str) -> Option<Self> {
        let (start, rest) = line.split_once(' ')?;
        let (name, rest) = rest.split_once('(')?;
        let (arguments, rest) = rest.rsplit_once(" = ")?;
        let (result, took) = rest.rsplit_once('<')?;
        Some(Self {
            end: nanoseconds(start)? + nanoseconds(took.trim_end_matches('>'))?,
            name: name.to_owned(),
            descriptor: arguments
                .split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()?,
            result: result.split_whitespace().next()?.parse().ok()?,
            text: arguments.to_owned(),
        })
    }
}

/// Seconds with a fraction of nine digits.
fn nanoseconds(text: &str) -> Option<i128> {
    let (seconds, fraction) = text.split_once('.')?;
    let digits = format!("{fraction:0<9}");
    Some(seconds.parse::<i128>().ok()? * 1_000_000_000 + digits.get(..9)?.parse::<i128>().ok()?)
}
