//! UNITS: what the kernel side must know of a process to tell which task, goroutine or greenlet does an I/O.
//!
//! Nothing here is guessed: what cannot be found or does not check leaves the process with its threads as units, and
//! the reason is said by `sidelight ps`.

pub mod go;
pub mod python;

use std::path::PathBuf;

use agent_common::Runtime;

/// What was found out about a process's units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitPlan {
    /// How the kernel side reads the present unit; `None`: its units are its threads.
    pub runtime: Option<Runtime>,
    /// Where units start others.
    pub probes: Vec<Probe>,
    /// Why something is missing, for people.
    pub missing: Vec<String>,
}

/// A place in a file to be probed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// What happens there.
    pub kind: ProbeKind,
    /// The file, reachable from the agent (`/proc/PID/root/…` or `/proc/PID/map_files/…`).
    pub path: PathBuf,
    /// Offset in the file.
    pub offset: u64,
    /// The probe's cookie: what is documented at each [`ProbeKind`].
    pub cookie: u64,
}

/// What happens at a probed place, and what its cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProbeKind {
    /// A Python context was copied from the present one. Cookie: [`agent_common::unit::register`] with the copy; with
    /// `RESULT` it is a uretprobe at a function's start.
    ContextCopied,
    /// An empty Python context was made. Cookie as above.
    ContextMade,
    /// A job goes into `_queue.SimpleQueue`. Cookie: 0, the job is the first of the array of arguments in the third
    /// argument's place (`METH_FASTCALL`: self, args, nargs, kwnames).
    JobPut,
    /// A job came out of it. Cookie as for `ContextCopied`.
    JobTaken,
    /// uvloop takes over a buffer that it may write later. Cookie 0: the buffer is the second argument (`METH_O`);
    /// 1: it is the first of the array there (`METH_FASTCALL`).
    BufferQueued,
    /// A greenlet was made. Cookie as for `ContextCopied`.
    GreenletMade,
    /// A goroutine was started: at the call of `runqput` in `newproc`, where the second Go argument is the new `g` and
    /// the running `g` is the system goroutine of the creator's thread. Cookie 0.
    GoroutineStarted,
    /// A goroutine sends an HTTP/1 request on a connection of `net/http`: the first Go argument is the `persistConn`.
    /// Cookie: offset of `conn` (an interface) in it, offset of `fd` in `net.conn`, of `pfd` in `netFD` and of `Sysfd`
    /// in `poll.FD`, 16 bits each, the first lowest.
    RequestSent,
}

impl ProbeKind {
    /// Whether it may be left out for a while. Goroutines are told from those before them without it, and contexts are not
    /// known meanwhile; a greenlet or a job would be taken for the one before it.
    pub fn may_rest(self) -> bool {
        matches!(
            self,
            Self::ContextCopied | Self::ContextMade | Self::GoroutineStarted
        )
    }
}

/// What is to be known of the units of a process; nothing if it has no runtime with units of its own.
pub fn plan(pid: u32) -> UnitPlan {
    let python = python::plan(pid);
    if python != UnitPlan::default() {
        return python;
    }
    go::plan(pid)
}
