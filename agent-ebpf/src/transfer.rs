//! What every tier does with a finished call on a socket: account for it, decide how much to copy, report it.
//!
//! Budget: of each run (bytes until the direction turns) the first N are copied; of each call beyond, the last few;
//! the rest is counted. So cost follows messages, not megabytes, and the end of a long result is still seen.

use agent_common::{
    Counter, DataEvent, UnitChain, close_how, flag, kind,
    map::Connection,
    role,
};

use crate::{
    connections,
    copy::{self, Buffers, bounded},
    emit::{self, FRAGMENT_BYTES, TAIL_BYTES_MAX, Urgency},
    kernel::Socket,
    maps::VERDICTS,
    offsets, units,
    work::{self, Work},
};

/// Index of received bytes in a [`Connection`].
pub const RECEIVED: usize = 0;
/// Index of sent bytes in a [`Connection`].
pub const SENT: usize = 1;
/// Events that one call's head may be spread over: a budget of 72 KiB.
const FRAGMENTS_MAX: u64 = 9;

const ECONNRESET: i64 = -104;
const EPIPE: i64 = -32;
const ETIMEDOUT: i64 = -110;

/// A finished call on a stream socket: all that a hook has to find out.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Transfer {
    /// The socket.
    pub socket: Socket,
    /// [`RECEIVED`] or [`SENT`].
    pub direction: u64,
    /// Where the bytes are.
    pub buffers: Buffers,
    /// 0: the bytes never were in the process's memory (sendfile, splice, discarded).
    pub has_buffers: u64,
    /// Bytes moved, or a negative errno.
    pub result: i64,
    /// Room that the caller gave: a result of 0 means end of file only if there was some.
    pub room: u64,
    /// When the call began.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
}

impl Transfer {
    #[inline(always)]
    fn sent(&self) -> bool {
        self.direction == SENT as u64
    }
}

/// Takes the finished call that is in the work area. Verified on its own.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn handle_transfer(slot: u64) -> u64 {
    let Some(work) = work::area(slot) else { return 0 };
    let Some(connection) = connections::find_or_open(&work.transfer, slot) else {
        return 0;
    };
    // SAFETY: a value of the map; calls on one socket in one direction do not overlap but by the program's own mistake.
    let connection = unsafe { &mut *connection };
    if work.transfer.result <= 0 {
        ended(connection, &work.transfer);
        return 0;
    }
    let bytes = work.transfer.result as u64;
    emit::count(Counter::Bytes, bytes);
    advance(connection, work, bytes);
    if connection.ignored != 0 {
        return 0;
    }
    let run_before = connection.run;
    connection.run += bytes;
    plan(connection, work, run_before, bytes);
    let beyond_budget = work.head == 0;
    if (beyond_budget || run_before == 0) && unwanted(connection, work, bytes, beyond_budget) {
        return 0;
    }
    find_unit(connection, slot);
    report(work, slot);
    if work.transfer.sent() {
        connection.reported[SENT] = work.reported;
    } else {
        connection.reported[RECEIVED] = work.reported;
    }
    0
}

/// Moves the position on and notes whether the direction turned.
#[inline(always)]
fn advance(connection: &mut Connection, work: &mut Work, bytes: u64) {
    let direction = work.transfer.direction as u32;
    if connection.run_direction != direction {
        connection.run_direction = direction;
        connection.run = 0;
    }
    work.connection = connection.id;
    if work.transfer.sent() {
        work.offset = connection.position[SENT];
        work.reported = connection.reported[SENT];
        connection.position[SENT] += bytes;
    } else {
        work.offset = connection.position[RECEIVED];
        work.reported = connection.reported[RECEIVED];
        connection.position[RECEIVED] += bytes;
    }
}

/// Divides a call into head, hole and tail.
#[inline(always)]
fn plan(connection: &Connection, work: &mut Work, run_before: u64, bytes: u64) {
    work.head = 0;
    work.hole = bytes;
    work.tail = 0;
    if work.transfer.has_buffers == 0 || connection.relayed != 0 {
        return;
    }
    let of_request = match connection.role as u8 {
        role::CLIENT => work.transfer.sent(),
        role::SERVER => !work.transfer.sent(),
        _ => true,
    };
    let budget = if of_request {
        offsets::REQUEST_BUDGET.load()
    } else {
        offsets::RESPONSE_BUDGET.load()
    };
    let budget = u64::from(budget).min(FRAGMENTS_MAX * FRAGMENT_BYTES as u64);
    work.head = bytes.min(budget.saturating_sub(run_before));
    let most = u64::from(offsets::TAIL_BYTES.load()).min(TAIL_BYTES_MAX as u64);
    work.tail = (bytes - work.head).min(most);
    work.hole = bytes - work.head - work.tail;
}

/// Asks what the user side thinks of a connection, at the start of a run and beyond the budget.
#[inline(always)]
fn unwanted(connection: &mut Connection, work: &Work, bytes: u64, beyond_budget: bool) -> bool {
    let Some(verdict) = VERDICTS.get_ptr(connection.id) else {
        return false;
    };
    // SAFETY: a value of the map; the user side writes whole words.
    let verdict = unsafe { &*verdict };
    if verdict.ignore != 0 {
        connection.ignored = 1;
        return true;
    }
    let until = if work.transfer.sent() {
        verdict.skip_until[SENT]
    } else {
        verdict.skip_until[RECEIVED]
    };
    beyond_budget && work.offset + bytes <= until
}

/// Reports a call: its head in fragments, the last of which carries hole and tail.
#[inline(always)]
fn report(work: &Work, slot: u64) {
    let mut done = 0;
    for _ in 0..FRAGMENTS_MAX {
        report_fragment(done, slot);
        done += FRAGMENT_BYTES as u64;
        if done >= work.head {
            break;
        }
    }
}

/// Finds out who made the call, and for whom.
#[inline(always)]
fn find_unit(connection: &Connection, slot: u64) {
    find_unit_of_call(u64::from(connection.role == u32::from(role::SERVER)), slot);
}

/// Puts who made the call, and for whom, into the work area. Verified on its own.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn find_unit_of_call(serves: u64, slot: u64) -> u64 {
    let Some(work) = work::area(slot) else { return 0 };
    work.chain = UnitChain::default();
    let (pid, tid) = emit::current();
    let runtime = units::runtime(pid);
    let sent = work.transfer.sent();
    let queues = sent && runtime.is_some_and(units::queues);
    let sender = if sent {
        units::sender(runtime, pid, tid, &work.transfer, serves != 0)
    } else {
        None
    };
    let chain = sender.or_else(|| {
        let chain = units::present_of(runtime, pid, tid)?;
        if !sent && serves != 0 {
            // SAFETY: a value of the map.
            unsafe { (*chain).units[0].until = units::SERVES };
        }
        Some(chain.cast_const())
    });
    if let Some(chain) = chain {
        // SAFETY: a value of a map.
        work.chain = unsafe { *chain };
    }
    units::add_thread::<0>(&mut work.chain, work.transfer.began);
    if queues {
        units::written(pid, tid, &work.transfer);
    }
    0
}

/// Reports the part of the call in the work area that begins `from` bytes into its head. Verified on its own.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn report_fragment(from: u64, slot: u64) -> u64 {
    let Some(work) = work::area(slot) else { return 0 };
    let left = work.head.saturating_sub(from);
    let head = bounded(left, FRAGMENT_BYTES as u64);
    let last = head == left;
    let (hole, tail) = if last { (work.hole, work.tail) } else { (0, 0) };
    let (mut head_copied, mut tail_copied) = (0, 0);
    if head > 0 {
        head_copied = copy::copy_bytes(from, head, 0, slot);
    }
    if tail > 0 && head_copied == head && copy::copy_bytes(from + head + hole, tail, head, slot) == tail {
        tail_copied = tail;
    }
    let missing = head - head_copied + tail - tail_copied;
    let offset = work.offset + from;
    work.event = DataEvent {
        header: emit::header(kind::DATA, flags(&work.transfer, missing)),
        id: work.connection,
        began: work.transfer.began,
        ended: work.transfer.ended,
        offset,
        skipped: offset.saturating_sub(work.reported),
        hole: hole + missing,
        head: head_copied as u32,
        tail: tail_copied as u32,
        chain: work.chain,
    };
    let length = bounded(
        head_copied + tail_copied,
        (FRAGMENT_BYTES + TAIL_BYTES_MAX) as u64,
    );
    let event = core::ptr::addr_of_mut!(work.event).cast();
    if emit::output_raw(event, size_of::<DataEvent>() as u64 + length, Urgency::Batch) {
        emit::count(Counter::CopiedBytes, length);
        work.reported = offset + head + hole + tail;
    }
    0
}

#[inline(always)]
fn flags(transfer: &Transfer, missing: u64) -> u32 {
    let mut flags = if transfer.sent() { flag::SENT } else { 0 };
    if transfer.socket.is_blocking() {
        flags |= flag::BLOCKING;
    }
    if missing > 0 {
        flags |= flag::UNREADABLE;
        emit::count(Counter::Unreadable, 1);
    }
    flags
}

/// A call that moved nothing: end of file, or an error that ends the connection.
#[inline(always)]
fn ended(connection: &mut Connection, transfer: &Transfer) {
    let how = match transfer.result {
        0 if !transfer.sent() && transfer.room > 0 => close_how::BY_PEER,
        ECONNRESET | EPIPE | ETIMEDOUT => close_how::BOTH,
        _ => return,
    };
    if connection.ended != 0 || connection.ignored != 0 {
        return;
    }
    connection.ended = 1;
    emit::close(connection.id, how, transfer.ended);
}
