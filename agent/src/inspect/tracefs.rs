//! Where the kernel's tracepoints are listed.

use std::{
    io,
    path::{Path, PathBuf},
};

use procfs::process::{MountInfo, Process};
use rustix::mount::{MountFlags, mount};

/// Where tracefs belongs (the kernel's Documentation/trace/ftrace.rst).
const PLACE: &str = "/sys/kernel/tracing";

/// What to do without it.
pub const NOT_MOUNTED: &str =
    "tracefs is not mounted; run `mount -t tracefs tracefs /sys/kernel/tracing` as root";

/// Why the tracepoints cannot be looked up.
#[derive(Debug, thiserror::Error)]
pub enum TracefsError {
    /// It is not mounted and could not be.
    #[error("{NOT_MOUNTED} (mounting it was refused: {source})")]
    Mount {
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is mounted, and its events may not be read.
    #[error("{}: not readable: {source}; run as root or with CAP_DAC_READ_SEARCH", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Where tracefs is, mounted by us if nobody has. It stays mounted: other tools use it from then on too.
///
/// # Errors
///
/// Fails when it cannot be mounted or read.
pub fn tracefs() -> Result<PathBuf, TracefsError> {
    let path = match mounted() {
        Some(path) => path,
        None => mount_it()?,
    };
    readable(&path)?;
    Ok(path)
}

/// Where tracefs is mounted: on its own, or by the kernel inside of debugfs.
pub fn mounted() -> Option<PathBuf> {
    let mounts = Process::myself().and_then(|process| process.mountinfo()).ok()?;
    place(&mounts.0).or_else(|| {
        // A mount of debugfs mounts tracefs below it at the first access.
        let automatic = Path::new("/sys/kernel/debug/tracing");
        automatic.join("events").exists().then(|| automatic.to_owned())
    })
}

/// Checks that the system calls' events can be read.
pub fn readable(tracefs: &Path) -> Result<(), TracefsError> {
    let path = tracefs.join("events/syscalls/sys_enter_read/id");
    match std::fs::read(&path) {
        Ok(_) => Ok(()),
        Err(source) => Err(TracefsError::Unreadable { path, source }),
    }
}

fn place(mounts: &[MountInfo]) -> Option<PathBuf> {
    let mut places = mounts.iter().filter(|mount| mount.fs_type == "tracefs");
    let first = places.clone().find(|mount| mount.mount_point == Path::new(PLACE));
    first
        .or_else(|| places.next())
        .map(|mount| mount.mount_point.clone())
}

fn mount_it() -> Result<PathBuf, TracefsError> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match mount("tracefs", PLACE, "tracefs", flags, None) {
        Ok(()) => Ok(PathBuf::from(PLACE)),
        Err(error) => Err(TracefsError::Mount { source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_place_wins() {
        let line = |at: &str, kind: &str| {
            MountInfo::from_line(&format!(
                "24 1 0:12 / {at} rw,relatime shared:5 - {kind} {kind} rw"
            ))
            .unwrap()
        };
        let below = line("/sys/kernel/debug/tracing", "tracefs");
        let own = line(PLACE, "tracefs");
        let other = line("/sys", "sysfs");
        assert_eq!(place(std::slice::from_ref(&other)), None);
        assert_eq!(place(&[other, below.clone(), own]), Some(PathBuf::from(PLACE)));
        assert_eq!(place(&[below]), Some(PathBuf::from("/sys/kernel/debug/tracing")));
    }
}
