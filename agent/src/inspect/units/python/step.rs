//! What is asked of an instruction, whatever the architecture.

use super::{arm64, image::Image, x86};
use crate::inspect::elf::Machine;

/// A set of general registers: bit n is the register whose number in instructions is n.
pub type Registers = u32;

/// One instruction.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, and any of them can go together"
)]
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Its address.
    pub address: u64,
    /// Where the function may go on after it; nowhere after one that returns or faults.
    pub next: Vec<u64>,
    /// Whether the one behind it follows in any case, and nothing was called.
    pub is_plain: bool,
    /// Whether a uprobe costs little at it.
    pub is_emulated: bool,
    /// Whether it only puts a register on the stack.
    pub is_push: bool,
    /// Whether it returns to the caller.
    pub is_return: bool,
    /// The registers that it may change.
    pub written: Registers,
    /// If it copies one whole register to another: to which and from which.
    pub copied: Option<(Registers, Registers)>,
    /// The register that it sets to zero, if that is all it does.
    pub zeroed: Registers,
}

impl Step {
    /// The instruction at an address; `None` if it or where it leads is not known.
    pub fn read(image: &Image, address: u64) -> Option<Self> {
        match image.machine {
            Machine::X86_64 => x86::step(image.code(address)?, address),
            Machine::Arm64 => arm64::step(image.code(address)?, address),
        }
    }
}

/// The register that has a function's result: `rax` or `x0`.
pub const RESULT: Registers = 1;

/// The registers that the kernel side can read, but for the stack pointer.
pub fn readable(machine: Machine) -> Registers {
    match machine {
        Machine::X86_64 => 0xffff & !x86::RSP,
        // x0 to x8 and x19 to x28.
        Machine::Arm64 => 0x1ff | 0x3ff << 19,
    }
}
