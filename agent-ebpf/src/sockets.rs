//! The life of connections: when TCP, or the process, is done with one.

use agent_common::{close_how, kind};
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};

use crate::{
    emit::{self, now},
    kernel::{self, field},
    maps::CONNECTIONS,
    offsets, processes,
};

/// States of TCP: `include/net/tcp_states.h`.
const TCP_FIN_WAIT1: i32 = 4;
const TCP_CLOSE: i32 = 7;
const TCP_LAST_ACK: i32 = 9;
const TCP_LISTEN: i32 = 10;

/// `sock:inet_sock_set_state`: match-proto:v5.10:include/trace/events/sock.h:
/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`
///
/// A raw tracepoint, because it also fires from interrupts: programs of ordinary tracepoints are skipped while
/// another one runs on the CPU (`kernel/trace/bpf_trace.c:trace_call_bpf`).
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: RawTracePointContext) -> i32 {
    let sk: u64 = ctx.arg::<*const u8>(0) as u64;
    match ctx.arg::<i32>(2) {
        TCP_FIN_WAIT1 | TCP_LAST_ACK => closing(sk),
        TCP_CLOSE => closed(sk),
        TCP_LISTEN => listening(sk),
        _ => {}
    }
    0
}

/// This side sent its FIN.
#[inline(always)]
fn closing(sk: u64) {
    if let Some(connection) = CONNECTIONS.get_ptr(sk) {
        // SAFETY: a value of the map.
        let (id, ignored) = unsafe { ((*connection).id, (*connection).ignored) };
        if ignored == 0 {
            emit::close(id, close_how::HERE, now());
        }
    }
}

/// TCP is done. If the process still holds the socket, it may have bytes to read: then its own close ends the entry.
#[inline(always)]
fn closed(sk: u64) {
    let Some(connection) = CONNECTIONS.get_ptr(sk) else {
        return;
    };
    // SAFETY: a value of the map.
    let (id, ignored) = unsafe { ((*connection).id, (*connection).ignored) };
    let held = field::<u64>(sk, &offsets::SOCK_SOCKET).unwrap_or(0) != 0;
    if !held {
        let _ = CONNECTIONS.remove(sk);
    }
    if ignored == 0 {
        emit::close(
            id,
            if held {
                close_how::LINGERING
            } else {
                close_how::BOTH
            },
            now(),
        );
    } else if !held {
        emit::close(id, close_how::BOTH, now());
    }
}

#[inline(always)]
fn listening(sk: u64) {
    let (pid, tid) = emit::current();
    if pid == 0 || pid == offsets::OWN_PID.load() {
        return;
    }
    if offsets::WATCH_NEW.load() != 0 || processes::is_watched(pid) {
        let port: u16 = field(sk, &offsets::SOCK_LOCAL_PORT).unwrap_or(0);
        emit::process(kind::LISTEN, pid, tid, u64::from(port));
    }
}

/// A watched process closes a descriptor: the end of sockets that are not TCP, and of those that TCP is done with.
#[inline(always)]
pub fn descriptor_closed(fd: u32) {
    if let Some(socket) = kernel::socket(fd) {
        let_go(socket.sk);
    }
}

/// Nobody holds this socket any more, as far as can be seen.
#[inline(always)]
pub fn let_go(sk: u64) {
    let Some(connection) = CONNECTIONS.get_ptr(sk) else {
        return;
    };
    // SAFETY: a value of the map.
    let (id, tcp) = unsafe { ((*connection).id, (*connection).tcp != 0) };
    if tcp && field::<u8>(sk, &offsets::SOCK_STATE) != Some(TCP_CLOSE as u8) {
        return;
    }
    let _ = CONNECTIONS.remove(sk);
    emit::close(id, close_how::BOTH, now());
}
