//! The life of processes: children of a watched process are watched before they run their first instruction.

use agent_common::{Counter, UnitKey, kind, map::WatchMode, unit::unit_kind};
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{
    emit::{self, current},
    kernel::field,
    maps::{CALLS, RUNTIMES, WATCHED},
    offsets, units,
};

/// True if the process's calls are to be seen.
#[inline(always)]
pub fn is_watched(pid: u32) -> bool {
    WATCHED.get_ptr(pid).is_some()
}

/// True if the process passes on what it receives.
#[inline(always)]
pub fn is_relay(pid: u32) -> bool {
    // SAFETY: a value of the map.
    WATCHED
        .get_ptr(pid)
        .is_some_and(|mode| WatchMode(unsafe { *mode }) == WatchMode::RELAY)
}

/// Where what a thread does is kept.
#[inline(always)]
pub fn thread_key(pid: u32, tid: u32) -> u64 {
    (u64::from(pid) << 32) | u64::from(tid)
}

/// `sched:sched_process_fork`: match-proto:v5.10:include/trace/events/sched.h:
/// `TP_PROTO(struct task_struct *parent, struct task_struct *child)`
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn sched_process_fork(ctx: RawTracePointContext) -> i32 {
    let parent = ctx.arg::<*const u8>(0) as u64;
    let child = ctx.arg::<*const u8>(1) as u64;
    let _ = forked(parent, child);
    0
}

#[inline(always)]
fn forked(parent: u64, child: u64) -> Option<()> {
    let parent_pid: u32 = field(parent, &offsets::TASK_TGID)?;
    let mode = WATCHED.get_ptr(parent_pid)?;
    let child_pid: u32 = field(child, &offsets::TASK_TGID)?;
    if child_pid == parent_pid {
        return thread_started(parent_pid, child);
    }
    if let Some(runtime) = RUNTIMES.get_ptr(parent_pid) {
        // The same program at the same addresses, until it executes another.
        // SAFETY: a value of the map.
        let _ = RUNTIMES.insert(child_pid, unsafe { *runtime }, 0);
    }
    // SAFETY: a value of the map.
    watch(child_pid, WatchMode(unsafe { *mode }));
    emit::process(kind::FORK, child_pid, child_pid, u64::from(parent_pid));
    Some(())
}

/// A thread starts another.
#[inline(always)]
fn thread_started(pid: u32, child: u64) -> Option<()> {
    let tid: u32 = field(child, &offsets::TASK_PID)?;
    let (_, own) = current();
    let parent = units::present(pid, own)?;
    let chain = units::started_by(parent, units::thread_id(child, tid)?, emit::now());
    let key = UnitKey {
        pid,
        kind: unit_kind::THREAD as u32,
        address: u64::from(tid),
    };
    units::keep(&key, &chain);
    Some(())
}

/// `sched:sched_process_exec`: match-proto:v5.10:include/trace/events/sched.h:
/// `TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn sched_process_exec(_ctx: RawTracePointContext) -> i32 {
    let (pid, tid) = current();
    if pid == offsets::OWN_PID.load() {
        return 0;
    }
    let _ = RUNTIMES.remove(pid);
    if !is_watched(pid) {
        if offsets::WATCH_NEW.load() == 0 {
            return 0;
        }
        watch(pid, WatchMode::TENTATIVE);
    }
    emit::process(kind::EXEC, pid, tid, 0);
    0
}

/// `sched:sched_process_exit`: match-proto:v5.10:include/trace/events/sched.h: `TP_PROTO(struct task_struct *p)`
/// (later kernels add an argument).
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn sched_process_exit(ctx: RawTracePointContext) -> i32 {
    let (pid, tid) = current();
    // Also of a process that is no longer watched.
    let _ = CALLS.remove(thread_key(pid, tid));
    if !is_watched(pid) {
        return 0;
    }
    // Threads end one by one; the process ends with the last (`kernel/exit.c:do_exit`).
    let task = ctx.arg::<*const u8>(0) as u64;
    let alive = field(task, &offsets::TASK_SIGNAL)
        .and_then(|signal: u64| field::<u32>(signal, &offsets::SIGNAL_LIVE));
    if alive == Some(0) {
        let _ = WATCHED.remove(pid);
        let _ = RUNTIMES.remove(pid);
        emit::process(kind::EXIT, pid, tid, 0);
    }
    0
}

#[inline(always)]
fn watch(pid: u32, mode: WatchMode) {
    if WATCHED.insert(pid, mode.0, 0).is_err() {
        emit::count_bound(Counter::ProcessesFull);
    }
}
