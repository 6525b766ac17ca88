//! PostgreSQL, protocol version 3: bytes to one exchange per SQL statement.
//!
//! What counts as one exchange, and when it begins and ends:
//!
//! * **Simple Query**: one exchange per statement that has a result or an error. All begin with the message (results of
//!   several statements come together, so nothing finer would be true); each has its own offset in the message. What
//!   follows an error in the same message was not executed and makes no exchange.
//! * **Execute**: one exchange. It begins with the Parse of its statement if the server did not speak in between, with
//!   the Parse of the unnamed statement also when that had a round trip of its own (lib/pq: as a caller measures it),
//!   otherwise with its Bind: a named statement may have been prepared long ago.
//! * **Portals with a row limit**: all Executes of one portal in one batch are one exchange; after the batch, each fetch
//!   is an exchange of its own, as each is a call that somebody waits for.
//! * **Errors**: the first request without an answer failed. A failed Parse makes an exchange; what the server skips up
//!   to the next Sync makes none.
//! * The end is the moment of the message that completes the statement's result (`CommandComplete`, `EmptyQueryResponse`,
//!   `PortalSuspended`, `ErrorResponse`), also for COPY.
//! * A deferred constraint that fails at a Sync is counted as an orphan response: its statements have ended before.
//!
//! Bodies nobody looks at (`DataRow`, `CopyData`, values in Bind) are passed over without being stored.

mod conversation;
mod detect;
mod failure;
mod flow;
mod frame;
mod message;
mod named;
mod noise;
mod pending;
mod ready;
mod report;
mod request;
mod response;
mod startup;
mod statement;
#[cfg(test)]
mod tests;

use conversation::Conversation;
pub use detect::detect;
use flow::{Event, Flow, Turn};
use message::{Requests, Responses};
use startup::Packet;

use crate::{
    chunk::{Moment, Role},
    exchange::{Ending, Exchange},
    session::{Closing, Content, Counts, Desync, Flow as Way, Piece, Session, SessionContext, Verdict},
};

/// One connection that speaks PostgreSQL.
#[derive(Debug)]
pub struct PostgresSession {
    context: SessionContext,
    conversation: Conversation,
    requests: Flow<Requests>,
    responses: Flow<Responses>,
    /// Bytes of the packets before the first message; none once the session has started.
    starting: Option<Vec<u8>>,
    /// Requests for encryption without an answer; below zero when answers came first.
    encryption: i32,
    /// Behind the last byte of request and response.
    ends: [u64; 2],
    /// The last moment of the response.
    heard: u64,
}

impl PostgresSession {
    /// A session of which nothing was seen yet.
    pub fn new(context: SessionContext) -> Self {
        let lost = !context.from_start;
        let requests = Requests {
            query_bytes: context.limits.query_bytes,
        };
        Self {
            context,
            conversation: Conversation::new(context),
            // Sync or CopyDone: what a client's run ends with.
            requests: Flow::new(
                requests,
                |bytes| matches!(bytes, [b'S' | b'c', 0, 0, 0, 4, ..]),
                lost,
            ),
            responses: Flow::new(Responses, |bytes| bytes.first() == Some(&b'Z'), lost),
            starting: context.from_start.then(Vec::new),
            encryption: 0,
            ends: [0; 2],
            heard: 0,
        }
    }

    /// Takes bytes of the packets before the first message; what is left of them once the session has started.
    fn start<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Desync> {
        let mut bytes = bytes;
        while let Some(packet) = &mut self.starting
            && let Some((byte, rest)) = bytes.split_first()
        {
            packet.push(*byte);
            bytes = rest;
            match startup::judge(packet) {
                startup::Start::NeedMore => {}
                startup::Start::Packet(length) if packet.len() < length => {}
                startup::Start::Packet(_) => {
                    let packet = std::mem::take(packet);
                    self.packet(startup::parse(&packet).ok_or(Desync::NotThisProtocol)?);
                }
                startup::Start::Nonsense => return Err(Desync::NotThisProtocol),
            }
        }
        Ok(bytes)
    }

    fn packet(&mut self, packet: Packet) {
        match packet {
            Packet::Encryption => self.encryption += 1,
            Packet::Cancel => self.starting = None,
            Packet::Startup { user, database } => {
                self.starting = None;
                self.conversation.report.user = user;
                self.conversation.report.namespace = database;
            }
        }
    }

    fn request(&mut self, piece: Piece<'_>, out: &mut Vec<Exchange>) -> Result<(), Desync> {
        let piece = match piece.content {
            Content::Bytes(bytes) if self.starting.is_some() => {
                let rest = self.start(bytes)?;
                let offset = piece.offset + (bytes.len() - rest.len()) as u64;
                Piece {
                    offset,
                    content: Content::Bytes(rest),
                    ..piece
                }
            }
            // The gap is in a packet: where the first message begins is told by the next run.
            Content::Gap(length) if self.starting.is_some() && length > 0 => {
                self.starting = None;
                piece
            }
            _ => piece,
        };
        if self.requests.is_turned() {
            self.conversation.begin_run();
        }
        let conversation = &mut self.conversation;
        self.requests.feed(piece, &mut |event| match event {
            Event::Message(frame) => conversation.request(frame, out),
            Event::Turn(Turn::Lost { nonsense }, _) => {
                conversation.report.counts.unparsable += u64::from(nonsense);
                conversation.lose_request();
            }
            Event::Turn(_, _) => conversation.report.counts.resyncs += 1,
        });
        self.responses.turn();
        Ok(())
    }

    fn response(&mut self, piece: Piece<'_>, out: &mut Vec<Exchange>) -> Result<(), Desync> {
        let piece = match piece.content {
            Content::Bytes(bytes) => match self.answer_to_encryption(bytes)? {
                0 => piece,
                used => Piece {
                    offset: piece.offset + used as u64,
                    content: Content::Bytes(bytes.get(used..).unwrap_or_default()),
                    ..piece
                },
            },
            Content::Gap(_) => piece,
        };
        let before = self.heard;
        let conversation = &mut self.conversation;
        self.responses.feed(piece, &mut |event| match event {
            Event::Message(frame) => conversation.response(frame, out),
            Event::Turn(Turn::Lost { nonsense }, _) => {
                conversation.report.counts.unparsable += u64::from(nonsense);
                conversation.lose_response();
            }
            Event::Turn(turn, moment) => {
                conversation.report.counts.resyncs += 1;
                if turn == Turn::AtRun {
                    conversation.resume_response(if before == 0 { moment.ended } else { before }, out);
                } else {
                    conversation.lose_response();
                }
            }
        });
        self.heard = piece.moment.ended;
        self.requests.turn();
        Ok(())
    }

    /// Bytes that answer a request for encryption: one, which either refuses it or ends what can be read.
    fn answer_to_encryption(&mut self, bytes: &[u8]) -> Result<usize, Desync> {
        // Of a process that reports its writes late the answer may be seen first; it comes alone.
        let early =
            self.starting.as_ref().is_some_and(Vec::is_empty) && self.encryption == 0 && bytes.len() == 1;
        if self.encryption <= 0 && !early {
            return Ok(0);
        }
        match bytes.first() {
            Some(b'S' | b'G') => Err(Desync::Encrypted),
            Some(b'N') => {
                self.encryption -= 1;
                Ok(1)
            }
            // A server from before these requests answers with an error and closes.
            Some(_) => {
                self.encryption = 0;
                Ok(0)
            }
            None => Ok(0),
        }
    }

    fn note_end(&mut self, piece: &Piece<'_>) {
        let length = match piece.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Gap(length) => length,
        };
        self.ends[usize::from(piece.flow == Way::Response)] = piece.offset.saturating_add(length);
    }
}

impl Session for PostgresSession {
    fn feed(&mut self, piece: Piece<'_>, out: &mut Vec<Exchange>) -> Result<(), Desync> {
        self.note_end(&piece);
        match piece.flow {
            Way::Request => self.request(piece, out)?,
            Way::Response => self.response(piece, out)?,
        }
        if self.requests.is_hopeless() || self.responses.is_hopeless() {
            return Err(Desync::NotThisProtocol);
        }
        Ok(())
    }

    fn close(&mut self, closing: Closing, moment: Moment, out: &mut Vec<Exchange>) {
        let ending = match closing {
            Closing::Here => Ending::ClosedHere,
            Closing::ByPeer | Closing::Both => Ending::ClosedByPeer,
        };
        if let Some(frame) = self.requests.begun().filter(|frame| frame.kind == b'Q') {
            self.conversation.request(frame, out);
        }
        self.conversation.abandon_all(ending, moment.ended, out);
    }

    fn verdict(&self) -> Verdict {
        let request = self.ends[0].saturating_add(self.requests.unwanted());
        let response = self.ends[1].saturating_add(self.responses.unwanted());
        let [request, response] = [
            (request, self.requests.unwanted()),
            (response, self.responses.unwanted()),
        ]
        .map(|(until, unwanted)| if unwanted > 0 { until } else { 0 });
        let (skip_sent_until, skip_received_until) = match self.context.role {
            Role::Client => (request, response),
            Role::Server | Role::Unknown => (response, request),
        };
        Verdict {
            ignore: false,
            skip_received_until,
            skip_sent_until,
        }
    }

    fn expects_response(&self) -> bool {
        let logs_in = self.context.from_start && self.starting.is_none() && !self.conversation.is_ready;
        logs_in
            || self.encryption > 0
            || self.responses.begun().is_some()
            || self.conversation.pending.len() > 0
    }

    fn held_bytes(&self) -> usize {
        let start = self.starting.as_ref().map_or(0, Vec::capacity);
        start + self.requests.held_bytes() + self.responses.held_bytes() + self.conversation.held_bytes()
    }

    fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.conversation.report.counts)
    }
}
