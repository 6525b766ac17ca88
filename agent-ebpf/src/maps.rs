//! All maps. Sizes are those of a small host; the user side sets them when loading.

use agent_common::{
    Call, OpenEvent, Runtime, UnitChain, UnitKey,
    map::{COUNTERS_LEN, Connection, Verdict},
};
use aya_ebpf::{
    macros::map,
    maps::{HashMap, LruHashMap, PerCpuArray, RingBuf},
};

use crate::{units::Worker, uprobes::Sender, work::Work};

/// Events to the user side.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// Watched processes: process id → how.
#[map]
pub static WATCHED: HashMap<u32, u32> = HashMap::with_max_entries(8192, 0);

/// Connections: address of `struct sock` → what is known.
#[map]
pub static CONNECTIONS: HashMap<u64, Connection> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// What the user side wants of a connection. Entries of forgotten connections may go: losing one only costs copying.
#[map]
pub static VERDICTS: LruHashMap<u64, Verdict> = LruHashMap::with_max_entries(16_384, 0);

/// Calls under way: thread → arguments. In the function tiers the last call of each thread stays, as room for the next.
#[map]
pub static CALLS: HashMap<u64, Call> = HashMap::with_max_entries(16_384, 0);

/// Runtimes of processes whose units are more than threads.
#[map]
pub static RUNTIMES: HashMap<u32, Runtime> = HashMap::with_max_entries(8192, BPF_F_NO_PREALLOC);

/// Units and those that they came from.
#[map]
pub static UNITS: LruHashMap<UnitKey, UnitChain> = LruHashMap::with_max_entries(65_536, 0);

/// Threads that take jobs out of a queue, by process and thread id.
#[map]
pub static WORKERS: LruHashMap<u64, Worker> = LruHashMap::with_max_entries(8192, 0);

/// Buffers that are to be written for somebody: process, thread (as the kind) and address.
#[map]
pub static BUFFERS: LruHashMap<UnitKey, UnitChain> = LruHashMap::with_max_entries(8192, 0);

/// Whom a shared connection sends for: address of `struct sock`.
#[map]
pub static SENDERS: LruHashMap<u64, Sender> = LruHashMap::with_max_entries(8192, 0);

/// Counters, one set per CPU.
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTERS_LEN, 0);

/// Work areas.
#[map]
pub static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(1, 0);

/// Where an [`OpenEvent`] is put together: too large for the stack.
#[map]
pub static OPENING: PerCpuArray<OpenEvent> = PerCpuArray::with_max_entries(1, 0);

/// Source of connection ids, one per CPU and work area.
#[map]
pub static NEXT_ID: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Allocate entries when they are needed: <https://docs.kernel.org/bpf/map_hash.html>.
const BPF_F_NO_PREALLOC: u32 = 1;
