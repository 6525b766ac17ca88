//! Execution units: who does an I/O, and whom that one works for.
//!
//! The kernel side reads the unit at the time of the I/O and keeps, by value, the units it came from. Each id is of one
//! generation: an address or a number that is used again gets another id.

/// What a unit is: the top four bits of its id.
pub mod unit_kind {
    /// Bits below the kind.
    pub const SHIFT: u32 = 60;
    /// A thread: its id (22 bits) and start time in milliseconds below.
    pub const THREAD: u64 = 1;
    /// A goroutine: its `goid`, which Go never uses twice.
    pub const GOROUTINE: u64 = 2;
    /// A Python context (`contextvars`): when it was made, in nanoseconds, the lowest bit [`FOUND`]. asyncio and uvloop
    /// enter one per task.
    pub const CONTEXT: u64 = 3;
    /// Of a context: it was not seen to be made, but found in use.
    pub const FOUND: u64 = 1;
    /// A greenlet: when it was made, in nanoseconds.
    pub const GREENLET: u64 = 4;
    /// A job that was put into a queue for another thread: when it was put, in nanoseconds.
    pub const JOB: u64 = 5;
}

/// A unit in a chain.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitRef {
    /// Its id; 0 ends the chain.
    pub id: u64,
    /// The last moment at which this unit itself acted for what the chain begins with: when it started the unit before
    /// it. The first of an event's chain does the I/O itself; here it has 1 if it also read a request from a connection
    /// that was accepted.
    pub until: u64,
}

/// Units kept of a chain: the one that acts, and those that it came from, nearest first.
pub const CHAIN_UNITS: usize = 8;

/// A unit and those that it came from.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitChain {
    /// Nearest first.
    pub units: [UnitRef; CHAIN_UNITS],
}

/// Where the kernel side keeps a unit's chain: the key of the map `UNITS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitKey {
    /// Process id.
    pub pid: u32,
    /// One of [`unit_kind`].
    pub kind: u32,
    /// Address of the context, greenlet or job; id of the goroutine or thread.
    pub address: u64,
}

/// Which runtime a process has.
pub mod runtime_kind {
    /// `CPython`.
    pub const PYTHON: u32 = 1;
    /// Go.
    pub const GO: u32 = 2;
}

/// How what belongs to a thread is found: by `pthread_getspecific`, or by Go.
pub mod thread_data {
    /// glibc: `*(*(tp + tls_offset + 8 * (key / 32)) + 16 * (key % 32) + 8)`.
    pub const GLIBC: u32 = 0;
    /// musl: `*(*(tp + tls_offset) + 8 * key)`.
    pub const MUSL: u32 = 1;
    /// Go on arm64, in a program without C: `g` stays in the register that Go has for it.
    pub const REGISTER: u32 = 2;
    /// glibc, where the value is in `struct pthread` itself, as those of the first 32 keys are: `*(tp + tls_offset)`.
    pub const SLOT: u32 = 3;
}

/// What the kernel side has to know of a process to read its units: the value of the map `RUNTIMES`, by process id.
/// Without an entry the unit is the thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// One of [`runtime_kind`].
    pub kind: u32,
    /// One of [`thread_data`]; Go that keeps `g` in thread-local storage has 0.
    pub thread_data: u32,
    /// Python: contexts that were made or found before this moment, in nanoseconds, are not known any more. At
    /// [`u64::MAX`] none is known: who acts in a context has no unit, as another may stand at its address by now.
    pub contexts_since: u64,
    /// Python: address of `autoTSSkey` in `_PyRuntime`: two `int`s, whether it is initialised and the key.
    pub key_address: u64,
    /// Python: see [`thread_data`]. Go: where `g` is. Bytes from the thread pointer.
    pub tls_offset: i64,
    /// Python: offset of `context` in `PyThreadState`. Go: of `m` in `g`.
    pub first: u32,
    /// Python: offset of `ctx_entered` in `PyContext`. Go: of `goid` in `g`.
    pub second: u32,
    /// Go: offset of `curg` in `m`.
    pub third: u32,
    /// Python: offset of the current greenlet in greenlet's thread state; 0 without greenlets.
    pub greenlet_current: u32,
    /// Python: address of the word that holds the TLS module id of greenlet's library.
    pub greenlet_module: u64,
    /// Python: offset of the pointer to greenlet's thread state in that module's thread-local storage.
    pub greenlet_state: u64,
    /// Python: file offset-independent address of `PyBytes_Type`, to find the data of what uvloop writes; 0 if unused.
    pub bytes_type: u64,
    /// Python: the same of `PyMemoryView_Type`.
    pub memoryview_type: u64,
    /// Python: the same of `PyByteArray_Type`.
    pub bytearray_type: u64,
}

/// Registers of x86-64 and arm64 by number, as a uprobe's cookie: which one holds the value that is of interest.
pub mod register {
    /// The function's result: a uretprobe.
    pub const RESULT: u64 = 0;
    /// x86-64: `rax`, and the following in the order of the instruction set's encoding (rax rcx rdx rbx rsp rbp rsi rdi
    /// r8 … r15) up to 16. arm64: `x0` and following.
    pub const FIRST: u64 = 1;
}

const _: () = {
    assert!(size_of::<UnitChain>() == 128);
    assert!(size_of::<UnitKey>() == 16);
    assert!(size_of::<Runtime>() == 88);
};
