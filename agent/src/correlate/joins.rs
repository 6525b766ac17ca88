//! Both ends of one connection on this host: the call at one end and the request at the other are the same.
//!
//! The ends of a connection know each other by what only these two have in common (see [`Ends`]), and a message by its
//! position in the stream. Nothing is sent, and it does not matter which addresses each end sees. Relays in between are
//! seen through ([`relays`](super::relays)).

use agent_protocols::Role;
use foldhash::HashMap;

use super::relays::Relays;
use crate::capture::{Ends, Located};

/// How long a call without its request, or an ended connection, is remembered, in nanoseconds.
const REMEMBER_NANOS: u64 = 10_000_000_000;
/// By how much clocks of two CPUs may differ, and reports of one moment lie apart, in nanoseconds.
const SKEW_NANOS: u64 = 1_000_000;
/// Calls remembered at most.
const CALLS_MOST: usize = 65_536;

/// The calls of watched processes, by connection and position.
#[derive(Debug, Default)]
pub(super) struct Joins {
    calls: HashMap<(Ends, u64), Called>,
    /// Connections that watched processes made: how many of them there are under this name.
    clients: HashMap<Ends, Client>,
    latest: u64,
    /// Connections between that a relay made of those that it accepted.
    pub(super) relays: Relays,
}

#[derive(Clone, Copy, Debug)]
struct Called {
    span: u64,
    started: u64,
    ended: u64,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    ended_at: Option<u64>,
}

/// The call that a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// The call with this span.
    Span(u64),
    /// The other end is watched; its call is not over yet.
    Expected,
    /// The other end is not watched.
    Elsewhere,
}

impl Joins {
    /// A connection was opened.
    pub(super) fn opened(&mut self, ends: Ends, role: Role) {
        if role == Role::Client {
            self.clients.insert(ends, Client { ended_at: None });
        }
    }

    /// A connection ended.
    pub(super) fn ended(&mut self, ends: Ends) {
        let latest = self.latest;
        self.relays.ended(ends, latest);
        if let Some(client) = self.clients.get_mut(&ends) {
            client.ended_at = Some(latest);
        }
    }

    /// A call was made.
    pub(super) fn called(&mut self, located: &Located, span: u64) {
        let exchange = &located.exchange;
        self.latest = self.latest.max(exchange.ended);
        let Some(ends) = located.ends else { return };
        if self.calls.len() >= CALLS_MOST {
            return;
        }
        let called = Called {
            span,
            started: exchange.started,
            ended: exchange.ended,
        };
        self.calls.insert((ends, exchange.request_offset), called);
    }

    /// The call that a request was; it is not asked for again.
    pub(super) fn call_of(&mut self, located: &Located) -> Call {
        let exchange = &located.exchange;
        let Some(ends) = located.ends.map(Ends::other) else {
            return Call::Elsewhere;
        };
        let ends = self.relays.origin(ends);
        let key = (ends, exchange.request_offset);
        let same_time = |call: &Called| {
            call.started <= exchange.started.saturating_add(SKEW_NANOS)
                && exchange.started <= call.ended.saturating_add(SKEW_NANOS)
        };
        if let Some(call) = self.calls.get(&key).copied().filter(same_time) {
            self.calls.remove(&key);
            return Call::Span(call.span);
        }
        match self.clients.get(&ends) {
            Some(client) if client.ended_at.is_none_or(|at| exchange.started <= at) => Call::Expected,
            _ => Call::Elsewhere,
        }
    }

    /// Forgets what is old.
    pub(super) fn forget(&mut self, now: u64) {
        self.latest = self.latest.max(now);
        let old = now.saturating_sub(REMEMBER_NANOS);
        self.calls.retain(|_, call| call.ended >= old);
        self.clients
            .retain(|_, client| client.ended_at.is_none_or(|at| at >= old));
        self.relays.forget(old);
    }
}
