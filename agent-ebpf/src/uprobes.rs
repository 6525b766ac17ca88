//! Where units start others, and where one does an I/O for another: probes in interpreters, libraries and Go programs.
//!
//! These programs may be preempted (`kernel/trace/trace_uprobe.c:__uprobe_perf_func` does not forbid it), so they use
//! no per-CPU area.

use agent_common::{
    Runtime, UnitKey,
    unit::{register, runtime_kind, unit_kind},
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::bpf_get_attach_cookie,
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use crate::{
    emit::{current, now},
    kernel::{self, user},
    maps::{BUFFERS, RUNTIMES, SENDERS, UNITS, WORKERS},
    registers,
    units::{self, Worker},
};

/// Offsets in objects of `CPython`, since 3.9: `ob_type` of any object; the data of `bytes` (Include/cpython/bytesobject.h),
/// `bytearray` (`ob_start`, Include/cpython/bytearrayobject.h) and `memoryview` (`view.buf`, Include/cpython/memoryobject.h).
const OBJECT_TYPE: u64 = 8;
const BYTES_DATA: u64 = 32;
const BYTEARRAY_START: u64 = 40;
const MEMORYVIEW_BUFFER: u64 = 56;
/// Descriptors that a process can have by default at most (`fs/file.c:sysctl_nr_open`).
const DESCRIPTORS_MOST: u32 = 1 << 20;
/// The data word of a Go interface.
const INTERFACE_DATA: u64 = 8;

/// Who sends on a connection that several goroutines share.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sender {
    /// The socket's inode number: tells it from a later one at the same address.
    pub inode: u64,
    /// Whom the bytes are sent for.
    pub chain: agent_common::UnitChain,
}

/// A probe and its form at a function's return.
macro_rules! probes {
    ($($at:ident, $after:ident => $handler:ident;)*) => { $(
        #[uprobe]
        pub fn $at(ctx: ProbeContext) -> u32 {
            let _ = $handler(value(&ctx));
            0
        }

        #[uretprobe]
        pub fn $after(ctx: RetProbeContext) -> u32 {
            let _ = $handler(result(&ctx));
            0
        }
    )* };
}

probes! {
    context_copied, context_copied_ret => copied;
    context_made, context_made_ret => made;
    job_taken, job_taken_ret => taken;
    greenlet_made, greenlet_made_ret => greenlet;
}

/// `SimpleQueue.put(self, args, nargs, kwnames)`.
#[uprobe]
pub fn job_put(ctx: ProbeContext) -> u32 {
    let _ = ctx.arg::<u64>(1).and_then(put);
    0
}

/// `UVStream.write(self, buf)`.
#[uprobe]
pub fn buffer_queued(ctx: ProbeContext) -> u32 {
    let _ = ctx.arg::<u64>(1).and_then(|argument| queued(&ctx, argument));
    0
}

/// At the call of `runqput` in `runtime.newproc.func1`.
#[uprobe]
pub fn goroutine_started(ctx: ProbeContext) -> u32 {
    let _ = registers::go_argument(&ctx, 1).and_then(started);
    0
}

/// In `net/http.(*persistConn).roundTrip`.
#[uprobe]
pub fn request_sent(ctx: ProbeContext) -> u32 {
    let _ = registers::go_argument(&ctx, 0).and_then(|connection| sent(&ctx, connection));
    0
}

/// A context is copied from the present one.
#[inline(always)]
fn copied(context: u64) -> Option<()> {
    let (pid, tid) = current();
    RUNTIMES.get_ptr(pid)?;
    let parent = units::present(pid, tid)?;
    let now = now();
    let chain = units::started_by(parent, made_context(now), now);
    keep_at(pid, unit_kind::CONTEXT, context, &chain)
}

/// An empty context is made: whatever was known of its address is of the past.
#[inline(always)]
fn made(context: u64) -> Option<()> {
    let (pid, _) = current();
    RUNTIMES.get_ptr(pid)?;
    let mut chain = agent_common::UnitChain::default();
    chain.units[0].id = made_context(now());
    keep_at(pid, unit_kind::CONTEXT, context, &chain)
}

#[inline(always)]
fn made_context(now: u64) -> u64 {
    units::id(unit_kind::CONTEXT, now) & !unit_kind::FOUND
}

#[inline(always)]
fn greenlet(address: u64) -> Option<()> {
    let (pid, tid) = current();
    RUNTIMES.get_ptr(pid)?;
    let parent = units::present(pid, tid)?;
    let now = now();
    let chain = units::started_by(parent, units::id(unit_kind::GREENLET, now), now);
    keep_at(pid, unit_kind::GREENLET, address, &chain)
}

#[inline(always)]
fn put(arguments: u64) -> Option<()> {
    let (pid, tid) = current();
    RUNTIMES.get_ptr(pid)?;
    let job: u64 = user(arguments)?;
    let parent = units::present(pid, tid)?;
    let now = now();
    let chain = units::started_by(parent, units::id(unit_kind::JOB, now), now);
    keep_at(pid, unit_kind::JOB, job, &chain)
}

/// The present thread works on this job from now on.
#[inline(always)]
fn taken(job: u64) -> Option<()> {
    let (pid, tid) = current();
    let runtime = python(pid)?;
    let key = UnitKey {
        pid,
        kind: unit_kind::JOB as u32,
        address: job,
    };
    let worker = units::worker_key(pid, tid);
    let Some(chain) = UNITS.get_ptr(&key) else {
        // Put by nobody knows whom: what the thread does now is not for whom it worked before.
        let _ = WORKERS.remove(&worker);
        return None;
    };
    let now_working = Worker {
        base: units::context_address(runtime).unwrap_or(0),
        // SAFETY: a value of the map.
        chain: unsafe { *chain },
    };
    let _ = WORKERS.insert(&worker, &now_working, 0);
    let _ = UNITS.remove(&key);
    Some(())
}

/// uvloop will write this object's bytes, maybe later and from elsewhere.
#[inline(always)]
fn queued(ctx: &ProbeContext, argument: u64) -> Option<()> {
    let (pid, tid) = current();
    let runtime = python(pid)?;
    if runtime.bytes_type == 0 {
        return None;
    }
    let object = if cookie(ctx.as_ptr()) == 0 { argument } else { user(argument)? };
    let kind: u64 = user(object + OBJECT_TYPE)?;
    let bytes = if kind == runtime.bytes_type {
        object + BYTES_DATA
    } else if kind == runtime.memoryview_type {
        user(object + MEMORYVIEW_BUFFER)?
    } else if kind == runtime.bytearray_type {
        user(object + BYTEARRAY_START)?
    } else {
        return None;
    };
    let parent = units::present(pid, tid)?;
    let key = units::buffer_key(pid, tid, bytes);
    // SAFETY: a value of the map.
    let _ = BUFFERS.insert(&key, unsafe { &*parent }, 0);
    Some(())
}

/// `newproc` runs on the system goroutine of the thread whose goroutine starts another.
#[inline(always)]
fn started(g: u64) -> Option<()> {
    let (pid, _) = current();
    let runtime = go(pid)?;
    let new: u64 = user::<u64>(g + u64::from(runtime.second)).filter(|&id| id != 0)?;
    let parent = units::goroutine(pid, units::goroutine_id(runtime)?)?;
    let chain = units::started_by(parent, units::id(unit_kind::GOROUTINE, new), now());
    units::keep(&units::goroutine_key(pid, new), &chain);
    Some(())
}

/// The request is written by another goroutine, on the socket of `conn.(*net.TCPConn).fd.pfd.Sysfd`.
#[inline(always)]
fn sent(ctx: &ProbeContext, connection: u64) -> Option<()> {
    let (pid, _) = current();
    let runtime = go(pid)?;
    let cookie = cookie(ctx.as_ptr());
    let offset = |index: u32| (cookie >> (16 * index)) & 0xffff;
    let stream: u64 = user(connection + offset(0) + INTERFACE_DATA)?;
    let descriptor: u64 = user(stream + offset(1))?;
    let fd: i32 = user(descriptor + offset(2) + offset(3))?;
    // Of what is no TCP connection, such as one with TLS, this may be any number.
    let fd = u32::try_from(fd).ok().filter(|&fd| fd < DESCRIPTORS_MOST)?;
    let socket = kernel::socket(fd)?;
    let chain = units::goroutine(pid, units::goroutine_id(runtime)?)?;
    let sender = Sender {
        inode: socket.inode()?,
        // SAFETY: a value of the map.
        chain: unsafe { *chain },
    };
    let _ = SENDERS.insert(&socket.sk, &sender, 0);
    Some(())
}

#[inline(always)]
fn keep_at(pid: u32, kind: u64, address: u64, chain: &agent_common::UnitChain) -> Option<()> {
    if address == 0 {
        return None;
    }
    let key = UnitKey {
        pid,
        kind: kind as u32,
        address,
    };
    units::keep(&key, chain);
    Some(())
}

#[inline(always)]
fn python(pid: u32) -> Option<&'static Runtime> {
    runtime(pid, runtime_kind::PYTHON)
}

#[inline(always)]
fn go(pid: u32) -> Option<&'static Runtime> {
    runtime(pid, runtime_kind::GO)
}

#[inline(always)]
fn runtime(pid: u32, kind: u32) -> Option<&'static Runtime> {
    let runtime = units::runtime(pid)?;
    (runtime.kind == kind).then_some(runtime)
}

#[inline(always)]
fn cookie(ctx: *mut core::ffi::c_void) -> u64 {
    // SAFETY: the context of this very program.
    unsafe { bpf_get_attach_cookie(ctx) }
}

/// The result of the function that a uretprobe is at.
#[inline(always)]
fn result(ctx: &RetProbeContext) -> u64 {
    ctx.ret::<u64>()
}

/// The value in the register that the cookie names.
#[inline(always)]
fn value(ctx: &ProbeContext) -> u64 {
    registers::numbered(ctx, cookie(ctx.as_ptr()).wrapping_sub(register::FIRST))
}
