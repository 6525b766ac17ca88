//! Where `CPython` keeps what is read of it, by version.

use crate::inspect::elf::Machine;

/// Offset of `ctx_entered` in `PyContext`: a head of 16 bytes, `ctx_prev`, `ctx_vars`, `ctx_weakreflist` before it
/// (`Include/internal/pycore_context.h`, 3.9 to 3.14).
pub const CONTEXT_ENTERED: u32 = 40;
/// Offset of `tp_new` in `PyTypeObject` (Include/cpython/object.h, 3.9 to 3.14).
pub const TYPE_NEW: u64 = 312;
/// Offset of `tp_base` in it.
pub const TYPE_BASE: u64 = 256;
/// Offset of `ob_type` in `PyObject`.
pub const OBJECT_TYPE: u64 = 8;

/// Offsets in `_PyRuntimeState`, `PyInterpreterState` and `PyThreadState`, as the compiler computes them from the
/// headers of a release build with the GIL (`pycore_runtime.h`, `pycore_interp.h` in `Include/internal`; `Include/cpython/pystate.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// `_PyRuntimeState.gilstate.autoTSSkey`, since 3.12 `_PyRuntimeState.autoTSSkey`.
    pub key: u64,
    /// `PyThreadState.context`.
    pub context: u32,
    /// `PyThreadState.thread_id`.
    pub thread: u64,
    /// `_PyRuntimeState.interpreters.head`.
    pub interpreter: u64,
    /// `PyInterpreterState.threads.head`, before 3.11 `tstate_head`.
    pub threads: u64,
}

impl Offsets {
    /// Those of version 3.`minor`, if it is known.
    pub fn of(minor: u32, machine: Machine) -> Option<Self> {
        let (key, context, thread, interpreter, threads) = match minor {
            9 | 10 => (584, 240, 176, 32, 8),
            11 => (592, 224, 152, 40, 16),
            12 => (1544, 208, 136, 40, 72),
            13 => (2160, 208, 152, 632, 7344),
            14 => (2336, 208, 152, 808, 7344),
            _ => return None,
        };
        // glibc's mutexes before the key have eight bytes more on arm64 each; from 3.12 on they come after it.
        let key = key
            + if machine == Machine::Arm64 && minor < 12 {
                16
            } else {
                0
            };
        Some(Self {
            key,
            context,
            thread,
            interpreter,
            threads,
        })
    }
}

/// Next thread in the list of an interpreter's: `PyThreadState.next`, 3.9 to 3.14.
pub const NEXT_THREAD: u64 = 8;

/// The minor version in `PY_VERSION_HEX`: 0xMMmmppRS (Include/patchlevel.h).
pub fn of_number(number: u32) -> Option<u32> {
    let [major, minor, ..] = number.to_be_bytes();
    (major == 3).then_some(minor.into())
}

/// The minor version in a name: `libpython3.9.so.1.0`, `python3.9`, and whether it is a build without the GIL
/// (`python3.13t`).
pub fn of_name(name: &str) -> Option<(u32, bool)> {
    let rest = name
        .strip_prefix("lib")
        .unwrap_or(name)
        .strip_prefix("python3.")?;
    let end = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    let (minor, flags) = rest.split_at(end);
    Some((minor.parse().ok()?, flags.starts_with('t')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(of_name("python3.9"), Some((9, false)));
        assert_eq!(of_name("libpython3.13t.so.1.0"), Some((13, true)));
        assert_eq!(of_name("uwsgi"), None);
        assert_eq!(of_number(0x030b_07f0), Some(11));
        assert_eq!(of_number(0x0207_12f0), None);
    }

    #[test]
    fn unknown_versions_have_no_offsets() {
        assert_eq!(Offsets::of(8, Machine::X86_64), None);
        assert_eq!(Offsets::of(15, Machine::X86_64), None);
        assert_eq!(
            Offsets::of(9, Machine::Arm64).map(|offsets| offsets.key),
            Some(600)
        );
    }
}
