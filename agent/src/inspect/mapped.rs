//! The files that a process has mapped as code.

use std::path::{Path, PathBuf};

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
    let root = root(pid);
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
        let shown = below(&root, Path::new(shown));
        files.push(Mapped {
            path: if deleted {
                PathBuf::from(format!(
                    "/proc/{pid}/map_files/{:x}-{:x}",
                    map.address.0, map.address.1
                ))
            } else {
                PathBuf::from(format!("/proc/{pid}/root{}", shown.display()))
            },
            name: shown
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            shown,
            address: map.address.0,
            offset: map.offset,
        });
    }
    files
}

/// The executable of process `pid`, where that sees it.
pub fn executable(pid: u32) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let text = path.to_string_lossy();
    let shown = text.strip_suffix(" (deleted)").unwrap_or(&text);
    Some(below(&root(pid), Path::new(shown)))
}

/// The root folder of a process, which `/proc` shows before all its paths unless it is the root of its mounts.
fn root(pid: u32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/root")).unwrap_or_else(|_| PathBuf::from("/"))
}

fn below(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root)
        .map_or_else(|_| path.to_owned(), |path| Path::new("/").join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_folder_of_its_own() {
        let path = Path::new("/srv/debian/usr/bin/python3");
        assert_eq!(
            below(Path::new("/srv/debian"), path),
            Path::new("/usr/bin/python3")
        );
        assert_eq!(below(Path::new("/"), path), path);
        // Left from before it had one.
        assert_eq!(below(Path::new("/srv/other"), path), path);
    }
}
