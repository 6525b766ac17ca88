//! What the tiers kprobe and fentry share: what goes into and comes out of the socket functions of the kernel.
//!
//! `inet_sendmsg`, `inet_recvmsg` and their like (`net/ipv4/af_inet.c`, `net/unix/af_unix.c`) are what every system call on a
//! socket comes to, and io_uring too, whatever a sockmap or kernel TLS has put below them.
//!
//! What a thread does is kept in `CALLS`, by thread, from its first call on: writing over the last call costs less than making
//! and removing an entry for each.

use agent_common::{Call, Counter, map::shape};

use crate::{
    calls, connections,
    copy::{Buffers, Segment},
    emit::{self, current, now},
    kernel::{self, Socket, field},
    maps::{CALLS, CONNECTIONS},
    offsets, processes, sockets,
    transfer::{self, RECEIVED, SENT, Transfer},
    work,
};

/// `MSG_OOB`, `MSG_PEEK`, `MSG_TRUNC`, `MSG_ERRQUEUE`: `include/linux/socket.h`.
const MSG_OOB: u32 = 1;
const MSG_PEEK: u32 = 2;
const MSG_TRUNC: u32 = 0x20;
const MSG_ERRQUEUE: u32 = 0x2000;

/// Which call of a thread begins or ends, and which copy of the program sees that.
#[derive(Clone, Copy)]
pub struct Place {
    frame: u64,
    copy: u32,
}

impl Place {
    #[inline(always)]
    pub fn new(frame: u64, copy: u32) -> Self {
        Self { frame, copy }
    }

    /// Of a program that does not lose the CPU and has no copies.
    #[inline(always)]
    pub fn only(frame: u64) -> Self {
        Self::new(frame, 0)
    }
}

/// The bytes of a call.
#[derive(Clone, Copy)]
struct Bytes {
    shape: u32,
    address: u64,
    length: u64,
    skip: u64,
}

impl Bytes {
    const IGNORED: Self = Self {
        shape: shape::IGNORED,
        address: 0,
        length: 0,
        skip: 0,
    };

    #[inline(always)]
    fn count(length: u64) -> Self {
        Self {
            shape: shape::COUNT,
            length,
            ..Self::IGNORED
        }
    }
}

/// `X_sendmsg(struct socket *, struct msghdr *, size_t)` begins.
#[inline(always)]
pub fn send_begins(socket: u64, message: u64, size: u64, place: Place) -> Option<()> {
    let socket = beginning(socket, place)?;
    let bytes = if field::<u32>(message, &offsets::MESSAGE_FLAGS)? & MSG_OOB != 0 {
        Bytes::IGNORED
    } else {
        bytes_of(message, size)?
    };
    begin(SENT, socket, bytes, place);
    Some(())
}

/// `X_recvmsg(struct socket *, struct msghdr *, size_t, int flags)` begins.
#[inline(always)]
pub fn receive_begins(socket: u64, message: u64, size: u64, flags: u32, place: Place) -> Option<()> {
    let socket = beginning(socket, place)?;
    let bytes = if flags & (MSG_OOB | MSG_PEEK | MSG_ERRQUEUE) != 0 {
        Bytes::IGNORED
    } else if flags & MSG_TRUNC != 0 {
        Bytes::count(size)
    } else {
        bytes_of(message, size)?
    };
    begin(RECEIVED, socket, bytes, place);
    Some(())
}

/// A function begins that moves bytes between a socket and a pipe or file.
#[inline(always)]
pub fn count_begins(direction: usize, socket: u64, size: u64, place: Place) -> Option<()> {
    let socket = beginning(socket, place)?;
    begin(direction, socket, Bytes::count(size), place);
    Some(())
}

/// One of them ends; `area` is a work area that is the program's own. False if its beginning was not seen.
#[inline(always)]
pub fn ends(area: u64, place: Place, result: i64) -> bool {
    let (pid, tid) = current();
    let Some(known) = CALLS.get_ptr_mut(processes::thread_key(pid, tid)) else {
        return false;
    };
    // SAFETY: a value of the map; only this thread's own calls write it.
    let call = unsafe { &mut *known };
    if call.frame != place.frame {
        return call.frame == 0 && calls::ended_for_another(call, place.frame, place.copy);
    }
    calls::end(call, place.copy);
    if call.shape == shape::IGNORED {
        return true;
    }
    let slot = work::slot(area, place.copy);
    let Some(work) = work::area(slot) else { return true };
    work.transfer = Transfer {
        socket: Socket {
            sk: call.sk,
            file: call.file,
        },
        direction: u64::from(call.direction),
        buffers: buffers(call),
        has_buffers: u64::from(call.shape != shape::COUNT),
        result,
        room: call.length,
        began: call.began,
        ended: now(),
    };
    transfer::handle_transfer(slot);
    true
}

/// A call on a socket ended whose beginning was not seen: if it was a watched thread's, bytes are missing.
#[inline(always)]
pub fn ended_unseen(socket: u64, result: i64) -> Option<()> {
    if result > 0 {
        let socket = of_watched(socket)?;
        connections::lose_track(socket.sk);
    }
    Some(())
}

/// Nobody holds a socket any more: `X_release(struct socket *)` begins.
#[inline(always)]
pub fn released(socket: u64) {
    if let Some(sk) = field::<u64>(socket, &offsets::SOCKET_SK)
        && CONNECTIONS.get_ptr(sk).is_some()
    {
        sockets::let_go(sk);
    }
}

/// The socket, if it is a byte stream and the current thread a watched one that does not act for the kernel.
#[inline(always)]
fn of_watched(socket: u64) -> Option<Socket> {
    if !processes::is_watched(current().0) {
        return None;
    }
    kernel::stream_of_user(socket)
}

/// The same, unless another copy of the program has seen the call begin.
#[inline(always)]
fn beginning(socket: u64, place: Place) -> Option<Socket> {
    let (pid, tid) = current();
    if !processes::is_watched(pid) {
        return None;
    }
    if calls::are_seen_by_several()
        && let Some(known) = CALLS.get_ptr_mut(processes::thread_key(pid, tid))
    {
        // SAFETY: a value of the map; only this thread's own calls write it.
        let call = unsafe { &mut *known };
        if call.frame == place.frame && calls::begun_for_another(call, place.copy) {
            return None;
        }
    }
    kernel::stream_of_user(socket)
}

/// What a message says of its bytes (`include/linux/uio.h:iov_iter`).
#[inline(always)]
fn bytes_of(message: u64, size: u64) -> Option<Bytes> {
    let iterator = message + u64::from(offsets::MESSAGE_ITERATOR.load());
    let kind = u32::from(field::<u8>(iterator, &offsets::ITERATOR_KIND)?) & offsets::KIND_MASK.load();
    let skip: u64 = field(iterator, &offsets::ITERATOR_SKIP)?;
    if kind == offsets::KIND_BUFFER.load() {
        let address: u64 = field(iterator, &offsets::ITERATOR_BUFFER)?;
        return Some(Bytes {
            shape: shape::BUFFER,
            address: address + skip,
            length: size,
            skip: 0,
        });
    }
    if kind == offsets::KIND_VECTOR.load() {
        return segments(iterator, skip, size);
    }
    // Of the kernel's own bytes the process knows nothing; what else there is are pages that it passes on.
    Some(if kind == offsets::KIND_KERNEL.load() {
        Bytes::IGNORED
    } else {
        Bytes::count(size)
    })
}

#[inline(always)]
fn segments(iterator: u64, skip: u64, size: u64) -> Option<Bytes> {
    let address: u64 = field(iterator, &offsets::ITERATOR_VECTOR)?;
    let segments: u64 = field(iterator, &offsets::ITERATOR_SEGMENTS)?;
    if segments > 1 {
        return Some(Bytes {
            shape: shape::KERNEL_VECTOR,
            address,
            length: segments,
            skip,
        });
    }
    let only: Segment = kernel::at(address)?;
    Some(Bytes {
        shape: shape::BUFFER,
        address: only.base + skip,
        length: size,
        skip: 0,
    })
}

#[inline(always)]
fn begin(direction: usize, socket: Socket, bytes: Bytes, place: Place) {
    let (pid, tid) = current();
    let call = Call {
        sk: socket.sk,
        file: socket.file,
        began: now(),
        address: bytes.address,
        length: bytes.length,
        skip: bytes.skip,
        frame: place.frame,
        ended: 0,
        copies: calls::bit(place.copy),
        shape: bytes.shape,
        direction: direction as u32,
    };
    let key = processes::thread_key(pid, tid);
    if let Some(known) = CALLS.get_ptr_mut(key) {
        // SAFETY: a value of the map; only this thread's own calls write it.
        let last = unsafe { core::mem::replace(&mut *known, call) };
        if last.frame != 0 {
            connections::lose_track(last.sk);
        }
    } else if CALLS.insert(key, call, 0).is_err() {
        emit::count_bound(Counter::CallsFull);
    }
}

#[inline(always)]
fn buffers(call: &Call) -> Buffers {
    let vector = call.shape == shape::KERNEL_VECTOR;
    Buffers {
        address: call.address,
        segments: if vector { call.length } else { 0 },
        skip: call.skip,
        of_kernel: u64::from(vector),
    }
}
