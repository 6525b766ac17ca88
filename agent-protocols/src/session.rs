//! What every protocol implements, and what it reports.

use crate::{
    chunk::{Direction, Moment, Role},
    exchange::{Exchange, Http},
    limits::Limits,
    otlp::Exported,
};

/// Which way bytes go in terms of the protocol, whatever side the watched process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// From the client to the server.
    Request,
    /// From the server to the client.
    Response,
}

impl Flow {
    /// The flow of bytes that a process of this role sent or received.
    pub fn of(role: Role, direction: Direction) -> Self {
        match (role, direction) {
            (Role::Client, Direction::Sent) | (Role::Server | Role::Unknown, Direction::Received) => {
                Self::Request
            }
            (Role::Client, Direction::Received) | (Role::Server | Role::Unknown, Direction::Sent) => {
                Self::Response
            }
        }
    }
}

/// Bytes in order, of one flow, from one call.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Which way.
    pub flow: Flow,
    /// Position of the first byte in its direction.
    pub offset: u64,
    /// The bytes, or how many are missing.
    pub content: Content<'a>,
    /// When and by whom.
    pub moment: Moment,
}

/// The bytes, or how many are missing.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// The bytes.
    Bytes(&'a [u8]),
    /// So many bytes exist but are not known.
    Gap(u64),
}

/// How a connection ended, seen from the watched process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The watched process will send no more (close or shutdown).
    Here,
    /// The peer will send no more (its FIN, or end of file read).
    ByPeer,
    /// Both directions are gone (reset, or fully closed).
    Both,
}

/// What the kernel should do with a connection from now on, as its protocol sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Copy nothing any more: encrypted, unknown, or left to another protocol.
    pub ignore: bool,
    /// Bytes received before this position are of no interest (a long body whose length is known).
    pub skip_received_until: u64,
    /// Bytes sent before this position are of no interest.
    pub skip_sent_until: u64,
}

/// Why a session gave up on its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Desync {
    /// The bytes are not this protocol: try to detect again.
    #[error("the bytes are not this protocol")]
    NotThisProtocol,
    /// The stream turned to TLS or GSSAPI: nothing can be read any more.
    #[error("the stream is encrypted from here on")]
    Encrypted,
    /// The stream was handed to another protocol by CONNECT or Upgrade: leave it alone.
    #[error("the stream was handed to another protocol")]
    HandedOver,
    /// The session has learnt from the stream what there is to learn: leave it alone.
    #[error("there is nothing more to learn from the stream")]
    NothingToLearn,
}

/// Things worth counting that are not exchanges. Each field counts since the last [`Session::take_counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that could not be parsed.
    pub unparsable: u64,
    /// Times a session had to look for the next message boundary after a gap.
    pub resyncs: u64,
    /// Responses without a request that was seen.
    pub orphan_responses: u64,
    /// Requests left out because too many were waiting or a bound was hit.
    pub over_limit: u64,
    /// Statements recognised as noise: transactions, pings, driver set-up.
    pub noise: u64,
}

impl Counts {
    /// Adds what another set counted.
    pub fn add(&mut self, other: Self) {
        let Self {
            unparsable,
            resyncs,
            orphan_responses,
            over_limit,
            noise,
        } = other;
        self.unparsable += unparsable;
        self.resyncs += resyncs;
        self.orphan_responses += orphan_responses;
        self.over_limit += over_limit;
        self.noise += noise;
    }
}

/// One protocol on one connection: a state machine over ordered bytes.
pub trait Session: Send {
    /// Takes the next bytes (or a gap) of one flow. Finished exchanges are pushed to `out`.
    ///
    /// # Errors
    /// [`Desync`] when the stream is not, or no longer, this protocol; the session is then dropped (exchanges that it
    /// pushed before stay valid).
    fn feed(&mut self, piece: Piece<'_>, out: &mut Vec<Exchange>) -> Result<(), Desync>;

    /// The connection closed at `moment`: exchanges that wait for their response end here.
    fn close(&mut self, closing: Closing, moment: Moment, out: &mut Vec<Exchange>);

    /// What the kernel may leave out from now on.
    fn verdict(&self) -> Verdict {
        Verdict::default()
    }

    /// Whether bytes of the response flow would find a request that they answer, or continue a response.
    ///
    /// A client's write is observed when its system call returns, and by then another thread may have read the
    /// response already. While this is false, [`Connection`](crate::Connection) holds back what a client receives
    /// until the request turns up, so that a session sees cause before effect.
    fn expects_response(&self) -> bool {
        true
    }

    /// Whether the stream can have exchanges. If not, nobody serves requests on it, as far as can be known.
    fn has_exchanges(&self) -> bool {
        true
    }

    /// Which calls the client's own SDK exports, as far as its exports on this stream showed since the last call.
    fn take_exported(&mut self) -> Exported {
        Exported::default()
    }

    /// Shows the HTTP requests that have begun and are not answered completely.
    fn open_requests(&self, _see: &mut dyn FnMut(&Http)) {}

    /// Memory held for unfinished messages, in bytes.
    fn held_bytes(&self) -> usize;

    /// What was counted since the last call.
    fn take_counts(&mut self) -> Counts;
}

/// What a session is told at its start.
#[derive(Clone, Copy, Debug)]
pub struct SessionContext {
    /// Which side the watched process is; never [`Role::Unknown`]: who sends requests is the client.
    pub role: Role,
    /// The first byte the session gets is the first byte of the connection.
    pub from_start: bool,
    /// Bounds.
    pub limits: Limits,
    /// Also report BEGIN, COMMIT, pings and driver set-up as exchanges.
    pub report_noise: bool,
}
