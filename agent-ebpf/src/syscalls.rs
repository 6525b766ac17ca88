//! The tracepoint tier: what goes into and comes out of the system calls that move bytes on sockets.
//!
//! `syscalls:sys_enter_X` records begin with 8 bytes of common fields and the call's number; arguments follow from
//! byte 16, 8 bytes each. `sys_exit_X` has the result at byte 16 (`kernel/trace/trace.h:syscall_trace_enter`).

use agent_common::{Call, Counter, map::shape};
use aya_ebpf::{EbpfContext as _, macros::tracepoint, programs::TracePointContext};

use crate::{
    calls, connections,
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

/// A program in copies.
macro_rules! copies {
    ($name:ident $second:ident $third:ident: |$ctx:ident, $copy:ident| $body:expr) => {
        copies! { @ $name 0 $ctx $copy $body }
        copies! { @ $second 1 $ctx $copy $body }
        copies! { @ $third 2 $ctx $copy $body }
    };
    (@ $name:ident $number:literal $ctx:ident $copy:ident $body:expr) => {
        #[tracepoint]
        pub fn $name($ctx: TracePointContext) -> u32 {
            let $copy: u32 = $number;
            $body
        }
    };
}

macro_rules! enter {
    ($($name:ident $second:ident $third:ident:
        $direction:expr, $shape:expr, fd $fd:literal, address $address:literal, length $length:literal, flags $flags:expr;)*) => { $(
        copies! { $name $second $third: |ctx, copy| begin(&ctx, copy, $fd, $direction, $shape, $address, $length, $flags) }
    )* };
}

enter! {
    enter_read enter_read_b enter_read_c: RECEIVED, shape::BUFFER, fd 0, address 1, length 2, flags None;
    enter_recvfrom enter_recvfrom_b enter_recvfrom_c: RECEIVED, shape::BUFFER, fd 0, address 1, length 2, flags Some(3);
    enter_readv enter_readv_b enter_readv_c: RECEIVED, shape::VECTOR, fd 0, address 1, length 2, flags None;
    enter_recvmsg enter_recvmsg_b enter_recvmsg_c: RECEIVED, shape::MESSAGE, fd 0, address 1, length 2, flags Some(2);
    enter_recvmmsg enter_recvmmsg_b enter_recvmmsg_c: RECEIVED, shape::MESSAGES, fd 0, address 1, length 2, flags Some(3);
    enter_write enter_write_b enter_write_c: SENT, shape::BUFFER, fd 0, address 1, length 2, flags None;
    enter_sendto enter_sendto_b enter_sendto_c: SENT, shape::BUFFER, fd 0, address 1, length 2, flags Some(3);
    enter_writev enter_writev_b enter_writev_c: SENT, shape::VECTOR, fd 0, address 1, length 2, flags None;
    enter_sendmsg enter_sendmsg_b enter_sendmsg_c: SENT, shape::MESSAGE, fd 0, address 1, length 2, flags Some(2);
    enter_sendmmsg enter_sendmmsg_b enter_sendmmsg_c: SENT, shape::MESSAGES, fd 0, address 1, length 2, flags Some(3);
    enter_sendfile64 enter_sendfile64_b enter_sendfile64_c: SENT, shape::COUNT, fd 0, address 1, length 3, flags None;
}

// `splice(fd_in, off_in, fd_out, off_out, len, flags)`: either end may be the socket.
copies! { enter_splice enter_splice_b enter_splice_c: |ctx, copy| {
    if let Some(key) = beginning(copy) {
        begin_on(&ctx, key, copy, 2, SENT, shape::COUNT, 0, 4, None);
        begin_on(&ctx, key, copy, 0, RECEIVED, shape::COUNT, 0, 4, None);
    }
    0
} }

copies! { enter_close enter_close_b enter_close_c: |ctx, _copy| {
    if processes::is_watched(current().0) {
        sockets::descriptor_closed(argument(&ctx, 0) as u32);
    }
    0
} }

// The result of any of them but those of many messages.
copies! { exit exit_b exit_c: |ctx, copy| {
    if let Some(call) = take_call() {
        let _ = finish(&call, copy, result(&ctx));
    }
    0
} }

// The result of a read that a thread was waiting in already when one of the other tiers began: those see only what begins after
// them.
copies! { exit_waiting exit_waiting_b exit_waiting_c: |ctx, copy| {
    let _ = waiting_ends(copy, result(&ctx));
    0
} }

#[inline(always)]
fn waiting_ends(copy: u32, result: i64) -> Option<()> {
    let (pid, tid) = current();
    let key = processes::thread_key(pid, tid);
    // SAFETY: a value of the map; only this thread's own calls write it.
    let call = unsafe { *CALLS.get_ptr(key)? };
    if call.file != 0 {
        return None;
    }
    let _ = CALLS.remove(key);
    finish(&of_waiting(call)?, copy, result)
}

// The result of sendmmsg and recvmmsg; apart, so that the usual program stays small.
copies! { exit_messages exit_messages_b exit_messages_c: |ctx, copy| {
    if let Some(call) = take_call() {
        let _ = finish_messages(&call, copy, result(&ctx));
    }
    0
} }

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
    copy: u32,
    fd: usize,
    direction: usize,
    shape: u32,
    address: usize,
    length: usize,
    flags: Option<usize>,
) -> u32 {
    if let Some(key) = beginning(copy) {
        begin_on(ctx, key, copy, fd, direction, shape, address, length, flags);
    }
    0
}

/// The thread, if it is a watched one, and no other copy has seen its call begin.
#[inline(always)]
fn beginning(copy: u32) -> Option<u64> {
    let (pid, tid) = current();
    if !processes::is_watched(pid) {
        return None;
    }
    let key = processes::thread_key(pid, tid);
    let seen = calls::are_seen_by_several() && begun(key, copy);
    (!seen).then_some(key)
}

/// The call begins on a descriptor, which may be a socket.
#[inline(always)]
fn begin_on(
    ctx: &TracePointContext,
    key: u64,
    copy: u32,
    fd: usize,
    direction: usize,
    shape: u32,
    address: usize,
    length: usize,
    flags: Option<usize>,
) {
    let Some(socket) = kernel::socket(argument(ctx, fd) as u32) else {
        return;
    };
    let flags = flags.map_or(0, |index| argument(ctx, index) as u32);
    if direction == RECEIVED && flags & (MSG_PEEK | MSG_ERRQUEUE) != 0 || flags & MSG_OOB != 0 {
        return;
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
        ended: 0,
        copies: calls::bit(copy),
        shape,
        direction: direction as u32,
    };
    if CALLS.insert(key, call, 0).is_err() {
        emit::count_bound(Counter::CallsFull);
    }
}

/// Whether another copy has seen this call begin. What a call has left whose end nobody saw goes.
#[inline(always)]
fn begun(key: u64, copy: u32) -> bool {
    let Some(known) = CALLS.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: a value of the map; only this thread's own calls write it.
    let call = unsafe { &mut *known };
    if call.file != 0 && calls::begun_for_another(call, copy) {
        return true;
    }
    let (file, sk) = (call.file, call.sk);
    let _ = CALLS.remove(key);
    if file != 0 {
        connections::lose_track(sk);
    }
    false
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
fn finish(call: &Call, copy: u32, result: i64) -> Option<()> {
    let slot = work::slot(work::EXIT, copy);
    let work = transfer_of(call, result, slot)?;
    match call.shape {
        shape::BUFFER => {}
        shape::VECTOR => work.transfer.buffers.segments = call.length.max(1),
        shape::MESSAGE => message(work, call.address),
        _ => work.transfer.has_buffers = 0,
    }
    transfer::handle_transfer(slot);
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
fn finish_messages(call: &Call, copy: u32, result: i64) -> Option<()> {
    let slot = work::slot(work::EXIT_MESSAGES, copy);
    let count = result.max(0) as u64;
    for index in 0..MESSAGES_MAX {
        if u64::from(index) >= count {
            break;
        }
        let header = call.address + u64::from(index) * MMSGHDR_BYTES;
        let moved = kernel::user::<u32>(header + MMSGHDR_LEN).unwrap_or(0);
        let work = transfer_of(call, i64::from(moved), slot)?;
        message(work, header);
        transfer::handle_transfer(slot);
    }
    if count > u64::from(MESSAGES_MAX) {
        emit::count(Counter::MessagesBeyond, count - u64::from(MESSAGES_MAX));
    }
    Some(())
}
