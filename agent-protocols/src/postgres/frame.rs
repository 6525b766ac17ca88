//! Messages in a byte stream: type, length, and as much of the body as somebody wants to see.

use crate::{
    chunk::Moment,
    session::{Content, Piece},
};

/// Type byte and length.
const HEADER: usize = 5;
/// No message is longer: PostgreSQL allocates at most 1 GiB for one (`MaxAllocSize`, utils/memutils.h).
const MAX_LENGTH: u32 = 0x3fff_ffff;

/// What kinds of messages a flow carries, and what is wanted of them.
pub(crate) trait Grammar {
    /// The flow has messages of this kind.
    fn knows(&self, kind: u8) -> bool;

    /// Bytes of the body that are wanted of a message of this kind and length (of the body); none if the flow has no
    /// such message.
    fn wanted(&self, kind: u8, length: usize) -> Option<usize>;
}

/// A message, when its last byte has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    /// The wanted first bytes of the body; fewer when bytes are missing.
    pub(crate) body: &'a [u8],
    /// `body` is not all of it.
    pub(crate) cut: bool,
    pub(crate) start: Mark,
    /// When the last byte came.
    pub(crate) ended: u64,
}

/// Where and when a message began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: u64,
    pub(crate) moment: Moment,
}

/// Why no more messages can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Bytes are missing across the end of a message.
    Gap,
    /// What should be a message is none; so many of the piece's bytes were used before.
    Nonsense(usize),
}

/// Splits one flow into messages. Holds one header or the wanted part of one body, never more.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    header: [u8; HEADER],
    /// Bytes of the header that are there.
    have: usize,
    start: Mark,
    body: Option<Body>,
}

#[derive(Debug)]
struct Body {
    /// Bytes of the message that have not come yet.
    remaining: u64,
    wanted: usize,
    kept: Vec<u8>,
    length: usize,
    /// Bytes are missing: what comes later is not joined to what is kept.
    broken: bool,
}

impl Framer {
    /// So many bytes follow that nobody wants to see.
    pub(crate) fn unwanted(&self) -> u64 {
        self.body
            .as_ref()
            .filter(|body| body.broken || body.kept.len() >= body.wanted)
            .map_or(0, |body| body.remaining)
    }

    /// Takes the next bytes and hands on each message that they complete.
    ///
    /// # Errors
    /// [`Lost`], after which the framer is at a message boundary again: feed it from one.
    pub(crate) fn feed(
        &mut self,
        piece: Piece<'_>,
        grammar: &impl Grammar,
        mut receive: impl FnMut(Frame<'_>),
    ) -> Result<(), Lost> {
        let mut bytes = match piece.content {
            Content::Bytes(bytes) => bytes,
            Content::Gap(length) => return self.gap(length, piece.moment, receive),
        };
        let total = bytes.len();
        while !bytes.is_empty() {
            let used = total - bytes.len();
            if self.body.is_none() && !self.take_header(&mut bytes, piece, used, grammar)? {
                return Ok(());
            }
            let Some(body) = &mut self.body else { continue };
            let take = (bytes.len() as u64).min(body.remaining) as usize;
            let (now, later) = bytes.split_at(take);
            bytes = later;
            let whole = body.length == take;
            body.remaining -= take as u64;
            if !whole || body.remaining > 0 {
                body.keep(now);
            }
            if body.remaining == 0 {
                self.complete(whole.then_some(now), piece.moment, &mut receive);
            }
        }
        Ok(())
    }

    /// Reads the header; false when more bytes are needed for it.
    fn take_header(
        &mut self,
        bytes: &mut &[u8],
        piece: Piece<'_>,
        used: usize,
        grammar: &impl Grammar,
    ) -> Result<bool, Lost> {
        if self.have == 0 {
            self.start = Mark {
                offset: piece.offset + used as u64,
                moment: piece.moment,
            };
        }
        let take = bytes.len().min(HEADER - self.have);
        let (now, later) = bytes.split_at(take);
        for (slot, byte) in self.header.iter_mut().skip(self.have).zip(now) {
            *slot = *byte;
        }
        *bytes = later;
        self.have += take;
        if self.have < HEADER {
            // A type that this flow does not have is found out with its first byte.
            return if grammar.knows(self.header[0]) {
                Ok(false)
            } else {
                Err(self.nonsense(used))
            };
        }
        let Some((length, wanted)) = header(&self.header, grammar) else {
            return Err(self.nonsense(used));
        };
        self.body = Some(Body {
            remaining: length as u64,
            wanted,
            kept: Vec::new(),
            length,
            broken: false,
        });
        // A message without body is complete with its header, also when these are the last bytes.
        Ok(true)
    }

    fn nonsense(&mut self, used: usize) -> Lost {
        self.reset();
        Lost::Nonsense(used)
    }

    /// The message is complete; its body is `whole` if it came in one piece.
    fn complete(&mut self, whole: Option<&[u8]>, moment: Moment, receive: &mut impl FnMut(Frame<'_>)) {
        let Some(body) = self.body.take() else { return };
        let kept = whole.unwrap_or(&body.kept);
        let kept = kept.get(..body.wanted.min(kept.len())).unwrap_or_default();
        self.have = 0;
        receive(Frame {
            kind: self.header[0],
            body: kept,
            cut: kept.len() < body.length,
            start: self.start,
            ended: moment.ended,
        });
    }

    fn gap(&mut self, length: u64, moment: Moment, mut receive: impl FnMut(Frame<'_>)) -> Result<(), Lost> {
        if length == 0 {
            return Ok(());
        }
        let Some(body) = self.body.as_mut().filter(|body| body.remaining >= length) else {
            self.reset();
            return Err(Lost::Gap);
        };
        body.remaining -= length;
        body.broken = true;
        if body.remaining == 0 {
            self.complete(None, moment, &mut receive);
        }
        Ok(())
    }

    /// Forgets what was begun: the next byte starts a message.
    pub(crate) fn reset(&mut self) {
        self.have = 0;
        self.body = None;
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.kept.capacity())
    }

    /// The message that was begun and not completed: kind, what is kept of its body, where it began.
    pub(crate) fn begun(&self) -> Option<(u8, &[u8], Mark)> {
        let body = self.body.as_ref()?;
        Some((self.header[0], &body.kept, self.start))
    }
}

impl Body {
    fn keep(&mut self, bytes: &[u8]) {
        if !self.broken {
            let room = self.wanted.saturating_sub(self.kept.len());
            self.kept
                .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        }
    }
}

/// Length of the body and wanted bytes of it, if this is the header of a message of the flow.
pub(crate) fn header(bytes: &[u8], grammar: &impl Grammar) -> Option<(usize, usize)> {
    let &[kind, a, b, c, d] = bytes.first_chunk::<HEADER>()?;
    let length = u32::from_be_bytes([a, b, c, d]);
    if length > MAX_LENGTH {
        return None;
    }
    let length = length.checked_sub(4)? as usize;
    let wanted = grammar.wanted(kind, length)?;
    Some((length, wanted))
}

/// The bytes are messages from the first one on; the last may go on behind them.
pub(crate) fn is_chain(bytes: &[u8], grammar: &impl Grammar) -> bool {
    let mut rest = bytes;
    while rest.len() >= HEADER {
        let Some((length, _)) = header(rest, grammar) else {
            return false;
        };
        rest = rest.get(HEADER + length..).unwrap_or_default();
    }
    rest.first().is_none_or(|kind| grammar.knows(*kind))
}

/// Where a chain of messages begins that ends with the bytes or goes on behind them, and in which one has the kind
/// `anchor` and is complete: the place to go on reading in the middle of a stream of which bytes are missing.
///
/// A wrong place is next to impossible: each message's length must lead to the type of the next.
pub(crate) fn find_chain(
    bytes: &[u8],
    grammar: &impl Grammar,
    is_anchor: impl Fn(&[u8]) -> bool,
) -> Option<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum From {
        Nothing,
        Chain,
        Anchored,
    }
    // Backwards, so that each place asks only the place that its length leads to.
    let mut chains = vec![From::Nothing; bytes.len() + 1];
    chains[bytes.len()] = From::Chain;
    for at in (0..bytes.len()).rev() {
        let rest = &bytes[at..];
        let next = match header(rest, grammar) {
            Some((length, _)) => at + HEADER + length,
            None if rest.len() < HEADER && grammar.knows(rest[0]) => bytes.len(),
            None => continue,
        };
        let complete = next <= bytes.len() && rest.len() >= HEADER;
        chains[at] = match chains[next.min(bytes.len())] {
            From::Chain if complete && is_anchor(rest) => From::Anchored,
            other => other,
        };
    }
    chains.iter().position(|chain| *chain == From::Anchored)
}
