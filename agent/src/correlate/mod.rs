//! CORRELATE: gives every exchange its place in a trace.
//!
//! A pure state machine: events and exchanges go in, `poll` gives what has its place, and the present is a parameter, so
//! that a recorded run replays exactly. Exchanges settle for a moment before they are looked at, so that the order in
//! which CPUs reported them does not matter.
//!
//! Parents are right or absent. A call's parent is the request that its unit was serving ([`requests`]); a request's
//! parent is the call at the other end of its connection, if that end is on this host ([`joins`]). What a program's own SDK
//! says goes before that ([`parents`]), and what it exports itself makes no span ([`sdk`]). A span has its trace when its
//! parent has one ([`trees`]).

mod joins;
mod parents;
mod relays;
mod requests;
mod sdk;
mod services;
#[cfg(test)]
mod tests;
mod trace_context;
mod trees;
mod units;
mod why;

use std::collections::BTreeMap;

use agent_protocols::{Exported, Role, Unit};
use foldhash::{HashMap, HashSet};

use crate::{
    capture::{Ends, Located},
    config::{LeaveOut, Sampler},
    discover::Overrides,
    span::{SpanId, TraceId},
};
use joins::Joins;
pub use relays::Moved;
use requests::Requests;
pub use sdk::LeftOut;
use sdk::Sdks;
use services::Services;
use trees::{Out, Parent, Trees};
pub use why::Absence;

/// How long an exchange settles: reports of what happened before it may still come. In nanoseconds.
const SETTLE_NANOS: u64 = 100_000_000;
/// How long an exchange waits for its parent: the longest request that is still put together.
const WAIT_NANOS: u64 = 120_000_000_000;
/// How long it is remembered when units made calls: decisions about requests that ended are taken soon after.
const REMEMBER_ACTS_NANOS: u64 = 5_000_000_000;
/// Exchanges that may wait; more go without a parent.
const WAITING_MOST: usize = 65_536;

/// An exchange with its place in a trace.
#[derive(Debug)]
pub struct Placed {
    /// The exchange.
    pub located: Box<Located>,
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// Its parent, or why it has none.
    pub parent: Result<SpanId, Absence>,
    /// W3C `tracestate` of the trace.
    pub trace_state: Option<String>,
    /// Whether whoever began the trace keeps it, if that is known.
    pub sampled: Option<bool>,
    /// The sampler of the process in which the trace began, if the settings have one for it alone.
    pub sampler: Option<Sampler>,
    /// Why it is to be no span, if it is not.
    pub left_out: Option<LeftOut>,
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
    processes: HashMap<u32, Requests>,
    joins: Joins,
    trees: Trees,
    sdks: Sdks,
    services: Services,
    /// Exchanges to be looked at: when, and their number.
    due: BTreeMap<(u64, u64), Waiting>,
    /// Exchanges that depend on the request that is open on a connection.
    blocked: HashMap<u64, Vec<(u64, Waiting)>>,
    /// Exchanges in `blocked`.
    blocked_count: usize,
    next_number: u64,
    swept_at: u64,
    counts: Counts,
    related: HashSet<u32>,
}

/// What the correlator counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Exchanges whose parent was not certain within the time that they wait.
    pub expired: u64,
    /// Exchanges that could not wait because too many did.
    pub over_limit: u64,
    /// Requests joined with the call at the other end.
    pub joined: u64,
}

/// An exchange that waits to be looked at.
#[derive(Debug)]
struct Waiting {
    located: Box<Located>,
    span: u64,
}

impl<I: Ids> Correlator<I> {
    /// Nothing known yet. `leave_out`: what makes no span if a program's own SDK exports it.
    pub fn new(ids: I, leave_out: LeaveOut) -> Self {
        Self {
            ids,
            processes: HashMap::default(),
            joins: Joins::default(),
            trees: Trees::default(),
            sdks: Sdks::new(leave_out),
            services: Services::default(),
            due: BTreeMap::new(),
            blocked: HashMap::default(),
            blocked_count: 0,
            next_number: 0,
            swept_at: 0,
            counts: Counts::default(),
            related: HashSet::default(),
        }
    }

    /// A connection of a watched process was seen for the first time.
    pub fn opened(&mut self, ends: Ends, role: Role) {
        self.joins.opened(ends, role);
    }

    /// A process that passes on what it receives received or sent bytes. Returns the connections of which nothing more need
    /// be known.
    pub fn relayed(&mut self, unit: &Unit, moved: Moved) -> Vec<u64> {
        self.joins.relays.moved(unit, moved)
    }

    /// Bytes were read from a connection that was accepted; times in monotonic nanoseconds.
    pub fn request_read(&mut self, connection: u64, at: u64, unit: &Unit) {
        self.processes
            .entry(unit.pid)
            .or_default()
            .read(connection, at, unit);
    }

    /// Bytes were written to a connection that was accepted.
    pub fn response_written(&mut self, connection: u64, unit: &Unit) {
        let answered = self
            .processes
            .get_mut(&unit.pid)
            .is_some_and(|requests| requests.answered(connection, unit));
        if answered {
            self.unblock(connection);
        }
    }

    /// Bytes were written to any other connection.
    pub fn call_made(&mut self, unit: &Unit, at: u64) {
        if let Some(requests) = self.processes.get_mut(&unit.pid) {
            requests.acted(unit, at);
        }
    }

    /// A connection ended, or turned out to be of no protocol that is known: nobody serves a request on it.
    pub fn connection_ended(&mut self, pid: u32, connection: u64, ends: Option<Ends>) {
        if let Some(requests) = self.processes.get_mut(&pid) {
            requests.over(connection);
        }
        self.unblock(connection);
        if let Some(ends) = ends {
            self.joins.ended(ends);
        }
    }

    /// A process exported spans (as a client), or was sent some (as a server); `at` in monotonic nanoseconds.
    pub fn exported(&mut self, pid: u32, role: Role, at: u64, exported: Exported) {
        self.sdks.exported(pid, role, at, exported);
    }

    /// A process ended, or runs another program from now on.
    pub fn program_ended(&mut self, pid: u32, at: u64) {
        self.sdks.ended(pid, at);
    }

    /// The settings say this of a process alone.
    pub fn overrides(&mut self, pid: u32, overrides: Overrides) {
        self.services.set(pid, overrides);
    }

    /// A process was forked from another.
    pub fn forked(&mut self, pid: u32, parent: u32) {
        self.services.forked(pid, parent);
    }

    /// Takes an exchange.
    pub fn handle(&mut self, located: Located) {
        self.next_number += 1;
        let span = self.next_number;
        let context = parents::context(&located.exchange);
        self.trees
            .add(span, self.ids.span_id(), located.exchange.ended, context);
        match located.exchange.role {
            Role::Server => {
                let pid = located.exchange.request_unit.pid;
                let requests = self.processes.entry(pid).or_default();
                let owners = requests.served(located.connection, span, &located.exchange);
                self.trees.owned_by(span, (pid, located.exchange.started, owners));
                self.unblock(located.connection);
            }
            Role::Client | Role::Unknown => self.joins.called(&located, span),
        }
        let due = located.exchange.ended.saturating_add(SETTLE_NANOS);
        self.due.insert(
            (due, span),
            Waiting {
                located: Box::new(located),
                span,
            },
        );
    }

    /// Gives what has its place; `now` in monotonic nanoseconds.
    pub fn poll(&mut self, now: u64, out: &mut Vec<Placed>) {
        self.expire(now);
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= now
        {
            let waiting = entry.remove();
            self.look_at(waiting, now, out);
        }
        self.sweep(now);
    }

    /// Lets go everything.
    pub fn finish(&mut self, out: &mut Vec<Placed>) {
        self.unblock_all();
        while let Some((_, waiting)) = self.due.pop_first() {
            self.look_at(waiting, u64::MAX, out);
        }
        let Self {
            ids,
            trees,
            sdks,
            services,
            ..
        } = self;
        trees.finish(&mut Out {
            ids,
            sdks,
            services,
            placed: out,
        });
    }

    /// Processes that have made calls, since this was asked, of which the parent depends, or may depend, on what their
    /// units came from.
    pub fn take_related(&mut self) -> HashSet<u32> {
        std::mem::take(&mut self.related)
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn look_at(&mut self, waiting: Waiting, now: u64, out: &mut Vec<Placed>) {
        let exchange = &waiting.located.exchange;
        let full = self.blocked_count + self.trees.waiting() >= WAITING_MOST;
        let old = now.saturating_sub(exchange.ended) > WAIT_NANOS;
        let decided = match exchange.role {
            Role::Server => self.sender(&waiting, now, old || full),
            Role::Client => self.caller(&waiting, now, !(old || full)),
            Role::Unknown => Ok(Parent::None(Absence::RoleUnknown)),
        };
        match decided {
            Ok(parent) => {
                if full {
                    self.counts.over_limit += 1;
                }
                let Waiting { located, span } = waiting;
                let Self {
                    ids,
                    trees,
                    sdks,
                    services,
                    ..
                } = self;
                trees.place(
                    span,
                    located,
                    parent,
                    &mut Out {
                        ids,
                        sdks,
                        services,
                        placed: out,
                    },
                );
            }
            Err(Wait::Connection(connection)) => {
                self.blocked_count += 1;
                self.blocked
                    .entry(connection)
                    .or_default()
                    .push((now.saturating_add(WAIT_NANOS), waiting));
            }
            Err(Wait::Until(due)) => {
                self.due.insert((due, waiting.span), waiting);
            }
        }
    }

    /// What depended on the request of a connection is looked at again.
    fn unblock(&mut self, connection: u64) {
        for (_, waiting) in self.blocked.remove(&connection).unwrap_or_default() {
            self.blocked_count -= 1;
            let due = waiting.located.exchange.ended.saturating_add(SETTLE_NANOS);
            self.due.insert((due, waiting.span), waiting);
        }
    }

    fn unblock_all(&mut self) {
        let connections: Vec<u64> = self.blocked.keys().copied().collect();
        for connection in connections {
            self.unblock(connection);
        }
    }

    /// Looks again at what has waited for too long.
    fn expire(&mut self, now: u64) {
        let old = |waits: &Vec<(u64, Waiting)>| waits.iter().any(|(until, _)| *until <= now);
        let connections: Vec<u64> = self
            .blocked
            .iter()
            .filter(|(_, waits)| old(waits))
            .map(|(&connection, _)| connection)
            .collect();
        for connection in connections {
            self.unblock(connection);
        }
    }

    /// Forgets what nothing can belong to any more.
    fn sweep(&mut self, now: u64) {
        if now.saturating_sub(self.swept_at) < SETTLE_NANOS {
            return;
        }
        self.swept_at = now;
        for (span, (pid, began, owners)) in self.trees.forget(now) {
            if let Some(requests) = self.processes.get_mut(&pid) {
                for owner in owners {
                    requests.forget(owner, began, span);
                }
            }
        }
        self.joins.forget(now);
        self.sdks.forget(now);
        self.processes.retain(|_, requests| {
            requests.forget_acts(now.saturating_sub(REMEMBER_ACTS_NANOS));
            !requests.is_empty()
        });
    }
}

/// Why an exchange cannot be placed yet.
enum Wait {
    /// It depends on the request that is open on this connection.
    Connection(u64),
    /// Until this moment.
    Until(u64),
}
