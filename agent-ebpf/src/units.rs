//! Which execution unit acts, and which units it came from.
//!
//! A unit's chain is kept by value: what it came from may be gone, and its address in use again, while it still acts.
//! So an event carries everything about its unit, and there is no event for the making of one.

use agent_common::{
    Runtime, UnitChain, UnitKey, UnitRef,
    unit::{CHAIN_UNITS, runtime_kind, thread_data, unit_kind},
};

use crate::{
    emit::{current, now},
    kernel::{self, field, user},
    maps::{BUFFERS, RUNTIMES, SENDERS, UNITS, WORKERS},
    offsets,
    transfer::Transfer,
};

/// Bits of a thread's id that are its number; the rest is its start time.
const TID_BITS: u32 = 22;
const NANOS_PER_MILLI: u64 = 1_000_000;
/// Buffers of one call that are looked for among those that uvloop queued: a response's head and the parts of its body.
const QUEUED_SEGMENTS: u32 = 8;
/// Marks the first unit of a kept chain as one that read a request from a connection that was accepted.
pub const SERVES: u64 = 1;

/// A thread that takes jobs out of a queue.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Worker {
    /// The Python context that it was in when it took the last job: its own, not the job's.
    pub base: u64,
    /// The job.
    pub chain: UnitChain,
}

/// Where the present unit is kept; `None` if nobody knows it, or it cannot be kept.
#[inline(always)]
pub fn present(pid: u32, tid: u32) -> Option<*mut UnitChain> {
    present_of(runtime(pid), pid, tid)
}

/// The same, where the runtime is known.
#[inline(always)]
pub fn present_of(runtime: Option<&Runtime>, pid: u32, tid: u32) -> Option<*mut UnitChain> {
    let Some(runtime) = runtime else {
        return thread(pid, tid);
    };
    match runtime.kind {
        runtime_kind::GO => goroutine_id(runtime)
            .and_then(|id| goroutine(pid, id))
            .or_else(|| thread(pid, tid)),
        runtime_kind::PYTHON => python(runtime, pid, tid),
        _ => thread(pid, tid),
    }
}

/// What is known of the runtime of a process.
#[inline(always)]
pub fn runtime(pid: u32) -> Option<&'static Runtime> {
    // SAFETY: a value of the map; the user side writes it before the first event of the process.
    RUNTIMES.get_ptr(pid).map(|runtime| unsafe { &*runtime })
}

/// Whether tasks of a runtime may leave bytes with its event loop.
#[inline(always)]
pub fn queues(runtime: &Runtime) -> bool {
    runtime.bytes_type != 0
}

/// Whom bytes are sent for, if that is not who sends them: a goroutine that writes requests for others, or an event loop
/// that writes what tasks left with it. `serves`: on a connection that the process accepted.
#[inline(always)]
pub fn sender(
    runtime: Option<&Runtime>,
    pid: u32,
    tid: u32,
    transfer: &Transfer,
    serves: bool,
) -> Option<*const UnitChain> {
    let runtime = runtime?;
    if runtime.kind == runtime_kind::GO {
        if serves {
            return None;
        }
        let sender = SENDERS.get_ptr(&transfer.socket.sk)?;
        // SAFETY: a value of the map.
        let inode = unsafe { (*sender).inode };
        // SAFETY: as above.
        return (transfer.socket.inode()? == inode).then(|| unsafe { core::ptr::addr_of!((*sender).chain) });
    }
    if !queues(runtime) {
        return None;
    }
    BUFFERS.get_ptr(&buffer_key(pid, tid, transfer.buffers.segment(0)?))
}

/// The buffers of a call were written: whatever stands at their addresses next is something else.
#[inline(always)]
pub fn written(pid: u32, tid: u32, transfer: &Transfer) {
    for index in 0..QUEUED_SEGMENTS {
        let Some(address) = transfer.buffers.segment(index) else {
            return;
        };
        let _ = BUFFERS.remove(&buffer_key(pid, tid, address));
    }
}

/// Where a buffer is kept that an event loop will write. Only its own thread writes it; other threads may use the
/// address for something else when it is free again.
#[inline(always)]
pub fn buffer_key(pid: u32, tid: u32, address: u64) -> UnitKey {
    UnitKey {
        pid,
        kind: tid,
        address,
    }
}

/// The chain of a unit that `parent`, which the present thread is in, starts now.
#[inline(always)]
pub fn started_by(parent: *const UnitChain, id: u64, now: u64) -> UnitChain {
    // SAFETY: a value of the map.
    let parent = unsafe { &*parent };
    let mut chain = UnitChain::default();
    chain.units[0] = UnitRef { id, until: 0 };
    let serves = parent.units[0].until == SERVES;
    let full = parent.units[CHAIN_UNITS - 1].id != 0;
    if full && !serves {
        // Who is furthest up is more likely to serve a request than who is in between.
        for index in 1..CHAIN_UNITS {
            chain.units[index] = parent.units[index];
        }
        return chain;
    }
    chain.units[1] = UnitRef {
        id: parent.units[0].id,
        until: now,
    };
    if !serves {
        for index in 1..CHAIN_UNITS - 1 {
            chain.units[index + 1] = parent.units[index];
        }
        add_thread::<1>(&mut chain, now);
    }
    chain
}

/// A context that nobody copied is of the thread that is in it, as those are that Python 3.14 makes for new threads
/// (Lib/threading.py, `Thread.start`). So a chain that ends with one, at `LAST`, goes on with whatever the present thread
/// came from.
#[inline(always)]
pub fn add_thread<const LAST: usize>(chain: &mut UnitChain, until: u64) {
    let ends = chain.units[LAST].id >> unit_kind::SHIFT == unit_kind::CONTEXT && chain.units[LAST + 1].id == 0;
    if !ends {
        return;
    }
    let (pid, tid) = current();
    if let Some(thread) = thread(pid, tid) {
        for index in LAST + 1..CHAIN_UNITS {
            // SAFETY: a value of the map.
            chain.units[index] = unsafe { (*thread).units[index - LAST - 1] };
        }
        chain.units[LAST + 1].until = until;
    }
}

/// Keeps the chain of a unit that begins now.
#[inline(always)]
pub fn keep(key: &UnitKey, chain: &UnitChain) {
    // Addresses are used again all the time, and a new entry costs more than the old one written over. Nobody reads it
    // meanwhile: what was at the address is gone, and what is there now does not act yet.
    if let Some(known) = UNITS.get_ptr_mut(key) {
        // SAFETY: a value of the map.
        unsafe { *known = *chain };
        return;
    }
    // An LRU map makes room for itself.
    let _ = UNITS.insert(key, chain, 0);
}

/// The id of a unit that is told by the moment at which it was first seen.
#[inline(always)]
pub fn id(kind: u64, now: u64) -> u64 {
    (kind << unit_kind::SHIFT) | (now & ((1 << unit_kind::SHIFT) - 1))
}

/// The present thread's unit.
#[inline(always)]
pub fn thread(pid: u32, tid: u32) -> Option<*mut UnitChain> {
    let id = thread_id(kernel::current_task(), tid)?;
    let key = UnitKey {
        pid,
        kind: unit_kind::THREAD as u32,
        address: u64::from(tid),
    };
    if let Some(known) = UNITS.get_ptr_mut(&key) {
        // SAFETY: a value of the map.
        if unsafe { (*known).units[0].id } == id {
            return Some(known);
        }
    }
    first_seen(&key, id)
}

/// The id of a thread.
#[inline(always)]
pub fn thread_id(task: u64, tid: u32) -> Option<u64> {
    let started: u64 = field(task, &offsets::TASK_START_TIME)?;
    let low = ((started / NANOS_PER_MILLI) << TID_BITS) | u64::from(tid);
    Some(id(unit_kind::THREAD, low))
}

/// The goroutine that runs on the present thread, or for which the thread runs something else.
#[inline(always)]
pub fn goroutine_id(runtime: &Runtime) -> Option<u64> {
    let is_in_register = cfg!(bpf_target_arch = "aarch64") && runtime.thread_data == thread_data::REGISTER;
    let g: u64 = if is_in_register {
        kernel::register_of_g()?
    } else {
        user(thread_pointer()?.wrapping_add_signed(runtime.tls_offset))?
    };
    goroutine_of(runtime, g)
}

/// The id of the goroutine of a `g`; for a system goroutine that of the one that its thread runs.
#[inline(always)]
pub fn goroutine_of(runtime: &Runtime, g: u64) -> Option<u64> {
    let own: u64 = user(g + u64::from(runtime.second))?;
    if own != 0 {
        return Some(own);
    }
    let m: u64 = user(g + u64::from(runtime.first))?;
    let g: u64 = user(m + u64::from(runtime.third))?;
    if g == 0 {
        return None;
    }
    user::<u64>(g + u64::from(runtime.second)).filter(|&id| id != 0)
}

/// The chain of a goroutine.
#[inline(always)]
pub fn goroutine(pid: u32, goid: u64) -> Option<*mut UnitChain> {
    let key = goroutine_key(pid, goid);
    UNITS
        .get_ptr_mut(&key)
        .or_else(|| first_seen(&key, id(unit_kind::GOROUTINE, goid)))
}

/// Where a goroutine is kept.
#[inline(always)]
pub fn goroutine_key(pid: u32, goid: u64) -> UnitKey {
    UnitKey {
        pid,
        kind: unit_kind::GOROUTINE as u32,
        address: goid,
    }
}

/// Address of the present Python context; 0 for none.
#[inline(always)]
pub fn context_address(runtime: &Runtime) -> Option<u64> {
    user(thread_state(runtime)? + u64::from(runtime.first))
}

/// asyncio and uvloop enter a context for each task and callback. A context that is not entered is the thread's own, and
/// so is the one in which a worker thread fetches its jobs.
#[inline(always)]
fn python(runtime: &Runtime, pid: u32, tid: u32) -> Option<*mut UnitChain> {
    let worker = WORKERS.get_ptr_mut(&worker_key(pid, tid));
    if let Some(context) = entered_context(runtime) {
        // SAFETY: a value of the map.
        let base = worker.map_or(0, |worker| unsafe { (*worker).base });
        if context != base {
            return of_context(runtime, pid, context);
        }
    }
    greenlet(runtime, pid)
        // SAFETY: a value of the map.
        .or_else(|| worker.map(|worker| unsafe { core::ptr::addr_of_mut!((*worker).chain) }))
        .or_else(|| thread(pid, tid))
}

/// Address of the context that the present thread has entered.
#[inline(always)]
fn entered_context(runtime: &Runtime) -> Option<u64> {
    let context = context_address(runtime)?;
    (context != 0 && user::<i32>(context + u64::from(runtime.second))? != 0).then_some(context)
}

#[inline(always)]
fn of_context(runtime: &Runtime, pid: u32, address: u64) -> Option<*mut UnitChain> {
    // Nobody knows how many contexts have been at this address.
    if runtime.contexts_since == u64::MAX {
        return None;
    }
    let key = UnitKey {
        pid,
        kind: unit_kind::CONTEXT as u32,
        address,
    };
    UNITS
        .get_ptr_mut(&key)
        // SAFETY: a value of the map.
        .filter(|&known| unsafe { (*known).units[0].id } >= id(unit_kind::CONTEXT, runtime.contexts_since))
        .or_else(|| first_seen(&key, id(unit_kind::CONTEXT, now()) | unit_kind::FOUND))
}

/// Where a worker thread is kept.
#[inline(always)]
pub fn worker_key(pid: u32, tid: u32) -> u64 {
    (u64::from(pid) << 32) | u64::from(tid)
}

/// The greenlet that runs, if its making was seen: a thread's main greenlet never is made.
#[inline(always)]
fn greenlet(runtime: &Runtime, pid: u32) -> Option<*mut UnitChain> {
    UNITS.get_ptr_mut(&greenlet_key(pid, greenlet_address(runtime)?))
}

/// Where a greenlet is kept.
#[inline(always)]
pub fn greenlet_key(pid: u32, address: u64) -> UnitKey {
    UnitKey {
        pid,
        kind: unit_kind::GREENLET as u32,
        address,
    }
}

/// greenlet keeps its state in a thread-local variable of its library; `dtv[module]` is where that library's variables
/// are (glibc 2.36, sysdeps/x86_64/nptl/tls.h: `tcbhead_t.dtv` at 8, entries of 16 bytes).
#[inline(always)]
fn greenlet_address(runtime: &Runtime) -> Option<u64> {
    if runtime.greenlet_current == 0 {
        return None;
    }
    let module: u64 = user(runtime.greenlet_module)?;
    let vector: u64 = user(thread_pointer()? + 8)?;
    let variables: u64 = user(vector + 16 * module)?;
    // The library's variables are allocated when the thread first uses them.
    if variables == u64::MAX {
        return None;
    }
    let state: u64 = user(variables + runtime.greenlet_state)?;
    if state < 4096 {
        return None;
    }
    user(state + u64::from(runtime.greenlet_current))
}

/// `PyThreadState` of the present thread: the value of `autoTSSkey`, see [`thread_data`].
#[inline(always)]
fn thread_state(runtime: &Runtime) -> Option<u64> {
    if runtime.thread_data == thread_data::SLOT {
        let state: u64 = user(thread_pointer()?.wrapping_add_signed(runtime.tls_offset))?;
        return (state != 0).then_some(state);
    }
    let [initialised, key]: [u32; 2] = user(runtime.key_address)?;
    if initialised == 0 {
        return None;
    }
    let table = thread_pointer()?.wrapping_add_signed(runtime.tls_offset);
    let key = u64::from(key);
    let state: u64 = if runtime.thread_data == thread_data::MUSL {
        let values: u64 = user(table)?;
        user(values + 8 * key)?
    } else {
        let block: u64 = user(table + 8 * (key / 32))?;
        user(block + 16 * (key % 32) + 8)?
    };
    (state != 0).then_some(state)
}

/// The thread pointer of the present thread.
#[inline(always)]
fn thread_pointer() -> Option<u64> {
    if kernel::is_io_worker() {
        return None;
    }
    field(kernel::current_task(), &offsets::TASK_THREAD_POINTER)
}

#[inline(always)]
fn first_seen(key: &UnitKey, id: u64) -> Option<*mut UnitChain> {
    let mut chain = UnitChain::default();
    chain.units[0].id = id;
    keep(key, &chain);
    UNITS.get_ptr_mut(key)
}
