//! LIVE: what only the running process tells.

use std::{fs::File, os::unix::fs::FileExt as _};

use crate::inspect::elf::Machine;

/// More thread-local storage than programs have, in bytes.
const MAX_STORAGE: i64 = 1 << 20;

/// Bytes at an address of a process. A loader has written some of them, such as offsets from the thread pointer
/// (`R_X86_64_TPOFF64`, `R_AARCH64_TLS_TPREL64`).
pub fn bytes<const COUNT: usize>(pid: u32, address: u64) -> Option<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    File::open(format!("/proc/{pid}/mem"))
        .and_then(|memory| memory.read_exact_at(&mut bytes, address))
        .ok()?;
    Some(bytes)
}

/// Whether `g` can be at this offset from the thread pointer: on x86-64 thread-local storage is below it, on arm64 above.
pub fn is_slot(machine: Machine, offset: i64) -> bool {
    let distance = match machine {
        Machine::X86_64 => offset.saturating_neg(),
        Machine::Arm64 => offset,
    };
    (1..=MAX_STORAGE).contains(&distance) && offset % 8 == 0
}
