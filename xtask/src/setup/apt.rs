//! Debian's and Ubuntu's packages.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::command::{Cmd, find_in_path};
use crate::progress::Step;
use crate::sys;

/// Installs packages by name, or says which command would.
pub(crate) fn install(step: &Step, packages: &[&str]) -> Result<()> {
    let by_hand = format!(
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    if find_in_path("apt-get").is_none() {
        bail!(
            "this is not Debian or Ubuntu: install what the packages {} have there",
            packages.join(", ")
        );
    }
    if !sys::is_root() {
        bail!("only root may install packages: run `{by_hand}`");
    }
    if try_install(step, packages).is_err() {
        // Fresh machines have no package lists, and old lists name files that are gone.
        apt_get("update").run(step)?;
        try_install(step, packages)?;
    }
    Ok(())
}

fn try_install(step: &Step, packages: &[&str]) -> Result<()> {
    apt_get("install")
        .args(["-y", "--no-install-recommends"])
        .args(packages)
        .run(step)
}

fn apt_get(verb: &str) -> Cmd {
    Cmd::new("apt-get")
        .arg("-q")
        .arg(verb)
        .env("DEBIAN_FRONTEND", "noninteractive")
}

/// Whether this user may install packages here.
pub(crate) fn may_install() -> bool {
    sys::is_root() && find_in_path("apt-get").is_some()
}

/// The address of the archive whose path ends in `path`, taken from this machine's own package sources.
pub(crate) fn archive_address(path: &str) -> Option<String> {
    let lists = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let files = std::iter::once(PathBuf::from("/etc/apt/sources.list")).chain(lists);
    files
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| address_in(&text, path))
}

/// Understands both forms: `deb [options] ADDRESS suite…` and `URIs: ADDRESS…`.
fn address_in(sources: &str, path: &str) -> Option<String> {
    let lines = sources
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"));
    let mut words = lines.flat_map(str::split_whitespace);
    words
        .find(|word| word.contains("://") && word.trim_end_matches('/').ends_with(path))
        .map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_forms_of_sources() {
        let list = "# deb http://old.example/debian x main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian-security bookworm-security main\n\
                    deb http://mirror.example/debian/ bookworm main\n";
        assert_eq!(
            address_in(list, "/debian").as_deref(),
            Some("http://mirror.example/debian/")
        );
        let stanza = "Types: deb\nURIs: https://mirror.example/a/debian\nSuites: bookworm\n";
        assert_eq!(
            address_in(stanza, "/debian").as_deref(),
            Some("https://mirror.example/a/debian")
        );
        assert_eq!(address_in(stanza, "/ubuntu"), None);
    }
}
