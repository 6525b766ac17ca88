//! System calls on maps, in which the agent does not lose the CPU.
//!
//! Such a call sets `bpf_prog_active` for its CPU and forbids migration, but not preemption (`include/linux/bpf.h`,
//! `bpf_disable_instrumentation`; `kernel/bpf/syscall.c`, `bpf_map_update_value`, `map_delete_elem` and `bpf_map_copy_value`). Programs
//! of kprobes and tracepoints are skipped on that CPU meanwhile (`kernel/trace/bpf_trace.c`, `trace_call_bpf`). That is a microsecond;
//! but where the kernel preempts, another task may be given the CPU in the middle of it, and then nothing that it does for the rest
//! of its time slice is seen.

use std::sync::LazyLock;

use super::tier::preemption;

/// Whether this kernel may take the CPU away in the middle of a system call.
static PREEMPTED: LazyLock<bool> = LazyLock::new(|| preemption().is_some());

/// Does a system call on a map. Where the kernel preempts, the thread has a real-time priority for so long, which no ordinary task
/// takes the CPU from; without the right to that (`CAP_SYS_NICE`) the call is made as it is.
pub(super) fn undisturbed<T>(call: impl FnOnce() -> T) -> T {
    let ordinary = PREEMPTED.then(Ordinary::leave).flatten();
    let result = call();
    if let Some(ordinary) = ordinary {
        ordinary.come_back();
    }
    result
}

/// The scheduling policy that the thread had.
struct Ordinary(i32);

impl Ordinary {
    /// `None` if the thread has a real-time priority anyway, or may not have one.
    fn leave() -> Option<Self> {
        // SAFETY: no pointers; 0 is the calling thread.
        let policy = unsafe { libc::sched_getscheduler(0) };
        let ordinary = [libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE].contains(&policy);
        (ordinary && set(libc::SCHED_FIFO, 1)).then_some(Self(policy))
    }

    fn come_back(self) {
        if !set(self.0, 0) {
            tracing::warn!(
                "a thread of the agent keeps a real-time priority, because the kernel refuses to take it back: {}; restart the \
                 agent, without CAP_SYS_NICE if this comes again",
                std::io::Error::last_os_error()
            );
        }
    }
}

/// Sets the calling thread's policy; its nice value stays.
fn set(policy: i32, priority: i32) -> bool {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the parameters live through the call; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_an_ordinary_one_before_and_after() {
        // SAFETY: no pointers.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let before = policy();
        let Some(ordinary) = Ordinary::leave() else {
            assert_eq!(
                policy(),
                before,
                "without the right to another policy nothing changes"
            );
            return;
        };
        assert_eq!(policy(), libc::SCHED_FIFO);
        assert!(Ordinary::leave().is_none(), "who has such a priority keeps it");
        ordinary.come_back();
        assert_eq!(policy(), before);
    }
}
