//! The table of connections: found by socket, opened at first sight.

use agent_common::{Counter, OpenEvent, UNIX_PATH_BYTES, close_how, kind, map::Connection, role};
use aya_ebpf::helpers::bpf_get_smp_processor_id;

use crate::{
    emit::{self, Urgency},
    kernel::{self, field},
    log,
    maps::{CONNECTIONS, NEXT_ID, OPENING},
    offsets, processes,
    transfer::{RECEIVED, SENT, Transfer},
    work,
};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
/// Offset of `sun_path` in `struct sockaddr_un`.
const SUN_PATH: u64 = 2;
/// No run yet.
const NO_DIRECTION: u32 = 2;

/// The entry of a socket; a new one if the socket was not seen before, or is another one at the same address.
#[inline(always)]
pub fn find_or_open(transfer: &Transfer, slot: u64) -> Option<*mut Connection> {
    let socket = &transfer.socket;
    if let Some(known) = CONNECTIONS.get_ptr_mut(socket.sk) {
        // A TCP socket's end removes its entry; the end of others may have been missed.
        // SAFETY: a value of the map.
        let (inode, tcp) = unsafe { ((*known).inode, (*known).tcp != 0) };
        if tcp || socket.inode() == Some(inode) {
            return Some(known);
        }
    }
    if transfer.result <= 0 {
        return None;
    }
    open_connection(slot);
    CONNECTIONS.get_ptr_mut(socket.sk)
}

/// Opens an entry for the socket of the call in the work area. Verified on its own.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn open_connection(slot: u64) -> u64 {
    let (Some(work), Some(event)) = (work::area(slot), OPENING.get_ptr_mut(slot as u32)) else {
        return 0;
    };
    // SAFETY: this CPU's and this program's own.
    let event = unsafe { &mut *event };
    let transfer = &work.transfer;
    event.header = emit::header(kind::OPEN, 0);
    event.time = transfer.began;
    event.socket = transfer.socket.sk;
    event.relayed = u32::from(processes::is_relay(event.header.pid));
    let known = transfer.socket.is_stream() && describe(transfer.socket.sk, event).is_some();
    // What this call moved came after the opening.
    let moved = transfer.result as u64;
    if transfer.direction == SENT as u64 {
        event.sent = event.sent.saturating_sub(moved);
    } else {
        event.received = event.received.saturating_sub(moved);
    }
    event.id = next_id(slot);
    insert(event, transfer.socket.inode().unwrap_or(0), known);
    0
}

#[inline(always)]
fn insert(event: &OpenEvent, inode: u64, known: bool) {
    let position = [event.received, event.sent];
    let connection = Connection {
        id: event.id,
        inode,
        position,
        reported: position,
        run: 0,
        run_direction: NO_DIRECTION,
        role: u32::from(event.role),
        ignored: u32::from(!known),
        ended: 0,
        tcp: u32::from(known && event.family != AF_UNIX),
        relayed: event.relayed,
    };
    if CONNECTIONS.insert(event.socket, connection, 0).is_err() {
        emit::count_bound(Counter::ConnectionsFull);
        return;
    }
    if known && !emit::output(event, Urgency::Batch) {
        // The user side never heard of it: forget it, so that the next call opens it again.
        let _ = CONNECTIONS.remove(event.socket);
        return;
    }
    log::opened(event.id, u32::from(event.role), event.header.pid);
}

/// Addresses, role and positions; `None` for sockets that are not followed.
#[inline(always)]
fn describe(sk: u64, event: &mut OpenEvent) -> Option<()> {
    event.family = field(sk, &offsets::SOCK_FAMILY)?;
    event.role = 0;
    event.path_len = 0;
    event.received = 0;
    event.sent = 0;
    event.netns = 0;
    event.own_end = 0;
    event.peer_end = 0;
    match event.family {
        AF_INET | AF_INET6 => internet(sk, event),
        AF_UNIX => unix(sk, event),
        _ => None,
    }
}

/// An id that no other connection of this boot has: the CPU and the work area in the upper bits, a count in the lower ones.
#[inline(always)]
fn next_id(slot: u64) -> u64 {
    let Some(next) = NEXT_ID.get_ptr_mut(slot as u32) else {
        return 0;
    };
    // SAFETY: this CPU's and this program's own.
    let count = unsafe {
        *next += 1;
        *next
    };
    // SAFETY: no arguments.
    (u64::from(unsafe { bpf_get_smp_processor_id() }) << 48) | (slot << 40) | count
}

/// Addresses, role and positions of a TCP socket.
///
/// Role: a socket that came out of `accept` was cloned from its listener and still has the listener's backlog limit
/// (`net/core/sock.c:sk_clone_lock` copies the struct and resets what differs; `sk_max_ack_backlog` is not among it);
/// one that connected never listened, and has 0.
#[inline(always)]
fn internet(sk: u64, event: &mut OpenEvent) -> Option<()> {
    if field::<u16>(sk, &offsets::SOCK_PROTOCOL)? != IPPROTO_TCP {
        return None;
    }
    event.local_port = field(sk, &offsets::SOCK_LOCAL_PORT)?;
    event.peer_port = u16::from_be(field(sk, &offsets::SOCK_PEER_PORT)?);
    if event.family == AF_INET {
        let local: u32 = field(sk, &offsets::SOCK_LOCAL_V4)?;
        let peer: u32 = field(sk, &offsets::SOCK_PEER_V4)?;
        event.local = u128::from(local).to_le_bytes();
        event.peer = u128::from(peer).to_le_bytes();
    } else {
        event.local = field(sk, &offsets::SOCK_LOCAL_V6)?;
        event.peer = field(sk, &offsets::SOCK_PEER_V6)?;
    }
    let net: u64 = field(sk, &offsets::SOCK_NET)?;
    event.netns = field(net, &offsets::NET_INUM)?;
    let backlog: u32 = field(sk, &offsets::SOCK_BACKLOG_LIMIT)?;
    event.role = if backlog > 0 { role::SERVER } else { role::CLIENT };
    positions(sk, event)
}

/// Bytes that the process has read and written so far, from the sequence numbers of `struct tcp_sock`.
#[inline(always)]
fn positions(sk: u64, event: &mut OpenEvent) -> Option<()> {
    event.received = received(sk)?;
    event.sent = sent(sk, event.role == role::CLIENT)?;
    let written: u32 = field(sk, &offsets::TCP_WRITE_SEQ)?;
    let copied: u32 = field(sk, &offsets::TCP_COPIED_SEQ)?;
    // Neither address translation nor another network namespace changes sequence numbers.
    event.own_end = u64::from(written.wrapping_sub(event.sent as u32));
    event.peer_end = u64::from(copied.wrapping_sub(event.received as u32));
    Some(())
}

#[inline(always)]
fn received(sk: u64) -> Option<u64> {
    let arrived: u64 = field(sk, &offsets::TCP_BYTES_RECEIVED)?;
    let next: u32 = field(sk, &offsets::TCP_RCV_NXT)?;
    let copied: u32 = field(sk, &offsets::TCP_COPIED_SEQ)?;
    Some(arrived.saturating_sub(u64::from(next.wrapping_sub(copied))))
}

#[inline(always)]
fn sent(sk: u64, connected: bool) -> Option<u64> {
    let acked: u64 = field(sk, &offsets::TCP_BYTES_ACKED)?;
    let written: u32 = field(sk, &offsets::TCP_WRITE_SEQ)?;
    let unacked: u32 = field(sk, &offsets::TCP_SND_UNA)?;
    // The SYN of the side that connected was acknowledged and counted like a byte; the SYN of the side that accepted was
    // answered before the socket existed (`net/ipv4/tcp_input.c:tcp_rcv_synsent_state_process`, `tcp_snd_una_update`;
    // `net/ipv4/tcp_minisocks.c:tcp_create_openreq_child`).
    Some((acked + u64::from(written.wrapping_sub(unacked))).saturating_sub(u64::from(connected)))
}

/// Path and role of a UNIX socket. The accepted end carries the listener's address (`net/unix/af_unix.c:
/// unix_stream_connect`), the connecting end has none of its own unless it bound one. Unnamed pairs are not followed.
#[inline(always)]
fn unix(sk: u64, event: &mut OpenEvent) -> Option<()> {
    event.own_end = sk;
    event.peer_end = field(sk, &offsets::UNIX_PEER)?;
    let own: u64 = field(sk, &offsets::UNIX_ADDR)?;
    if own != 0 {
        event.role = role::SERVER;
        return unix_path(own, event);
    }
    let peer: u64 = field(sk, &offsets::UNIX_PEER)?;
    if peer == 0 {
        return None;
    }
    let address: u64 = field(peer, &offsets::UNIX_ADDR)?;
    if address == 0 {
        return None;
    }
    event.role = role::CLIENT;
    unix_path(address, event)
}

#[inline(always)]
fn unix_path(address: u64, event: &mut OpenEvent) -> Option<()> {
    let length: u32 = field(address, &offsets::UNIX_ADDRESS_LEN)?;
    let length = u64::from(length)
        .saturating_sub(SUN_PATH)
        .min(UNIX_PATH_BYTES as u64);
    let name = address + u64::from(offsets::UNIX_ADDRESS_NAME.load()) + SUN_PATH;
    // The whole field is read: its size is then a constant, and what lies behind `length` is not used.
    kernel::copy(name, &mut event.path)?;
    event.path_len = length as u8;
    Some(())
}

/// Bytes of a connection may have moved that nobody saw. TCP says how many, and the next event names them as missing; any other
/// socket is followed anew from its next call on. Verified on its own.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn lose_track(sk: u64) -> u64 {
    let Some(connection) = CONNECTIONS.get_ptr_mut(sk) else {
        return 0;
    };
    // SAFETY: a value of the map.
    let connection = unsafe { &mut *connection };
    if connection.ignored != 0 {
        return 0;
    }
    if connection.tcp == 0 {
        emit::count(Counter::CallsTorn, 1);
        let id = connection.id;
        let _ = CONNECTIONS.remove(sk);
        emit::close(id, close_how::BOTH, emit::now());
        return 0;
    }
    // One after the other: before 6.3 the verifier does not take what LLVM makes of both at once, a read of what was never written.
    let Some(received) = received(sk) else { return 0 };
    let Some(sent) = sent(sk, connection.role == u32::from(role::CLIENT)) else {
        return 0;
    };
    if connection.position[RECEIVED] != received || connection.position[SENT] != sent {
        emit::count(Counter::CallsTorn, 1);
        connection.position = [received, sent];
    }
    0
}
