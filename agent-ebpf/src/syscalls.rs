//! The tracepoint tier: what goes into and comes out of the system calls that move bytes on sockets.
//!
//! `syscalls:sys_enter_X` records begin with 8 bytes of common fields and the call's number; arguments follow from
//! byte 16, 8 bytes each. `sys_exit_X` has the result at byte 16 (`kernel/trace/trace.h:syscall_trace_enter`).

use agent_common::{Call, Counter, map::shape};
use aya_ebpf::{EbpfContext as _, macros::tracepoint, programs::TracePointContext};

use crate::{
    copy::Buffers,
    emit::{self, current, now},
    kernel::{self, Socket},
    maps::CALLS,
    processes, sockets,
    transfer::{self, RECEIVED, SENT, Transfer},
    work::{self, Work},
};

/// `MSG_OOB`, `MSG_PEEK`, `MSG_TRUNC`, `MSG_ERRQUEUE`: `include/linux/socket.h`.
const MSG_OOB: u32 = 1;
const MSG_PEEK: u32 = 2;
const MSG_TRUNC: u32 = 0x20;
const MSG_ERRQUEUE: u32 = 0x2000;

/// Messages of one sendmmsg or recvmmsg that are looked at.
const MESSAGES_MAX: u32 = 8;
/// `sizeof(struct mmsghdr)` on 64 bits, and where `msg_len` is in it: `include/linux/socket.h`.
const MMSGHDR_BYTES: u64 = 64;
const MMSGHDR_LEN: u64 = 56;

/// `struct user_msghdr`, as far as it matters: `include/linux/socket.h`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Message {
    name: u64,
    name_len: u64,
    vector: u64,
    segments: u64,
}

macro_rules! enter {
    ($($name:ident: $direction:expr, $shape:expr, fd $fd:literal, address $address:literal, length $length:literal, flags $flags:expr;)*) => { $(
        #[tracepoint]
        pub fn $name(ctx: TracePointContext) -> u32 {
            begin(&ctx, $fd, $direction, $shape, $address, $length, $flags)
        }
    )* };
}

enter! {
    enter_read: RECEIVED, shape::BUFFER, fd 0, address 1, length 2, flags None;
    enter_recvfrom: RECEIVED, shape::BUFFER, fd 0, address 1, length 2, flags Some(3);
    enter_readv: RECEIVED, shape::VECTOR, fd 0, address 1, length 2, flags None;
    enter_recvmsg: RECEIVED, shape::MESSAGE, fd 0, address 1, length 2, flags Some(2);
    enter_recvmmsg: RECEIVED, shape::MESSAGES, fd 0, address 1, length 2, flags Some(3);
    enter_write: SENT, shape::BUFFER, fd 0, address 1, length 2, flags None;
    enter_sendto: SENT, shape::BUFFER, fd 0, address 1, length 2, flags Some(3);
    enter_writev: SENT, shape::VECTOR, fd 0, address 1, length 2, flags None;
    enter_sendmsg: SENT, shape::MESSAGE, fd 0, address 1, length 2, flags Some(2);
    enter_sendmmsg: SENT, shape::MESSAGES, fd 0, address 1, length 2, flags Some(3);
    enter_sendfile64: SENT, shape::COUNT, fd 0, address 1, length 3, flags None;
}

/// `splice(fd_in, off_in, fd_out, off_out, len, flags)`: either end may be the socket.
#[tracepoint]
pub fn enter_splice(ctx: TracePointContext) -> u32 {
    begin(&ctx, 2, SENT, shape::COUNT, 0, 4, None);
    begin(&ctx, 0, RECEIVED, shape::COUNT, 0, 4, None)
}

#[tracepoint]
pub fn enter_close(ctx: TracePointContext) -> u32 {
    if processes::is_watched(current().0) {
        sockets::descriptor_closed(argument(&ctx, 0) as u32);
    }
    0
}

/// The result of any of them but those of many messages.
#[tracepoint]
pub fn exit(ctx: TracePointContext) -> u32 {
    if let Some(call) = take_call() {
        let _ = finish(&call, result(&ctx));
    }
    0
}

/// The result of a read that a thread was waiting in already when one of the other tiers began: those see only what begins after
/// them.
#[tracepoint]
pub fn exit_waiting(ctx: TracePointContext) -> u32 {
    let _ = waiting_ends(result(&ctx));
    0
}

#[inline(always)]
fn waiting_ends(result: i64) -> Option<()> {
    let (pid, tid) = current();
    let key = processes::thread_key(pid, tid);
    // SAFETY: a value of the map; only this thread's own calls write it.
    let call = unsafe { *CALLS.get_ptr(key)? };
    if call.file != 0 {
        return None;
    }
    let _ = CALLS.remove(key);
    finish(&of_waiting(call)?, result)
}

/// The result of sendmmsg and recvmmsg; apart, so that the usual program stays small.
#[tracepoint]
pub fn exit_messages(ctx: TracePointContext) -> u32 {
    if let Some(call) = take_call() {
        let _ = finish_messages(&call, result(&ctx));
    }
    0
}

#[inline(always)]
fn take_call() -> Option<Call> {
    let (pid, tid) = current();
    let key = processes::thread_key(pid, tid);
    // SAFETY: a value of the map; only this thread's own calls write it.
    let call = unsafe { *CALLS.get_ptr(key)? };
    let _ = CALLS.remove(key);
    if call.file != 0 {
        return Some(call);
    }
    of_waiting(call)
}

/// A call that had begun before it could be seen.
#[inline(always)]
fn of_waiting(call: Call) -> Option<Call> {
    // The user side found the thread waiting in this call, and knows the descriptor only.
    let Socket { sk, file } = kernel::socket(call.sk as u32)?;
    Some(Call { sk, file, ..call })
}

#[inline(always)]
fn result(ctx: &TracePointContext) -> i64 {
    // SAFETY: the record of this tracepoint has 24 bytes; the verifier and the attachment check it.
    unsafe { ctx.as_ptr().cast::<i64>().add(2).read_volatile() }
}

#[inline(always)]
fn argument(ctx: &TracePointContext, index: usize) -> u64 {
    // SAFETY: the record has the call's arguments from byte 16; the verifier and the attachment check that there are
    // so many.
    unsafe { ctx.as_ptr().cast::<u64>().add(2 + index).read_volatile() }
}

#[inline(always)]
fn begin(
    ctx: &TracePointContext,
    fd: usize,
    direction: usize,
    shape: u32,
    address: usize,
    length: usize,
    flags: Option<usize>,
) -> u32 {
    let (pid, tid) = current();
    if !processes::is_watched(pid) {
        return 0;
    }
    let Some(socket) = kernel::socket(argument(ctx, fd) as u32) else {
        return 0;
    };
    let flags = flags.map_or(0, |index| argument(ctx, index) as u32);
    if direction == RECEIVED && flags & (MSG_PEEK | MSG_ERRQUEUE) != 0 || flags & MSG_OOB != 0 {
        return 0;
    }
    let shape = if direction == RECEIVED && flags & MSG_TRUNC != 0 {
        shape::COUNT
    } else {
        shape
    };
    let call = Call {
        sk: socket.sk,
        file: socket.file,
        began: now(),
        address: argument(ctx, address),
        length: argument(ctx, length),
        skip: 0,
        frame: 0,
        shape,
        direction: direction as u32,
    };
    if CALLS.insert(processes::thread_key(pid, tid), call, 0).is_err() {
        emit::count_bound(Counter::CallsFull);
    }
    0
}

/// Puts a call's result into the work area.
#[inline(always)]
fn transfer_of(call: &Call, result: i64, slot: u64) -> Option<&'static mut Work> {
    let work = work::area(slot)?;
    work.transfer = Transfer {
        socket: Socket {
            sk: call.sk,
            file: call.file,
        },
        direction: u64::from(call.direction),
        buffers: Buffers {
            address: call.address,
            segments: 0,
            skip: 0,
            of_kernel: 0,
        },
        has_buffers: 1,
        result,
        room: call.length,
        began: call.began,
        ended: now(),
    };
    Some(work)
}

#[inline(always)]
fn finish(call: &Call, result: i64) -> Option<()> {
    let work = transfer_of(call, result, work::EXIT)?;
    match call.shape {
        shape::BUFFER => {}
        shape::VECTOR => work.transfer.buffers.segments = call.length.max(1),
        shape::MESSAGE => message(work, call.address),
        _ => work.transfer.has_buffers = 0,
    }
    transfer::handle_transfer(work::EXIT);
    Some(())
}

/// Finds the buffers of a message.
#[inline(always)]
fn message(work: &mut Work, address: u64) {
    work.transfer.room = 1;
    match kernel::user::<Message>(address) {
        Some(message) => {
            work.transfer.buffers = Buffers {
                address: message.vector,
                segments: message.segments.max(1),
                skip: 0,
                of_kernel: 0,
            };
        }
        None => work.transfer.has_buffers = 0,
    }
}

/// sendmmsg and recvmmsg return the number of messages; each message says how many bytes it moved.
#[inline(always)]
fn finish_messages(call: &Call, result: i64) -> Option<()> {
    let count = result.max(0) as u64;
    for index in 0..MESSAGES_MAX {
        if u64::from(index) >= count {
            break;
        }
        let header = call.address + u64::from(index) * MMSGHDR_BYTES;
        let moved = kernel::user::<u32>(header + MMSGHDR_LEN).unwrap_or(0);
        let work = transfer_of(call, i64::from(moved), work::EXIT_MESSAGES)?;
        message(work, header);
        transfer::handle_transfer(work::EXIT_MESSAGES);
    }
    if count > u64::from(MESSAGES_MAX) {
        emit::count(Counter::MessagesBeyond, count - u64::from(MESSAGES_MAX));
    }
    Some(())
}
