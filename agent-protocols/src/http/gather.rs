//! From pieces to whole heads: finds the blank line, keeps a partial head, copies nothing when a head is whole.

use memchr::memchr;

use crate::chunk::Moment;

/// A position in a flow and its moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct At {
    pub(super) offset: u64,
    pub(super) moment: Moment,
}

/// Collects one head of one flow at a time.
#[derive(Debug, Default)]
pub(super) struct Gather {
    buffer: Vec<u8>,
    first: At,
    scan: Scan,
}

/// A whole head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    /// From its first line to its blank line, both included.
    pub(super) bytes: &'a [u8],
    /// Lines in it: an upper bound of its fields.
    pub(super) lines: usize,
    /// Some field is folded over several lines.
    pub(super) folded: bool,
    /// Where and when it began.
    pub(super) first: At,
}

/// What became of the bytes that were pushed.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for a moment, and most calls bring a whole head"
)]
pub(super) enum Gathered<'a> {
    /// All were taken and the head is not at its end.
    More,
    /// The head is longer than it may be; what there is of it is in [`Gather::partial`].
    TooLong,
    /// The head is whole and took `used` of the bytes.
    Whole { head: Head<'a>, used: usize },
}

/// Kept between heads; more is given back.
const KEPT_CAPACITY: usize = 4096;

impl Gather {
    /// Takes bytes that stand at `at`. A head may have `limit` bytes.
    pub(super) fn push<'a>(&'a mut self, bytes: &'a [u8], at: At, limit: usize) -> Gathered<'a> {
        if !self.buffer.is_empty() {
            return self.append(bytes, limit);
        }
        // Empty lines before a message are to be ignored (RFC 9112 section 2.2).
        let blank = bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let rest = &bytes[blank..];
        self.first = At {
            offset: at.offset + blank as u64,
            ..at
        };
        self.scan = Scan::default();
        match self.scan.run(rest) {
            Some(end) if end <= limit => {
                let head = self.scan.head(&rest[..end], self.first);
                Gathered::Whole {
                    head,
                    used: blank + end,
                }
            }
            None if rest.len() <= limit => {
                self.buffer.extend_from_slice(rest);
                Gathered::More
            }
            _ => {
                self.buffer.extend_from_slice(&rest[..limit]);
                Gathered::TooLong
            }
        }
    }

    fn append<'a>(&'a mut self, bytes: &[u8], limit: usize) -> Gathered<'a> {
        let before = self.buffer.len();
        let room = limit.saturating_sub(before).min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..room]);
        match self.scan.run(&self.buffer) {
            Some(end) => {
                let head = self.scan.head(&self.buffer[..end], self.first);
                Gathered::Whole {
                    head,
                    used: end - before,
                }
            }
            None if room == bytes.len() => Gathered::More,
            None => Gathered::TooLong,
        }
    }

    /// What there is of a head that is not whole, where it began first.
    pub(super) fn partial(&self) -> Option<Head<'_>> {
        (!self.buffer.is_empty()).then(|| self.scan.head(&self.buffer, self.first))
    }

    /// Forgets the head.
    pub(super) fn clear(&mut self) {
        if self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

impl Head<'_> {
    /// The first line without its line end, once it is complete.
    pub(super) fn first_line(&self) -> Option<&[u8]> {
        let end = memchr(b'\n', self.bytes)?;
        let line = &self.bytes[..end];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// The search for the blank line; goes over each byte once, however small the pieces are.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Everything before this was looked at.
    done: usize,
    lines: usize,
    folded: bool,
}

impl Scan {
    /// Where the head in `bytes` ends, if it does.
    fn run(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(found) = memchr(b'\n', &bytes[self.done..]) {
            let newline = self.done + found;
            match bytes[newline + 1..] {
                [b'\n', ..] => return Some(newline + 2),
                [b'\r', b'\n', ..] => return Some(newline + 3),
                [] | [b'\r'] => {
                    self.done = newline;
                    return None;
                }
                // The first line cannot be folded.
                [b' ' | b'\t', ..] => self.folded |= self.lines > 0,
                _ => {}
            }
            self.lines += 1;
            self.done = newline + 1;
        }
        self.done = bytes.len();
        None
    }

    fn head<'a>(&self, bytes: &'a [u8], first: At) -> Head<'a> {
        Head {
            bytes,
            lines: self.lines,
            folded: self.folded,
            first,
        }
    }
}
