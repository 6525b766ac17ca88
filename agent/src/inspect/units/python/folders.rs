//! Where a process has its extension modules, those included that it has not imported yet.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::process::{Loaded, Process};

/// Folders that modules of a Python are looked for in.
#[derive(Debug, Default)]
pub struct Folders {
    /// Of the standard library's extension modules.
    pub standard: Vec<PathBuf>,
    /// Of installed packages.
    pub packages: Vec<PathBuf>,
}

impl Folders {
    /// Those of a process with Python 3.`minor`, as it sees them.
    pub fn of(process: &Process, python: &Loaded, minor: u32) -> Self {
        let mut folders = Self::default();
        for file in &process.files {
            folders.add_seen(&file.shown);
        }
        let version = format!("python3.{minor}");
        for prefix in prefixes(process, python) {
            for library in ["lib", "lib64"] {
                let library = prefix.join(library);
                folders.standard.push(library.join(&version).join("lib-dynload"));
                folders
                    .packages
                    .push(library.join(&version).join("site-packages"));
                folders
                    .packages
                    .push(library.join(&version).join("dist-packages"));
                folders.packages.push(library.join("python3/dist-packages"));
            }
        }
        folders
    }

    /// A module that is loaded tells where others are.
    fn add_seen(&mut self, file: &Path) {
        for folder in file.ancestors().skip(1) {
            match folder.file_name().and_then(|name| name.to_str()) {
                Some("lib-dynload") => push_once(&mut self.standard, folder),
                Some("site-packages" | "dist-packages") => push_once(&mut self.packages, folder),
                _ => {}
            }
        }
    }
}

fn push_once(folders: &mut Vec<PathBuf>, folder: &Path) {
    if !folders.iter().any(|known| known == folder) {
        folders.push(folder.to_owned());
    }
}

/// Prefixes of installations and virtual environments: the folders above `bin` and `lib`.
fn prefixes(process: &Process, python: &Loaded) -> Vec<PathBuf> {
    let mut prefixes: Vec<PathBuf> = process.variable("VIRTUAL_ENV").into_iter().collect();
    let programs = process
        .command_paths()
        .into_iter()
        .chain(process.executable_path());
    for program in programs.chain([python.shown.clone()]) {
        // `bin/python3`, `lib/libpython3.11.so.1.0`, `lib/x86_64-linux-gnu/libpython3.11.so.1.0`.
        for prefix in program.ancestors().skip(2).take(2) {
            push_once(&mut prefixes, prefix);
        }
    }
    push_once(&mut prefixes, Path::new("/usr"));
    push_once(&mut prefixes, Path::new("/usr/local"));
    prefixes
}

/// The extension module `name` in a folder of the process's: `name.so`, `name.cpython-311-x86_64-linux-gnu.so`.
pub fn module(process: &Process, folder: &Path, name: &str, minor: u32) -> Option<PathBuf> {
    let entries = fs::read_dir(process.path(folder)).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|file| is_module(file, name, minor)).collect();
    names.sort_unstable();
    Some(process.path(folder).join(names.first()?))
}

/// Whether a file is the module `name` for Python 3.`minor` (PEP 3149; `abi3` is for all).
pub fn is_module(file: &str, name: &str, minor: u32) -> bool {
    let Some(tag) = file
        .strip_prefix(name)
        .and_then(|rest| rest.strip_suffix(".so")?.strip_prefix('.').or(Some("")))
    else {
        return false;
    };
    match tag.strip_prefix("cpython-3") {
        Some(version) => version.split('-').next() == Some(&minor.to_string()),
        None => file.len() == name.len() + 3 || tag.starts_with("abi3"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_modules() {
        assert!(is_module("_queue.cpython-311-x86_64-linux-gnu.so", "_queue", 11));
        assert!(!is_module("_queue.cpython-310-x86_64-linux-gnu.so", "_queue", 11));
        assert!(!is_module(
            "_queue.cpython-313t-x86_64-linux-gnu.so",
            "_queue",
            13
        ));
        assert!(is_module("_queue.so", "_queue", 9));
        assert!(is_module("_queue.abi3.so", "_queue", 9));
        assert!(!is_module("_queues.so", "_queue", 9));
    }
}
