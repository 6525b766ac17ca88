//! Requests and the responses that answer them, first in, first out.

use std::collections::VecDeque;

use super::{
    gather::At,
    head::{Kind, RequestHead},
};
use crate::{
    chunk::Role,
    exchange::{Detail, Ending, Exchange, Http},
    limits::Limits,
};

/// Text of waiting requests (targets and fields) held at most per connection, in bytes.
const WAITING_TEXT: usize = 512 * 1024;

/// Places for waiting requests kept when none waits.
const KEPT_PLACES: usize = 8;

/// A request that waits for its response, or is getting it.
#[derive(Debug)]
struct Ask {
    number: u64,
    http: Http,
    first: At,
    kind: Kind,
}

/// A response that is being read.
#[derive(Debug)]
pub(super) struct Answer {
    /// What it answers; none for a response without a known request.
    ask: Option<Ask>,
    status: u16,
    first: At,
    /// End of the last call that brought a part of it.
    pub(super) last: u64,
}

/// Pairs the messages of one connection.
#[derive(Debug)]
pub(super) struct Pairing {
    role: Role,
    most: usize,
    waiting: VecDeque<Ask>,
    waiting_text: usize,
    /// Requests after those that wait, of which nothing is kept.
    left_out: u64,
    answer: Option<Answer>,
    next_number: u64,
    /// Several requests waited at once.
    pipelines: bool,
}

/// What a response head turned out to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// A request of this kind.
    Request(Kind),
    /// A request that was left out because too many were waiting.
    LeftOut,
    /// Nothing that is known.
    Orphan,
}

impl Pairing {
    pub(super) fn new(role: Role, limits: &Limits) -> Self {
        Self {
            role,
            most: limits.pending_requests,
            waiting: VecDeque::new(),
            waiting_text: 0,
            left_out: 0,
            answer: None,
            next_number: 0,
            pipelines: false,
        }
    }

    /// A request began. Its number, or none when it had to be left out.
    pub(super) fn ask(&mut self, head: RequestHead) -> Option<u64> {
        let full = self.waiting.len() >= self.most || self.waiting_text >= WAITING_TEXT;
        if full || self.left_out > 0 {
            self.left_out += 1;
            return None;
        }
        let RequestHead {
            http, first, kind, ..
        } = head;
        let number = self.next_number;
        self.next_number += 1;
        self.waiting_text += text_bytes(&http);
        self.waiting.push_back(Ask {
            number,
            http,
            first,
            kind,
        });
        self.pipelines |= self.waiting.len() > 1;
        Some(number)
    }

    /// The body size of request `number` is known.
    pub(super) fn request_body(&mut self, number: u64, bytes: u64) {
        let answered = self.answer.as_mut().and_then(|answer| answer.ask.as_mut());
        let mut asks = self.waiting.iter_mut().rev().take(1).chain(answered);
        if let Some(ask) = asks.find(|ask| ask.number == number) {
            ask.http.request_body = Some(bytes);
        }
    }

    /// A final response began. It cannot answer a request that began later.
    pub(super) fn answer(&mut self, status: u16, first: At) -> Match {
        let later = self
            .waiting
            .front()
            .is_some_and(|ask| ask.first.moment.began > first.moment.ended);
        let ask = if later { None } else { self.next_ask() };
        let matched = match &ask {
            Some(ask) => Match::Request(ask.kind),
            None if self.left_out > 0 => {
                self.left_out -= 1;
                Match::LeftOut
            }
            None => Match::Orphan,
        };
        self.answer = Some(Answer {
            ask,
            status,
            first,
            last: first.moment.ended,
        });
        matched
    }

    /// The response that is being read is over.
    pub(super) fn end_answer(
        &mut self,
        ending: Ending,
        ended: u64,
        body: Option<u64>,
        out: &mut Vec<Exchange>,
    ) {
        let Some(Answer {
            ask: Some(ask),
            status,
            first,
            ..
        }) = self.answer.take()
        else {
            return;
        };
        let mut exchange = self.exchange(ask, ending, ended);
        exchange.response_unit = Some(first.moment.unit);
        exchange.response_offset = Some(first.offset);
        if let Detail::Http(http) = &mut exchange.detail {
            http.status = Some(status);
            http.response_body = body;
        }
        out.push(exchange);
    }

    /// The first waiting request will not be answered.
    pub(super) fn end_first(&mut self, ending: Ending, ended: u64, out: &mut Vec<Exchange>) {
        if let Some(ask) = self.next_ask() {
            out.push(self.exchange(ask, ending, ended));
        }
    }

    /// The last waiting request will not be answered.
    pub(super) fn end_last(&mut self, ending: Ending, ended: u64, out: &mut Vec<Exchange>) {
        if let Some(ask) = self.waiting.pop_back() {
            self.waiting_text -= text_bytes(&ask.http);
            out.push(self.exchange(ask, ending, ended));
        }
    }

    /// No request that waits will be answered.
    pub(super) fn end_waiting(&mut self, ending: Ending, ended: u64, out: &mut Vec<Exchange>) {
        while !self.waiting.is_empty() {
            self.end_first(ending, ended, out);
        }
        self.left_out = 0;
    }

    /// Forgets the requests that wait: they belong to a tunnel.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting = VecDeque::new();
        self.waiting_text = 0;
        self.left_out = 0;
    }

    /// The response that is being read.
    pub(super) fn current(&mut self) -> Option<&mut Answer> {
        self.answer.as_mut()
    }

    /// Number of the request that the next response answers.
    pub(super) fn first(&self) -> Option<u64> {
        self.waiting.front().map(|ask| ask.number)
    }

    /// Number of the first request that began after `moment`: no response of that moment answers it.
    pub(super) fn first_after(&self, moment: u64) -> u64 {
        let later = self
            .waiting
            .iter()
            .rev()
            .take_while(|ask| ask.first.moment.began > moment);
        later.last().map_or(self.next_number, |ask| ask.number)
    }

    /// Number that the next request will have.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The client was seen to ask on before it was answered.
    pub(super) fn pipelines(&self) -> bool {
        self.pipelines
    }

    /// Some request is not answered yet, or some response not read to its end.
    pub(super) fn is_open(&self) -> bool {
        !self.waiting.is_empty() || self.left_out > 0 || self.answer.is_some()
    }

    /// The requests that are not answered completely, those that were left out excepted.
    pub(super) fn open(&self) -> impl Iterator<Item = &Http> {
        let answered = self.answer.as_ref().and_then(|answer| answer.ask.as_ref());
        answered.into_iter().chain(&self.waiting).map(|ask| &ask.http)
    }

    /// Some waiting request may turn the connection over to another protocol.
    pub(super) fn may_hand_over(&self) -> bool {
        self.waiting
            .iter()
            .any(|ask| matches!(ask.kind, Kind::Connect | Kind::Upgrade))
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.waiting_text + self.waiting.capacity() * size_of::<Ask>()
    }

    fn next_ask(&mut self) -> Option<Ask> {
        let ask = self.waiting.pop_front()?;
        self.waiting_text -= text_bytes(&ask.http);
        if self.waiting.is_empty() {
            self.waiting.shrink_to(KEPT_PLACES);
        }
        Some(ask)
    }

    fn exchange(&self, ask: Ask, ending: Ending, ended: u64) -> Exchange {
        Exchange {
            role: self.role,
            started: ask.first.moment.began,
            ended: ended.max(ask.first.moment.began),
            request_unit: ask.first.moment.unit,
            response_unit: None,
            request_offset: ask.first.offset,
            response_offset: None,
            ending,
            detail: Detail::Http(ask.http),
        }
    }
}

impl Answer {
    /// It answers nothing that is known.
    pub(super) fn is_orphan(&self) -> bool {
        self.ask.is_none()
    }
}

/// Memory of a request's strings, in bytes.
fn text_bytes(http: &Http) -> usize {
    let fields = [&http.host, &http.user_agent, &http.traceparent, &http.tracestate];
    let fields: usize = fields.into_iter().flatten().map(String::capacity).sum();
    http.method.capacity() + http.target.capacity() + fields
}
