//! The whole way for one connection: order, detection, session.

mod early;
mod opening;
mod talk;
#[cfg(test)]
mod tests;

use self::talk::Talk;
use crate::{
    chunk::{Chunk, Direction, Moment, Role},
    exchange::{Exchange, Http},
    limits::Limits,
    otlp::Exported,
    session::{Closing, Counts, Verdict},
    stream::{Stream, StreamCounts},
};

/// What a connection is told at its start.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionContext {
    /// Which side the watched process is.
    pub role: Role,
    /// Bounds.
    pub limits: Limits,
    /// Also report BEGIN, COMMIT, pings and driver set-up as exchanges.
    pub report_noise: bool,
}

/// One connection of a watched process.
pub struct Connection {
    limits: Limits,
    sent: Stream,
    received: Stream,
    talk: Talk,
}

impl Connection {
    /// A connection of which nothing was seen yet.
    pub fn new(context: ConnectionContext) -> Self {
        Self {
            limits: context.limits,
            sent: Stream::default(),
            received: Stream::default(),
            talk: Talk::new(context),
        }
    }

    /// Tells how many bytes were sent and received before the connection was first seen.
    ///
    /// Without this the first chunk of a direction counts as its start, so that one lost or overtaken before it goes
    /// unnoticed.
    pub fn start_at(&mut self, sent: u64, received: u64) {
        self.sent.start_at(sent);
        self.received.start_at(received);
    }

    /// Takes what one call moved. Finished exchanges are appended to `out`.
    pub fn push(&mut self, chunk: Chunk<'_>, out: &mut Vec<Exchange>) {
        if self.talk.is_over() {
            return;
        }
        let Self {
            limits,
            sent,
            received,
            talk,
        } = self;
        let now = chunk.moment.ended;
        talk.next_call();
        sent.expire(now, &mut |ordered| talk.take(Direction::Sent, ordered, out));
        received.expire(now, &mut |ordered| talk.take(Direction::Received, ordered, out));
        let stream = match chunk.direction {
            Direction::Sent => sent,
            Direction::Received => received,
        };
        stream.push(&chunk, limits, &mut |ordered| {
            talk.take(chunk.direction, ordered, out);
        });
    }

    /// One or both directions ended at `moment`.
    ///
    /// [`Closing::ByPeer`] is to be told when the process read the end of file, not when the FIN came in: bytes may
    /// be waiting in between.
    pub fn close(&mut self, closing: Closing, moment: Moment, out: &mut Vec<Exchange>) {
        let Self {
            sent, received, talk, ..
        } = self;
        if closing != Closing::ByPeer {
            sent.finish(&mut |ordered| talk.take(Direction::Sent, ordered, out));
        }
        if closing != Closing::Here {
            received.finish(&mut |ordered| talk.take(Direction::Received, ordered, out));
        }
        talk.close(closing, moment, out);
    }

    /// What the kernel may leave out from now on; the agent compares with what it last told the kernel.
    pub fn verdict(&self) -> Verdict {
        self.talk.verdict()
    }

    /// Whether the connection has exchanges, or may still have. If not, it is followed for what it tells of the program, or
    /// not at all.
    pub fn has_exchanges(&self) -> bool {
        self.talk.has_exchanges()
    }

    /// Shows the HTTP requests that have begun and are not answered completely.
    pub fn open_requests(&self, see: &mut dyn FnMut(&Http)) {
        self.talk.open_requests(see);
    }

    /// Which calls the client's own SDK exports, as far as its exports on this connection showed since the last call, and
    /// which side the watched process is.
    pub fn take_exported(&mut self) -> Option<(Role, Exported)> {
        self.talk.take_exported()
    }

    /// Name of the protocol, once it is known: `http`, `http2`, `postgresql`, or why there is none: `tls`, `upgraded`
    /// (left to another protocol), `unknown`.
    pub fn protocol(&self) -> Option<&'static str> {
        self.talk.protocol()
    }

    /// Memory held for bytes and messages that are not finished, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.sent.held_bytes() + self.received.held_bytes() + self.talk.held_bytes()
    }

    /// What was counted since the last call.
    pub fn take_counts(&mut self) -> ConnectionCounts {
        let mut counts = self.talk.take_counts();
        for stream in [&mut self.sent, &mut self.received] {
            let StreamCounts {
                gaps,
                gap_bytes,
                duplicate_bytes,
            } = stream.take_counts();
            counts.gaps += gaps;
            counts.gap_bytes = counts.gap_bytes.saturating_add(gap_bytes);
            counts.duplicate_bytes = counts.duplicate_bytes.saturating_add(duplicate_bytes);
        }
        counts
    }
}

/// What a connection counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// What its sessions counted.
    pub session: Counts,
    /// Gaps in the byte stream, those that capture left on purpose included.
    pub gaps: u64,
    /// Bytes in those gaps.
    pub gap_bytes: u64,
    /// Bytes that came twice, or after they were given up.
    pub duplicate_bytes: u64,
    /// Protocol detections that turned out wrong.
    pub wrong_guesses: u64,
    /// Streams given up as unknown.
    pub unknown: u64,
    /// Streams found to be encrypted.
    pub encrypted: u64,
}

impl ConnectionCounts {
    /// Adds what another set counted.
    pub fn add(&mut self, other: Self) {
        let Self {
            session,
            gaps,
            gap_bytes,
            duplicate_bytes,
            wrong_guesses,
            unknown,
            encrypted,
        } = other;
        self.session.add(session);
        self.gaps += gaps;
        self.gap_bytes += gap_bytes;
        self.duplicate_bytes += duplicate_bytes;
        self.wrong_guesses += wrong_guesses;
        self.unknown += unknown;
        self.encrypted += encrypted;
    }
}
