//! Writing events to the ring buffer, and counting.

use agent_common::{CloseEvent, Counter, Header, ProcessEvent, kind};
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns, generated::bpf_ringbuf_output};

use crate::{
    log,
    maps::{COUNTERS, EVENTS},
    offsets,
};

/// Most bytes of one event's head; a longer head is spread over several events.
pub const FRAGMENT_BYTES: usize = 8192;
/// Most bytes of an event's tail.
pub const TAIL_BYTES_MAX: usize = 1024;

/// `bpf_ringbuf_query`: bytes not yet consumed (`include/uapi/linux/bpf.h`).
const BPF_RB_AVAIL_DATA: u64 = 0;
const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;

/// When the user side is to learn of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// With the next batch.
    Batch,
    /// At once.
    Now,
}

/// The present, on the clock of all events.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// Process and thread id of the current task.
#[inline(always)]
pub fn current() -> (u32, u32) {
    let both = bpf_get_current_pid_tgid();
    ((both >> 32) as u32, both as u32)
}

/// The head of an event of the current task.
#[inline(always)]
pub fn header(kind: u32, flags: u32) -> Header {
    let (pid, tid) = current();
    Header {
        kind,
        pid,
        tid,
        flags,
    }
}

/// Adds to a counter.
#[inline(always)]
pub fn count(counter: Counter, n: u64) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the map's own memory, per CPU; a torn addition costs at most one count.
        unsafe { *slot += n };
    }
}

/// Counts a bound that was hit, and says so the first time.
#[inline(always)]
pub fn count_bound(counter: Counter) {
    let first = COUNTERS.get_ptr(counter as u32).is_some_and(|slot| {
        // SAFETY: the map's own memory.
        unsafe { *slot == 0 }
    });
    count(counter, 1);
    if first {
        log::bound_hit(counter);
    }
}

/// Writes an event; false if the ring buffer was full.
#[inline(always)]
pub fn output<T: Copy>(event: &T, urgency: Urgency) -> bool {
    output_raw(
        core::ptr::from_ref(event).cast_mut().cast(),
        size_of::<T>() as u64,
        urgency,
    )
}

/// Writes `size` bytes that begin at `data`; false if the ring buffer was full.
#[inline(always)]
pub fn output_raw(data: *mut core::ffi::c_void, size: u64, urgency: Urgency) -> bool {
    let waiting = EVENTS.query(BPF_RB_AVAIL_DATA);
    let wake = urgency == Urgency::Now || waiting >= u64::from(offsets::WAKEUP_BYTES.load());
    let flags = if wake {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    // SAFETY: the verifier checks that `size` bytes can be read from `data`.
    let written =
        unsafe { bpf_ringbuf_output(core::ptr::addr_of!(EVENTS).cast_mut().cast(), data, size, flags) } == 0;
    if written {
        count(Counter::Events, 1);
    } else {
        count_bound(Counter::Drops);
    }
    written
}

/// Reports that a connection, or one direction of it, ended.
#[inline(always)]
pub fn close(id: u64, how: u32, time: u64) {
    log::closed(id, how);
    output(
        &CloseEvent {
            header: header(kind::CLOSE, how),
            id,
            time,
        },
        Urgency::Batch,
    );
}

/// Reports a change of a process.
#[inline(always)]
pub fn process(kind: u32, pid: u32, tid: u32, detail: u64) {
    log::process(kind, pid);
    let header = Header {
        kind,
        pid,
        tid,
        flags: 0,
    };
    output(
        &ProcessEvent {
            header,
            time: now(),
            detail,
        },
        Urgency::Now,
    );
}
