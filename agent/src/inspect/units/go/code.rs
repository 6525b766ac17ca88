//! CODE: what is asked of a function's instructions, whatever the architecture.

use super::{arm64, x86};
use crate::inspect::elf::Machine;

/// `stackguard0` in `runtime.g`, behind the two words of `stack` (Go, src/runtime/runtime2.go, 1.17 to 1.27).
pub const STACK_GUARD: u64 = 16;
/// Instructions before which a stack check ends; the longest, of frames over 4 GiB, has fewer.
pub const STACK_CHECK: usize = 8;

/// A function's machine code.
#[derive(Clone, Copy, Debug)]
pub enum Code<'a> {
    /// For x86-64.
    X86(x86::Code<'a>),
    /// For arm64.
    Arm64(arm64::Code<'a>),
}

/// Where a thread's `g` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// So many bytes from the thread pointer.
    Offset(i64),
    /// As many as the word at this virtual address says once the program is loaded.
    Got(u64),
}

/// How a thread's `g` is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Where it is in thread-local storage.
    pub slot: Slot,
    /// If the byte at this virtual address is zero it is not kept there, but stays in its register: the program has no C.
    pub only_if: Option<u64>,
}

impl<'a> Code<'a> {
    /// The code at a virtual address: instructions, and what pads them.
    pub fn new(machine: Machine, address: u64, bytes: &'a [u8]) -> Self {
        match machine {
            Machine::X86_64 => Self::X86(x86::Code { address, bytes }),
            Machine::Arm64 => Self::Arm64(arm64::Code { address, bytes }),
        }
    }

    /// How this function, which has to be the one that stores `g`, keeps it.
    pub fn home_of_g(&self) -> Option<Home> {
        match self {
            Self::X86(code) => code.slot_of_g().map(|slot| Home { slot, only_if: None }),
            Self::Arm64(code) => code.home_of_g(),
        }
    }

    /// Whether it reads a word at this offset from `g`'s register, as `runtime.mcall` does to find `m`.
    pub fn reads_of_g(&self, offset: u32) -> bool {
        match self {
            Self::X86(code) => code.reads_of_g(offset),
            Self::Arm64(code) => code.reads_of_g(offset),
        }
    }

    /// Whether it compares a word at this offset from some pointer, as `runtime.systemstack` does with `m.curg`.
    pub fn compares_at(&self, offset: u32) -> bool {
        match self {
            Self::X86(code) => code.compares_at(offset),
            Self::Arm64(code) => code.compares_at(offset),
        }
    }

    /// The addresses of its direct calls of a function that begins at one of `targets`.
    pub fn calls(&self, targets: &[u64]) -> Vec<u64> {
        match self {
            Self::X86(code) => code.calls(targets),
            Self::Arm64(code) => code.calls(targets),
        }
    }

    /// An instruction behind the start at which the arguments are still in their registers, and that the kernel emulates when it is
    /// probed, which costs much less than one that it has to step over.
    pub fn behind_stack_check(&self) -> Option<u64> {
        match self {
            Self::X86(code) => code.behind_stack_check(),
            Self::Arm64(code) => code.behind_stack_check(),
        }
    }
}
