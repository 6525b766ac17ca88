//! What capture hands over: bytes of one direction of one connection, where they stand in it, when, and by whom.

/// Which way bytes went, seen from the watched process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The watched process wrote them.
    Sent,
    /// The watched process read them.
    Received,
}

/// Which side of the connection the watched process is; the kernel tells (listener or connector), never a port number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It connected.
    Client,
    /// It accepted.
    Server,
    /// The kernel could not tell (for example one end of a socket pair).
    Unknown,
}

/// Who did an I/O: the execution unit, as the hook read it at the time of the I/O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unit {
    /// Process id as the host sees it.
    pub pid: u32,
    /// Thread id as the host sees it.
    pub tid: u32,
    /// The I/O was done on a blocking file description: the thread could do nothing else meanwhile.
    pub blocking: bool,
    /// What acted within the process, and what that came from.
    pub line: Line,
}

/// A task, goroutine, thread, … and those that it came from, nearest first; all zero when nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Line {
    /// The first acts itself; id 0 ends the line.
    pub steps: [Step; LINE_STEPS],
}

/// One of a [`Line`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Step {
    /// Tells it from all others of its process, also from earlier ones.
    pub id: u64,
    /// When it started the one before it, in nanoseconds; of the first this says nothing.
    pub until: u64,
}

/// Steps of a line at most.
pub const LINE_STEPS: usize = 8;

impl Line {
    /// The steps that are known.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().take_while(|step| step.id != 0)
    }
}

/// When and by whom. Times are nanoseconds of the kernel's monotonic clock (`bpf_ktime_get_ns`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Start of the call that moved the bytes; for received bytes the moment at which they were there (= `ended`).
    pub began: u64,
    /// End of the call that moved the bytes.
    pub ended: u64,
    /// Who made the call.
    pub unit: Unit,
}

/// Bytes of one direction, with what is known to be missing around them.
///
/// One system call gives one or more chunks. `head` stands at `offset`; then `hole` bytes that were not copied;
/// then `tail`, the last bytes of the call. A plain chunk has `hole` 0 and an empty `tail`.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Which way.
    pub direction: Direction,
    /// Position of the first byte of `head` in its direction, in bytes.
    pub offset: u64,
    /// Bytes directly before `offset` that capture left out on purpose or lost, so that nobody waits for them.
    pub skipped: u64,
    /// The copied first bytes.
    pub head: &'a [u8],
    /// Bytes after `head` that exist but were not copied.
    pub hole: u64,
    /// The copied last bytes, after the hole.
    pub tail: &'a [u8],
    /// When and by whom.
    pub moment: Moment,
}

impl Chunk<'_> {
    /// All bytes the call moved, copied or not.
    pub fn len(&self) -> u64 {
        (self.head.len() as u64)
            .saturating_add(self.hole)
            .saturating_add(self.tail.len() as u64)
    }

    /// True when the call moved nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Position after the last byte.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len())
    }
}
