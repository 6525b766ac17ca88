//! Work areas: one per CPU (or more), for what is too large for the stack and for what separately verified functions share.
//!
//! Functions that are verified on their own (`#[no_mangle] extern "C"`: global functions in the verifier's words,
//! <https://docs.kernel.org/bpf/verifier.html>) may take numbers only, so they find everything else here. Without
//! them the verifier would follow every path through the copying loops for every path that leads to them.

use agent_common::{DataEvent, UnitChain};

use crate::{
    copy::Cursor,
    emit::{FRAGMENT_BYTES, TAIL_BYTES_MAX},
    maps::WORK,
    offsets,
    transfer::Transfer,
};

/// The work area.
#[repr(C)]
pub struct Work {
    /// The call that is being looked at.
    pub transfer: Transfer,
    /// Its connection.
    pub connection: u64,
    /// Position of the call's first byte.
    pub offset: u64,
    /// Position after the last byte that was reported in its direction.
    pub reported: u64,
    /// Bytes to copy from its front.
    pub head: u64,
    /// Bytes to leave out after them.
    pub hole: u64,
    /// Bytes to copy from its end.
    pub tail: u64,
    /// Who made the call, and for whom.
    pub chain: UnitChain,
    /// Where copying stands.
    pub cursor: Cursor,
    /// The event that is put together.
    pub event: DataEvent,
    /// The event's bytes. Twice the room of a fragment: the verifier adds the largest offset to the largest length
    /// without knowing that their sum is bounded.
    pub bytes: [u8; 2 * FRAGMENT_BYTES + TAIL_BYTES_MAX],
}

/// The work area of the program at the end of system calls: a tier has only one of `exit` and `exit_waiting`.
pub const EXIT: u64 = 0;
/// The work area of `exit_messages`.
pub const EXIT_MESSAGES: u64 = 1;
/// The work area of kretprobes, of which only one runs at a time: preemption is off, and `bpf_prog_active` keeps them apart
/// (`kernel/trace/bpf_trace.c:trace_call_bpf`).
pub const KRETPROBE: u64 = 1;

/// The work area of a copy of a program.
#[inline(always)]
pub fn slot(area: u64, copy: u32) -> u64 {
    area + u64::from(copy) * u64::from(offsets::WORK_AREAS.load())
}

/// One of this CPU's work areas. Programs may be preempted, and then others run: those of fexit
/// (`kernel/bpf/trampoline.c:__bpf_prog_enter_recur` forbids migration alone), and since Linux 7.2 those of system calls'
/// tracepoints (`kernel/trace/bpf_trace.c:trace_call_bpf_faultable`). Each of them has an area of its own, and is skipped, and
/// counted as missed, while it has not ended on this CPU.
#[inline(always)]
pub fn area(slot: u64) -> Option<&'static mut Work> {
    let work = WORK.get_ptr_mut(slot as u32)?;
    // SAFETY: the map's own memory, this CPU's and this program's only, and see above.
    Some(unsafe { &mut *work })
}
