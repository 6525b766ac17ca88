//! The root file system of a virtual machine: busybox, what it is to run, and the libraries that this needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cpio::Archive;
use super::kernels::Machine;
use crate::command::Cmd;
use crate::progress::Step;
use crate::setup::packages::{self, Wanted};
use crate::workspace::Workspace;

/// What runs first.
const INIT: &str = include_str!("init.sh");
/// Where the files are that belong to the command.
pub(super) const WORK: &str = "work";

/// Files by their path in the machine.
#[derive(Default)]
pub(crate) struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// A file in the folder in which the command runs.
    pub(crate) fn add(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.0.insert(format!("{WORK}/{name}"), content.into());
    }

    /// A program of this machine, and the libraries that it needs, where it looks for them.
    pub(crate) fn add_program(&mut self, name: &str, program: &Path) -> Result<()> {
        self.add(name, read(program)?);
        for library in libraries(program) {
            let place = library.to_string_lossy().trim_start_matches('/').to_owned();
            self.0.insert(place, read(&library)?);
        }
        Ok(())
    }
}

/// Packs a root file system in which `command` runs.
pub(super) fn pack(busybox: &Path, files: &Files, command: &str) -> Result<Vec<u8>> {
    let mut all = files.0.clone();
    all.insert("init".to_owned(), INIT.into());
    all.insert("bin/busybox".to_owned(), read(busybox)?);
    all.insert(format!("{WORK}/run"), format!("{command}\n").into_bytes());
    let mut archive = Archive::default();
    for folder in folders(&all) {
        archive.folder(&folder);
    }
    archive.device("dev/console", (5, 1));
    archive.device("dev/null", (1, 3));
    archive.link("bin/sh", "busybox");
    for (name, content) in &all {
        archive.file(name, content);
    }
    Ok(archive.finish())
}

/// All folders, outer ones first.
fn folders(files: &BTreeMap<String, Vec<u8>>) -> BTreeSet<String> {
    let mut folders: BTreeSet<String> = ["dev", "proc", "sys", "tmp", "root", "etc"]
        .map(ToOwned::to_owned)
        .into();
    for name in files.keys() {
        let above = Path::new(name).ancestors().skip(1);
        folders.extend(above.map(|folder| folder.to_string_lossy().into_owned()));
    }
    folders.remove("");
    folders
}

/// Makes sure of a busybox that needs no library.
pub(super) fn busybox(workspace: &Workspace, machine: Machine, step: &Step) -> Result<PathBuf> {
    let folder = workspace
        .tools()
        .join("kernels")
        .join(format!("busybox-{}", machine.debian()));
    let wanted = Wanted {
        suite: "bookworm",
        architecture: machine.debian(),
        packages: &|_| Ok(vec!["busybox-static".to_owned()]),
        key: "busybox-static",
    };
    packages::unpack(&wanted, &folder, step)?;
    packages::first(&folder, &["bin/busybox".to_owned(), "usr/bin/busybox".to_owned()])
}

/// The shared libraries of a program and its loader; none of a static one, of which `ldd` says that it fails.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let listed = Cmd::new("ldd").arg(program).output().unwrap_or_default();
    listed.lines().filter_map(library).collect()
}

/// `NAME => PATH (ADDRESS)` or `PATH (ADDRESS)`.
fn library(line: &str) -> Option<PathBuf> {
    let path = line.split_whitespace().find(|word| word.starts_with('/'))?;
    Some(path.into())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("reading {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_says() {
        let said =
            "\tlinux-vdso.so.1 (0x7ffd)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\t/lib64/ld.so.2 (0x7f)\n";
        let found: Vec<_> = said.lines().filter_map(library).collect();
        assert_eq!(found, [Path::new("/lib/libc.so.6"), Path::new("/lib64/ld.so.2")]);
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let files = BTreeMap::from([("a/b/c".to_owned(), Vec::new())]);
        let folders: Vec<_> = folders(&files).into_iter().collect();
        let place = |name: &str| folders.iter().position(|folder| folder == name).unwrap();
        assert!(place("a") < place("a/b"));
        assert!(!folders.contains(&"a/b/c".to_owned()));
    }
}
