//! ARM64: what instructions of Go's runtime and of `net/http` tell on arm64.

use super::code::{Home, STACK_CHECK, STACK_GUARD, Slot};
use crate::inspect::arm64::{Instruction, instructions};

/// The register that has `g`: `x28` (Go, src/cmd/compile/abi-internal.md).
const G: u8 = 28;
const REGISTERS: usize = 32;

/// A function's machine code.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    /// Its virtual address.
    pub address: u64,
    /// Its instructions, and what pads them.
    pub bytes: &'a [u8],
}

/// What is known of a register.
#[derive(Clone, Copy, Debug, Default)]
enum Known {
    #[default]
    Nothing,
    Page(u64),
    Slot(Slot),
    Thread,
}

impl Code<'_> {
    fn instructions(&self) -> impl Iterator<Item = Instruction> {
        instructions(self.address, self.bytes)
    }

    /// How this function (`runtime.save_g`) keeps `g` (Go, `src/runtime/tls_arm64.s`; seen in programs of 1.26): not at all unless
    /// `runtime.iscgo`; else at an offset from the thread pointer for which the linker leaves one of (src/cmd/link/internal/arm64, and
    /// the C linker's likewise):
    ///
    /// - `mov x27, #OFFSET` in programs at a fixed address,
    /// - `movz x27, #HIGH, lsl #16; movk x27, #LOW` in those that can be anywhere,
    /// - `adrp x27, GOT; ldr x27, [x27, #…]` in libraries.
    pub fn home_of_g(&self) -> Option<Home> {
        let mut known = [Known::Nothing; REGISTERS];
        let mut only_if = None;
        for instruction in self.instructions() {
            if let Some((G, base, index)) = instruction.stored_at_index() {
                let (base, index) = (known[usize::from(base)], known[usize::from(index)]);
                return match (base, index) {
                    (Known::Thread, Known::Slot(slot)) => Some(Home { slot, only_if }),
                    _ => None,
                };
            }
            if let Some(byte) = byte_read(instruction, &known) {
                only_if = Some(byte);
            }
            if let Some((register, value)) = learnt(instruction, &known) {
                known[usize::from(register)] = value;
            }
        }
        None
    }

    /// Whether it reads a word at this offset from `g`'s register.
    pub fn reads_of_g(&self, offset: u32) -> bool {
        self.instructions()
            .any(|instruction| word_read(instruction, offset).is_some_and(|(_, base)| base == G))
    }

    /// Whether it reads a word at this offset from another pointer and compares that with `g`, as `runtime.systemstack` does.
    pub fn compares_at(&self, offset: u32) -> bool {
        let next = self.instructions().skip(1);
        self.instructions().zip(next).any(|(read, compare)| {
            let word = word_read(read, offset).filter(|(_, base)| *base != G);
            word.is_some_and(|(to, _)| {
                matches!(compare.compared(), Some((left, right)) if (left, right) == (to, G) || (left, right) == (G, to))
            })
        })
    }

    /// The addresses of its direct calls of a function that begins at one of `targets`.
    pub fn calls(&self, targets: &[u64]) -> Vec<u64> {
        self.instructions()
            .filter(|instruction| instruction.call().is_some_and(|target| targets.contains(&target)))
            .map(|instruction| instruction.address)
            .collect()
    }

    /// The stack check's `b.ls`, which the kernel simulates. It is executed again when the stack was grown.
    pub fn behind_stack_check(&self) -> Option<u64> {
        let mut instructions = self.instructions().take(STACK_CHECK);
        let guard = instructions.find_map(|instruction| {
            let (to, base) = word_read(instruction, STACK_GUARD as u32)?;
            (base == G).then_some(to)
        })?;
        instructions.find(|instruction| instruction.compared().is_some_and(|(_, right)| right == guard))?;
        instructions
            .next()
            .filter(|branch| branch.is_if_lower_or_same())
            .map(|branch| branch.address)
    }
}

/// If it is `ldr REGISTER, [BASE, #OFFSET]` of a whole word: the registers.
fn word_read(instruction: Instruction, offset: u32) -> Option<(u8, u8)> {
    let load = instruction.load()?;
    (load.size == 8 && load.offset == u64::from(offset)).then_some((load.to, load.base))
}

/// The address of a byte that it reads.
fn byte_read(instruction: Instruction, known: &[Known; REGISTERS]) -> Option<u64> {
    let load = instruction.load().filter(|load| load.size == 1)?;
    match known[usize::from(load.base)] {
        Known::Page(page) => Some(page.wrapping_add(load.offset)),
        _ => None,
    }
}

/// The register that it changes, and what is known of that afterwards.
fn learnt(instruction: Instruction, known: &[Known; REGISTERS]) -> Option<(u8, Known)> {
    if let Some((register, page)) = instruction.address_made() {
        return Some((register, Known::Page(page)));
    }
    if let Some(register) = instruction.thread_pointer() {
        return Some((register, Known::Thread));
    }
    if let Some((register, value)) = instruction.constant() {
        return Some((register, Known::Slot(Slot::Offset(value as i64))));
    }
    if let Some((register, part)) = instruction.constant_part() {
        let value = match known[usize::from(register)] {
            Known::Slot(Slot::Offset(value)) => Known::Slot(Slot::Offset(value | part as i64)),
            _ => Known::Nothing,
        };
        return Some((register, value));
    }
    let load = instruction.load()?;
    let value = match known[usize::from(load.base)] {
        Known::Page(page) if load.size == 8 => Known::Slot(Slot::Got(page.wrapping_add(load.offset))),
        _ => Known::Nothing,
    };
    Some((load.to, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 0x9_3ea0;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn on<T>(words: &[u32], ask: impl Fn(Code<'_>) -> T) -> T {
        ask(Code {
            address: START,
            bytes: &bytes(words),
        })
    }

    /// `adrp x27, 0x5e3000; ldrsb x0, [x27, #3609]; cbz x0, …; mrs x0, TPIDR_EL0`, as `runtime.save_g` begins.
    const BEFORE: [u32; 4] = [0x9000_2a9b, 0x39b8_6760, 0xb400_0080, 0xd53b_d040];
    /// `str x28, [x0, x27]`
    const STORE: u32 = 0xf83b_681c;

    #[test]
    fn the_home_of_g_in_its_three_forms() {
        let home = |slot: &[u32]| on(&[&BEFORE, slot, &[STORE]].concat(), |code| code.home_of_g());
        let of_slot = |slot| {
            Some(Home {
                slot,
                only_if: Some(0x5e_3000 + 3609),
            })
        };
        // mov x27, #16
        assert_eq!(home(&[0xd280_021b]), of_slot(Slot::Offset(16)));
        // movz x27, #1, lsl #16; movk x27, #16
        assert_eq!(home(&[0xd2a0_003b, 0xf280_021b]), of_slot(Slot::Offset(0x1_0010)));
        // adrp x27, 0x693000; ldr x27, [x27, #8]
        assert_eq!(home(&[0x9000_301b, 0xf940_077b]), of_slot(Slot::Got(0x69_3008)));
    }

    #[test]
    fn other_stores_are_no_home() {
        let home = |rest: &[u32]| on(&[&BEFORE, rest].concat(), |code| code.home_of_g());
        assert_eq!(home(&[]), None);
        // Nothing known of the index; another register than x28; another base.
        assert_eq!(home(&[STORE]), None);
        assert_eq!(home(&[0xd280_021b, 0xf83b_681b]), None);
        assert_eq!(home(&[0xd280_021b, 0xf83b_683c]), None);
    }

    #[test]
    fn offsets_are_checked_against_code() {
        // ldr x8, [x28, #48]
        assert!(on(&[0xf940_1b88], |code| code.reads_of_g(48)));
        assert!(!on(&[0xf940_1b88], |code| code.reads_of_g(56)));
        assert!(!on(&[0xf940_1b68], |code| code.reads_of_g(48)));
        // ldr x6, [x4, #184]; cmp x6, x28
        let compares = [0xf940_5c86, 0xeb1c_00df];
        assert!(on(&compares, |code| code.compares_at(184)));
        assert!(!on(&compares, |code| code.compares_at(192)));
        // The other order, and another register.
        assert!(on(&[0xf940_5c86, 0xeb06_039f], |code| code.compares_at(184)));
        assert!(!on(&[0xf940_5c86, 0xeb1c_00bf], |code| code.compares_at(184)));
    }

    #[test]
    fn only_calls_of_the_very_function_count() {
        // bl to 8 bytes behind, b to there, bl to 4 bytes before.
        let words = [0x9400_0002, 0x1400_0001, 0x97ff_fffd];
        assert_eq!(on(&words, |code| code.calls(&[START + 8])), [START]);
        assert_eq!(on(&words, |code| code.calls(&[START - 4])), [START + 8]);
        assert!(on(&words, |code| code.calls(&[])).is_empty());
    }

    #[test]
    fn behind_the_stack_check() {
        let place = |words: &[u32]| on(words, |code| code.behind_stack_check()).map(|place| place - START);
        // ldr x16, [x28, #16]; cmp sp, x16; b.ls
        assert_eq!(place(&[0xf940_0b90, 0xeb30_63ff, 0x5400_0329]), Some(8));
        // ldr x16, [x28, #16]; sub x17, sp, #448; cmp x17, x16; b.ls
        assert_eq!(
            place(&[0xf940_0b90, 0xd107_03f1, 0xeb10_023f, 0x5400_0309]),
            Some(12)
        );
        // Without a check, with another field, and with another branch.
        assert_eq!(place(&[0xf81d_0ffe]), None);
        assert_eq!(place(&[0xf940_0f90, 0xeb30_63ff, 0x5400_0329]), None);
        assert_eq!(place(&[0xf940_0b90, 0xeb30_63ff, 0x5400_0321]), None);
    }
}
