//! X86: what instructions of Go's runtime and of `net/http` tell on x86-64.

use iced_x86::{Code as Encoding, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::code::{STACK_CHECK, STACK_GUARD, Slot};

/// A function's machine code.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// Its virtual address.
    pub address: u64,
    /// Its instructions, and what pads them.
    pub bytes: &'a [u8],
}

impl Code<'_> {
    fn instructions(&self) -> impl Iterator<Item = Instruction> {
        let mut decoder = Decoder::with_ip(64, self.bytes, self.address, DecoderOptions::NONE);
        // Behind what cannot be decoded all else may be misread.
        std::iter::from_fn(move || decoder.can_decode().then(|| decoder.decode()))
            .take_while(|instruction| !instruction.is_invalid())
    }

    /// Where this function (`runtime.mcall`) stores `g`. The linker leaves one of (Go, src/cmd/link/internal/ld and
    /// cmd/internal/obj/x86, 1.17 to 1.27):
    ///
    /// - `mov %r14, %fs:OFFSET` in programs at a fixed address,
    /// - `mov $OFFSET, %rcx; mov %r14, %fs:(%rcx)` in those that can be anywhere,
    /// - `mov GOT(%rip), %rcx; mov %r14, %fs:(%rcx)` in libraries.
    pub fn slot_of_g(&self) -> Option<Slot> {
        let mut loaded = None;
        for instruction in self.instructions() {
            if stores_g(&instruction) {
                return match instruction.memory_base() {
                    Register::None => Some(Slot::Offset(instruction.memory_displacement64() as i64)),
                    base => loaded
                        .filter(|(register, _)| *register == base && instruction.memory_displacement64() == 0)
                        .map(|(_, slot)| slot),
                };
            }
            loaded = loads_slot(&instruction);
        }
        None
    }

    /// Whether it reads a word at this offset from `g`'s register, as `runtime.mcall` does to find `m`.
    pub fn reads_of_g(&self, offset: u32) -> bool {
        self.instructions().any(|instruction| {
            instruction.code() == Encoding::Mov_r64_rm64
                && is_memory(&instruction, 1, Register::R14, u64::from(offset))
        })
    }

    /// Whether it compares a word at this offset from some pointer, as `runtime.systemstack` does with `m.curg`.
    pub fn compares_at(&self, offset: u32) -> bool {
        self.instructions().any(|instruction| {
            let operand = match instruction.code() {
                Encoding::Cmp_r64_rm64 => 1,
                Encoding::Cmp_rm64_r64 => 0,
                _ => return false,
            };
            is_memory(
                &instruction,
                operand,
                instruction.memory_base(),
                u64::from(offset),
            )
        })
    }

    /// The addresses of its direct calls of a function that begins at one of `targets`.
    pub fn calls(&self, targets: &[u64]) -> Vec<u64> {
        self.instructions()
            .filter(|instruction| {
                instruction.code() == Encoding::Call_rel32_64
                    && targets.contains(&instruction.near_branch_target())
            })
            .map(|instruction| instruction.ip())
            .collect()
    }

    /// An instruction behind the start at which the arguments are still in their registers, and that the kernel
    /// emulates when it is probed, which costs a fifteenth of one that it has to step over (Linux,
    /// arch/x86/kernel/uprobes.c): `push %rbp` behind the stack check, since Go 1.21, else the check's `jbe`, which is
    /// executed again when the stack was grown.
    pub fn behind_stack_check(&self) -> Option<u64> {
        let mut instructions = self.instructions().take(STACK_CHECK);
        instructions.find(compares_stack_guard)?;
        let branch = instructions
            .next()
            .filter(|instruction| instruction.mnemonic() == Mnemonic::Jbe)?;
        let is_push = |next: &Instruction| {
            next.mnemonic() == Mnemonic::Push
                && next.op0_kind() == OpKind::Register
                && next.op0_register() == Register::RBP
        };
        Some(instructions.next().filter(is_push).unwrap_or(branch).ip())
    }
}

/// `mov %r14, %fs:…`
fn stores_g(instruction: &Instruction) -> bool {
    instruction.code() == Encoding::Mov_rm64_r64
        && instruction.op0_kind() == OpKind::Memory
        && instruction.segment_prefix() == Register::FS
        && instruction.memory_index() == Register::None
        && instruction.op1_register() == Register::R14
}

/// The register and the offset in it, or where that is read.
fn loads_slot(instruction: &Instruction) -> Option<(Register, Slot)> {
    let slot = match instruction.code() {
        Encoding::Mov_rm64_imm32 if instruction.op0_kind() == OpKind::Register => {
            Slot::Offset(instruction.immediate32to64())
        }
        Encoding::Mov_r64_rm64 if instruction.is_ip_rel_memory_operand() => {
            Slot::Got(instruction.ip_rel_memory_address())
        }
        _ => return None,
    };
    Some((instruction.op0_register(), slot))
}

/// `cmp …, 16(%r14)`
fn compares_stack_guard(instruction: &Instruction) -> bool {
    instruction.code() == Encoding::Cmp_r64_rm64 && is_memory(instruction, 1, Register::R14, STACK_GUARD)
}

fn is_memory(instruction: &Instruction, operand: u32, base: Register, offset: u64) -> bool {
    instruction.op_kind(operand) == OpKind::Memory
        && instruction.memory_base() == base
        && base != Register::None
        && instruction.memory_index() == Register::None
        && instruction.memory_displacement64() == offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> Code<'_> {
        Code {
            address: 0x40_1000,
            bytes,
        }
    }

    /// `mov %rax,%rdx; mov 0x30(%r14),%rbx; mov (%rbx),%rsi`, as in `runtime.mcall`.
    const BEFORE: &[u8] = b"\x48\x89\xc2\x49\x8b\x5e\x30\x48\x8b\x33";

    #[test]
    fn the_slot_of_g_in_its_three_forms() {
        let slot = |store: &[u8]| code(&[BEFORE, store, b"\xc3"].concat()).slot_of_g();
        assert_eq!(
            slot(b"\x64\x4c\x89\x34\x25\xf8\xff\xff\xff"),
            Some(Slot::Offset(-8))
        );
        assert_eq!(
            slot(b"\x64\x4c\x89\x34\x25\xa0\xff\xff\xff"),
            Some(Slot::Offset(-0x60))
        );
        assert_eq!(
            slot(b"\x48\xc7\xc1\xf8\xff\xff\xff\x64\x4c\x89\x31"),
            Some(Slot::Offset(-8))
        );
        // Relative to the end of the instruction, which is 17 bytes from the function's start.
        assert_eq!(
            slot(b"\x48\x8b\x0d\x00\x20\x00\x00\x64\x4c\x89\x31"),
            Some(Slot::Got(0x40_3011))
        );
    }

    #[test]
    fn other_stores_are_no_slot() {
        let slot = |store: &[u8]| code(&[BEFORE, store, b"\xc3"].concat()).slot_of_g();
        assert_eq!(slot(b""), None);
        // Not %r14, not %fs, another register than the one that was loaded, and nothing loaded.
        assert_eq!(slot(b"\x64\x48\x89\x04\x25\xf8\xff\xff\xff"), None);
        assert_eq!(slot(b"\x65\x4c\x89\x34\x25\xf8\xff\xff\xff"), None);
        assert_eq!(slot(b"\x48\xc7\xc2\xf8\xff\xff\xff\x64\x4c\x89\x31"), None);
        assert_eq!(slot(b"\x64\x4c\x89\x31"), None);
        // Behind what is no instruction.
        assert_eq!(slot(b"\x06\x64\x4c\x89\x34\x25\xf8\xff\xff\xff"), None);
    }

    #[test]
    fn offsets_are_checked_against_code() {
        assert!(code(BEFORE).reads_of_g(0x30));
        assert!(!code(BEFORE).reads_of_g(0x38));
        // cmp 0xb8(%rbx),%rax
        let compares = code(b"\x48\x3b\x83\xb8\x00\x00\x00");
        assert!(compares.compares_at(184));
        assert!(!compares.compares_at(192));
    }

    #[test]
    fn only_calls_of_the_very_function_count() {
        // nop, then calls of 0x401100 and 0x401101, the bytes of a call in a constant, and a call of 0x401100 again.
        let calls = [
            &b"\x90\xe8\xfa\x00\x00\x00\xe8\xf6\x00\x00\x00"[..],
            b"\x48\xb8\xe8\xef\x00\x00\x00\x00\x00\x00",
            b"\xe8\xe6\x00\x00\x00\xc3",
        ]
        .concat();
        assert_eq!(code(&calls).calls(&[0x40_1100]), [0x40_1001, 0x40_1015]);
        assert_eq!(code(&calls).calls(&[0x40_1101]), [0x40_1006]);
        assert!(code(&calls).calls(&[]).is_empty());
    }

    #[test]
    fn behind_the_stack_check() {
        let place = |start: &[u8]| {
            code(&[start, b"\x48\x89\xe5\xc3"].concat())
                .behind_stack_check()
                .map(|place| place - 0x40_1000)
        };
        // cmp 0x10(%r14),%rsp; jbe; push %rbp
        assert_eq!(place(b"\x49\x3b\x66\x10\x76\x30\x55"), Some(6));
        // The same with a larger frame: lea -0x80(%rsp),%r12; cmp 0x10(%r14),%r12; jbe near; push %rbp
        assert_eq!(
            place(b"\x4c\x8d\x64\x24\x80\x4d\x3b\x66\x10\x0f\x86\x00\x10\x00\x00\x55"),
            Some(15)
        );
        // Until 1.20: lea; cmp; jbe near; sub $0x100,%rsp
        assert_eq!(
            place(
                b"\x4c\x8d\x64\x24\x80\x4d\x3b\x66\x10\x0f\x86\x00\x10\x00\x00\x48\x81\xec\x00\x01\x00\x00"
            ),
            Some(9)
        );
        // Without a check, with another field, and with another branch.
        assert_eq!(place(b"\x55"), None);
        assert_eq!(place(b"\x49\x3b\x66\x18\x76\x30\x55"), None);
        assert_eq!(place(b"\x49\x3b\x66\x10\x72\x30\x55"), None);
    }
}
