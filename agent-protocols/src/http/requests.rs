//! The request flow.

use super::{
    GapAt, HttpSession, Place, STRIKES,
    body::{Body, Framing, Step},
    detect,
    export::Export,
    gather::{At, Gathered},
    head::{self, RequestHead},
    skip_until,
};
use crate::{
    detect::Detection,
    exchange::{Ending, Exchange},
    session::Desync,
};

impl HttpSession {
    pub(super) fn request_bytes(
        &mut self,
        mut bytes: &[u8],
        mut at: At,
        out: &mut Vec<Exchange>,
    ) -> Result<(), Desync> {
        self.run.opens |= std::mem::take(&mut self.run.turned);
        while !bytes.is_empty() {
            let used = match self.requests.place {
                Place::Head { .. } => self.request_head(bytes, at, out)?,
                Place::Body(ref mut body) => {
                    let export = &mut self.export;
                    let (used, step) = body.take(bytes, |content| {
                        if let Some(export) = export {
                            export.take(content);
                        }
                    });
                    self.request_body(step);
                    self.export_is_full();
                    used
                }
                Place::Adrift { chunked } => self.request_adrift(chunked, bytes),
            };
            bytes = &bytes[used..];
            at.offset += used as u64;
        }
        self.run.gap = self.run.gap.map(|_| GapAt::Before);
        if let (Place::Body(body), None) = (&self.requests.place, &self.export) {
            self.skip.requests = skip_until(at.offset, body.certain()).unwrap_or(self.skip.requests);
        }
        Ok(())
    }

    pub(super) fn request_gap(&mut self, mut count: u64, out: &mut Vec<Exchange>) {
        self.export_ended();
        while count > 0 {
            match &mut self.requests.place {
                Place::Body(body) => {
                    let (used, step) = body.skip(count);
                    self.request_body(step);
                    count -= used;
                }
                Place::Head { .. } => {
                    self.cut_request(out);
                    self.request_lost(false);
                }
                Place::Adrift { .. } => {
                    self.run.gap = Some(GapAt::End);
                    return;
                }
            }
        }
    }

    /// Takes bytes of a head; returns how many.
    fn request_head(&mut self, bytes: &[u8], at: At, out: &mut Vec<Exchange>) -> Result<usize, Desync> {
        let place = self.requests.place;
        let (head, used) = match self.requests.gather.push(bytes, at, self.limits.head_bytes) {
            Gathered::Whole { head, used } => (
                starts_request(place, head.bytes)
                    .then(|| head::request(&head, true))
                    .flatten(),
                used,
            ),
            Gathered::More => {
                if !self.may_be_request() {
                    self.request_malformed(out)?;
                }
                return Ok(bytes.len());
            }
            Gathered::TooLong => {
                self.counts.over_limit += 1;
                if !self.cut_request(out) {
                    self.request_malformed(out)?;
                }
                self.requests.place = Place::Adrift { chunked: false };
                return Ok(bytes.len());
            }
        };
        match head {
            Some(head) => {
                self.requests.gather.clear();
                self.request_began(head, out);
                Ok(used)
            }
            None => self.request_malformed(out).map(|()| bytes.len()),
        }
    }

    /// Whether what was gathered can still become a request head.
    fn may_be_request(&self) -> bool {
        let Some(partial) = self.requests.gather.partial() else {
            return true;
        };
        let version = |line: &[u8]| line.ends_with(b"HTTP/1.1") || line.ends_with(b"HTTP/1.0");
        starts_request(self.requests.place, partial.bytes) && partial.first_line().is_none_or(version)
    }

    fn request_began(&mut self, head: RequestHead, out: &mut Vec<Exchange>) {
        self.proven = true;
        self.strikes = 0;
        if std::mem::take(&mut self.run.opens) {
            self.response_is_over(out);
        }
        let adrift = self.pairing.is_open() && matches!(self.responses.place, Place::Adrift { .. });
        let framing = head.framing;
        self.export = Export::of(&head.http);
        self.ask(head, out);
        if adrift {
            self.lose_waiting();
        }
        if let (Framing::Length(length), Some(number)) = (framing, self.body_of) {
            self.pairing.request_body(number, length);
        }
        self.requests.place = match Body::new(framing) {
            Some(body) => Place::Body(body),
            None if framing == Framing::Unknown => Place::Adrift { chunked: false },
            None => Place::Head { adrift: false },
        };
    }

    fn ask(&mut self, head: RequestHead, out: &mut Vec<Exchange>) {
        let began = head.first.moment.began;
        let after_gap = self.run.gap.take().is_some();
        // Whoever never pipelines had the response to what is missing before it went on.
        let explained = std::mem::take(&mut self.passed.orphan) && !self.pairing.pipelines();
        self.body_of = self.pairing.ask(head);
        self.counts.over_limit += u64::from(self.body_of.is_none());
        if after_gap && !explained {
            self.doubtful_from = self.doubtful_from.or(self.body_of);
        }
        if self.body_of.is_some() && self.passed.at.is_some_and(|passed| began <= passed) {
            // It was held up behind missing bytes, and its response may have passed meanwhile.
            self.pairing.end_last(Ending::Unseen, began, out);
        }
    }

    fn request_body(&mut self, step: Step) {
        if step != Step::More {
            self.export_ended();
        }
        match (step, self.requests.place) {
            (Step::Done, Place::Body(body)) => {
                if let Some(number) = self.body_of {
                    self.pairing.request_body(number, body.seen());
                }
                self.requests.place = Place::Head { adrift: false };
            }
            (Step::Broken, _) => self.request_lost(true),
            _ => {}
        }
    }

    /// Takes all bytes, unless a message can begin here.
    fn request_adrift(&mut self, chunked: bool, bytes: &[u8]) -> usize {
        if std::mem::take(&mut self.run.opens) {
            self.requests.place = Place::Head { adrift: true };
            if starts_request(self.requests.place, bytes) {
                self.run.opens = true;
                return 0;
            }
            self.requests.place = Place::Adrift { chunked };
        }
        if chunked && ends_chunks(bytes) {
            self.requests.place = Place::Head { adrift: false };
        }
        bytes.len()
    }

    fn request_lost(&mut self, chunked: bool) {
        self.counts.resyncs += 1;
        self.run.opens = false;
        self.run.gap = Some(GapAt::End);
        self.requests.place = Place::Adrift { chunked };
    }

    /// What was gathered is no request head.
    fn request_malformed(&mut self, out: &mut Vec<Exchange>) -> Result<(), Desync> {
        self.requests.gather.clear();
        self.requests.place = Place::Adrift { chunked: false };
        self.run.opens = false;
        if self.pairing.may_hand_over() {
            // Probably another protocol already: the response that says so is observed when its call returns.
            return Ok(());
        }
        self.counts.unparsable += 1;
        self.strikes += 1;
        if self.proven && self.strikes < STRIKES {
            return Ok(());
        }
        self.abandon(out);
        Err(Desync::NotThisProtocol)
    }

    /// The head that is being gathered will not be completed: what is known of it is a request all the same. False if
    /// not even its first line is known.
    pub(super) fn cut_request(&mut self, out: &mut Vec<Exchange>) -> bool {
        let head = self
            .requests
            .gather
            .partial()
            .and_then(|partial| head::request(&partial, false));
        self.requests.gather.clear();
        head.map(|head| self.request_began(head, out)).is_some()
    }

    /// A new run of requests means that the earlier responses came, also where that could not be seen.
    fn response_is_over(&mut self, out: &mut Vec<Exchange>) {
        match self.responses.place {
            Place::Adrift { .. } => self.abandon(out),
            // Not knowing the method, its framing was a guess: a response to HEAD has a length, but no body.
            Place::Body(_) if self.pairing.current().is_some_and(|answer| answer.is_orphan()) => {
                self.pairing.end_answer(Ending::Unseen, 0, None, out);
                self.responses.place = Place::Adrift { chunked: false };
            }
            _ => {}
        }
    }

    /// Gives up on all requests that were not answered.
    fn abandon(&mut self, out: &mut Vec<Exchange>) {
        let last = self.last_known();
        self.pairing.end_answer(Ending::Unseen, last, None, out);
        self.pairing.end_waiting(Ending::Unseen, last, out);
        self.doubtful_from = None;
        if let Place::Adrift { chunked } = &mut self.responses.place {
            // The end of chunks that comes next may be that of another response.
            *chunked = false;
        }
    }
}

/// Whether bytes at this place can start a request. When adrift, the first bytes of a message may be missing.
fn starts_request(place: Place, bytes: &[u8]) -> bool {
    let start = match place {
        Place::Head { adrift: true } => detect::certain_request_start(bytes),
        _ => detect::request_start(bytes),
    };
    start != Detection::No
}

/// Whether a call's bytes end with the last chunk (of size 0, without trailers).
pub(super) fn ends_chunks(bytes: &[u8]) -> bool {
    bytes == b"0\r\n\r\n" || bytes.ends_with(b"\r\n0\r\n\r\n")
}
