//! `CPython` as Debian has it, with its library beside it, and as it is built from its sources.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::check;
use crate::{
    Case,
    harness::{
        apps::Server,
        lab::{Lab, Need},
        ports,
    },
    parents::ways::{PLAIN_THREADS, STREAMS},
};

/// Handed over as an argument: a release's root folder has nothing of the tests.
const PROGRAM: &str = include_str!("../../../apps/parents/plain.py");

/// What a program is found by.
enum Build {
    /// A folder that is to be the root of the file system, and a program in it.
    Release(&'static str, &'static str),
    /// As pyenv built it, with its symbols.
    Built(&'static str),
    /// The same without any symbol but those for the dynamic loader, as the official images have it.
    Stripped(&'static str),
}

macro_rules! release {
    ($name:literal, $folder:literal, $program:literal) => {
        Case::new(
            concat!("parents::versions::", $name),
            &[
                Need::Root,
                Need::Go,
                Need::Version(concat!($folder, $program)),
                Need::Tool("chroot"),
            ],
            |lab| run(lab, &Build::Release($folder, $program)),
        )
    };
}

macro_rules! built {
    ($name:literal, $version:literal) => {
        [
            Case::new(
                concat!("parents::versions::", $name),
                &[Need::Root, Need::Go, Need::Pyenv($version)],
                |lab| run(lab, &Build::Built($version)),
            ),
            Case::new(
                concat!("parents::versions::", $name, "_without_symbols"),
                &[Need::Root, Need::Go, Need::Pyenv($version), Need::Tool("strip")],
                |lab| run(lab, &Build::Stripped($version)),
            ),
        ]
    };
}

pub(super) fn short() -> Vec<Case> {
    vec![
        release!("debian_12", "debian-12", "/usr/bin/python3.11"),
        release!(
            "debian_12_with_a_library",
            "debian-12",
            "/usr/bin/python3.11-shared"
        ),
        release!("debian_13", "debian-13", "/usr/bin/python3.13"),
    ]
}

pub(super) fn long() -> Vec<Case> {
    let releases = [
        release!("debian_11", "debian-11", "/usr/bin/python3.9"),
        release!(
            "debian_13_with_a_library",
            "debian-13",
            "/usr/bin/python3.13-shared"
        ),
        release!("debian_testing", "debian-testing", "/usr/bin/python3.14"),
        release!(
            "debian_testing_with_a_library",
            "debian-testing",
            "/usr/bin/python3.14-shared"
        ),
    ];
    let built = [
        built!("cpython_3_9", "3.9"),
        built!("cpython_3_10", "3.10"),
        built!("cpython_3_11", "3.11"),
        built!("cpython_3_12", "3.12"),
        built!("cpython_3_13", "3.13"),
        built!("cpython_3_14", "3.14"),
    ];
    releases.into_iter().chain(built.into_iter().flatten()).collect()
}

fn run(lab: &Lab, build: &Build) -> Result<()> {
    let command = || build.command(lab);
    let version = command()?
        .args(["-c", "import platform; print(platform.python_version())"])
        .output()
        .context("the interpreter cannot be started")?;
    let said = String::from_utf8_lossy(&version.stderr);
    ensure!(version.status.success(), "the interpreter says:\n{said}");
    let version = String::from_utf8(version.stdout)?;
    for (kind, ways) in [("streams", STREAMS), ("threads", PLAIN_THREADS)] {
        let title = format!("CPython {}, {}, {kind}", version.trim(), build.title());
        check(lab, &title, ways, |leaf| {
            let port = ports::free()?;
            let mut command = command()?;
            command.args(["-c", PROGRAM, kind, &port.to_string()]);
            command.env("LEAF_URL", leaf).env("PYTHONDONTWRITEBYTECODE", "1");
            let server = Server::on_port("the Python server", command, port)?;
            build.check(&server).map(|()| server)
        })?;
    }
    Ok(())
}

impl Build {
    fn title(&self) -> String {
        match self {
            Self::Release(folder, program) if program.ends_with("-shared") => {
                format!("{folder}, shared libpython, stripped")
            }
            Self::Release(folder, _) => format!("{folder}, static, stripped"),
            Self::Built(_) => "built, shared libpython, symbols".to_owned(),
            Self::Stripped(_) => "built, shared libpython, stripped".to_owned(),
        }
    }

    fn command(&self, lab: &Lab) -> Result<Command> {
        Ok(match self {
            Self::Release(folder, program) => {
                let mut command = Command::new("chroot");
                command.arg(Lab::version(folder)?).arg(program);
                command
            }
            Self::Built(version) => Command::new(program(&Lab::pyenv(version)?, version)),
            Self::Stripped(version) => {
                let folder = stripped(lab, version)?;
                let mut command = Command::new(program(&folder, version));
                // Found before the one whose folder the program has written in it.
                command.env("LD_LIBRARY_PATH", folder.join("lib"));
                command
            }
        })
    }

    /// The server has the library that it is to have.
    fn check(&self, server: &Server) -> Result<()> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", server.pid()))?;
        let library = maps.lines().find(|line| line.contains("/libpython3"));
        let right = match self {
            Self::Release(_, program) => library.is_some() == program.ends_with("-shared"),
            Self::Built(_) => library.is_some(),
            Self::Stripped(_) => library.is_some_and(|library| library.contains("-stripped/")),
        };
        ensure!(right, "the server runs with {library:?}");
        Ok(())
    }
}

fn program(folder: &Path, version: &str) -> PathBuf {
    folder.join(format!("bin/python{version}"))
}

/// A copy of what has symbols, and links to everything else.
fn stripped(lab: &Lab, version: &str) -> Result<PathBuf> {
    let original = Lab::pyenv(version)?;
    let folder = lab.folder(&format!("cpython-{version}-stripped"))?;
    let (modules, extensions) = (
        format!("lib/python{version}"),
        format!("lib/python{version}/lib-dynload"),
    );
    if folder.join(&extensions).exists() {
        return Ok(folder);
    }
    for part in ["bin", "lib", &modules, &extensions] {
        fs::create_dir_all(folder.join(part))?;
    }
    let names = |part: &str| -> Result<Vec<String>> {
        let entries = fs::read_dir(original.join(part)).with_context(|| format!("no {part}"))?;
        let names = entries.map(|entry| Ok(format!("{part}/{}", entry?.file_name().to_string_lossy())));
        names.collect()
    };
    for name in names(&modules)?.iter().filter(|name| **name != extensions) {
        symlink(original.join(name), folder.join(name))?;
    }
    let mut files = names(&extensions)?;
    files.extend([
        format!("bin/python{version}"),
        format!("lib/libpython{version}.so.1.0"),
    ]);
    for name in files.iter().filter(|name| !name.ends_with("/__pycache__")) {
        let copy = Command::new("strip")
            .args(["--strip-all", "-o"])
            .arg(folder.join(name))
            .arg(original.join(name))
            .output()?;
        ensure!(copy.status.success(), "{}", String::from_utf8_lossy(&copy.stderr));
    }
    Ok(folder)
}
