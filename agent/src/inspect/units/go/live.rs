//! LIVE: what only the running process tells.

use std::{fs::File, os::unix::fs::FileExt as _};

use crate::inspect::{elf::Elf, mapped::Mapped};

/// More thread-local storage than programs have, in bytes.
const MAX_STORAGE: i64 = 1 << 20;

/// The offset from the thread pointer in the word at a virtual address of a library, which the loader writes
/// (`R_X86_64_TPOFF64`). On x86-64 thread-local storage is below the thread pointer.
pub fn thread_offset(pid: u32, library: &Mapped, elf: &Elf<'_>, address: u64) -> Option<i64> {
    let bias = elf.bias(library.address, library.offset)?;
    let mut word = [0; 8];
    File::open(format!("/proc/{pid}/mem"))
        .and_then(|memory| memory.read_exact_at(&mut word, bias.wrapping_add(address)))
        .ok()?;
    let offset = i64::from_le_bytes(word);
    is_slot(offset).then_some(offset)
}

/// Whether `g` can be at this offset from the thread pointer.
pub fn is_slot(offset: i64) -> bool {
    (-MAX_STORAGE..0).contains(&offset) && offset % 8 == 0
}
