//! Which protocol a connection speaks, told from the first bytes of a run of its request flow.
//!
//! A run is what flows one way until the direction turns. Detection looks at the start of a run only, so it works the
//! same on a fresh connection and on one that was attached to in mid-stream. Each protocol documents its bias (what it
//! takes for itself by mistake) and its smallest decisive prefix.
//!
//! TLS is recognised only to be left alone, by two bytes: a record type (20 to 23) and the major version 3. Bias: none that
//! is known among protocols whose clients speak first in text or with a length.

use crate::{
    http, http2, postgres,
    session::{Session, SessionContext},
};

/// One protocol: a row of [`PROTOCOLS`].
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// What [`Connection::protocol`](crate::Connection::protocol) says once it is chosen.
    pub name: &'static str,
    /// Judges the first bytes of a run of the request flow. It must look at a bounded prefix only, must never answer
    /// [`Detection::NeedMore`] for [`LONGEST_PREFIX`] bytes or more, and must not change its mind when bytes follow
    /// a `Yes` or a `No`.
    pub detect: fn(&[u8], SessionContext) -> Detection,
    /// A session that will be fed the same bytes again, from the first one.
    pub start: fn(SessionContext) -> Box<dyn Session>,
}

/// HTTP/2 without TLS. It is asked before all others: its preface looks like a request of HTTP/1.
pub static HTTP2: Protocol = Protocol {
    name: "http2",
    detect: http2::detect,
    start: |context| Box::new(http2::Http2Session::new(context)),
};

/// All other protocols, in the order in which they are asked.
pub static PROTOCOLS: &[Protocol] = &[
    Protocol {
        name: "http",
        detect: http::detect,
        start: |context| Box::new(http::HttpSession::new(context)),
    },
    Protocol {
        name: "postgresql",
        detect: postgres::detect,
        start: |context| Box::new(postgres::PostgresSession::new(context)),
    },
];

/// Bytes after which every protocol has made up its mind.
pub const LONGEST_PREFIX: usize = 64;

/// What a protocol says to the first bytes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// They start a message of this protocol.
    Yes,
    /// They do not.
    No,
    /// They may, more bytes are needed.
    NeedMore,
}

/// What all protocols together make of the first bytes of a run.
#[derive(Clone, Copy, Debug)]
pub enum Finding {
    /// This protocol.
    Protocol(&'static Protocol),
    /// A TLS record.
    Tls,
    /// Too few bytes to tell.
    NeedMore,
    /// None that is known.
    Unknown,
}

/// What the first bytes of a run of the request flow are.
pub fn find(bytes: &[u8], context: SessionContext) -> Finding {
    match bytes {
        [0x14..=0x17, 0x03, ..] => return Finding::Tls,
        [] | [0x14..=0x17] => return Finding::NeedMore,
        _ => {}
    }
    let mut undecided = match (HTTP2.detect)(bytes, context) {
        Detection::Yes => return Finding::Protocol(&HTTP2),
        Detection::NeedMore if http2::may_be_preface(bytes) => return Finding::NeedMore,
        Detection::NeedMore => true,
        Detection::No => false,
    };
    for protocol in PROTOCOLS {
        match (protocol.detect)(bytes, context) {
            Detection::Yes => return Finding::Protocol(protocol),
            Detection::NeedMore => undecided = true,
            Detection::No => {}
        }
    }
    if undecided {
        Finding::NeedMore
    } else {
        Finding::Unknown
    }
}

#[cfg(test)]
mod tests;
