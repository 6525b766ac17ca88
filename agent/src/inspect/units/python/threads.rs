//! Where a thread's C library keeps the values of `pthread_setspecific`.

use agent_common::unit::thread_data;

use super::process::{Loaded, Process};
use crate::inspect::elf::Machine;

/// glibc's description for debuggers of the array `specific` in `struct pthread`: bits, elements, offset
/// (`nptl_db/structs.def`; exported by libpthread before 2.34 and by libc since).
const SPECIFIC: &str = "_thread_db_pthread_specific";
/// The same of the size of `struct pthread`.
const SIZE: &str = "_thread_db_sizeof_pthread";
/// Values that a block of that array holds (`PTHREAD_KEY_2NDLEVEL_SIZE`, nptl/internaltypes.h).
const BLOCK: u64 = 32;
/// Values that a thread can have with glibc (`PTHREAD_KEYS_MAX`).
const MAX_KEYS: u32 = 1024;

/// How a thread's values are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// One of [`thread_data`].
    pub kind: u32,
    /// Bytes from the thread pointer to the values.
    pub from_pointer: i64,
    /// Bytes from what `pthread_self` returns to the thread pointer, if that is known.
    to_pointer: Option<i64>,
}

impl Values {
    /// musl: `pthread_getspecific` of 1.2.2 to 1.2.6, disassembled.
    fn musl(machine: Machine) -> Self {
        let (from_pointer, to_pointer) = match machine {
            Machine::X86_64 => (0x80, Some(0)),
            Machine::Arm64 => (-88, None),
        };
        Self {
            kind: thread_data::MUSL,
            from_pointer,
            to_pointer,
        }
    }

    /// glibc. On x86-64 the thread pointer is the start of `struct pthread`, on arm64 its end.
    fn glibc(machine: Machine, specific: u32, size: Option<u32>) -> Option<Self> {
        let to_pointer = match machine {
            Machine::X86_64 => 0,
            Machine::Arm64 => i64::from(size?),
        };
        Some(Self {
            kind: thread_data::GLIBC,
            from_pointer: i64::from(specific) - to_pointer,
            to_pointer: Some(to_pointer),
        })
    }

    /// Those that the process may have, the most probable first; none while its C library is not loaded.
    pub fn possible(process: &Process, machine: Machine) -> Vec<Self> {
        let starts = |starts: [&'static str; 2]| {
            process.file(|name| starts.iter().any(|start| name.starts_with(start)))
        };
        if starts(["ld-musl-", "libc.musl-"]).is_some() {
            return vec![Self::musl(machine)];
        }
        let libraries = [
            starts(["libc.so", "libc-2."]),
            starts(["libpthread.so", "libpthread-2."]),
        ];
        let described = libraries.iter().flatten().find_map(|library| {
            let loaded = Loaded::open(library)?;
            let specific = loaded.image.symbol(SPECIFIC)?;
            let size = loaded
                .image
                .symbol(SIZE)
                .and_then(|at| loaded.image.half_word(at));
            Self::glibc(machine, loaded.image.half_word(specific + 8)?, size)
        });
        match (described, libraries) {
            (Some(values), _) => vec![values],
            // Measured of 2.31, 2.36, 2.41 and 2.43 on x86-64.
            (None, [Some(_), _]) => Self::glibc(machine, 1296, None).into_iter().collect(),
            // A static program has its C library inside.
            (None, _) if process.files.len() == 1 => Self::glibc(machine, 1296, None)
                .into_iter()
                .chain([Self::musl(machine)])
                .collect(),
            (None, _) => Vec::new(),
        }
    }

    /// The thread pointer of the thread for which `pthread_self` returned `thread`.
    pub fn pointer(&self, thread: u64) -> Option<u64> {
        Some(thread.wrapping_add_signed(self.to_pointer?))
    }

    /// Bytes from the thread pointer to a thread's value for a key, if it lies in `struct pthread` itself: glibc has a first
    /// block of values there (`specific_1stblock`, nptl/descr.h).
    pub fn slot(&self, process: &Process, thread: u64, key: u32) -> Option<i64> {
        if self.kind != thread_data::GLIBC || u64::from(key) >= BLOCK {
            return None;
        }
        let pointer = self.pointer(thread)?;
        let block = process.word(pointer.wrapping_add_signed(self.from_pointer))?;
        let slot = block.wrapping_add(16 * u64::from(key) + 8).wrapping_sub(pointer);
        let slot = slot.cast_signed();
        let values = i64::from(u16::MAX);
        (-values..values).contains(&slot).then_some(slot)
    }

    /// The value that a thread has for a key.
    pub fn get(&self, process: &Process, thread: u64, key: u32) -> Option<u64> {
        if key >= MAX_KEYS {
            return None;
        }
        let at = self.pointer(thread)?.wrapping_add_signed(self.from_pointer);
        let key = u64::from(key);
        if self.kind == thread_data::MUSL {
            return process.word(process.word(at)?.wrapping_add(8 * key));
        }
        let block = process.word(at.wrapping_add(8 * (key / BLOCK)))?;
        process.word(block.wrapping_add(16 * (key % BLOCK) + 8))
    }
}
