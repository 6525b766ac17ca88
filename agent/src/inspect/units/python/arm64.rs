//! Instructions of arm64: what they do to registers, and where they lead.

use super::step::{Registers, Step};
use crate::inspect::arm64::{Instruction, instructions};

/// What a called function may change: x0 to x18 and the link register (Procedure Call Standard for the Arm 64-bit Architecture).
const CALLER_SAVED: Registers = 0x7_ffff | LINK;
const LINK: Registers = 1 << 30;
/// What an instruction changes that is not known.
const ALL: Registers = Registers::MAX;

/// The first instruction of `code`.
pub fn step(code: &[u8], address: u64) -> Option<Step> {
    let instruction = instructions(address, code.get(..4)?).next()?;
    let behind = address.wrapping_add(4);
    let is_call = instruction.call().is_some() || instruction.is_indirect_call();
    let next = if let Some(target) = instruction.jump() {
        vec![target]
    } else if let Some(target) = instruction.branch() {
        vec![behind, target]
    } else if instruction.is_return() || instruction.is_fault() {
        Vec::new()
    } else if instruction.is_indirect() && !is_call {
        return None;
    } else {
        vec![behind]
    };
    let copied = instruction.moved().map(|(to, from)| (bit(to), bit(from)));
    Some(Step {
        address,
        is_plain: next == [behind] && !is_call,
        next,
        is_emulated: instruction.is_simulated(),
        is_push: false,
        is_return: instruction.is_return(),
        written: if is_call {
            CALLER_SAVED
        } else {
            written(instruction)
        },
        copied,
        zeroed: instruction.zeroed().map_or(0, bit),
    })
}

fn bit(register: u8) -> Registers {
    1 << register
}

/// The registers that an instruction may change which calls nothing; too many rather than too few.
fn written(instruction: Instruction) -> Registers {
    let word = instruction.word;
    let target = bit(instruction.register(0));
    match word >> 25 & 0xf {
        // Numbers in the instruction, in registers, and of vectors to general registers.
        0b1000 | 0b1001 | 0b0101 | 0b1101 | 0b0111 | 0b1111 => target,
        0b1010 | 0b1011 => written_by_system(instruction),
        0b0100 | 0b0110 | 0b1100 | 0b1110 => written_by_memory(instruction),
        _ => ALL,
    }
}

/// Branches change nothing; those that authenticate addresses change these.
fn written_by_system(instruction: Instruction) -> Registers {
    const AUTHENTICATED: Registers = LINK | 1 << 16 | 1 << 17;
    match instruction.word {
        _ if instruction.jump().or(instruction.branch()).is_some() || instruction.is_return() => 0,
        word if word & 0xffff_f01f == 0xd503_201f => AUTHENTICATED,
        word if word & 0xffff_f01f == 0xd503_301f => 0,
        word if word & 0xfff0_0000 == 0xd530_0000 => bit(instruction.register(0)),
        _ => ALL,
    }
}

/// Loads change their targets, and some forms the register with the address.
fn written_by_memory(instruction: Instruction) -> Registers {
    let word = instruction.word;
    let is_vector = word >> 26 & 1 == 1;
    let [first, second, base] = [0, 10, 5].map(|at| bit(instruction.register(at)));
    let loaded = |is_load: bool, registers| if is_load && !is_vector { registers } else { 0 };
    let is_single_load = word >> 22 & 3 != 0;
    match word & 0x3b00_0000 {
        // At a fixed distance.
        0x3900_0000 => loaded(is_single_load, first),
        // At a distance, in a register, with a change of the address, and what is done to memory at once.
        0x3800_0000 => match (word >> 21 & 1, word >> 10 & 3) {
            (0, 0 | 2) | (1, 2) => loaded(is_single_load, first),
            (0, _) => loaded(is_single_load, first) | base,
            _ => first | base,
        },
        // Two at once; the second bit is whether the address is changed.
        0x2800_0000 | 0x2900_0000 => {
            let changed = if word >> 23 & 1 == 1 { base } else { 0 };
            loaded(word >> 22 & 1 == 1, first | second) | changed
        }
        // Beside the code.
        0x1800_0000 => loaded(true, first),
        _ => ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(word: u32) -> Step {
        super::step(&word.to_le_bytes(), 0x1000).unwrap()
    }

    fn written(word: u32) -> Registers {
        step(word).written
    }

    #[test]
    fn what_changes_registers() {
        // add x0, x1, #1; mov x19, x0; csel x3, x1, x2, eq; fmov x4, d0
        assert_eq!(written(0x9100_0420), 1);
        assert_eq!(written(0xaa00_03f3), 1 << 19);
        assert_eq!(written(0x9a82_0023), 1 << 3);
        assert_eq!(written(0x9e66_0004), 1 << 4);
        // bl, blr x1
        assert_eq!(written(0x9400_0010), CALLER_SAVED);
        assert_eq!(written(0xd63f_0020), CALLER_SAVED);
        // b, cbz x0, ret, paciasp, dmb ish, mrs x2, TPIDR_EL0, svc
        for word in [0x1400_0010, 0xb400_0040, 0xd65f_03c0, 0xd503_3bbf] {
            assert_eq!(written(word), 0, "{word:#x}");
        }
        assert_eq!(written(0xd503_233f) & !LINK, 1 << 16 | 1 << 17);
        assert_eq!(written(0xd53b_d042), 1 << 2);
        assert_eq!(written(0xd400_0001), ALL);
    }

    #[test]
    fn what_reads_and_writes_memory() {
        // str x1, [x0, #24]; str x1, [x0, x2]; stur x1, [x0, #-8]; str d0, [x0, #8]; ldr d0, [x0, #8]; stp x1, x2, [x0, #16]
        for word in [
            0xf900_0c01,
            0xf822_6801,
            0xf81f_8001,
            0xfd00_0400,
            0xfd40_0400,
            0xa901_0801,
        ] {
            assert_eq!(written(word), 0, "{word:#x}");
        }
        // ldr x1, [x0, #24]; ldrb w1, [x0]; ldr x1, [x0, x2]; ldrsw x1, [x0]; ldr x1, beside
        for word in [0xf940_0c01, 0x3940_0001, 0xf862_6801, 0xb980_0001, 0x5800_0041] {
            assert_eq!(written(word), 1 << 1, "{word:#x}");
        }
        // ldr x1, [x0], #8; str x1, [x0, #8]!; ldp x19, x20, [sp, #16]; ldp x29, x30, [sp], #32; stp x29, x30, [sp, #-32]!
        assert_eq!(written(0xf840_8401), 1 << 1 | 1);
        assert_eq!(written(0xf800_8c01), 1);
        assert_eq!(written(0xa941_53f3), 1 << 19 | 1 << 20);
        assert_eq!(written(0xa8c2_7bfd), 1 << 29 | 1 << 30 | 1 << 31);
        assert_eq!(written(0xa9be_7bfd), 1 << 31);
    }

    #[test]
    fn where_instructions_lead() {
        assert_eq!(step(0x9100_0420).next, [0x1004]);
        assert_eq!(step(0x1400_0010).next, [0x1040]);
        assert_eq!(step(0xb400_0040).next, [0x1004, 0x1008]);
        assert_eq!(step(0x9400_0010).next, [0x1004]);
        assert!(step(0xd65f_03c0).next.is_empty());
        // brk, udf
        assert!(step(0xd421_0000).next.is_empty());
        assert!(step(0).next.is_empty());
        // br x17
        assert!(super::step(&0xd61f_0220_u32.to_le_bytes(), 0x1000).is_none());
    }

    #[test]
    fn copies_and_zeros() {
        assert_eq!(step(0xaa00_03f3).copied, Some((1 << 19, 1)));
        // mov w19, w0 is not of the whole register.
        assert_eq!(step(0x2a00_03f3).copied, None);
        // mov x0, #0; mov w0, wzr; mov x0, #1
        assert_eq!(step(0xd280_0000).zeroed, 1);
        assert_eq!(step(0x2a1f_03e0).zeroed, 1);
        assert_eq!(step(0xd280_0020).zeroed, 0);
    }

    #[test]
    fn what_the_kernel_simulates() {
        // ret, bl, cbz, adrp; retaa, add and nop are not.
        for word in [0xd65f_03c0, 0x9400_0010, 0xb400_0040, 0x9000_0000] {
            assert!(step(word).is_emulated, "{word:#x}");
        }
        for word in [0xd65f_0bff, 0x9100_0420, 0xd503_201f] {
            assert!(!step(word).is_emulated, "{word:#x}");
        }
    }
}
