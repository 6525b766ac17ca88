//! Where in a function a register holds what the function will return.
//!
//! A uretprobe costs more than a uprobe at an instruction that the kernel emulates. So a place of that sort is looked
//! for that each call passes exactly once, unless it returns NULL, and where a register already holds the result. That
//! is derived from the code, not matched to patterns of a compiler: backwards from each `ret`, over all paths, the set
//! of registers is kept whose present value is what that path returns. What is not understood leads to no place.

use std::collections::HashMap;

use agent_common::unit::register;

use super::{
    image::Image,
    step::{self, RESULT, Registers, Step},
    x86::{ARGUMENTS, RSP},
};
use crate::inspect::elf::Machine;

/// Longest function that is looked at, in instructions; the functions in question have less than a hundred.
const MAX_INSTRUCTIONS: usize = 600;
/// Longest way from a function's start to its first instruction that is emulated.
const MAX_PROLOGUE: usize = 8;
/// Every path from here returns NULL, or does not return.
const NOTHING: Registers = Registers::MAX;

/// A place where a register holds a function's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its address.
    pub address: u64,
    /// The probe's cookie: see [`register`].
    pub cookie: u64,
}

/// An instruction, and what is found out about it.
#[derive(Debug)]
struct Known {
    step: Step,
    /// The registers that hold before it what will be returned.
    holds: Registers,
}

/// The code of one function by address, with the functions that it ends in jumps to.
#[derive(Debug)]
struct Function {
    start: u64,
    readable: Registers,
    steps: HashMap<u64, Known>,
}

/// The places, one or two, of which each call of a function that returns something passes exactly one; none if they
/// cannot be told.
pub fn result_places(image: &Image, start: u64) -> Vec<Place> {
    let Some(mut function) = Function::read(image, start) else {
        return Vec::new();
    };
    function.settle();
    function.cheapest()
}

/// On x86-64 the first `push` of a function before anything that `keeps` says is changed: the kernel emulates it, and unlike a
/// jump it is not passed again by a loop. Otherwise the function's start.
fn early(image: &Image, start: u64, keeps: Registers) -> u64 {
    if image.machine != Machine::X86_64 {
        return start;
    }
    let mut address = start;
    for _ in 0..MAX_PROLOGUE {
        let Some(step) = Step::read(image, address) else {
            break;
        };
        if step.is_emulated && step.is_push {
            return address;
        }
        match step.next[..] {
            [next] if step.is_plain && step.written & keeps == 0 => address = next,
            _ => break,
        }
    }
    start
}

/// Where to probe that a function is called, with its first two arguments in place.
pub fn entry(image: &Image, start: u64) -> u64 {
    early(image, start, ARGUMENTS)
}

/// Where to put a uretprobe: the return address has to be on top of the stack.
pub fn return_entry(image: &Image, start: u64) -> u64 {
    early(image, start, RSP)
}

impl Function {
    fn read(image: &Image, start: u64) -> Option<Self> {
        let mut steps = HashMap::new();
        let mut open = vec![start];
        while let Some(address) = open.pop() {
            if steps.contains_key(&address) {
                continue;
            }
            let step = Step::read(image, address)?;
            open.extend(&step.next);
            let holds = NOTHING;
            steps.insert(address, Known { step, holds });
            if steps.len() > MAX_INSTRUCTIONS {
                return None;
            }
        }
        Some(Self {
            start,
            readable: step::readable(image.machine),
            steps,
        })
    }

    /// Computes, for each step, the registers that hold what will be returned: the largest solution.
    fn settle(&mut self) {
        let mut addresses: Vec<u64> = self.steps.keys().copied().collect();
        addresses.sort_unstable_by(|left, right| right.cmp(left));
        let mut has_changed = true;
        while has_changed {
            has_changed = false;
            for address in &addresses {
                let holds = self.holds_before(*address);
                if let Some(known) = self.steps.get_mut(address) {
                    has_changed |= known.holds != holds;
                    known.holds = holds;
                }
            }
        }
    }

    fn holds_before(&self, address: u64) -> Registers {
        let Some(Known { step, .. }) = self.steps.get(&address) else {
            return 0;
        };
        if step.is_return {
            return RESULT;
        }
        let held = |next: &u64| self.steps.get(next).map_or(0, |next| next.holds);
        let after = step.next.iter().map(held).fold(NOTHING, |all, one| all & one);
        if after == NOTHING || after & step.zeroed != 0 {
            return NOTHING;
        }
        let kept = after & !step.written;
        match step.copied {
            Some((to, from)) if after & to != 0 => kept | from,
            _ => kept,
        }
    }

    fn cheapest(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self
            .steps
            .values()
            .filter_map(|known| self.place(known))
            .collect();
        places.sort_unstable_by_key(|place| place.address);
        let one = places.iter().find(|place| self.is_passed_once(&[place.address]));
        if let Some(place) = one {
            return vec![*place];
        }
        let pairs = places
            .iter()
            .enumerate()
            .flat_map(|(index, first)| places.iter().skip(index + 1).map(move |second| [*first, *second]));
        pairs
            .into_iter()
            .find(|pair| self.is_passed_once(&pair.map(|place| place.address)))
            .map(|pair| pair.to_vec())
            .unwrap_or_default()
    }

    /// Whether all paths that return something pass the places once in total. Paths are told apart by how often they
    /// have passed them: bit 0 not yet, bit 1 once, bit 2 more often.
    fn is_passed_once(&self, places: &[u64]) -> bool {
        let mut reached: HashMap<u64, u8> = HashMap::new();
        let mut open = vec![(self.start, 1_u8)];
        let mut at_return = 0;
        while let Some((address, passed)) = open.pop() {
            let known = reached.entry(address).or_default();
            let Some(Known { step, holds }) = self.steps.get(&address) else {
                return false;
            };
            if *known | passed == *known || *holds == NOTHING {
                continue;
            }
            *known |= passed;
            let passed = if places.contains(&address) {
                (*known << 1 | *known & 0b100) & 0b111
            } else {
                *known
            };
            if step.next.is_empty() {
                at_return |= passed;
            }
            open.extend(step.next.iter().map(|next| (*next, passed)));
        }
        at_return == 0b010
    }

    /// The place at an instruction, if it costs little and a register holds the result.
    fn place(&self, known: &Known) -> Option<Place> {
        let holds = known.holds & self.readable;
        let is_usable = known.step.is_emulated && known.holds != NOTHING && holds != 0;
        is_usable.then(|| Place {
            address: known.step.address,
            cookie: register::FIRST + u64::from(holds.trailing_zeros()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 0x1000;
    const RBX: u64 = register::FIRST + 3;

    fn places(code: &[u8]) -> Vec<(u64, u64)> {
        let places = result_places(&Image::of_code(START, code), START);
        places
            .iter()
            .map(|place| (place.address - START, place.cookie))
            .collect()
    }

    #[test]
    fn behind_an_allocation() {
        let code = [
            0x53, // push rbx
            0xe8, 0, 1, 0, 0, // call
            0x48, 0x89, 0xc3, // mov rbx, rax
            0x48, 0x85, 0xc0, // test rax, rax
            0x74, 4, // je to the end
            0x48, 0x89, 0x43, 0x18, // mov [rbx + 24], rax
            0x48, 0x89, 0xd8, // mov rax, rbx
            0x5b, 0xc3, // pop rbx; ret
        ];
        assert_eq!(places(&code), [(12, RBX)]);
    }

    #[test]
    fn on_each_of_two_ways() {
        let code = [
            0x53, // push rbx
            0x85, 0xff, // test edi, edi
            0x75, 19, // jne to 24
            0xe8, 0, 1, 0, 0, // call
            0x48, 0x89, 0xc3, // mov rbx, rax
            0x48, 0x85, 0xc0, // test rax, rax
            0x74, 16, // je to 34
            0x48, 0x89, 0xd8, // 18: mov rax, rbx
            0x5b, 0xc3, 0x90, // pop rbx; ret; nop
            0x48, 0x8b, 0x1e, // 24: mov rbx, [rsi]
            0xe8, 0, 1, 0, 0, // 27: call
            0xeb, 0xf0, // jmp to 18
            0x31, 0xdb, // 34: xor ebx, ebx
            0xeb, 0xec, // jmp to 18
        ];
        assert_eq!(places(&code), [(16, RBX), (27, RBX)]);
    }

    #[test]
    fn in_the_function_that_it_ends_in() {
        let code = [
            0x48, 0x8b, 0x7f, 0x18, // mov rdi, [rdi + 24]
            0xeb, 2, // jmp over two
            0xcc, 0xcc, // int3
            0xe8, 0, 1, 0, 0, // call
            0x48, 0x85, 0xc0, // test rax, rax
            0x74, 4, // je to the end
            0x48, 0x89, 0x78, 0x18, // mov [rax + 24], rdi
            0xc3, // ret
        ];
        assert_eq!(places(&code), [(16, register::FIRST)]);
    }

    #[test]
    fn none_that_is_not_certain() {
        // call; pop rcx; ret: nothing that costs little comes after the result.
        assert_eq!(places(&[0x51, 0xe8, 0, 1, 0, 0, 0x59, 0xc3]), []);
        // test rax, rax; je behind; jmp rax: where that goes is not known.
        assert_eq!(places(&[0x48, 0x85, 0xc0, 0x74, 2, 0xff, 0xe0, 0xc3]), []);
        // A loop passes its place more than once: call; test rax, rax; je back; ret.
        assert_eq!(
            places(&[0xe8, 0, 1, 0, 0, 0x48, 0x85, 0xc0, 0x74, 0xf6, 0xc3]),
            []
        );
    }

    #[test]
    fn starts() {
        // endbr64; mov rax, rsi; push rbx
        let image = Image::of_code(START, &[0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x89, 0xf0, 0x53, 0xc3]);
        assert_eq!(entry(&image, START), START + 7);
        assert_eq!(return_entry(&image, START), START + 7);
        // mov rdi, rsi; push rbx
        let image = Image::of_code(START, &[0x48, 0x89, 0xf7, 0x53, 0xc3]);
        assert_eq!(entry(&image, START), START);
        assert_eq!(return_entry(&image, START), START + 3);
        // sub rsp, 8; push rbx
        let image = Image::of_code(START, &[0x48, 0x83, 0xec, 8, 0x53, 0xc3]);
        assert_eq!(return_entry(&image, START), START);
    }
}
