//! A connection whose protocol is not known: watches the starts of runs.

use crate::{
    chunk::{Direction, Moment},
    detect::{self, Finding, Protocol},
    session::{Content, SessionContext},
    stream::Ordered,
};

/// The start of a run, until it is known what it is.
#[derive(Debug, Default)]
pub(super) struct Opening {
    prefix: Vec<u8>,
    /// Where the pieces in `prefix` stood: position, length, moment.
    pieces: Vec<(u64, usize, Moment)>,
    /// The direction of the run.
    run: Option<Direction>,
    /// Nothing more is to be learnt from this run.
    spent: bool,
}

/// What a piece brought.
#[derive(Debug)]
pub(super) enum Opened {
    /// Nothing yet.
    Waiting,
    /// A run that starts like no protocol that is known.
    Unknown,
    /// A TLS record.
    Tls,
    /// A protocol, and what is to be fed to its session before the piece.
    Protocol {
        protocol: &'static Protocol,
        before: Prefix,
    },
}

/// Pieces that came before it was clear what they were.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    bytes: Vec<u8>,
    pieces: Vec<(u64, usize, Moment)>,
}

impl Opening {
    /// For a stream that turned out to be something else: waits for the next run.
    pub(super) fn at_next_run(run: Direction) -> Self {
        Self {
            run: Some(run),
            spent: true,
            ..Self::default()
        }
    }

    /// Takes a piece. Only runs that may be `asked` (of the request flow, as far as is known) are judged.
    pub(super) fn take(
        &mut self,
        direction: Direction,
        asked: bool,
        ordered: Ordered<'_>,
        context: SessionContext,
    ) -> Opened {
        if self.run != Some(direction) {
            *self = Self {
                run: Some(direction),
                ..Self::default()
            };
        }
        if self.spent || !asked {
            return Opened::Waiting;
        }
        match ordered.content {
            Content::Gap(_) => {
                // What follows need not be the start of a message.
                self.spent = true;
                self.take_prefix();
                Opened::Waiting
            }
            Content::Bytes(bytes) => self.judge(bytes, ordered, context),
        }
    }

    fn judge(&mut self, bytes: &[u8], ordered: Ordered<'_>, context: SessionContext) -> Opened {
        let finding = if self.prefix.is_empty() {
            detect::find(bytes, context)
        } else {
            let room = detect::LONGEST_PREFIX
                .saturating_sub(self.prefix.len())
                .min(bytes.len());
            let before = self.prefix.len();
            self.prefix.extend_from_slice(&bytes[..room]);
            let finding = detect::find(&self.prefix, context);
            self.prefix.truncate(before);
            finding
        };
        match finding {
            Finding::NeedMore if self.prefix.len() + bytes.len() < detect::LONGEST_PREFIX => {
                self.pieces.push((ordered.offset, bytes.len(), ordered.moment));
                self.prefix.extend_from_slice(bytes);
                return Opened::Waiting;
            }
            Finding::Protocol(protocol) => {
                return Opened::Protocol {
                    protocol,
                    before: self.take_prefix(),
                };
            }
            Finding::Tls => return Opened::Tls,
            Finding::NeedMore | Finding::Unknown => {}
        }
        self.spent = true;
        self.take_prefix();
        Opened::Unknown
    }

    fn take_prefix(&mut self) -> Prefix {
        Prefix {
            bytes: std::mem::take(&mut self.prefix),
            pieces: std::mem::take(&mut self.pieces),
        }
    }

    /// Position of the first byte of the run's prefix, if some was kept.
    pub(super) fn held_bytes(&self) -> usize {
        self.prefix.capacity() + self.pieces.capacity() * size_of::<(u64, usize, Moment)>()
    }
}

impl Prefix {
    /// Position of the first byte, if there is one.
    pub(super) fn offset(&self) -> Option<u64> {
        self.pieces.first().map(|(offset, ..)| *offset)
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = Ordered<'_>> {
        let mut rest = &self.bytes[..];
        self.pieces.iter().map(move |(offset, length, moment)| {
            let (bytes, after) = rest.split_at(*length);
            rest = after;
            Ordered {
                offset: *offset,
                content: Content::Bytes(bytes),
                moment: *moment,
            }
        })
    }
}
