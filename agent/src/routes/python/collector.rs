//! COLLECTOR: all objects that the garbage collector of an interpreter knows, which instances of classes always are.

use std::time::Instant;

use super::objects::Objects;
use crate::routes::memory::Memory;

/// `generations` in `struct _gc_runtime_state`, three of them (`Include/internal/pycore_gc.h`, 3.9 to 3.14; 3.14.0 calls them
/// young and old).
const GENERATIONS: u64 = 24;
/// Size of `struct gc_generation`.
const GENERATION_SIZE: u64 = 24;
/// Size of `PyGC_Head`, which is before each object: links to the next and the previous one, whose lowest bits are flags.
const HEAD: u64 = 16;
const FLAGS: u64 = 3;
/// Most objects that are looked at: about a gigabyte of them.
const MAX_OBJECTS: usize = 8_000_000;
/// Objects between two looks at the clock.
const LOOK_EVERY: usize = 4096;

/// How a look at all objects ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// All were seen that were there.
    Complete,
    /// A list did not lead back to its start: the collector was at work.
    Torn,
    /// There are too many, or it took too long.
    Late,
    /// There are no such lists: the interpreter is another than it is taken for, or has not started.
    Absent,
}

/// Hands over each object with its class, the oldest ones first, and says how it ended. Some may come twice.
pub fn objects<M: Memory>(
    objects: &Objects<'_, M>,
    interpreter: u64,
    deadline: Instant,
    mut take: impl FnMut(u64, u64),
) -> Walk {
    let collector = interpreter.wrapping_add(objects.layout.collector);
    let generation = |index: u64| collector.wrapping_add(GENERATIONS + index * GENERATION_SIZE);
    let permanent = collector.wrapping_add(objects.layout.permanent);
    let heads = [permanent, generation(2), generation(1), generation(0)];
    if heads.iter().any(|head| !is_head(objects.memory, *head)) {
        return Walk::Absent;
    }
    let mut seen = 0;
    let mut ended = Walk::Complete;
    for head in heads {
        match list(objects.memory, head, deadline, &mut seen, &mut take) {
            Walk::Late => return Walk::Late,
            Walk::Complete => {}
            Walk::Torn | Walk::Absent => ended = Walk::Torn,
        }
    }
    ended
}

/// Whether two neighbours of a list's head agree about it. The list may change in between.
fn is_head(memory: &impl Memory, head: u64) -> bool {
    let agrees = || {
        let next = memory.word(head)? & !FLAGS;
        let previous = memory.word(head.checked_add(8)?)? & !FLAGS;
        let back = memory.word(next.checked_add(8)?)? & !FLAGS;
        let forth = memory.word(previous)? & !FLAGS;
        Some(back == head || forth == head)
    };
    agrees().unwrap_or(false)
}

fn list(
    memory: &impl Memory,
    head: u64,
    deadline: Instant,
    seen: &mut usize,
    take: &mut impl FnMut(u64, u64),
) -> Walk {
    let Some(mut at) = memory.word(head).map(|next| next & !FLAGS) else {
        return Walk::Torn;
    };
    while at != head {
        *seen += 1;
        if *seen > MAX_OBJECTS || (seen.is_multiple_of(LOOK_EVERY) && Instant::now() > deadline) {
            return Walk::Late;
        }
        // The head with its two links, the number of references, and the class.
        let mut words = [0; 32];
        if memory.read(at, &mut words).is_none() {
            return Walk::Torn;
        }
        let [next, _, _, class] = words.as_chunks::<8>().0 else {
            return Walk::Torn;
        };
        take(at + HEAD, u64::from_le_bytes(*class));
        at = u64::from_le_bytes(*next) & !FLAGS;
    }
    Walk::Complete
}
