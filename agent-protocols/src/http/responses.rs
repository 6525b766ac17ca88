//! The response flow.

use super::{
    GapAt, HttpSession, Place,
    body::{Body, Framing, Step},
    detect,
    gather::{At, Gathered},
    head::{self, Kind, ResponseHead},
    pairing::Match,
    requests::ends_chunks,
    skip_until,
};
use crate::{
    chunk::Moment,
    detect::Detection,
    exchange::{Ending, Exchange},
    session::Desync,
};

impl HttpSession {
    pub(super) fn response_bytes(
        &mut self,
        mut bytes: &[u8],
        mut at: At,
        out: &mut Vec<Exchange>,
    ) -> Result<(), Desync> {
        // Of missing bytes it is only known that they came before these.
        self.date_passed(at.moment);
        self.passed.unseen = false;
        self.leave_misread_body(bytes, out);
        let mut call_starts = true;
        while !bytes.is_empty() {
            if let Some(answer) = self.pairing.current() {
                answer.last = at.moment.ended;
            }
            let used = match self.responses.place {
                Place::Head { .. } => self.response_head(bytes, at, out)?,
                Place::Body(ref mut body) => {
                    let (used, step) = body.take(bytes, |_| {});
                    self.turn();
                    self.response_body(step, at, out);
                    used
                }
                Place::Adrift { chunked } => self.response_adrift(chunked, call_starts, bytes, at, out),
            };
            bytes = &bytes[used..];
            at.offset += used as u64;
            call_starts = false;
        }
        self.date_passed(at.moment);
        if let Place::Body(body) = &self.responses.place {
            self.skip.responses = skip_until(at.offset, body.certain()).unwrap_or(self.skip.responses);
        }
        Ok(())
    }

    pub(super) fn response_gap(&mut self, mut count: u64, at: At, out: &mut Vec<Exchange>) {
        self.turn();
        while count > 0 {
            if let Some(answer) = self.pairing.current() {
                answer.last = at.moment.ended;
                if answer.is_orphan() {
                    // Its framing is a guess, so what is missing may be the responses to all that wait.
                    self.lose_waiting();
                }
            }
            match &mut self.responses.place {
                Place::Body(body) => {
                    let (used, step) = body.skip(count);
                    self.response_body(step, at, out);
                    count -= used;
                }
                Place::Head { .. } => {
                    self.cut_response(out);
                    self.response_lost(false);
                }
                Place::Adrift { .. } => {
                    self.lose_waiting();
                    break;
                }
            }
        }
        // The end of a call has the call's moment; other missing bytes are dated by what follows them.
        self.date_passed(at.moment);
    }

    /// The head that is being gathered will not be completed: its status counts all the same.
    pub(super) fn cut_response(&mut self, out: &mut Vec<Exchange>) {
        let head = self
            .responses
            .gather
            .partial()
            .and_then(|partial| head::response(&partial, false));
        self.responses.gather.clear();
        if let Some(head) = head.filter(|head| !head.is_interim()) {
            self.pair(&head, out);
        }
    }

    /// What the request flow brings from now on is a new run.
    fn turn(&mut self) {
        self.run.turned = true;
        // A gap that no request bytes followed yet may have come after this, and a head that is only begun is still to
        // be told of the gap before it.
        if self.requests.gather.is_empty() {
            self.run.gap = self.run.gap.filter(|gap| *gap == GapAt::End);
        }
    }

    /// A response without a known request may have been understood wrongly (one to HEAD has a length, but no body), and
    /// one that runs until the close ends the connection: both give way to what looks like the response to a request
    /// that waits.
    fn leave_misread_body(&mut self, bytes: &[u8], out: &mut Vec<Exchange>) {
        let Place::Body(body) = self.responses.place else {
            return;
        };
        let Some(answer) = self.pairing.current() else {
            return;
        };
        if (answer.is_orphan() || body.is_until_close())
            && self.pairing.waiting() > 0
            && detect::response_start(bytes) == Detection::Yes
        {
            let ended = self.last_known();
            self.pairing.end_answer(Ending::Unseen, ended, None, out);
            self.responses.place = Place::Head { adrift: false };
        }
    }

    /// End of the last call that brought a part of the response that is being read.
    pub(super) fn last_known(&mut self) -> u64 {
        self.pairing.current().map_or(0, |answer| answer.last)
    }

    /// Takes bytes of a head; returns how many.
    fn response_head(&mut self, bytes: &[u8], at: At, out: &mut Vec<Exchange>) -> Result<usize, Desync> {
        let (head, used) = match self.responses.gather.push(bytes, at, self.limits.head_bytes) {
            Gathered::Whole { head, used } => (head::response(&head, true), used),
            Gathered::More => {
                let partial = self.responses.gather.partial();
                if partial.is_some_and(|partial| detect::response_start(partial.bytes) == Detection::No) {
                    self.response_malformed();
                }
                return Ok(bytes.len());
            }
            Gathered::TooLong => {
                self.counts.over_limit += 1;
                self.cut_response(out);
                self.response_lost(false);
                return Ok(bytes.len());
            }
        };
        self.responses.gather.clear();
        let Some(head) = head else {
            self.response_malformed();
            return Ok(bytes.len());
        };
        self.response_began(&head, at, out)?;
        Ok(used)
    }

    fn response_began(&mut self, head: &ResponseHead, at: At, out: &mut Vec<Exchange>) -> Result<(), Desync> {
        if head.is_interim() {
            return Ok(());
        }
        self.turn();
        let kind = self.pair(head, out);
        self.responses.place = Place::Head { adrift: false };
        if head.status == 101 || (kind == Kind::Connect && (200..300).contains(&head.status)) {
            self.pairing
                .end_answer(Ending::Complete, at.moment.ended, Some(0), out);
            self.pairing.forget_waiting();
            return Err(Desync::HandedOver);
        }
        let framing = head.framing(kind);
        match Body::new(framing) {
            Some(body) => self.responses.place = Place::Body(body),
            None if framing == Framing::Unknown => self.response_lost(false),
            None => self
                .pairing
                .end_answer(Ending::Complete, at.moment.ended, Some(0), out),
        }
        Ok(())
    }

    /// Finds the request that a response answers.
    fn pair(&mut self, head: &ResponseHead, out: &mut Vec<Exchange>) -> Kind {
        if matches!(self.responses.place, Place::Head { adrift: true }) {
            let ended = self.last_known();
            self.pairing.end_answer(Ending::Unseen, ended, None, out);
        }
        if !self.pairing.is_open() && self.passed.at.is_none() {
            // The server need not wait for the end of a head to refuse it.
            self.cut_request(out);
        }
        self.end_unpaired(out);
        match self.pairing.answer(head.status, head.first) {
            Match::Request(kind) => kind,
            Match::LeftOut => Kind::Plain,
            Match::Orphan => {
                self.counts.orphan_responses += 1;
                self.passed(head.first.moment);
                self.passed.orphan = true;
                Kind::Plain
            }
        }
    }

    /// Ends those first of the waiting requests that the response that was found need not answer.
    fn end_unpaired(&mut self, out: &mut Vec<Exchange>) {
        while let Some(first) = self.pairing.first() {
            let doubtful = self.doubtful_from.is_some_and(|from| first >= from);
            if first >= self.lost_until && !doubtful {
                return;
            }
            self.pairing.end_first(Ending::Unseen, 0, out);
        }
        self.doubtful_from = None;
    }

    /// Response bytes pass that are not understood: the responses to all requests so far may be among them.
    pub(super) fn lose_waiting(&mut self) {
        self.lost_until = self.pairing.next_number();
        self.passed.unseen = true;
    }

    /// Up to this moment responses may have passed that were not understood. The framing of one without a known
    /// request is a guess, so others may be in what looks like its body.
    fn date_passed(&mut self, moment: Moment) {
        if self.passed.unseen || self.pairing.current().is_some_and(|answer| answer.is_orphan()) {
            self.passed(moment);
        }
    }

    /// A response passed that will not be paired.
    fn passed(&mut self, moment: Moment) {
        self.passed.at = self.passed.at.max(Some(moment.began));
    }

    fn response_body(&mut self, step: Step, at: At, out: &mut Vec<Exchange>) {
        match (step, self.responses.place) {
            (Step::Done, Place::Body(body)) => {
                self.pairing
                    .end_answer(Ending::Complete, at.moment.ended, Some(body.seen()), out);
                self.responses.place = Place::Head { adrift: false };
            }
            (Step::Broken, Place::Body(body)) => self.response_lost(body.is_chunked()),
            _ => {}
        }
    }

    /// Takes all bytes, unless a message can begin here.
    fn response_adrift(
        &mut self,
        chunked: bool,
        call_starts: bool,
        bytes: &[u8],
        at: At,
        out: &mut Vec<Exchange>,
    ) -> usize {
        self.turn();
        if call_starts && detect::response_start(bytes) != Detection::No {
            self.responses.place = Place::Head { adrift: true };
            return 0;
        }
        self.lost_until = self.lost_until.max(self.pairing.first_after(at.moment.ended));
        self.passed.unseen = true;
        // With another request waiting it may be the end of its response.
        if chunked && self.pairing.waiting() == 0 && ends_chunks(bytes) {
            self.pairing
                .end_answer(Ending::Complete, at.moment.ended, None, out);
            self.responses.place = Place::Head { adrift: false };
        }
        bytes.len()
    }

    fn response_lost(&mut self, chunked: bool) {
        self.counts.resyncs += 1;
        self.lose_waiting();
        self.responses.place = Place::Adrift { chunked };
    }

    /// What was gathered is no response head.
    fn response_malformed(&mut self) {
        self.responses.gather.clear();
        self.turn();
        if !matches!(self.responses.place, Place::Head { adrift: true }) {
            self.counts.unparsable += 1;
        }
        self.lose_waiting();
        self.responses.place = Place::Adrift { chunked: false };
    }
}
