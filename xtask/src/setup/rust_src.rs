//! The sources of Rust's core library, of exactly the compiler's version: the BPF target has no prebuilt core.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt;
use crate::command::{Cmd, find_in_path};
use crate::progress::Step;
use crate::workspace::Workspace;

/// Debian's suites that may have it, and the package's name there.
const SUITES: [&str; 4] = ["trixie-backports", "trixie", "testing", "unstable"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Makes sure of the sources, and returns their `library` folder.
pub(crate) fn ensure(workspace: &Workspace, step: &Step) -> Result<PathBuf> {
    let sysroot = PathBuf::from(rustc().args(["--print", "sysroot"]).output()?);
    let component = sysroot.join("lib/rustlib/src/rust/library");
    let version = version()?;
    let own = workspace.tools().join(format!("rust-src-{version}/library"));
    if let Some(found) = [&component, &own].into_iter().find(|library| is_whole(library)) {
        return Ok(found.clone());
    }
    let refused = match add_component(step) {
        Ok(()) if is_whole(&component) => return Ok(component),
        Ok(()) => format!("rustup added rust-src, but not to {}", component.display()),
        Err(error) => format!("{error:#}"),
    };
    step.detail("rustup has no rust-src here, asking Debian's archive");
    match from_debian(workspace, &version, &own, step) {
        Ok(()) => Ok(own),
        Err(error) => bail!(
            "no sources of core {version}: `rustup component add rust-src` says: {}; Debian's archive: {error:#}",
            refused.lines().last().unwrap_or_default().trim()
        ),
    }
}

/// The compiler's version, as `1.95.0`.
pub(crate) fn version() -> Result<String> {
    let text = rustc().arg("--version").output()?;
    let version = text.split_whitespace().nth(1);
    version
        .map(ToOwned::to_owned)
        .with_context(|| format!("rustc's version is not understood: {text}"))
}

fn rustc() -> Cmd {
    Cmd::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

fn is_whole(library: &Path) -> bool {
    library.join("core/src/lib.rs").is_file() && library.join("Cargo.lock").is_file()
}

fn add_component(step: &Step) -> Result<()> {
    Cmd::new("rustup")
        .args(["component", "add", "rust-src"])
        .run(step)
}

/// Takes the package rust-src out of Debian's archive, with lists and settings of its own: nothing on the machine changes.
fn from_debian(workspace: &Workspace, version: &str, own: &Path, step: &Step) -> Result<()> {
    if find_in_path("apt-get").is_none() || !Path::new(KEYRING).is_file() {
        bail!("this machine is not Debian");
    }
    let private = workspace.tools().join("apt");
    let archive = apt::archive_address("/debian")
        .context("none of this machine's package sources is Debian's main archive")?;
    for suite in SUITES {
        let apt = PrivateApt::create(&private, &archive, suite)?;
        if apt.get().arg("update").run(step).is_err() {
            continue;
        }
        if let Some(package) = apt.find("rust-src", version)? {
            step.detail(&format!("downloading rust-src {package} from {suite}"));
            apt.get()
                .args(["download", &format!("rust-src={package}")])
                .dir(&private)
                .run(step)?;
            unpack(&private, version, own, step)?;
            return fs::remove_dir_all(&private).with_context(|| format!("removing {}", private.display()));
        }
    }
    bail!("none of {} has rust-src {version}", SUITES.join(", "))
}

fn unpack(folder: &Path, version: &str, own: &Path, step: &Step) -> Result<()> {
    let package = fs::read_dir(folder)
        .with_context(|| format!("listing {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|file| file.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no package")?;
    let parent = own.parent().context("the folder for rust-src has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    step.detail("unpacking");
    // Only library/: the rest is the compiler, a hundred times as much.
    let script =
        r#"dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --strip-components=4 "./usr/src/rustc-$3/library""#;
    Cmd::new("sh")
        .args(["-c", script, "sh"])
        .arg(&package)
        .arg(parent)
        .arg(version)
        .run(step)?;
    if !is_whole(own) {
        bail!("{} has no core library in it", package.display());
    }
    Ok(())
}

/// An apt whose sources, lists and settings are in a folder of its own.
struct PrivateApt {
    settings: PathBuf,
}

impl PrivateApt {
    fn create(folder: &Path, archive: &str, suite: &str) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("creating {}", folder.join(part).display()))?;
        }
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text)
                .with_context(|| format!("writing {}", file.display()))
                .map(|()| file)
        };
        write("status", String::new())?;
        let sources = write(
            "sources.list",
            format!("deb [signed-by={KEYRING}] {archive} {suite} main\n"),
        )?;
        let at = folder.display();
        let settings = write(
            "apt.conf",
            format!(
                "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\nDir::Etc::preferences \"/dev/null\";\n\
                 Dir::Etc::preferencesparts \"/dev/null\";\nDir::Etc::sourceparts \"/dev/null\";\n\
                 Dir::Etc::sourcelist \"{}\";\nDir::State \"{at}/state\";\nDir::State::status \"{at}/status\";\n\
                 Dir::Cache \"{at}/cache\";\nAcquire::Languages \"none\";\nAPT::Sandbox::User \"\";\n",
                sources.display()
            ),
        )?;
        Ok(Self { settings })
    }

    fn get(&self) -> Cmd {
        Cmd::new("apt-get").arg("-q").env("APT_CONFIG", &self.settings)
    }

    /// The newest packaging of that upstream version.
    fn find(&self, package: &str, version: &str) -> Result<Option<String>> {
        let listed = Cmd::new("apt-cache")
            .args(["madison", package])
            .env("APT_CONFIG", &self.settings)
            .output()?;
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
}
