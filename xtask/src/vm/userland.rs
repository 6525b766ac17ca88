//! Programs beside the scenario: a Go program, Debian's Python and PostgreSQL, each of the latter in a folder that is a root of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Files;
use super::kernels::Kernel;
use crate::command::find_in_path;
use crate::progress::Progress;
use crate::setup::go;
use crate::setup::packages::{self, Wanted};
use crate::workspace::Workspace;

/// Their sources: every call names its request.
const GO: &str = "agent/tests/apps/parents/plain_go/main.go";
const PYTHON: &str = "agent/tests/apps/parents/plain.py";

const PYTHON_PACKAGES: [&str; 6] = [
    "python3.11-minimal",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libc6",
    "libexpat1",
    "zlib1g",
];

/// What runs there: the ways whose parents can be proved, and the command.
const COMMANDS: [(&str, &str); 3] = [
    (
        "direct,nested,group=5,proxy",
        "./plain-go -listen LISTEN -leaf LEAF",
    ),
    (
        "native,gather=3,nested,asyncio_thread,executor",
        "chroot python /usr/bin/python3.11 /plain.py streams PORT",
    ),
    (
        "sync,threads=3,nested_threads,pool",
        "chroot python /usr/bin/python3.11 /plain.py threads PORT",
    ),
];

/// Where Python's root is.
const ROOT: &str = "python";
/// The same of PostgreSQL.
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
    let ask = |(ways, program)| format!("./golden units ./sidelight {tier} {ways} {program}");
    COMMANDS.map(ask).into()
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
        let folder = workspace.tools().join("kernels/plain-go");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let go = toolchain(workspace)?;
        let source = workspace.root.join(GO);
        fs::copy(&source, folder.join("main.go")).with_context(|| format!("copying {}", source.display()))?;
        let module = "module plain\n\ngo 1.21\n";
        fs::write(folder.join("go.mod"), module).context("writing go.mod")?;
        let program = folder.join(format!("plain-{architecture}"));
        go::build_for(architecture, &go, &folder, ".", &program, step)?;
        Ok(program)
    })?;
    files.add_program("plain-go", &program)?;
    let root = progress.step("Debian's Python for it", |step| {
        let root = workspace.tools().join(format!("kernels/python-{architecture}"));
        let wanted = Wanted {
            suite: "bookworm",
            architecture,
            packages: &|_| Ok(PYTHON_PACKAGES.map(ToOwned::to_owned).into()),
            key: "python3.11",
        };
        packages::unpack(&wanted, &root, step).map(|()| root)
    })?;
    add_folder(files, (ROOT, &root), &root)?;
    let source = workspace.root.join(PYTHON);
    let source = fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
    files.add(&format!("{ROOT}/plain.py"), source);
    files.add(&format!("{ROOT}/dev/null"), Vec::new());
    add_database(workspace, progress, architecture, files)
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
