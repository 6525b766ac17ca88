//! Calls that several copies of a program see.
//!
//! A program that may lose the CPU is skipped there for whoever else comes to it until it goes on (`kernel/bpf/trampoline.c:
//! __bpf_prog_enter_recur`, and since Linux 7.2 `kernel/trace/bpf_trace.c:trace_call_bpf_faultable`; `active` belongs to the program).
//! So where the kernel takes the CPU away each such program is attached several times, and the first copy that runs does the work.
//! The others, whichever they are and in whatever order they come, recognise that by the bits in the call's entry: a copy that finds
//! its own bit there has seen that before, so what it sees now is another call.

use agent_common::Call;

use crate::offsets;

/// Whether programs have copies here.
#[inline(always)]
pub fn are_seen_by_several() -> bool {
    offsets::COPIES.load() > 1
}

/// A copy's bit.
#[inline(always)]
pub fn bit(copy: u32) -> u64 {
    1 << copy
}

/// Whether the call that begins is the one in its thread's entry, put there by another copy.
#[inline(always)]
pub fn begun_for_another(call: &mut Call, copy: u32) -> bool {
    let first = call.copies & bit(copy) == 0;
    call.copies |= bit(copy);
    first
}

/// A call ends, and this copy is the first to see it.
#[inline(always)]
pub fn end(call: &mut Call, copy: u32) {
    call.ended = call.frame;
    call.frame = 0;
    call.copies = bit(copy);
}

/// Whether another copy has seen this end. If not, nobody saw the beginning, and this copy is the first to see the end.
#[inline(always)]
pub fn ended_for_another(call: &mut Call, frame: u64, copy: u32) -> bool {
    if call.ended == frame && call.copies & bit(copy) == 0 {
        call.copies |= bit(copy);
        return true;
    }
    call.ended = frame;
    call.copies = bit(copy);
    false
}
