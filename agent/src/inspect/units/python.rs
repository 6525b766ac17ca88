//! `CPython`: the tasks of asyncio and uvloop, jobs of executors, and greenlets.

mod arm64;
mod flow;
mod folders;
mod greenlet;
mod image;
mod places;
mod process;
pub mod state;
mod step;
mod threads;
mod uvloop;
mod versions;
mod x86;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use agent_common::Runtime;

use super::{Probe, ProbeKind, UnitPlan};
use crate::inspect::{
    binary::{Binary, Interpreter},
    mapped::Mapped,
};
use folders::Folders;
use image::Image;
use places::Site;
use process::{Loaded, Process};
use state::State;
use versions::Offsets;

/// What can be known of the units of a process that runs `CPython`.
///
/// It reads the files of the interpreter and of some modules, and little of the process's memory: milliseconds. Of one
/// that has only just been executed it says that `CPython` is not loaded or has not started ([`state::NOT_STARTED`]): it
/// can be asked again.
pub fn plan(pid: u32) -> UnitPlan {
    let process = Process::new(pid);
    if interpreter(&process).is_none() {
        return UnitPlan::default();
    }
    Planner::new(&process).map_or_else(
        |reason| UnitPlan {
            missing: vec![reason],
            ..UnitPlan::default()
        },
        |mut planner| {
            planner.add_contexts();
            planner.add_jobs();
            planner.add_uvloop();
            planner.add_greenlets();
            planner.finish()
        },
    )
}

/// Where the interpreter of a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CPython {
    /// Python 3.`minor`.
    pub minor: u32,
    /// Address of `_PyRuntimeState.interpreters.head`, which points to a `PyInterpreterState`.
    pub head: u64,
}

/// Finds the interpreter of a process; `None` if it runs no `CPython`, or one that is not known.
pub fn interpreter_of(pid: u32) -> Option<CPython> {
    let process = Process::new(pid);
    let file = interpreter(&process)?;
    let python = Loaded::open(file)?;
    let minor = version(&process, file, &python).ok()?;
    let offsets = Offsets::of(minor, python.image.machine)?;
    Some(CPython {
        minor,
        head: python.symbol("_PyRuntime")?.wrapping_add(offsets.interpreter),
    })
}

struct Planner<'a> {
    process: &'a Process,
    python: Loaded,
    minor: u32,
    folders: Folders,
    runtime: Runtime,
    probes: Vec<Probe>,
    missing: Vec<String>,
}

impl<'a> Planner<'a> {
    fn new(process: &'a Process) -> Result<Self, String> {
        let file = interpreter(process).ok_or("this process has not loaded CPython")?;
        let python = Loaded::open(file)
            .ok_or("the file of this Python cannot be read: its tasks are not told apart")?;
        let minor = version(process, file, &python)?;
        let (runtime, _) = State::new(process, &python, minor)?.runtime()?;
        Ok(Self {
            folders: Folders::of(process, &python, minor),
            process,
            python,
            minor,
            runtime,
            probes: Vec::new(),
            missing: Vec::new(),
        })
    }

    fn finish(mut self) -> UnitPlan {
        let mut seen = std::collections::HashSet::new();
        self.probes.retain(|probe| seen.insert(probe.clone()));
        UnitPlan {
            runtime: Some(self.runtime),
            probes: self.probes,
            missing: self.missing,
        }
    }

    fn add_contexts(&mut self) {
        let image = &self.python.image;
        let site = Site {
            image,
            path: &self.python.path,
        };
        match image.symbol("PyContext_CopyCurrent") {
            Some(function) => self
                .probes
                .extend(site.result(ProbeKind::ContextCopied, function)),
            None => self.missing.push(
                "this build of Python does not export PyContext_CopyCurrent: tasks are told apart, but not by whom \
                 they were started"
                    .to_owned(),
            ),
        }
        let maker = image
            .symbol("PyContext_Type")
            .and_then(|kind| image.pointer(kind + versions::TYPE_NEW));
        let made = maker.map(|function| site.result(ProbeKind::ContextMade, function));
        self.probes.extend(made.into_iter().flatten());
        // A copy of another context than the present one. It may end in code that PyContext_CopyCurrent ends in too and
        // so pass as a copy of the present one; its own return comes later and puts that right.
        let copy = image.method("copy", "shallow copy of the context object");
        let copies = [copy.map(|method| method.function), image.symbol("PyContext_Copy")];
        let returned = copies
            .into_iter()
            .flatten()
            .filter_map(|function| site.returned(ProbeKind::ContextMade, function));
        self.probes.extend(returned);
    }

    fn add_jobs(&mut self) {
        let inside = jobs(Site {
            image: &self.python.image,
            path: &self.python.path,
        });
        let file = || {
            let path = self.module(&self.folders.standard, Path::new(""), "_queue")?;
            jobs(Site {
                image: &Image::open(&path)?,
                path: &path,
            })
        };
        match inside.or_else(file) {
            Some(probes) => self.probes.extend(probes),
            None => self.missing.push(
                "Python's module _queue was not found: what a pool's thread does counts for the thread"
                    .to_owned(),
            ),
        }
    }

    fn add_uvloop(&mut self) {
        let Some(path) = self.module(&self.folders.packages, Path::new("uvloop"), "loop") else {
            return;
        };
        if !uvloop::keeps_buffers(&path) {
            return;
        }
        let probes = Image::open(&path).map(|image| {
            buffers(Site {
                image: &image,
                path: &path,
            })
        });
        let symbol = |name| self.python.symbol(name);
        let types = [
            symbol("PyBytes_Type"),
            symbol("PyMemoryView_Type"),
            symbol("PyByteArray_Type"),
        ];
        match (probes, types) {
            (Some(probes), [Some(bytes), Some(view), Some(array)]) if !probes.is_empty() => {
                self.runtime.bytes_type = bytes;
                self.runtime.memoryview_type = view;
                self.runtime.bytearray_type = array;
                self.probes.extend(probes);
            }
            _ => self.missing.push(
                "the writing methods of this uvloop were not found: what it writes later is not told apart"
                    .to_owned(),
            ),
        }
    }

    fn add_greenlets(&mut self) {
        let Some(path) = self.module(&self.folders.packages, Path::new("greenlet"), "_greenlet") else {
            return;
        };
        if let Some(image) = Image::open(&path) {
            let site = Site {
                image: &image,
                path: &path,
            };
            match greenlet::maker(&image) {
                Some(function) => self.probes.extend(site.result(ProbeKind::GreenletMade, function)),
                None => self
                    .missing
                    .push("greenlets are not told apart: this greenlet is not known".to_owned()),
            }
        }
        let mapped = self.mapped(Path::new("greenlet"), "_greenlet");
        let Some(library) = mapped.and_then(Loaded::open) else {
            return;
        };
        if self.read_greenlets(&library).is_none() {
            self.missing
                .push("greenlets are not told apart: this greenlet keeps them elsewhere".to_owned());
        }
    }

    fn read_greenlets(&mut self, library: &Loaded) -> Option<()> {
        let state = State::new(self.process, &self.python, self.minor).ok()?;
        let (_, values) = state.runtime().ok()?;
        greenlet::complete(&mut self.runtime, self.process, library, (&state, &values))
    }

    /// An extension module that is loaded, in a package.
    fn mapped(&self, package: &Path, name: &str) -> Option<&'a Mapped> {
        let files = &self.process.files;
        files.iter().find(|file| {
            file.name()
                .is_some_and(|file| folders::is_module(file, name, self.minor))
                && file
                    .shown
                    .parent()
                    .is_some_and(|folder| folder.ends_with(package))
        })
    }

    /// Where an extension module can be opened: the one that is loaded, or that would be.
    fn module(&self, folders: &[PathBuf], package: &Path, name: &str) -> Option<PathBuf> {
        let mapped = self.mapped(package, name).map(|file| file.path.clone());
        mapped.or_else(|| {
            folders
                .iter()
                .find_map(|folder| folders::module(self.process, &folder.join(package), name, self.minor))
        })
    }
}

/// The file that holds the interpreter.
fn interpreter(process: &Process) -> Option<&Mapped> {
    // libpython3.so only stands for the other.
    let library = process.file(|name| versions::of_name(name).is_some() && name.starts_with("lib"));
    library.or_else(|| {
        let executable = process.executable()?;
        let binary = Binary::read(File::open(&executable.path).ok()?);
        (binary.interpreter == Some(Interpreter::Python)).then_some(executable)
    })
}

/// Which Python 3 it is: by its own word, which it exports since 3.11, or by names.
fn version(process: &Process, file: &Mapped, python: &Loaded) -> Result<u32, String> {
    let image = &python.image;
    let named = file.name().and_then(versions::of_name);
    // What only builds without the GIL have (Include/refcount.h); their objects begin otherwise.
    if image.symbol("_Py_DecRefShared").is_some() || named.is_some_and(|(_, is_free)| is_free) {
        return Err("Python without the GIL is not supported: its tasks are not told apart".to_owned());
    }
    let own = image
        .symbol("Py_Version")
        .and_then(|at| versions::of_number(image.half_word(at)?));
    let by_folder = || {
        let mut folders = process.files.iter().flat_map(|file| file.shown.ancestors());
        folders.find_map(|folder| Some(versions::of_name(folder.file_name()?.to_str()?)?.0))
    };
    own.or(named.map(|(minor, _)| minor))
        .or_else(by_folder)
        .ok_or_else(|| "the version of this Python is not known: its tasks are not told apart".to_owned())
}

/// The probes of `_queue.SimpleQueue`, if the file has it.
fn jobs(site: Site<'_>) -> Option<Vec<Probe>> {
    let method = |name, documented| site.image.method(name, documented);
    let put = method("put", "put($self, /, item")?;
    let get = method("get", "get($self, /, block=True")?;
    let now = method("get_nowait", "get_nowait($self, /)")?;
    let mut probes = vec![site.called(ProbeKind::JobPut, put, 0)?];
    let put_now = method("put_nowait", "put_nowait($self, /, item)");
    probes.extend(put_now.and_then(|method| site.called(ProbeKind::JobPut, method, 0)));
    // Never where these have code in common: one would take a job out, and then the other none.
    for method in [get, now] {
        probes.push(site.returned(ProbeKind::JobTaken, method.function)?);
    }
    Some(probes)
}

/// The probes of uvloop's streams.
fn buffers(site: Site<'_>) -> Vec<Probe> {
    uvloop::METHODS
        .into_iter()
        .filter_map(|(name, documented)| site.image.method(name, documented))
        .filter_map(|method| site.called(ProbeKind::BufferQueued, method, 1))
        .collect()
}
