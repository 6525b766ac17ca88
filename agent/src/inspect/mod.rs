//! INSPECT: what an executable is, which system calls it can use, and what this kernel offers.

mod arm64;
mod binary;
mod elf;
mod go;
mod imports;
mod kernel;
mod mapped;
mod pclntab;
mod runtime;
mod tracefs;
pub mod units;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

#[cfg(test)]
pub use kernel::Feature;
pub use kernel::{Report, report};
pub use runtime::Runtime;
pub use tracefs::{TracefsError, tracefs};

use crate::discover::SyscallSet;
use binary::Binary;
use mapped::Mapped;

/// Files that are remembered; more than one host runs at once, and each is small.
const MAX_FILES: usize = 4096;

/// Looks at the executables and libraries of processes, and remembers what it saw by file.
#[derive(Debug, Default)]
pub struct Inspector {
    files: HashMap<FileKey, Arc<Binary>>,
}

/// A file as long as it is not written to: device, inode, size, and time of the last change in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileKey {
    device: u64,
    inode: u64,
    size: u64,
    changed: i128,
}

impl Inspector {
    /// What the process's executable is.
    ///
    /// # Errors
    ///
    /// Fails when the executable may not be read. One that is read and not understood is a runtime of which nothing is
    /// known.
    pub fn runtime(&mut self, pid: u32) -> io::Result<Runtime> {
        let executable = self.binary(&executable(pid))?;
        if let Some(certain) = runtime::of_executable(&executable) {
            return Ok(certain);
        }
        let mapped = mapped::files(pid);
        // A process that has just been executed has not mapped what it is linked to.
        let linked = executable.needed.iter().map(String::as_str);
        let libraries: Vec<&str> = mapped.iter().filter_map(Mapped::name).chain(linked).collect();
        let python = mapped
            .iter()
            .find(|file| file.name().is_some_and(runtime::is_libpython))
            .and_then(|library| self.binary(&library.path).ok())
            .and_then(|library| library.python_version.clone());
        let name = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        Ok(runtime::of_process(
            &executable,
            &name,
            &libraries,
            python.as_deref(),
        ))
    }

    /// The system calls for socket I/O that the process can use. What cannot be known counts as used: a static program
    /// that is not Go's, a file that cannot be read.
    ///
    /// A program can map more libraries later. So one that can (it links to `dlopen`, or its language loads extensions)
    /// counts as using all calls that libraries commonly use, and one that has not begun (its C library is not there
    /// yet) as using all.
    pub fn syscalls_used(&mut self, pid: u32) -> SyscallSet {
        let Ok(executable) = self.binary(&executable(pid)) else {
            return SyscallSet::ALL;
        };
        let Some(own) = executable.syscalls else {
            return SyscallSet::ALL;
        };
        if !executable.is_dynamic {
            return own;
        }
        self.with_libraries(own, executable.can_load, &mapped::files(pid))
    }

    fn with_libraries(&mut self, own: SyscallSet, can_load: bool, files: &[Mapped]) -> SyscallSet {
        let mut used = own;
        let mut loads = can_load;
        let mut has_libc = false;
        for file in files {
            if file.is_libc() {
                has_libc = true;
                continue;
            }
            match self
                .binary(&file.path)
                .ok()
                .and_then(|binary| Some((binary.syscalls?, binary.can_load)))
            {
                Some((syscalls, can_load)) => {
                    used = used.union(syscalls);
                    loads |= can_load;
                }
                None => return SyscallSet::ALL,
            }
        }
        match (has_libc, loads) {
            (false, _) => SyscallSet::ALL,
            (true, true) => used.union(imports::common()),
            (true, false) => used,
        }
    }

    fn binary(&mut self, path: &Path) -> io::Result<Arc<Binary>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let key = FileKey {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            changed: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        };
        if let Some(known) = self.files.get(&key) {
            return Ok(Arc::clone(known));
        }
        if self.files.len() >= MAX_FILES {
            self.files.clear();
        }
        let binary = Arc::new(Binary::read(file));
        self.files.insert(key, Arc::clone(&binary));
        Ok(binary)
    }
}

/// The executable of a process, whatever its mount namespace, and also when its file was removed.
fn executable(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/exe"))
}
