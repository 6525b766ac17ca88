//! What a client received before the write of its request was observed.
//!
//! A write is observed when its system call returns. By then the server may have answered, and another thread of the
//! client may have read the answer. So what is received while nothing is asked waits here, bounded in bytes and in
//! events, until the request turns up.

use std::collections::VecDeque;

use crate::{chunk::Moment, session::Content, stream::Ordered};

/// Received pieces that wait.
#[derive(Debug, Default)]
pub(super) struct Early {
    pieces: VecDeque<Kept>,
    bytes: usize,
    /// Pieces of the connection seen since the first one was kept.
    events: usize,
}

/// A piece with its own bytes.
#[derive(Debug)]
pub(super) struct Kept {
    offset: u64,
    content: Result<Box<[u8]>, u64>,
    moment: Moment,
}

/// Bytes kept at most. An answer that is read this early is one call's worth.
const BYTES: usize = 64 * 1024;
/// Events of the connection after which nobody will turn up any more.
const EVENTS: usize = 64;

impl Early {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn keep(&mut self, ordered: Ordered<'_>) {
        let kept = Kept::of(ordered);
        self.bytes += kept.len();
        self.pieces.push_back(kept);
    }

    /// Another piece of the connection was seen.
    pub(super) fn count_event(&mut self) {
        self.events += usize::from(!self.pieces.is_empty());
    }

    /// Waiting has no point any more.
    pub(super) fn is_overdue(&self) -> bool {
        self.events > EVENTS || self.bytes > BYTES
    }

    /// When the first piece was read. A gap is as late as the bytes after it: nobody saw when its bytes came.
    pub(super) fn first(&self) -> Option<u64> {
        let bytes = self.pieces.iter().find(|kept| kept.content.is_ok());
        bytes.or(self.pieces.back()).map(|kept| kept.moment.ended)
    }

    pub(super) fn take(&mut self) -> Option<Kept> {
        let kept = self.pieces.pop_front()?;
        self.bytes -= kept.len();
        if self.pieces.is_empty() {
            *self = Self::default();
        }
        Some(kept)
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.bytes + self.pieces.capacity() * size_of::<Kept>()
    }
}

impl Kept {
    fn of(ordered: Ordered<'_>) -> Self {
        let content = match ordered.content {
            Content::Bytes(bytes) => Ok(Box::from(bytes)),
            Content::Gap(count) => Err(count),
        };
        Self {
            offset: ordered.offset,
            content,
            moment: ordered.moment,
        }
    }

    fn len(&self) -> usize {
        self.content.as_ref().map_or(0, |bytes| bytes.len())
    }

    pub(super) fn ordered(&self) -> Ordered<'_> {
        let content = match &self.content {
            Ok(bytes) => Content::Bytes(bytes),
            Err(count) => Content::Gap(*count),
        };
        Ordered {
            offset: self.offset,
            content,
            moment: self.moment,
        }
    }
}
