//! Programs beside the scenario: a Go program and Debian's Python, in a folder that is a root of its own.

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

/// Where the second's root is.
const ROOT: &str = "python";

/// Commands that ask these programs with a tier and judge parents.
pub(super) fn commands(tier: &str) -> Vec<String> {
    let ask = |(ways, program)| format!("./golden units ./sidelight {tier} {ways} {program}");
    COMMANDS.map(ask).into()
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
    add_folder(files, &root, &root)?;
    let source = workspace.root.join(PYTHON);
    let source = fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
    files.add(&format!("{ROOT}/plain.py"), source);
    files.add(&format!("{ROOT}/dev/null"), Vec::new());
    Ok(())
}

/// The machine's own, or the one that tests have fetched.
fn toolchain(workspace: &Workspace) -> Result<PathBuf> {
    let fetched = workspace.tools().join("go/go/bin/go");
    find_in_path("go")
        .or_else(|| fetched.is_file().then_some(fetched))
        .context("there is no Go here; `cargo xtask test` fetches it")
}

/// All files below a folder of `root`; links are followed as programs in that root see them.
fn add_folder(files: &mut Files, root: &Path, folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("listing {}", folder.display()))?
            .path();
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let file = match fs::read_link(&path) {
            Ok(target) if target.is_absolute() => root.join(target.strip_prefix("/").unwrap_or(&target)),
            Ok(target) => folder.join(target),
            Err(_no_link) => path.clone(),
        };
        if path.is_dir() && !path.is_symlink() {
            if !name.starts_with("usr/share") {
                add_folder(files, root, &path)?;
            }
        } else if let Ok(content) = fs::read(&file) {
            files.add(&format!("{ROOT}/{name}"), content);
        }
    }
    Ok(())
}
