//! Order: one direction of one connection, from chunks as they come to bytes in order with gaps named.
//!
//! Chunks that are in order pass without being copied. A chunk that comes before its predecessor is held back until
//! that turns up; when too much is held, or for too long, what is missing becomes a gap. Nothing ever waits for bytes
//! that capture said it left out.

use crate::{
    chunk::{Chunk, Moment},
    limits::Limits,
    session::Content,
};

#[cfg(test)]
mod tests;

/// One direction of a connection, in order.
#[derive(Debug, Default)]
pub struct Stream {
    /// Position of the next byte to deliver; none before the first chunk.
    next: Option<u64>,
    /// Moment of the last byte delivered: the best that is known for bytes of which only the position is.
    last: Moment,
    /// Chunks that wait for an earlier one, by position.
    held: Vec<Held>,
    held_bytes: usize,
    counts: StreamCounts,
}

/// Bytes in order, or a gap.
#[derive(Clone, Copy, Debug)]
pub struct Ordered<'a> {
    /// Position of the first byte.
    pub offset: u64,
    /// The bytes, or how many are missing.
    pub content: Content<'a>,
    /// When and by whom; for bytes that no chunk told of, the moment of the byte before them.
    pub moment: Moment,
}

/// What a stream counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Gaps delivered.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// Bytes that had been delivered (or given up as a gap) before.
    pub duplicate_bytes: u64,
}

/// A chunk that waits.
#[derive(Debug)]
struct Held {
    offset: u64,
    skipped: u64,
    /// Head and tail, one after the other.
    bytes: Box<[u8]>,
    head: usize,
    hole: u64,
    moment: Moment,
}

/// Chunks held at most. What races are calls on one socket by several threads, so a handful is plenty.
const HELD_CHUNKS: usize = 16;

/// How long a chunk waits for an earlier one, in nanoseconds, once anything later is seen on the connection.
const PATIENCE: u64 = 200_000_000;

impl Stream {
    /// Tells the position of the first byte, if nothing was pushed yet.
    pub fn start_at(&mut self, offset: u64) {
        self.next.get_or_insert(offset);
    }

    /// Takes a chunk and hands on what is in order now.
    pub fn push(&mut self, chunk: &Chunk<'_>, limits: &Limits, sink: &mut impl FnMut(Ordered<'_>)) {
        if chunk.end() == u64::MAX {
            // No stream gets this far: the record is damaged, and no position after it could be told.
            return;
        }
        let known_from = chunk.offset.saturating_sub(chunk.skipped);
        let next = *self.next.get_or_insert(known_from);
        if known_from <= next {
            self.deliver(chunk, sink);
        } else {
            self.hold(chunk);
            while self.held_bytes > limits.reorder_bytes || self.held.len() > HELD_CHUNKS {
                self.release(sink);
            }
        }
        self.drain(sink);
    }

    /// Gives up waiting for what precedes chunks that have been held for too long at `now`.
    pub fn expire(&mut self, now: u64, sink: &mut impl FnMut(Ordered<'_>)) {
        while self
            .held
            .first()
            .is_some_and(|held| held.moment.ended.saturating_add(PATIENCE) < now)
        {
            self.release(sink);
            self.drain(sink);
        }
    }

    /// Gives up waiting: nothing more will come.
    pub fn finish(&mut self, sink: &mut impl FnMut(Ordered<'_>)) {
        while !self.held.is_empty() {
            self.release(sink);
            self.drain(sink);
        }
    }

    /// Memory held, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes + self.held.capacity() * size_of::<Held>()
    }

    /// What was counted since the last call.
    pub fn take_counts(&mut self) -> StreamCounts {
        std::mem::take(&mut self.counts)
    }

    fn hold(&mut self, chunk: &Chunk<'_>) {
        let held = Held::of(chunk);
        self.held_bytes += held.bytes.len();
        let place = self
            .held
            .partition_point(|other| other.known_from() <= held.known_from());
        self.held.insert(place, held);
    }

    /// Delivers held chunks that are in order.
    fn drain(&mut self, sink: &mut impl FnMut(Ordered<'_>)) {
        while self
            .held
            .first()
            .is_some_and(|held| Some(held.known_from()) <= self.next)
        {
            self.release(sink);
        }
    }

    /// Delivers the first held chunk, whatever is missing before it.
    fn release(&mut self, sink: &mut impl FnMut(Ordered<'_>)) {
        if self.held.is_empty() {
            return;
        }
        let held = self.held.remove(0);
        self.held_bytes -= held.bytes.len();
        self.deliver(&held.chunk(), sink);
    }

    /// Delivers a chunk: a gap up to its start if there is one, then those of its parts that are new.
    fn deliver(&mut self, chunk: &Chunk<'_>, sink: &mut impl FnMut(Ordered<'_>)) {
        let next = self.next.unwrap_or(chunk.offset);
        self.counts.duplicate_bytes += next.min(chunk.end()).saturating_sub(chunk.offset);
        if chunk.offset > next {
            self.gap(chunk.offset, self.last, sink);
        }
        let tail_offset = chunk.end() - chunk.tail.len() as u64;
        self.bytes(chunk.offset, chunk.head, chunk.moment, sink);
        self.gap(tail_offset, chunk.moment, sink);
        self.bytes(tail_offset, chunk.tail, chunk.moment, sink);
    }

    fn bytes(&mut self, offset: u64, bytes: &[u8], moment: Moment, sink: &mut impl FnMut(Ordered<'_>)) {
        let next = self.next.unwrap_or(offset);
        let known = usize::try_from(next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(new @ [_, ..]) = bytes.get(known..) else {
            return;
        };
        self.next = Some(next.saturating_add(new.len() as u64));
        self.last = moment;
        sink(Ordered {
            offset: next,
            content: Content::Bytes(new),
            moment,
        });
    }

    /// Everything up to `until` that was not delivered is missing.
    fn gap(&mut self, until: u64, moment: Moment, sink: &mut impl FnMut(Ordered<'_>)) {
        let next = self.next.unwrap_or(until);
        if until <= next {
            return;
        }
        self.counts.gaps += 1;
        self.counts.gap_bytes = self.counts.gap_bytes.saturating_add(until - next);
        self.next = Some(until);
        self.last = moment;
        sink(Ordered {
            offset: next,
            content: Content::Gap(until - next),
            moment,
        });
    }
}

impl Held {
    fn of(chunk: &Chunk<'_>) -> Self {
        Self {
            offset: chunk.offset,
            skipped: chunk.skipped,
            bytes: [chunk.head, chunk.tail].concat().into_boxed_slice(),
            head: chunk.head.len(),
            hole: chunk.hole,
            moment: chunk.moment,
        }
    }

    fn known_from(&self) -> u64 {
        self.offset.saturating_sub(self.skipped)
    }

    fn chunk(&self) -> Chunk<'_> {
        let (head, tail) = self.bytes.split_at(self.head);
        Chunk {
            // The direction plays no part any more.
            direction: crate::chunk::Direction::Sent,
            offset: self.offset,
            skipped: self.skipped,
            head,
            hole: self.hole,
            tail,
            moment: self.moment,
        }
    }
}
