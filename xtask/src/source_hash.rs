//! The fingerprint of the kernel side's sources. Shared, as a file, by xtask, which records it beside the objects that it
//! builds, and the agent's build script, which refuses objects of other sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What the objects are built from, relative to the repository.
pub(crate) const INPUTS: [&str; 5] = [
    "agent-common/Cargo.toml",
    "agent-common/src",
    "agent-ebpf/Cargo.lock",
    "agent-ebpf/Cargo.toml",
    "agent-ebpf/src",
];

/// Where the fingerprint is recorded, relative to the repository.
pub(crate) const RECORD: &str = "agent-ebpf/prebuilt/SOURCE";

/// The key of the fingerprint in the record.
pub(crate) const KEY: &str = "sources";

/// The fingerprint of the sources as they are: of paths and contents only, so that it is the same in every clone.
///
/// # Errors
/// A source cannot be read.
pub(crate) fn current(root: &Path) -> io::Result<String> {
    of(root, &INPUTS)
}

/// The fingerprint that was recorded, if any was.
pub(crate) fn recorded(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join(RECORD)).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(" = "));
    pairs
        .find(|(key, _)| *key == KEY)
        .map(|(_, value)| value.to_owned())
}

/// The fingerprint of files and folders below `root`.
///
/// # Errors
/// One of them cannot be read.
pub(crate) fn of(root: &Path, inputs: &[&str]) -> io::Result<String> {
    let mut files = Vec::new();
    for input in inputs {
        collect(&root.join(input), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let name = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .as_os_str()
            .as_encoded_bytes();
        let content = fs::read(&file)?;
        for part in [name, &content] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // What editors leave beside a file that is open.
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}
