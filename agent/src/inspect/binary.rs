//! What one ELF file says.

use std::fs::File;

use object::ReadCache;

use super::{
    elf::Elf,
    go::{self, GoBuild},
    imports,
};
use crate::discover::SyscallSet;

/// Symbol of `CPython`'s state, exported also by stripped builds.
const PYTHON_STATE: &str = "_PyRuntime";
/// Symbol of `CPython`'s `PY_VERSION_HEX`, exported since 3.11 (Include/pylifecycle.h).
const PYTHON_VERSION: &str = "Py_Version";
/// Start of the symbol of `node::Start`, exported for embedders.
const NODE_START: &str = "_ZN4node5Start";
/// As much of the section `.comment` as is looked at.
const COMMENT_BYTES: u64 = 4096;

/// What one ELF file says; nothing if it is none, or not of 64 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binary {
    /// Go's build information.
    pub go: Option<GoBuild>,
    /// The interpreter that it holds.
    pub interpreter: Option<Interpreter>,
    /// Version of that interpreter, if it is Python and says so itself.
    pub python_version: Option<String>,
    /// rustc's version, if it was compiled by rustc.
    pub rustc_version: Option<String>,
    /// A loader completes it.
    pub is_dynamic: bool,
    /// It can load libraries while it runs.
    pub can_load: bool,
    /// System calls for socket I/O that it can use itself; `None`: unknown.
    pub syscalls: Option<SyscallSet>,
    /// The libraries that it is linked to.
    pub needed: Vec<String>,
}

/// An interpreter that exports symbols of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpreter {
    /// `CPython`.
    Python,
    /// Node.js.
    Node,
}

impl Binary {
    /// Reads what a file says.
    pub fn read(file: File) -> Self {
        let data = ReadCache::new(file);
        Elf::parse(&data).map(|elf| Self::of(&elf)).unwrap_or_default()
    }

    fn of(elf: &Elf<'_>) -> Self {
        let mut binary = Self {
            go: go::build(elf),
            rustc_version: rustc_version(elf),
            is_dynamic: elf.is_dynamic(),
            needed: elf.needed(),
            ..Self::default()
        };
        let imported = elf
            .dynamic_symbols()
            .map(|symbols| binary.take_symbols(elf, &symbols));
        binary.syscalls = match (&binary.go, binary.is_dynamic) {
            (Some(_), false) => go::syscalls(elf),
            (Some(_), true) => go::syscalls(elf)
                .zip(imported)
                .map(|(own, imported)| own.union(imported)),
            (None, true) => imported,
            // Its C library is inside, with all wrappers; which of them are called only its code could tell.
            (None, false) => None,
        };
        binary
    }

    fn take_symbols(&mut self, elf: &Elf<'_>, symbols: &[super::elf::Symbol<'_>]) -> SyscallSet {
        let mut imported = SyscallSet::default();
        for symbol in symbols {
            match symbol.address {
                None => {
                    self.can_load |= imports::loads_libraries(symbol.name);
                    if let Some(syscall) = imports::of(symbol.name) {
                        imported.insert(syscall);
                    }
                }
                Some(_) if symbol.name == PYTHON_STATE => self.interpreter = Some(Interpreter::Python),
                Some(address) if symbol.name == PYTHON_VERSION => {
                    self.python_version = python_version(elf, address);
                }
                Some(_) if symbol.name.starts_with(NODE_START) => self.interpreter = Some(Interpreter::Node),
                Some(_) => {}
            }
        }
        imported
    }
}

/// `PY_VERSION_HEX` is 0xMMmmppRS: major, minor, patch, release level and serial (`Include/patchlevel.h`).
fn python_version(elf: &Elf<'_>, address: u64) -> Option<String> {
    let word: [u8; 8] = elf.bytes(&elf.at_address(address)?, 8)?.try_into().ok()?;
    let [major, minor, patch, _] = u32::try_from(u64::from_le_bytes(word)).ok()?.to_be_bytes();
    (major == 3).then(|| format!("{major}.{minor}.{patch}"))
}

/// rustc leaves its version in `.comment`, as C compilers do: `rustc version 1.95.0 (…)`.
fn rustc_version(elf: &Elf<'_>) -> Option<String> {
    let comment = String::from_utf8_lossy(elf.bytes(&elf.section(".comment")?, COMMENT_BYTES)?);
    let version = comment.split_once("rustc version ")?.1;
    Some(version.split([' ', '\0']).next()?.to_owned())
}
