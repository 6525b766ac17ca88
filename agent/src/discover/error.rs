//! Why a process cannot be looked at.

use std::{io, path::PathBuf};

use procfs::ProcError;

/// Why a process cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It does not exist, or not any more.
    #[error("process {pid}: no process has this id; `sidelight ps` lists those that can be watched")]
    NoSuchProcess {
        /// The id, host view.
        pid: u32,
    },
    /// The id is that of one thread of a process.
    #[error("process {pid}: this is a thread of process {process}; give --pid {process}")]
    Thread {
        /// The thread's id.
        pid: u32,
        /// The process's id.
        process: u32,
    },
    /// It has ended and waits for its parent to take notice.
    #[error("process {pid}: it has ended (a zombie); `sidelight ps` lists those that can be watched")]
    Zombie {
        /// The id, host view.
        pid: u32,
    },
    /// It is a thread of the kernel.
    #[error("process {pid}: it is a thread of the kernel; `sidelight ps` lists those that can be watched")]
    KernelThread {
        /// The id, host view.
        pid: u32,
    },
    /// Its files in `/proc` may not be read.
    #[error(
        "process {pid}: /proc/{pid} may not be read; run as root, or with CAP_SYS_PTRACE in its user namespace"
    )]
    Permission {
        /// The id, host view.
        pid: u32,
    },
    /// Something else went wrong while reading.
    #[error("{}: not readable: {source}; is /proc mounted?", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl InspectError {
    /// What the procfs crate says, said of process `pid`.
    pub(super) fn new(pid: u32, error: ProcError) -> Self {
        let proc = || PathBuf::from(format!("/proc/{pid}"));
        match error {
            ProcError::PermissionDenied(_) => Self::Permission { pid },
            // A process that ends while its files are being read: open fails (ENOENT) or read does (ESRCH).
            ProcError::NotFound(_) | ProcError::Incomplete(_) => Self::NoSuchProcess { pid },
            ProcError::Io(source, _) if source.raw_os_error() == Some(libc::ESRCH) => {
                Self::NoSuchProcess { pid }
            }
            ProcError::Io(source, path) => Self::Read {
                path: path.unwrap_or_else(proc),
                source,
            },
            other => Self::Read {
                path: proc(),
                source: io::Error::other(other.to_string()),
            },
        }
    }

    /// Why it cannot be watched, in a few words.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSuchProcess { .. } | Self::Zombie { .. } => "it has ended",
            Self::Thread { .. } => "a thread",
            Self::KernelThread { .. } => "a thread of the kernel",
            Self::Permission { .. } => "not readable: needs CAP_SYS_PTRACE in its user namespace",
            Self::Read { .. } => "not readable",
        }
    }
}
