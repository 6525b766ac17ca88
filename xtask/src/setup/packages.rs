//! Debian's packages, unpacked below `target/tools` without being installed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Stamp;
use super::private_apt::PrivateApt;
use crate::command::Cmd;
use crate::progress::Step;

/// What to take from the archive.
pub(crate) struct Wanted<'a> {
    /// Debian's release.
    pub(crate) suite: &'a str,
    /// Debian's name of the architecture.
    pub(crate) architecture: &'a str,
    /// Names the packages, each `NAME` or `NAME=VERSION`, once the lists are there.
    pub(crate) packages: &'a dyn Fn(&PrivateApt) -> Result<Vec<String>>,
    /// Says what the packages are, so that another wish makes them anew.
    pub(crate) key: &'a str,
}

/// Unpacks packages into a folder, unless they are there.
pub(crate) fn unpack(wanted: &Wanted<'_>, folder: &Path, step: &Step) -> Result<()> {
    let ingredients = [wanted.suite, wanted.architecture, wanted.key];
    let stamp = Stamp::new(folder, &ingredients.map(str::as_bytes));
    if stamp.is_current() {
        return Ok(());
    }
    stamp.clear()?;
    step.detail("asking the archive");
    let apt = PrivateApt::create_for(&folder.join("apt"), wanted.suite, Some(wanted.architecture))?;
    apt.update(step)?;
    let packages = (wanted.packages)(&apt)?;
    step.detail(&format!("downloading {}", packages.join(", ")));
    apt.download(&packages, step)?;
    for package in apt.downloaded()? {
        step.detail(&format!("unpacking {}", package.display()));
        Cmd::new("dpkg-deb")
            .arg("-x")
            .arg(package)
            .arg(folder)
            .run(step)?;
    }
    apt.remove()?;
    stamp.write()
}

/// The first of `places` below `folder` that exists.
pub(crate) fn first(folder: &Path, places: &[String]) -> Result<std::path::PathBuf> {
    places
        .iter()
        .map(|place| folder.join(place))
        .find(|file| fs::metadata(file).is_ok())
        .with_context(|| format!("{} has none of {}", folder.display(), places.join(", ")))
}
