//! The files that a process has mapped as code.

use std::path::PathBuf;

use procfs::process::{MMPermissions, MMapPath, Process};

/// A file that a process has mapped as code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Where it can be opened from here.
    pub path: PathBuf,
    /// Where the process sees it.
    pub shown: PathBuf,
    /// Where its code begins in memory.
    pub address: u64,
    /// Which offset in the file that is.
    pub offset: u64,
    name: String,
}

impl Mapped {
    /// Its file name.
    pub fn name(&self) -> Option<&str> {
        Some(self.name.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether it is the C library or the loader: they define the wrappers of all system calls, so what they hold says
    /// nothing of the program.
    pub fn is_libc(&self) -> bool {
        [
            "libc.so",
            "libc-2.",
            "libc.musl-",
            "ld-linux",
            "ld-musl-",
            "ld-2.",
            "ld.so",
        ]
        .iter()
        .any(|prefix| self.name.starts_with(prefix))
    }
}

/// The files that process `pid` has mapped as code, its executable included, each once.
///
/// A mapped file that was replaced since is opened through the mapping itself, which needs `CAP_SYS_ADMIN` or
/// `CAP_CHECKPOINT_RESTORE`.
pub fn files(pid: u32) -> Vec<Mapped> {
    let maps = Process::new(pid as i32).and_then(|process| process.maps());
    let mut seen = Vec::new();
    let mut files = Vec::new();
    for map in maps.into_iter().flatten() {
        let MMapPath::Path(path) = &map.pathname else {
            continue;
        };
        let identity = (map.dev, map.inode);
        if !map.perms.contains(MMPermissions::EXECUTE) || map.inode == 0 || seen.contains(&identity) {
            continue;
        }
        seen.push(identity);
        let text = path.to_string_lossy();
        let (shown, deleted) = match text.strip_suffix(" (deleted)") {
            Some(shown) => (shown, true),
            None => (&*text, false),
        };
        files.push(Mapped {
            path: if deleted {
                PathBuf::from(format!(
                    "/proc/{pid}/map_files/{:x}-{:x}",
                    map.address.0, map.address.1
                ))
            } else {
                PathBuf::from(format!("/proc/{pid}/root{shown}"))
            },
            shown: PathBuf::from(shown),
            address: map.address.0,
            offset: map.offset,
            name: shown.rsplit('/').next().unwrap_or_default().to_owned(),
        });
    }
    files
}
