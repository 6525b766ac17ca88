//! CORRELATE: gives every exchange its place in a trace.
//!
//! A pure state machine: `handle` takes exchanges, `poll` gives what has waited long enough, and the present is a
//! parameter of both, so that a recorded run replays exactly.
//!
//! Parents are right or absent. This version knows one rule, which needs no guess: a thread that read a request from
//! a *blocking* socket can do nothing but serve it until the response is written, so every call that it makes between
//! the two belongs to the request. All other exchanges start traces of their own.

mod trace_context;

use std::collections::{HashMap, VecDeque};

use agent_protocols::{Detail, Exchange, Role};

use crate::{
    capture::Located,
    span::{SpanId, TraceId},
};
use trace_context::TraceContext;

/// How long a call waits for the request it belongs to: the longest request that is still put together.
const WAIT_NANOS: u64 = 120_000_000_000;
/// Calls of one thread that may wait; more go without a parent.
const WAITING_PER_THREAD: usize = 256;
/// Calls that may wait in all.
const WAITING_IN_ALL: usize = 65_536;

/// An exchange with its place in a trace.
#[derive(Debug)]
pub struct Placed {
    /// The exchange.
    pub located: Located,
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// Its parent.
    pub parent: Option<SpanId>,
    /// W3C `tracestate` of the trace.
    pub trace_state: Option<String>,
    /// Whether whoever began the trace keeps it, if that is known.
    pub sampled: Option<bool>,
}

/// Where ids come from.
pub trait Ids {
    /// A new id of a trace.
    fn trace_id(&mut self) -> TraceId;
    /// A new id of a span.
    fn span_id(&mut self) -> SpanId;
}

/// The state machine.
pub struct Correlator<I> {
    ids: I,
    /// Threads that are serving a request: when they read its first byte, and the calls they made since.
    serving: HashMap<u32, Serving>,
    /// Which thread serves a connection.
    thread_of: HashMap<u64, u32>,
    waiting: usize,
    counts: Counts,
}

/// What the correlator counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls whose request did not end within the time that they wait.
    pub expired: u64,
    /// Calls that could not wait because too many did.
    pub over_limit: u64,
}

struct Serving {
    /// The connection that the request came on.
    connection: u64,
    since: u64,
    calls: VecDeque<Located>,
}

impl<I: Ids> Correlator<I> {
    /// Nothing known yet.
    pub fn new(ids: I) -> Self {
        Self {
            ids,
            serving: HashMap::new(),
            thread_of: HashMap::new(),
            waiting: 0,
            counts: Counts::default(),
        }
    }

    /// A thread read bytes of a request from a blocking socket, at `at` (monotonic nanoseconds).
    pub fn request_read(&mut self, thread: u32, connection: u64, at: u64, out: &mut Vec<Placed>) {
        let serving = self.serving.entry(thread).or_insert_with(|| Serving {
            connection,
            since: at,
            calls: VecDeque::new(),
        });
        if serving.connection != connection {
            // The request before ended without being understood; what it called has no parent.
            self.thread_of.remove(&serving.connection);
            serving.connection = connection;
            serving.since = at;
            let orphans = std::mem::take(&mut serving.calls);
            self.release(orphans, out);
        }
        self.thread_of.insert(connection, thread);
    }

    /// A connection ended, or turned out to be of no protocol that is known: nobody serves a request on it.
    pub fn connection_ended(&mut self, connection: u64, out: &mut Vec<Placed>) {
        if let Some(calls) = self.stop_serving(connection) {
            self.release(calls, out);
        }
    }

    /// Takes an exchange. What has its place is appended to `out`.
    pub fn handle(&mut self, located: Located, out: &mut Vec<Placed>) {
        match located.exchange.role {
            Role::Client if self.belongs_to_a_request(&located.exchange) => self.wait(located, out),
            Role::Server => self.served(located, out),
            Role::Client | Role::Unknown => {
                let placed = self.root(located);
                out.push(placed);
            }
        }
    }

    /// Lets go what has waited too long; `now` in monotonic nanoseconds.
    pub fn poll(&mut self, now: u64, out: &mut Vec<Placed>) {
        let old = |serving: &Serving| now.saturating_sub(serving.since) > WAIT_NANOS;
        let threads: Vec<u32> = self
            .serving
            .iter()
            .filter(|(_, serving)| old(serving))
            .map(|(&thread, _)| thread)
            .collect();
        for thread in threads {
            if let Some(serving) = self.serving.remove(&thread) {
                self.thread_of.remove(&serving.connection);
                self.counts.expired += serving.calls.len() as u64;
                self.release(serving.calls, out);
            }
        }
    }

    /// Lets go everything.
    pub fn finish(&mut self, out: &mut Vec<Placed>) {
        self.thread_of.clear();
        for (_, serving) in std::mem::take(&mut self.serving) {
            self.release(serving.calls, out);
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn belongs_to_a_request(&self, exchange: &Exchange) -> bool {
        self.serving
            .get(&exchange.request_unit.tid)
            .is_some_and(|serving| exchange.started >= serving.since)
    }

    fn wait(&mut self, located: Located, out: &mut Vec<Placed>) {
        let thread = located.exchange.request_unit.tid;
        match self.serving.get_mut(&thread) {
            Some(serving) if serving.calls.len() < WAITING_PER_THREAD && self.waiting < WAITING_IN_ALL => {
                serving.calls.push_back(located);
                self.waiting += 1;
            }
            _ => {
                self.counts.over_limit += 1;
                let placed = self.root(located);
                out.push(placed);
            }
        }
    }

    /// A request was served: the calls that its thread made meanwhile are its children.
    fn served(&mut self, located: Located, out: &mut Vec<Placed>) {
        let exchange = &located.exchange;
        let thread = exchange.request_unit.tid;
        let (began, ended) = (exchange.started, exchange.ended);
        let calls = self.stop_serving(located.connection);
        let one_thread = exchange.request_unit.blocking
            && exchange
                .response_unit
                .is_some_and(|unit| unit.blocking && unit.tid == thread);
        let parent = self.root(located);
        let (trace_id, span_id, sampled) = (parent.trace_id, parent.span_id, parent.sampled);
        let trace_state = parent.trace_state.clone();
        for call in calls.unwrap_or_default() {
            self.waiting -= 1;
            let mut placed = self.root(call);
            let started = placed.located.exchange.started;
            if one_thread && (began..=ended).contains(&started) {
                placed.trace_id = trace_id;
                placed.parent = Some(span_id);
                placed.trace_state.clone_from(&trace_state);
                placed.sampled = sampled;
            }
            out.push(placed);
        }
        out.push(parent);
    }

    /// The calls that were made for the request on this connection, if a thread serves it.
    fn stop_serving(&mut self, connection: u64) -> Option<VecDeque<Located>> {
        let thread = self.thread_of.remove(&connection)?;
        self.serving.remove(&thread).map(|serving| serving.calls)
    }

    fn release(&mut self, calls: VecDeque<Located>, out: &mut Vec<Placed>) {
        for call in calls {
            self.waiting -= 1;
            let placed = self.root(call);
            out.push(placed);
        }
    }

    /// An exchange that starts a trace, or goes on with the one that came with its request.
    fn root(&mut self, located: Located) -> Placed {
        let span_id = self.ids.span_id();
        let incoming = incoming_context(&located.exchange);
        let Some(context) = incoming else {
            let trace_id = self.ids.trace_id();
            return Placed {
                located,
                trace_id,
                span_id,
                parent: None,
                trace_state: None,
                sampled: None,
            };
        };
        Placed {
            located,
            trace_id: context.trace_id,
            span_id,
            parent: Some(context.parent),
            trace_state: context.trace_state,
            sampled: Some(context.sampled),
        }
    }
}

/// The trace that the request's sender was in.
fn incoming_context(exchange: &Exchange) -> Option<TraceContext> {
    let Detail::Http(http) = &exchange.detail else {
        return None;
    };
    if exchange.role != Role::Server {
        return None;
    }
    TraceContext::parse(http.traceparent.as_deref()?, http.tracestate.as_deref())
}

#[cfg(test)]
mod tests;
