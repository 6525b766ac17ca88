//! One direction of the stream: where messages begin, also after bytes went missing.

use super::frame::{Frame, Framer, Grammar, Lost, find_chain, is_chain};
use crate::{
    chunk::Moment,
    session::{Content, Piece},
};

/// Bytes kept while looking for a message: the end of one call may hold the beginning of what the next one completes.
const CARRIED: usize = 512;
/// Most bytes searched in one piece: what is looked for stands at the end of a call.
const SEARCHED: usize = 8 * 1024;
/// Runs that may turn out to be nonsense, more often than messages come, before the stream is given up.
const MAX_NONSENSE: u8 = 8;

/// What a flow says about its boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The boundaries were lost: bytes are missing, or what should be a message is none.
    Lost { nonsense: bool },
    /// Messages are read again, from the start of a run.
    AtRun,
    /// Messages are read again, from a place found in the middle of a run.
    InRun,
}

/// What the receiver of a flow's messages gets.
pub(crate) enum Event<'a> {
    Message(Frame<'a>),
    Turn(Turn, Moment),
}

/// One direction of the stream.
#[derive(Debug)]
pub(crate) struct Flow<G> {
    grammar: G,
    /// A message whose end a search may rely on, told by its first bytes.
    is_anchor: fn(&[u8]) -> bool,
    framer: Framer,
    lost: bool,
    /// The other direction spoke since the last piece of this one: the next piece begins a run.
    turned: bool,
    carry: Vec<u8>,
    nonsense: u8,
    /// Messages read so far.
    messages: u64,
}

impl<G: Grammar> Flow<G> {
    /// A flow that begins at a message or, when `lost`, anywhere.
    pub(crate) fn new(grammar: G, is_anchor: fn(&[u8]) -> bool, lost: bool) -> Self {
        Self {
            grammar,
            is_anchor,
            framer: Framer::default(),
            lost,
            turned: true,
            carry: Vec::new(),
            nonsense: 0,
            messages: 0,
        }
    }

    /// The other direction speaks.
    pub(crate) fn turn(&mut self) {
        self.turned = true;
    }

    /// The next piece begins a run.
    pub(crate) fn is_turned(&self) -> bool {
        self.turned
    }

    /// Nothing but nonsense came, or too much of it.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.nonsense > MAX_NONSENSE || (self.nonsense > 0 && self.messages == 0)
    }

    /// So many bytes follow that nobody wants to see.
    pub(crate) fn unwanted(&self) -> u64 {
        if self.lost { 0 } else { self.framer.unwanted() }
    }

    /// Memory held for a message that has not ended, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.carry.capacity() + self.framer.held_bytes()
    }

    /// The message that was begun and has not ended.
    pub(crate) fn begun(&self) -> Option<Frame<'_>> {
        let (kind, body, start) = self.framer.begun()?;
        Some(Frame {
            kind,
            body,
            cut: true,
            start,
            ended: start.moment.ended,
        })
    }

    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, piece: Piece<'_>, receive: &mut impl FnMut(Event<'_>)) {
        let run = std::mem::take(&mut self.turned);
        if !self.lost {
            return self.read(piece, receive);
        }
        let Content::Bytes(bytes) = piece.content else {
            return self.carry.clear();
        };
        if run && !bytes.is_empty() && is_chain(bytes, &self.grammar) {
            self.found(Turn::AtRun, piece.moment, receive);
            return self.read(piece, receive);
        }
        self.nonsense = self.nonsense.saturating_add(u8::from(run && self.messages > 0));
        self.search(bytes, piece, receive);
    }

    fn read(&mut self, piece: Piece<'_>, receive: &mut impl FnMut(Event<'_>)) {
        let before = self.messages;
        let messages = &mut self.messages;
        let result = self.framer.feed(piece, &self.grammar, |frame| {
            *messages += 1;
            receive(Event::Message(frame));
        });
        let Err(lost) = result else {
            self.nonsense -= u8::from(self.nonsense > 0 && self.messages > before);
            return;
        };
        self.lost = true;
        self.carry.clear();
        receive(Event::Turn(
            Turn::Lost {
                nonsense: lost != Lost::Gap,
            },
            piece.moment,
        ));
        if let (Lost::Nonsense(used), Content::Bytes(bytes)) = (lost, piece.content) {
            self.nonsense = self.nonsense.saturating_add(1);
            self.search(bytes.get(used..).unwrap_or_default(), piece, receive);
        }
    }

    /// Looks for a message in bytes at the end of `piece`.
    fn search(&mut self, bytes: &[u8], piece: Piece<'_>, receive: &mut impl FnMut(Event<'_>)) {
        let Content::Bytes(whole) = piece.content else {
            return;
        };
        let bytes = bytes
            .get(bytes.len().saturating_sub(SEARCHED)..)
            .unwrap_or_default();
        let mut window = std::mem::take(&mut self.carry);
        window.extend_from_slice(bytes);
        let Some(at) = find_chain(&window, &self.grammar, self.is_anchor) else {
            window.drain(..window.len().saturating_sub(CARRIED));
            self.carry = window;
            return;
        };
        let found = window.get(at..).unwrap_or_default();
        let offset = (piece.offset + whole.len() as u64).saturating_sub(found.len() as u64);
        self.found(Turn::InRun, piece.moment, receive);
        self.read(
            Piece {
                offset,
                content: Content::Bytes(found),
                ..piece
            },
            receive,
        );
    }

    fn found(&mut self, turn: Turn, moment: Moment, receive: &mut impl FnMut(Event<'_>)) {
        self.lost = false;
        self.framer.reset();
        receive(Event::Turn(turn, moment));
    }
}
