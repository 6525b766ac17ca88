//! Programs beside the scenario: a Go program, Debian's Python and PostgreSQL, each of the latter in a folder that is a root of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Files;
use super::kernels::{Kernel, Machine};
use crate::command::find_in_path;
use crate::progress::{Progress, Step};
use crate::setup::packages::{self, Wanted};
use crate::setup::{go, python, versions};
use crate::workspace::Workspace;

/// Their sources: every call names its request.
const GO: &str = "agent/tests/apps/parents/plain_go/main.go";
const PYTHON: &str = "agent/tests/apps/parents/plain.py";

/// The ways whose parents can be proved: of Go, of Python's asyncio and of its threads.
const GO_WAYS: &str = "direct,nested,group=5,proxy";
const TASK_WAYS: &str = "native,gather=3,nested,asyncio_thread,executor";
const THREAD_WAYS: &str = "sync,threads=3,nested_threads,pool";

/// A Python as Debian has it.
struct Python {
    version: &'static str,
    suite: &'static str,
}

const PYTHON_3_11: Python = Python {
    version: "3.11",
    suite: "bookworm",
};
/// Those that are run with the versions of Go.
const PYTHONS: [Python; 2] = [
    PYTHON_3_11,
    Python {
        version: "3.13",
        suite: "trixie",
    },
];
/// Versions of Go beside the machine's own: the oldest that Debian 12 has, the oldest and the newest that a package carries, and one
/// between.
const GO_OF_DEBIAN: &str = "1.19";
const GO_VERSIONS: [&str; 3] = ["1.21", "1.24", "1.27"];

/// Where PostgreSQL's root is.
const DATABASE_ROOT: &str = "postgresql";
/// Server and client, and what they need: all but the compiler of expressions (LLVM), which is fetched when it is used.
const DATABASE_PACKAGES: [&str; 2] = ["postgresql-15", "postgresql-client-15"];
const COMPILER: [&str; 2] = ["libllvm", "libz3"];
/// What of these is the root: neither texts nor what the maintainers' scripts are written in.
const DATABASE_PARTS: [&str; 6] = [
    "lib",
    "lib64",
    "usr/lib/postgresql",
    "usr/share/postgresql",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
];

/// Commands that ask these programs with a tier and judge parents.
pub(super) fn commands(tier: &str) -> Vec<String> {
    let mut commands = vec![ask_go(tier, "plain-go")];
    commands.extend(PYTHON_3_11.ask(tier));
    commands
}

/// The same with other versions; each has a name.
pub(crate) fn commands_of_versions(tier: &str) -> Vec<(String, String)> {
    let of_go = [GO_OF_DEBIAN].into_iter().chain(GO_VERSIONS).map(|version| {
        let command = ask_go(tier, &format!("plain-go-{version}"));
        (format!("Go {version}"), command)
    });
    let of_python = PYTHONS.iter().flat_map(|python| {
        let name = format!("Python {}", python.version);
        let [tasks, threads] = python.ask(tier);
        [
            (format!("{name}, asyncio"), tasks),
            (format!("{name}, threads"), threads),
        ]
    });
    of_go.chain(of_python).collect()
}

fn ask_go(tier: &str, program: &str) -> String {
    format!("./golden units ./sidelight {tier} {GO_WAYS} ./{program} -listen LISTEN -leaf LEAF")
}

/// The command that asks PostgreSQL with a tier.
pub(super) fn database_command(tier: &str) -> String {
    format!(
        "cd {DATABASE_ROOT} && mkdir -p bin dev/shm && cp /bin/busybox bin/sh && mknod -m 666 dev/null c 1 3 && \
         mount -t tmpfs -o mode=1777 tmpfs dev/shm && cd .. && \
         ./golden databases ./sidelight {tier} /work/{DATABASE_ROOT}"
    )
}

/// Adds the programs.
pub(crate) fn add(
    workspace: &Workspace,
    progress: &Progress,
    kernel: &Kernel,
    files: &mut Files,
) -> Result<()> {
    let architecture = kernel.machine.debian();
    let program = progress.step("a Go program for it", |step| {
        go_program(workspace, &toolchain(workspace)?, architecture, "", step)
    })?;
    files.add_program("plain-go", &program)?;
    PYTHON_3_11.add(workspace, progress, architecture, files)?;
    add_database(workspace, progress, architecture, files)
}

/// Adds the other versions.
pub(crate) fn add_versions(
    workspace: &Workspace,
    progress: &Progress,
    kernel: &Kernel,
    files: &mut Files,
) -> Result<()> {
    let architecture = kernel.machine.debian();
    let interpreter = progress.step("Python", |step| python::ensure(workspace, step))?;
    for version in [GO_OF_DEBIAN].into_iter().chain(GO_VERSIONS) {
        let program = progress.step(format!("a program of Go {version} for it"), |step| {
            let go = if version == GO_OF_DEBIAN {
                debian_go(workspace, step)?
            } else {
                versions::go(workspace, &interpreter, version, step)?
            };
            go_program(workspace, &go, architecture, &format!("-{version}"), step)
        })?;
        files.add_program(&format!("plain-go-{version}"), &program)?;
    }
    let others = PYTHONS
        .iter()
        .filter(|python| python.version != PYTHON_3_11.version);
    others
        .into_iter()
        .try_for_each(|python| python.add(workspace, progress, architecture, files))
}

fn go_program(
    workspace: &Workspace,
    go: &Path,
    architecture: &str,
    suffix: &str,
    step: &Step,
) -> Result<PathBuf> {
    let folder = workspace.tools().join("kernels/plain-go");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let source = workspace.root.join(GO);
    fs::copy(&source, folder.join("main.go")).with_context(|| format!("copying {}", source.display()))?;
    let module = "module plain\n\ngo 1.19\n";
    fs::write(folder.join("go.mod"), module).context("writing go.mod")?;
    let program = folder.join(format!("plain-{architecture}{suffix}"));
    go::build_for(architecture, go, &folder, ".", &program, step)?;
    Ok(program)
}

/// Debian's own Go, for this machine.
fn debian_go(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let root = workspace.tools().join("kernels/go-debian");
    let version = GO_OF_DEBIAN;
    let wanted = Wanted {
        suite: "bookworm",
        architecture: Machine::this()?.debian(),
        packages: &|_| {
            Ok(["go", "src"]
                .map(|part| format!("golang-{version}-{part}"))
                .into())
        },
        key: version,
    };
    packages::unpack(&wanted, &root, step)?;
    Ok(root.join(format!("usr/lib/go-{version}/bin/go")))
}

impl Python {
    /// The name of its root.
    fn root(&self) -> String {
        format!("python-{}", self.version)
    }

    /// Commands that ask it, its event loop and its threads.
    fn ask(&self, tier: &str) -> [String; 2] {
        let root = self.root();
        // In newer releases another package has these links.
        let links =
            format!("for each in lib lib64; do [ -e {root}/$each ] || ln -s usr/$each {root}/$each; done");
        [("streams", TASK_WAYS), ("threads", THREAD_WAYS)].map(|(kind, ways)| {
            let program = format!(
                "chroot {root} /usr/bin/python{} /plain.py {kind} PORT",
                self.version
            );
            format!("{links}; ./golden units ./sidelight {tier} {ways} {program}")
        })
    }

    fn add(
        &self,
        workspace: &Workspace,
        progress: &Progress,
        architecture: &str,
        files: &mut Files,
    ) -> Result<()> {
        let (name, version) = (self.root(), self.version);
        let root = progress.step(format!("Debian's Python {version} for it"), |step| {
            let root = workspace.tools().join(format!("kernels/{name}-{architecture}"));
            let wanted = Wanted {
                suite: self.suite,
                architecture,
                packages: &|_| Ok(self.packages()),
                key: version,
            };
            packages::unpack(&wanted, &root, step).map(|()| root)
        })?;
        add_folder(files, (&name, &root), &root)?;
        let source = workspace.root.join(PYTHON);
        let source = fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
        files.add(&format!("{name}/plain.py"), source);
        files.add(&format!("{name}/dev/null"), Vec::new());
        Ok(())
    }

    fn packages(&self) -> Vec<String> {
        let version = self.version;
        let mut packages = vec![
            format!("python{version}-minimal"),
            format!("libpython{version}-minimal"),
            format!("libpython{version}-stdlib"),
        ];
        packages.extend(["libc6", "libexpat1", "zlib1g"].map(ToOwned::to_owned));
        packages
    }
}

fn add_database(
    workspace: &Workspace,
    progress: &Progress,
    architecture: &str,
    files: &mut Files,
) -> Result<()> {
    let root = progress.step("PostgreSQL for it", |step| {
        let root = workspace
            .tools()
            .join(format!("kernels/postgresql-{architecture}"));
        let wanted = Wanted {
            suite: "bookworm",
            architecture,
            packages: &|apt| {
                let mut packages = apt.with_dependencies(&DATABASE_PACKAGES)?;
                packages.retain(|name| !COMPILER.iter().any(|compiler| name.starts_with(compiler)));
                Ok(packages)
            },
            key: "postgresql-15",
        };
        packages::unpack(&wanted, &root, step).map(|()| root)
    })?;
    for part in DATABASE_PARTS {
        let folder = root.join(part);
        if folder.is_dir() {
            add_folder(files, (DATABASE_ROOT, &root), &folder)?;
        }
    }
    let passwd = "root:x:0:0::/:\nnobody:x:65534:65534::/tmp:\n";
    files.add(&format!("{DATABASE_ROOT}/etc/passwd"), passwd);
    Ok(())
}

/// The machine's own, or the one that tests have fetched.
fn toolchain(workspace: &Workspace) -> Result<PathBuf> {
    let fetched = workspace.tools().join("go/go/bin/go");
    find_in_path("go")
        .or_else(|| fetched.is_file().then_some(fetched))
        .context("there is no Go here; `cargo xtask test` fetches it")
}

/// Folders that no program needs here.
const UNUSED: [&str; 8] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/postgresql/15/man",
    "usr/lib/postgresql/15/lib/bitcode",
    "usr/lib/x86_64-linux-gnu/perl",
    "usr/lib/aarch64-linux-gnu/perl",
];

/// All files below a folder of `root`; links are followed as programs in that root see them.
fn add_folder(files: &mut Files, (name, root): (&str, &Path), folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("listing {}", folder.display()))?
            .path();
        let place = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let file = match fs::read_link(&path) {
            Ok(target) if target.is_absolute() => root.join(target.strip_prefix("/").unwrap_or(&target)),
            Ok(target) => folder.join(target),
            Err(_no_link) => path.clone(),
        };
        if path.is_dir() && !path.is_symlink() {
            if !UNUSED.iter().any(|unused| place.starts_with(unused)) {
                add_folder(files, (name, root), &path)?;
            }
        } else if let Ok(content) = fs::read(&file) {
            files.add(&format!("{name}/{place}"), content);
        }
    }
    Ok(())
}
