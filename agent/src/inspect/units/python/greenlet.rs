//! greenlet (and gevent, which is built on it): where a thread keeps its current greenlet.

use agent_common::{Runtime, unit::thread_data};

use super::{
    process::{Loaded, Process},
    state::State,
    threads::Values,
    versions::{OBJECT_TYPE, TYPE_BASE, TYPE_NEW},
};
use crate::inspect::elf::Machine;

/// Exported by greenlet's library since 1.0.
const TYPE: &str = "PyGreenlet_Type";
/// Offset of `current_greenlet` in greenlet's `ThreadState`, after `main_greenlet` (greenlet 2 and 3,
/// TThreadState.hpp).
const CURRENT: u32 = 8;
/// Bytes of thread-local storage of greenlet 3: a guard of 8 and the pointer to `ThreadState` behind it.
const USUAL_STORAGE: u64 = 16;
/// Offset of the thread-local blocks in glibc's thread on x86-64 (`tcbhead_t.dtv`), and bytes of each entry.
const BLOCKS: (u64, u64) = (8, 16);
/// Longest line of classes that greenlet's is looked for in.
const MAX_BASES: usize = 16;
/// Largest thread-local storage of greenlet's library that is looked at.
const MAX_STORAGE: u64 = 256;

/// `tp_new` of greenlet's type in its file.
pub fn maker(library: &super::image::Image) -> Option<u64> {
    library.pointer(library.symbol(TYPE)? + TYPE_NEW)
}

/// Fills in how the current greenlet is read; `None` if that is not known.
pub fn complete(
    runtime: &mut Runtime,
    process: &Process,
    library: &Loaded,
    (state, values): (&State<'_>, &Values),
) -> Option<()> {
    if values.kind != thread_data::GLIBC || library.image.machine != Machine::X86_64 {
        return None;
    }
    let module = library.live(*library.image.module_numbers.first()?);
    let storage = library.image.thread_local?;
    let kind = library.symbol(TYPE)?;
    let seen = state
        .native_threads()
        .into_iter()
        .filter_map(|native| values.pointer(native))
        .find_map(|pointer| {
            let block = block(process, pointer, module)?;
            let offsets = (0..storage.min(MAX_STORAGE)).step_by(8);
            offsets.into_iter().find(|offset| {
                process.word(block.wrapping_add(*offset)).is_some_and(|state| {
                    is_greenlet(process, state.wrapping_add(CURRENT.into()), kind).is_some()
                })
            })
        });
    // No thread has used a greenlet yet.
    let usual = (storage == USUAL_STORAGE).then_some(8);
    runtime.greenlet_state = seen.or(usual)?;
    runtime.greenlet_current = CURRENT;
    runtime.greenlet_module = module;
    Some(())
}

/// The library's thread-local storage in a thread, if it has some there.
fn block(process: &Process, pointer: u64, module: u64) -> Option<u64> {
    let blocks = process.word(pointer.wrapping_add(BLOCKS.0))?;
    let number = process.word(module)?;
    process
        .word(blocks.wrapping_add(number.checked_mul(BLOCKS.1)?))
        .filter(|block| *block != 0 && *block != u64::MAX)
}

/// Whether there is a pointer to a greenlet, of whatever class.
fn is_greenlet(process: &Process, at: u64, kind: u64) -> Option<()> {
    let object = process.word(at)?;
    let mut class = process.word(object.wrapping_add(OBJECT_TYPE))?;
    for _ in 0..MAX_BASES {
        if class == kind {
            return Some(());
        }
        class = process
            .word(class.wrapping_add(TYPE_BASE))
            .filter(|base| *base != 0)?;
    }
    None
}
