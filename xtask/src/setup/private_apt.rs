//! Debian's archive, asked with sources, lists and settings of our own: nothing on the machine changes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt;
use crate::command::{Cmd, find_in_path};
use crate::progress::Step;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt that has everything of its own in one folder.
pub(crate) struct PrivateApt {
    folder: PathBuf,
    settings: PathBuf,
}

impl PrivateApt {
    /// Starts over in `folder`, with the packages of `suite`.
    ///
    /// # Errors
    /// Only Debian itself has the keys to what its archive sends.
    pub(crate) fn create(folder: &Path, suite: &str) -> Result<Self> {
        Self::create_for(folder, suite, None)
    }

    /// The same for another architecture than this machine's, by Debian's name of it.
    pub(crate) fn create_for(folder: &Path, suite: &str, architecture: Option<&str>) -> Result<Self> {
        if find_in_path("apt-get").is_none() || !Path::new(KEYRING).is_file() {
            bail!("this machine is not Debian");
        }
        let archive = apt::archive_address("/debian")
            .context("none of this machine's package sources is Debian's main archive")?;
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("creating {}", folder.join(part).display()))?;
        }
        let at = folder.display();
        write(folder, "status", "")?;
        let sources = format!("deb [signed-by={KEYRING}] {archive} {suite} main\n");
        let sources = write(folder, "sources.list", &sources)?;
        // Mirrors lag behind, and then their lists have expired; that they are Debian's is checked all the same.
        let settings = format!(
            "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\nDir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\nDir::Etc::sourceparts \"/dev/null\";\n\
             Dir::Etc::sourcelist \"{}\";\nDir::State \"{at}/state\";\nDir::State::status \"{at}/status\";\n\
             Dir::Cache \"{at}/cache\";\nAcquire::Languages \"none\";\nAPT::Sandbox::User \"\";\n\
             Acquire::Check-Valid-Until \"false\";\n",
            sources.display()
        );
        let architecture = architecture.map_or_else(String::new, |name| {
            format!("APT::Architecture \"{name}\";\nAPT::Architectures {{ \"{name}\"; }};\n")
        });
        Ok(Self {
            settings: write(folder, "apt.conf", &(settings + &architecture))?,
            folder: folder.to_owned(),
        })
    }

    pub(crate) fn update(&self, step: &Step) -> Result<()> {
        self.get().arg("update").run(step)
    }

    /// Puts packages into the folder, each `NAME` or `NAME=VERSION`.
    pub(crate) fn download(&self, packages: &[String], step: &Step) -> Result<()> {
        self.get()
            .arg("download")
            .args(packages)
            .dir(&self.folder)
            .run(step)
    }

    fn get(&self) -> Cmd {
        Cmd::new("apt-get").arg("-q").env("APT_CONFIG", &self.settings)
    }

    /// The newest packaging of that upstream version.
    pub(crate) fn find(&self, package: &str, version: &str) -> Result<Option<String>> {
        let listed = self.cache(&["madison", package])?;
        // rust-src | 1.95.0+dfsg1-2~bpo13+1 | ADDRESS SUITE/main amd64 Packages
        let mut found = listed
            .lines()
            .filter_map(|line| line.split('|').nth(1))
            .map(str::trim);
        Ok(found
            .find(|found| {
                found
                    .strip_prefix(version)
                    .is_some_and(|rest| rest.starts_with(['+', '-']))
            })
            .map(ToOwned::to_owned))
    }

    /// The newest version of a package that belongs to a series: `6.12.117-1` to `6.12`.
    pub(crate) fn newest(&self, package: &str, series: &str) -> Result<Option<String>> {
        let listed = self.cache(&["madison", package])?;
        let versions = listed.lines().filter_map(|line| line.split('|').nth(1));
        Ok(versions
            .map(str::trim)
            .find(|version| {
                version
                    .strip_prefix(series)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
            .map(ToOwned::to_owned))
    }

    /// What the archive says of a package, `NAME=VERSION`; nothing if there is none.
    pub(crate) fn describe(&self, package: &str) -> Result<String> {
        self.cache(&["show", package])
    }

    /// These packages and all that they need, each `NAME=VERSION`.
    pub(crate) fn with_dependencies(&self, packages: &[&str]) -> Result<Vec<String>> {
        let listed = self
            .get()
            .args(["-q", "install", "--print-uris", "--no-install-recommends"])
            .args(packages)
            .output()?;
        // 'ADDRESS' NAME_VERSION_ARCHITECTURE.deb SIZE HASH
        let files = listed
            .lines()
            .filter(|line| line.starts_with('\''))
            .filter_map(|line| line.split_whitespace().nth(1));
        Ok(files.filter_map(name_and_version).collect())
    }

    fn cache(&self, arguments: &[&str]) -> Result<String> {
        Cmd::new("apt-cache")
            .args(arguments)
            .env("APT_CONFIG", &self.settings)
            .output()
    }

    /// The packages that are in the folder.
    pub(crate) fn downloaded(&self) -> Result<Vec<PathBuf>> {
        let entries =
            fs::read_dir(&self.folder).with_context(|| format!("listing {}", self.folder.display()))?;
        Ok(entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.extension().is_some_and(|extension| extension == "deb"))
            .collect())
    }

    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).with_context(|| format!("removing {}", self.folder.display()))
    }
}

fn name_and_version(file: &str) -> Option<String> {
    let mut parts = file.split('_');
    let (name, version) = (parts.next()?, parts.next()?);
    Some(format!("{name}={}", version.replace("%3a", ":")))
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let file = folder.join(name);
    fs::write(&file, text)
        .with_context(|| format!("writing {}", file.display()))
        .map(|()| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_their_package_and_version() {
        assert_eq!(
            name_and_version("qemu-system-x86_1%3a10.0.2+ds-2_amd64.deb").as_deref(),
            Some("qemu-system-x86=1:10.0.2+ds-2")
        );
        assert_eq!(name_and_version("nothing"), None);
    }
}
