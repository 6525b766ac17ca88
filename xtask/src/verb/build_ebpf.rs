//! `cargo xtask build-ebpf`: the kernel side's objects, which are checked in so that nobody else needs its toolchain.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use object::build::elf::{Builder, SectionData};

use crate::command::cargo;
use crate::progress::{Progress, Step};
use crate::setup;
use crate::source_hash;
use crate::workspace::Workspace;

/// Rust's names of the machines that the kernel side knows the registers of.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];
const TARGET: &str = "bpfel-unknown-none";
const PREBUILT: &str = "agent-ebpf/prebuilt";
/// Set for the compiler processes of this build: they are started through this program.
const WRAPPER_VARIABLE: &str = "XTASK_RUSTC_WRAPPER";

/// What an object is built with, besides the sources.
pub(crate) struct Toolchain {
    rust_src: PathBuf,
    linker_folder: PathBuf,
}

/// Builds the objects and writes them down.
pub(crate) fn rebuild(workspace: &Workspace, progress: &Progress, toolchain: &Toolchain) -> Result<()> {
    fs::create_dir_all(workspace.root.join(PREBUILT)).with_context(|| format!("creating {PREBUILT}"))?;
    let built = toolchain.products(workspace, progress)?;
    for (file, content) in &built {
        fs::write(file, content).with_context(|| format!("writing {}", file.display()))?;
    }
    let sizes: Vec<String> = built
        .iter()
        .map(|(_, content)| format!("{} KiB", content.len().div_ceil(1024)))
        .collect();
    progress.say(format!(
        "written to {PREBUILT}: {}; commit them with the change that made them",
        sizes.join(", ")
    ));
    Ok(())
}

/// Proves that the objects are what the sources give.
///
/// # Errors
/// They are not, or it could not be found out.
pub(crate) fn check(workspace: &Workspace, progress: &Progress, toolchain: &Toolchain) -> Result<()> {
    if source_hash::recorded(&workspace.root) != Some(sources(workspace)?) {
        bail!(
            "the objects in {PREBUILT} were built from other sources than these: run `cargo xtask build-ebpf`"
        );
    }
    toolchain
        .products(workspace, progress)?
        .iter()
        .try_for_each(|(file, wanted)| compare(file, wanted))
}

/// When this process was started as the compiler of the kernel side: runs the compiler, and returns its exit code.
///
/// Cargo derives `-C metadata` from absolute paths, of the clone and of the core library. It ends up in the names of
/// functions, so the same sources would give another object on another machine. Name and version do as well here.
pub(crate) fn wrapped_compiler() -> Option<Result<i32>> {
    std::env::var_os(WRAPPER_VARIABLE)?;
    let mut arguments = std::env::args_os().skip(1);
    let compiler = arguments.next()?;
    let mut arguments: Vec<_> = arguments.collect();
    if arguments.iter().any(|argument| argument == TARGET) {
        let name = |variable| std::env::var(variable).unwrap_or_default();
        for argument in &mut arguments {
            if argument
                .to_str()
                .is_some_and(|argument| argument.starts_with("metadata="))
            {
                *argument = format!(
                    "metadata={}-{}",
                    name("CARGO_CRATE_NAME"),
                    name("CARGO_PKG_VERSION")
                )
                .into();
            }
        }
    }
    let status = Command::new(&compiler).args(arguments).status();
    Some(
        status
            .with_context(|| format!("starting {}", compiler.display()))
            .map(|status| status.code().unwrap_or(1)),
    )
}

impl Toolchain {
    /// Looks for the toolchain, and installs what is missing.
    pub(crate) fn ensure(workspace: &Workspace, progress: &Progress) -> Result<Self> {
        let rust_src = progress.step("sources of Rust's core library", |step| {
            setup::rust_src::ensure(workspace, step)
        })?;
        let linker_folder = progress.step("bpf-linker", |step| setup::bpf_linker::ensure(workspace, step))?;
        Ok(Self {
            rust_src,
            linker_folder,
        })
    }

    /// Everything that belongs into the repository: file and content, the record first.
    fn products(&self, workspace: &Workspace, progress: &Progress) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let mut products = vec![(
            workspace.root.join(source_hash::RECORD),
            self.record(workspace)?.into_bytes(),
        )];
        for arch in ARCHITECTURES {
            let object = progress.step(format!("kernel side for {arch}"), |step| {
                without_debug_info(&self.build(workspace, arch, step)?)
            })?;
            products.push((workspace.root.join(PREBUILT).join(format!("{arch}.o")), object));
        }
        Ok(products)
    }

    fn build(&self, workspace: &Workspace, arch: &str, step: &Step) -> Result<Vec<u8>> {
        // One folder for all: what runs at build time, such as macros, is the same.
        let target_dir = workspace.target.join("ebpf");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(
            std::iter::once(self.linker_folder.clone()).chain(std::env::split_paths(&path)),
        )
        .context("PATH cannot be extended")?;
        let wrapper = std::env::current_exe().context("asking for this program's own path")?;
        cargo()
            .args([
                "build",
                "--release",
                "--locked",
                "--color",
                "never",
                "-Z",
                "build-std=core",
                "--target",
                TARGET,
            ])
            .arg("--target-dir")
            .arg(&target_dir)
            .dir(&workspace.root.join("agent-ebpf"))
            // Stable's own features for this build alone: core is built for a target that has none.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", &self.rust_src)
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                self.flags(workspace, arch).join("\x1f"),
            )
            .env("RUSTC_WRAPPER", wrapper)
            .env(WRAPPER_VARIABLE, "1")
            .env("PATH", path)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_BUILD_RUSTFLAGS")
            .run(step)?;
        let object = target_dir.join(TARGET).join("release/sidelight");
        fs::read(&object).with_context(|| format!("reading {}", object.display()))
    }

    fn flags(&self, workspace: &Workspace, arch: &str) -> Vec<String> {
        let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let cargo_home = cargo_home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
        // Cargo names these folders after where the crates came from, which may be a mirror.
        let crates = cargo_home.as_ref().map(|home| home.join("registry/src"));
        let crates = crates.and_then(|folder| fs::read_dir(folder).ok());
        let crates = crates.into_iter().flatten().flatten();
        let remapped = [
            (Some(workspace.root.clone()), "sidelight"),
            (cargo_home, "cargo"),
            (Some(self.rust_src.clone()), "rust-src"),
        ];
        // Of several that fit, rustc takes the last.
        let remap = remapped
            .into_iter()
            .chain(crates.map(|folder| (Some(folder.path()), "crates")))
            .filter_map(|(from, to)| Some(format!("--remap-path-prefix={}={to}", from?.display())));
        [
            "-Cdebuginfo=2",
            "-Clink-arg=--btf",
            &format!("--cfg=bpf_target_arch=\"{arch}\""),
        ]
        .map(ToOwned::to_owned)
        .into_iter()
        .chain(remap)
        .collect()
    }

    fn record(&self, workspace: &Workspace) -> Result<String> {
        let sources = sources(workspace)?;
        // Distributions patch the library: when two builds differ, this says whether that is why.
        let core =
            source_hash::of(&self.rust_src, &["core/src"]).context("reading the core library's sources")?;
        Ok(format!(
            "# Written by `cargo xtask build-ebpf`: what the objects beside it were built from.\n\
             {} = {sources}\nrustc = {}\nbpf-linker = {}\ncore = {core}\n",
            source_hash::KEY,
            setup::rust_src::version()?,
            setup::bpf_linker::VERSION
        ))
    }
}

fn sources(workspace: &Workspace) -> Result<String> {
    source_hash::current(&workspace.root).context("reading agent-ebpf's sources")
}

/// Leaves out DWARF, most of an object's size: BTF says what the kernel's verifier wants to know.
fn without_debug_info(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder =
        Builder::read(object).map_err(|error| anyhow!("bpf-linker's output is not understood: {error}"))?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug") || name.starts_with(b".rel.debug");
    }
    builder.delete_orphans();
    // LLVM keeps the sections' names among the symbols' names; the writer wants them apart.
    let names = builder.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = object::elf::SHT_STRTAB;
    names.data = SectionData::SectionString;
    builder.delete_unused_versions();
    let mut stripped = Vec::new();
    builder
        .write(&mut stripped)
        .map_err(|error| anyhow!("the object cannot be written without its DWARF: {error}"))?;
    Ok(stripped)
}

fn compare(file: &Path, wanted: &[u8]) -> Result<()> {
    let found = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    if found == wanted {
        return Ok(());
    }
    let differs = found
        .iter()
        .zip(wanted)
        .position(|(found, wanted)| found != wanted)
        .unwrap_or(found.len().min(wanted.len()));
    bail!(
        "{} is not what the sources give ({} bytes against {}, first difference at {differs}): run `cargo xtask build-ebpf` and commit {PREBUILT}",
        file.display(),
        found.len(),
        wanted.len()
    )
}
