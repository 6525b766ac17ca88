//! Events: what one hook saw. Each is written to the ring buffer as its struct, a [`DataEvent`] followed by its bytes.
//!
//! Times are nanoseconds of `bpf_ktime_get_ns` (`CLOCK_MONOTONIC`). Process and thread ids are those of the initial
//! PID namespace.

use crate::unit::UnitChain;

/// What an event is: the first word of each.
pub mod kind {
    /// [`super::OpenEvent`].
    pub const OPEN: u32 = 1;
    /// [`super::DataEvent`].
    pub const DATA: u32 = 2;
    /// [`super::CloseEvent`].
    pub const CLOSE: u32 = 3;
    /// [`super::ProcessEvent`]: a process called exec.
    pub const EXEC: u32 = 4;
    /// [`super::ProcessEvent`]: a watched process forked; `pid` is the child.
    pub const FORK: u32 = 5;
    /// [`super::ProcessEvent`]: a watched process ended.
    pub const EXIT: u32 = 6;
    /// [`super::ProcessEvent`]: a process began to listen; `detail` is the local port.
    pub const LISTEN: u32 = 7;
}

/// Which side of a connection the watched process is.
pub mod role {
    /// It connected.
    pub const CLIENT: u8 = 1;
    /// It accepted.
    pub const SERVER: u8 = 2;
}

/// Bits of [`DataEvent::flags`](super::DataEvent::flags).
pub mod flag {
    /// The bytes were sent (else received).
    pub const SENT: u32 = 1;
    /// The file description is blocking.
    pub const BLOCKING: u32 = 2;
    /// Bytes could not be read from the process's memory; they are part of the hole.
    pub const UNREADABLE: u32 = 4;
}

/// Values of [`CloseEvent::how`](super::CloseEvent::how).
pub mod close_how {
    /// This side will send no more (close, shutdown).
    pub const HERE: u32 = 1;
    /// The peer will send no more: the process read end of file.
    pub const BY_PEER: u32 = 2;
    /// The connection is gone.
    pub const BOTH: u32 = 3;
    /// TCP is done with the connection, but the process still holds the socket and may read what is queued.
    pub const LINGERING: u32 = 4;
}

/// Longest path of a UNIX socket, in bytes (`sizeof(sockaddr_un.sun_path)`).
pub const UNIX_PATH_BYTES: usize = 108;

/// What all events begin with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u32,
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Bits or a number, by kind.
    pub flags: u32,
}

/// First sight of a connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OpenEvent {
    /// Kind [`kind::OPEN`].
    pub header: Header,
    /// The id of our own.
    pub id: u64,
    /// When.
    pub time: u64,
    /// The socket's key in the map of connections.
    pub socket: u64,
    /// Bytes received before this moment.
    pub received: u64,
    /// Bytes sent before this moment.
    pub sent: u64,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Address family: `AF_UNIX` 1, `AF_INET` 2, `AF_INET6` 10.
    pub family: u16,
    /// One of [`role`].
    pub role: u8,
    /// Bytes used of `path`.
    pub path_len: u8,
    /// Own end of the connection, by what it has in common with the event of the other end: TCP, the sequence number
    /// before its first byte; UNIX, the address of its socket.
    pub own_end: u64,
    /// The other end, likewise.
    pub peer_end: u64,
    /// Local port, host byte order.
    pub local_port: u16,
    /// Peer port, host byte order.
    pub peer_port: u16,
    /// 1: the process passes on what it receives, byte for byte.
    pub relayed: u32,
    /// Local address: 4 bytes used for IPv4.
    pub local: [u8; 16],
    /// Peer address.
    pub peer: [u8; 16],
    /// UNIX: the server's address; abstract ones begin with a zero byte.
    pub path: [u8; UNIX_PATH_BYTES],
    /// Explicit padding.
    pub padding_end: u32,
}

/// Bytes of one call, or of a part of one: `head` bytes, then a hole, then `tail` bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DataEvent {
    /// Kind [`kind::DATA`], flags of [`flag`].
    pub header: Header,
    /// The connection.
    pub id: u64,
    /// When the call began.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// Position of the first byte in its direction.
    pub offset: u64,
    /// Bytes directly before `offset` that were left out or lost.
    pub skipped: u64,
    /// Bytes between head and tail that were not copied.
    pub hole: u64,
    /// Copied bytes at the front.
    pub head: u32,
    /// Copied bytes at the end.
    pub tail: u32,
    /// Who made the call, and for whom.
    pub chain: UnitChain,
}

/// The end, or one direction's end, of a connection.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CloseEvent {
    /// Kind [`kind::CLOSE`]; flags are one of [`close_how`].
    pub header: Header,
    /// The connection.
    pub id: u64,
    /// When.
    pub time: u64,
}

impl CloseEvent {
    /// One of [`close_how`].
    pub fn how(&self) -> u32 {
        self.header.flags
    }
}

/// A process came, changed or went.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ProcessEvent {
    /// Kind [`kind::EXEC`], [`kind::FORK`], [`kind::EXIT`] or [`kind::LISTEN`].
    pub header: Header,
    /// When.
    pub time: u64,
    /// Fork: the parent. Listen: the port. Else 0.
    pub detail: u64,
}

const _: () = {
    assert!(size_of::<Header>() == 16);
    assert!(size_of::<OpenEvent>() == 16 + 5 * 8 + 16 + 16 + 32 + 112);
    assert!(size_of::<DataEvent>() == 72 + 128);
    assert!(size_of::<CloseEvent>() == 32);
    assert!(size_of::<ProcessEvent>() == 32);
};
