//! The kernel side's own log: rare warnings, and a trace level that is cut out when it is loaded without `-vv`.
//!
//! Nothing here is on the way of bytes. Each message is a function of its own, so that its buffer is not on the
//! stack of the caller.

use agent_common::Counter;
use aya_log_ebpf::{trace, warn};

/// A bound was hit for the first time on this CPU; from then on it is only counted.
#[inline(never)]
pub fn bound_hit(counter: Counter) {
    match counter {
        Counter::ConnectionsFull => warn!((), "the map of connections is full: new ones are not followed"),
        Counter::CallsFull => warn!((), "the map of calls under way is full: some calls are not seen"),
        Counter::ProcessesFull => warn!(
            (),
            "the map of watched processes is full: new children are not watched"
        ),
        Counter::Drops => warn!((), "the ring buffer is full: events are lost"),
        _ => {}
    }
}

/// A connection was seen for the first time.
#[inline(never)]
pub fn opened(id: u64, role: u32, pid: u32) {
    trace!((), "connection {} opened, role {}, pid {}", id, role, pid);
}

/// A connection, or a direction of it, ended.
#[inline(never)]
pub fn closed(id: u64, how: u32) {
    trace!((), "connection {} closed, how {}", id, how);
}

/// A process came, changed or went.
#[inline(never)]
pub fn process(kind: u32, pid: u32) {
    trace!((), "process event {} of pid {}", kind, pid);
}
