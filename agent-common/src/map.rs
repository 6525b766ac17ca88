//! Maps that both sides touch: names, values, meaning of their indices.

/// Ring buffer of events.
pub const EVENTS: &str = "EVENTS";
/// Process id → [`WatchMode`].
pub const WATCHED: &str = "WATCHED";
/// Socket address → [`Connection`].
pub const CONNECTIONS: &str = "CONNECTIONS";
/// Connection id → [`Verdict`].
pub const VERDICTS: &str = "VERDICTS";
/// Thread (process id in the upper half, thread id in the lower) → [`Call`].
pub const CALLS: &str = "CALLS";
/// [`crate::UnitKey`] → [`crate::UnitChain`].
pub const UNITS: &str = "UNITS";
/// Process id → [`crate::Runtime`].
pub const RUNTIMES: &str = "RUNTIMES";
/// Per CPU counters, indexed by [`Counter`].
pub const COUNTERS: &str = "COUNTERS";
/// Work areas: for a CPU [`WORK_AREAS_OF_FEXIT`] of them with the tier fentry, else [`WORK_AREAS`], and as many again for each
/// further copy of the programs.
pub const WORK: &str = "WORK";
/// Where opening events are put together, as many as work areas.
pub const OPENING: &str = "OPENING";
/// Sources of connection ids, as many as work areas.
pub const NEXT_ID: &str = "NEXT_ID";

/// Work areas of a CPU: one for each program that uses them and may be preempted.
pub const WORK_AREAS: u32 = 2;
/// The same with the tier fentry, which has one such program for each function.
pub const WORK_AREAS_OF_FEXIT: u32 = 11;

/// Copies of each program that may lose the CPU, on a kernel that takes it away: while one has lost it, the next sees the calls of
/// whoever else runs there.
pub const COPIES: usize = 3;
/// The names of a program's copies differ by what follows.
pub const COPY_SUFFIXES: [&str; COPIES] = ["", "_b", "_c"];

/// How a process is watched: a `u32` in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchMode(pub u32);

impl WatchMode {
    /// The user side has decided for it (or for its ancestor).
    pub const SELECTED: Self = Self(1);
    /// Just executed; the user side will decide. Its events are kept back until then.
    pub const TENTATIVE: Self = Self(2);
    /// It passes on what it receives, byte for byte: none of it is copied, and its connections are marked.
    pub const RELAY: Self = Self(3);
}

/// What the kernel side remembers of a connection.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Connection {
    /// The id of our own, never used twice.
    pub id: u64,
    /// Inode number of the socket: tells a reused `struct sock` from the old one.
    pub inode: u64,
    /// Bytes received and sent so far; index 0 received, 1 sent.
    pub position: [u64; 2],
    /// Position after the last byte that was reported, same index.
    pub reported: [u64; 2],
    /// Bytes of the present run: since the direction last turned.
    pub run: u64,
    /// Direction of the present run: 0 received, 1 sent, 2 none yet.
    pub run_direction: u32,
    /// One of [`crate::role`], 0 if unknown.
    pub role: u32,
    /// 1: copy nothing, report nothing.
    pub ignored: u32,
    /// 1: end of file was reported.
    pub ended: u32,
    /// 1: it is TCP.
    pub tcp: u32,
    /// 1: it is of a process that passes on what it receives.
    pub relayed: u32,
}

/// What the arguments of a call under way mean.
pub mod shape {
    /// One buffer.
    pub const BUFFER: u32 = 0;
    /// An array of `struct iovec`.
    pub const VECTOR: u32 = 1;
    /// A `struct user_msghdr`.
    pub const MESSAGE: u32 = 2;
    /// An array of `struct mmsghdr`.
    pub const MESSAGES: u32 = 3;
    /// Bytes that never are in the process's memory, or that it throws away.
    pub const COUNT: u32 = 4;
    /// An array of `struct iovec` in the kernel's memory, of buffers of the process.
    pub const KERNEL_VECTOR: u32 = 5;
    /// Of no interest: only its end is waited for.
    pub const IGNORED: u32 = 6;
}

/// A call under way: what its end has to know.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Address of the `struct sock`; if `file` is 0, the file descriptor.
    pub sk: u64,
    /// Address of the `struct file`; 0 for a call that began before it could be seen.
    pub file: u64,
    /// When it began.
    pub began: u64,
    /// Address of what the shape says.
    pub address: u64,
    /// Its length: bytes, segments or messages.
    pub length: u64,
    /// Bytes of the first segment that lie before the call's.
    pub skip: u64,
    /// Which call of the thread it is: what its beginning and its end have in common. 0 in the tracepoint tier, and in the
    /// others between two calls.
    pub frame: u64,
    /// The same of the thread's last call, once that has ended; in the tracepoint tier 0.
    pub ended: u64,
    /// The copies of the program that have seen its beginning, or its end if that came: a bit for each.
    pub copies: u64,
    /// One of [`shape`].
    pub shape: u32,
    /// 0 received, 1 sent.
    pub direction: u32,
}

/// What the user side wants of a connection from now on.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Verdict {
    /// 1: copy nothing any more.
    pub ignore: u64,
    /// Calls that lie wholly before this position are not reported, unless they are within the budget of their run;
    /// index 0 received, 1 sent.
    pub skip_until: [u64; 2],
}

/// What the kernel side counts; each is an index into [`COUNTERS`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Events written to the ring buffer.
    Events = 0,
    /// Events lost because the ring buffer was full.
    Drops,
    /// Calls whose bytes could not be read from the process's memory.
    Unreadable,
    /// Connections not followed because the map was full.
    ConnectionsFull,
    /// Calls not followed because the map of calls under way was full.
    CallsFull,
    /// Processes not watched because the map was full.
    ProcessesFull,
    /// Bytes that moved on followed connections.
    Bytes,
    /// Bytes of those that were copied.
    CopiedBytes,
    /// Messages of one sendmmsg or recvmmsg beyond those that are looked at.
    MessagesBeyond,
    /// Calls whose beginning or end was not seen; their bytes are missing.
    CallsTorn,
}

/// Number of [`Counter`]s.
pub const COUNTERS_LEN: u32 = 10;

impl Counter {
    /// All of them, with the name under which they are reported.
    pub const ALL: [(Self, &'static str); COUNTERS_LEN as usize] = [
        (Self::Events, "events"),
        (Self::Drops, "drops"),
        (Self::Unreadable, "unreadable"),
        (Self::ConnectionsFull, "connections_full"),
        (Self::CallsFull, "calls_full"),
        (Self::ProcessesFull, "processes_full"),
        (Self::Bytes, "bytes"),
        (Self::CopiedBytes, "copied_bytes"),
        (Self::MessagesBeyond, "messages_beyond"),
        (Self::CallsTorn, "calls_torn"),
    ];
}

const _: () = {
    assert!(size_of::<Connection>() == 80);
    assert!(size_of::<Verdict>() == 24);
    assert!(size_of::<Call>() == 80);
};
