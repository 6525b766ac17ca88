//! HTTP/1.0 and HTTP/1.1 (RFC 9112), both roles.
//!
//! Each flow is read by itself: heads are gathered ([`gather`]), lexed by httparse ([`head`]) and followed by a body
//! whose end is known from its framing ([`body`]). Responses answer requests first in, first out ([`pairing`]).
//!
//! **After a loss.** Bytes missing inside a body are passed over exactly where the framing allows. Else the flow is
//! *adrift*: it looks for its next message only where one can begin, for requests at the start of a run (once a final
//! response came), for responses at the start of a call. A response is then paired only with a request that certainly
//! is its own: one that opened a run after the last bytes that were not understood. Requests of which that cannot be
//! said end as [`Ending::Unseen`]. A client that pipelines is expected to read all its responses before it asks on.
//!
//! [`Ending::Unseen`]: crate::exchange::Ending::Unseen

mod body;
mod detect;
mod export;
mod gather;
mod head;
mod pairing;
mod requests;
mod responses;
#[cfg(test)]
mod tests;

pub use detect::detect;

use self::{
    body::Body,
    export::Export,
    gather::{At, Gather},
    pairing::Pairing,
};
use crate::{
    chunk::{Moment, Role},
    exchange::{Ending, Exchange, Http},
    limits::Limits,
    otlp::Exported,
    session::{Closing, Content, Counts, Desync, Flow, Piece, Session, SessionContext, Verdict},
};

/// HTTP/1 on one connection.
#[derive(Debug)]
pub struct HttpSession {
    role: Role,
    limits: Limits,
    requests: Reader,
    responses: Reader,
    pairing: Pairing,
    /// Number of the request whose body is being read.
    body_of: Option<u64>,
    /// That body, if it is an export of traces.
    export: Option<Export>,
    /// What exports told of and nobody was told yet.
    exported: Exported,
    /// The run of the request flow.
    run: Run,
    /// Requests from this number on come after a gap that may hold whole requests of the same run.
    doubtful_from: Option<u64>,
    /// Responses to requests before this number may be among bytes that were not understood.
    lost_until: u64,
    /// Responses that were not paired.
    passed: Passed,
    /// Some request was understood, so this is HTTP.
    proven: bool,
    /// Request heads in a row that were none.
    strikes: u8,
    /// How and when the connection began to close.
    closing: Option<(Closing, u64)>,
    skip: Skip,
    counts: Counts,
}

/// Where one flow is in its messages.
#[derive(Debug)]
struct Reader {
    place: Place,
    gather: Gather,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a head, or before one. `adrift` if the flow was when this head was found.
    Head { adrift: bool },
    /// In a body.
    Body(Body),
    /// Not known. If `chunked`, in a chunked body, so that its end can be recognised.
    Adrift { chunked: bool },
}

/// Consecutive bytes of the request flow, up to the next final response.
#[derive(Debug)]
struct Run {
    /// It ended: a final response, or a part of one, came.
    turned: bool,
    /// The next request head is its first.
    opens: bool,
    /// Bytes of it are missing in which whole requests may have been.
    gap: Option<GapAt>,
}

/// Where in its run the last gap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GapAt {
    /// Bytes came after it.
    Before,
    /// It is the last that was seen.
    End,
}

/// Responses that went by without being paired.
#[derive(Debug, Default)]
struct Passed {
    /// When the last one began, as far as is known.
    at: Option<u64>,
    /// There may be one that `at` does not tell of yet.
    unseen: bool,
    /// One without a known request came since the last request.
    orphan: bool,
}

/// Positions up to which each flow is of no interest.
#[derive(Clone, Copy, Debug, Default)]
struct Skip {
    requests: u64,
    responses: u64,
}

/// A body of which more than this is to come is worth telling the kernel about.
const SKIP_WORTH: u64 = 64 * 1024;
/// Request heads in a row that may fail before the stream is taken for something else.
const STRIKES: u8 = 4;

impl HttpSession {
    /// A session of which nothing was seen yet.
    pub fn new(context: SessionContext) -> Self {
        Self {
            role: context.role,
            limits: context.limits,
            requests: Reader::new(),
            responses: Reader::new(),
            pairing: Pairing::new(context.role, &context.limits),
            body_of: None,
            export: None,
            exported: Exported::default(),
            run: Run {
                turned: true,
                opens: true,
                gap: None,
            },
            doubtful_from: None,
            lost_until: 0,
            passed: Passed::default(),
            proven: false,
            strikes: 0,
            closing: None,
            skip: Skip::default(),
            counts: Counts::default(),
        }
    }

    /// How an exchange ends that the connection's close left without a complete response.
    fn closed_ending(&self) -> Ending {
        match self.closing {
            Some((Closing::Here, _)) => Ending::ClosedHere,
            _ => Ending::ClosedByPeer,
        }
    }

    /// No more responses will come.
    fn responses_ended(&mut self, closing: Closing, moment: Moment, out: &mut Vec<Exchange>) {
        let first = self.closing.map_or(closing, |(first, _)| first);
        // When this side closed first, the exchanges were over then, however long the kernel took to take leave.
        let ended = match self.closing {
            Some((Closing::Here, at)) => at,
            _ => moment.ended,
        };
        let mut ending = self.closed_ending();
        match self.responses.place {
            Place::Body(body) if body.is_until_close() && !self.reader_left(first, closing) => {
                let last = self.pairing.current().map_or(ended, |answer| answer.last);
                self.pairing
                    .end_answer(Ending::Complete, last, Some(body.seen()), out);
            }
            Place::Adrift { .. } | Place::Head { adrift: true } => ending = Ending::Unseen,
            Place::Head { adrift: false } => {
                self.cut_response(out);
            }
            Place::Body(_) => {}
        }
        let last = self.pairing.current().map_or(0, |answer| answer.last);
        self.pairing.end_answer(ending, ended.max(last), None, out);
        self.pairing.end_waiting(ending, ended, out);
        self.responses = Reader::new();
    }

    /// The connection broke down after the side that reads responses had closed, so a response that runs until the
    /// close was cut.
    fn reader_left(&self, first: Closing, closing: Closing) -> bool {
        let reader = if self.role == Role::Client {
            Closing::Here
        } else {
            Closing::ByPeer
        };
        closing == Closing::Both && first == reader
    }
}

impl Session for HttpSession {
    fn feed(&mut self, piece: Piece<'_>, out: &mut Vec<Exchange>) -> Result<(), Desync> {
        let at = At {
            offset: piece.offset,
            moment: piece.moment,
        };
        match (piece.flow, piece.content) {
            (Flow::Request, Content::Bytes(bytes)) => self.request_bytes(bytes, at, out),
            (Flow::Response, Content::Bytes(bytes)) => self.response_bytes(bytes, at, out),
            (Flow::Request, Content::Gap(count)) => {
                self.request_gap(count, out);
                Ok(())
            }
            (Flow::Response, Content::Gap(count)) => {
                self.response_gap(count, at, out);
                Ok(())
            }
        }
    }

    fn close(&mut self, closing: Closing, moment: Moment, out: &mut Vec<Exchange>) {
        self.closing.get_or_insert((closing, moment.ended));
        let responses_ended = match closing {
            Closing::Both => true,
            Closing::Here => self.role != Role::Client,
            Closing::ByPeer => self.role == Role::Client,
        };
        if responses_ended {
            self.responses_ended(closing, moment, out);
        }
    }

    fn verdict(&self) -> Verdict {
        let Skip { requests, responses } = self.skip;
        let (sent, received) = if self.role == Role::Client {
            (requests, responses)
        } else {
            (responses, requests)
        };
        Verdict {
            ignore: false,
            skip_received_until: received,
            skip_sent_until: sent,
        }
    }

    fn expects_response(&self) -> bool {
        self.pairing.is_open() || !self.responses.gather.is_empty()
    }

    fn take_exported(&mut self) -> Exported {
        std::mem::take(&mut self.exported)
    }

    fn open_requests(&self, see: &mut dyn FnMut(&Http)) {
        self.pairing.open().for_each(see);
    }

    fn held_bytes(&self) -> usize {
        self.requests.gather.held_bytes()
            + self.responses.gather.held_bytes()
            + self.pairing.held_bytes()
            + self.export.as_ref().map_or(0, Export::held_bytes)
    }

    fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }
}

impl Reader {
    fn new() -> Self {
        Self {
            place: Place::Head { adrift: false },
            gather: Gather::default(),
        }
    }
}

/// The position before which a flow is of no interest, when `certain` bytes of content follow `offset`: all but the
/// last byte, whose moment is the body's end.
fn skip_until(offset: u64, certain: u64) -> Option<u64> {
    (certain > SKIP_WORTH).then(|| offset.saturating_add(certain - 1))
}
