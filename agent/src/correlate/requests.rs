//! The requests that one process serves: which are open, which unit answered which, and whom a call was made for.
//!
//! A unit owns the requests that it answered. A call belongs to the request that its unit, or the nearest unit that it
//! came from, was serving when it acted for the call: the line of units says when each handed on to the next.

use std::collections::{BTreeSet, VecDeque, hash_map::Entry};

use agent_common::unit::unit_kind;
use agent_protocols::{Exchange, Step, Unit};
use foldhash::{HashMap, HashSet};
use smallvec::SmallVec;

use super::{
    Absence, SETTLE_NANOS,
    units::{is_spawned, kind, made_at, owner, owner_of, serves_one},
};

/// How long after its response the task that was made for a request still works for it, in nanoseconds.
const AFTERMATH_NANOS: u64 = 60_000_000_000;

/// Requests kept of one unit, against what is never forgotten otherwise.
const KEPT_PER_UNIT: usize = 4096;

/// Requests of one unit, from the latest, that are looked at one after the other.
const LATEST: usize = 4;

/// Ids of units, of which there is one nearly always: an allocation for each request is felt.
pub(super) type UnitIds = SmallVec<[u64; 2]>;

/// The requests of one process.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Requests whose response has not begun: when they were read, and their connections.
    unanswered: BTreeSet<(u64, u64)>,
    /// All that have not ended, by connection.
    open: HashMap<u64, Open>,
    /// Requests by the unit that answers them.
    owned: HashMap<u64, VecDeque<Owned>>,
    /// Contexts that answered several requests at once: an event loop's own, not a request's.
    shared: HashSet<u64>,
    /// Units that a request may have started, and when they made calls.
    acts: BTreeSet<(u64, u64)>,
}

/// A request that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    since: u64,
    /// The unit that began to answer.
    owner: Option<u64>,
    /// When units first read from it: the first of them, and the last that came new.
    readers: [(u64, u64); 2],
}

impl Open {
    /// When a unit began to work on a request whose first byte was read then. A goroutine that serves a connection may
    /// still work for the request before while another one reads the first byte of the next (Go, src/net/http/server.go,
    /// `startBackgroundRead`).
    fn began_for(&self, unit: u64, first_byte: u64) -> u64 {
        let own = self.readers.iter().find(|&&(reader, _)| reader == unit);
        match own {
            Some(&(_, at)) if kind(unit) == unit_kind::GOROUTINE => at.max(first_byte),
            _ => first_byte,
        }
    }
}

/// A request that a unit answers.
#[derive(Clone, Copy, Debug)]
struct Owned {
    connection: u64,
    began: u64,
    /// None while it is open.
    ended: Option<u64>,
    /// The span, once the request has ended.
    span: Option<u64>,
    /// The unit did not answer itself, but started the one that did.
    handed_on: bool,
}

/// Whom a call was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// For the request with this span.
    Span(u64),
    /// That depends on the open request on this connection.
    Waits(u64),
    /// That is known from this moment on.
    Later(u64),
    /// For no request that is known.
    None(Absence),
}

impl Requests {
    /// Bytes were read from an accepted connection: a request begins, unless it is part of one.
    pub(super) fn read(&mut self, connection: u64, at: u64, unit: &Unit) {
        let reader = unit.line.steps[0].id;
        match self.open.entry(connection) {
            Entry::Vacant(place) => {
                place.insert(Open {
                    since: at,
                    owner: None,
                    readers: [(reader, at); 2],
                });
                self.unanswered.insert((at, connection));
            }
            Entry::Occupied(mut place) => {
                let readers = &mut place.get_mut().readers;
                if readers.iter().all(|&(known, _)| known != reader) {
                    readers[1] = (reader, at);
                }
            }
        }
    }

    /// Bytes were written to it: the request is answered. True if that was not known before.
    pub(super) fn answered(&mut self, connection: u64, unit: &Unit) -> bool {
        let Some(open) = self.open.get_mut(&connection) else {
            return false;
        };
        if open.owner.is_some() {
            return false;
        }
        let Some(owner) = owner(unit) else { return false };
        open.owner = Some(owner);
        let since = open.since;
        self.unanswered.remove(&(since, connection));
        self.own(
            owner,
            Owned {
                connection,
                began: since,
                ended: None,
                span: None,
                handed_on: false,
            },
        );
        true
    }

    /// The request that was open on a connection is over, or was none.
    pub(super) fn over(&mut self, connection: u64) {
        let Some(open) = self.open.remove(&connection) else {
            return;
        };
        self.unanswered.remove(&(open.since, connection));
        if let Some(owner) = open.owner {
            self.disown(owner, open.since, |owned| {
                owned.connection == connection && owned.ended.is_none()
            });
        }
    }

    /// A request was served, with this span. The units that own it: the one that answered, and the tasks that were made
    /// for the request and led to that one.
    pub(super) fn served(&mut self, connection: u64, span: u64, exchange: &Exchange) -> UnitIds {
        let open = self.open.get(&connection).copied();
        self.over(connection);
        let Some(owner) = owner_of(exchange) else {
            return UnitIds::new();
        };
        let answer = exchange.response_unit.as_ref().unwrap_or(&exchange.request_unit);
        let during =
            |id: u64| made_at(id).is_some_and(|made| made >= exchange.started && made <= exchange.ended);
        let line = answer.line.steps().map(|step| step.id);
        let owners: UnitIds = line.take_while(|&id| id == owner || during(id)).collect();
        for &id in &owners {
            let request = Owned {
                connection,
                began: open.map_or(exchange.started, |open| open.began_for(id, exchange.started)),
                ended: Some(exchange.ended),
                span: Some(span),
                handed_on: id != owner,
            };
            self.own(id, request);
        }
        owners
    }

    /// Forgets the request with this span, which began then and which `owner` owned.
    pub(super) fn forget(&mut self, owner: u64, began: u64, span: u64) {
        self.disown(owner, began, |owned| owned.span == Some(span));
    }

    /// A unit made a call.
    pub(super) fn acted(&mut self, unit: &Unit, at: u64) {
        let mut line = unit.line.steps();
        if let (Some(first), Some(_)) = (line.next(), line.next())
            && is_spawned(first.id)
        {
            self.acts.insert((first.id, at));
        }
    }

    /// Forgets what units did before this moment.
    pub(super) fn forget_acts(&mut self, before: u64) {
        self.acts.retain(|&(_, at)| at >= before);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.owned.is_empty() && self.acts.is_empty()
    }

    /// Whom a call was made for that `unit` began at `at`, as seen at `now`. `patient`: an open request may be waited for.
    pub(super) fn caller(&self, unit: &Unit, at: u64, now: u64, patient: bool) -> Caller {
        let mut until = at;
        let mut spawned = None;
        let mut first = true;
        for step in unit.line.steps() {
            if !first {
                until = step.until;
            }
            match self.serving(step, until) {
                // What a unit that serves one request at a time is serving is certain, whatever else is open.
                Serving::One(owned) if first && !owned.handed_on && serves_one(step.id, owned.began) => {
                    return Self::certain(owned, patient);
                }
                Serving::One(owned) => return self.inherited(owned, spawned, (at, until), now, patient),
                Serving::Several => return Caller::None(Absence::SeveralRequests),
                Serving::No => {}
            }
            if is_spawned(step.id) {
                spawned.get_or_insert(step.id);
            }
            first = false;
        }
        match self.earliest_unanswered(at) {
            Some(connection) if patient => Caller::Waits(connection),
            _ => Caller::None(Self::why_none(unit)),
        }
    }

    /// Whether `unit` was itself serving the one request that it made a call for: what it came from says nothing then. Of
    /// a context that is certain only as long as its making is seen.
    pub(super) fn calls_for_itself(&self, unit: &Unit, at: u64) -> bool {
        unit.line.steps().next().is_some_and(|step| {
            kind(step.id) != unit_kind::CONTEXT
                && matches!(self.serving(step, at), Serving::One(owned) if !owned.handed_on)
        })
    }

    /// A request that a unit further up is serving: one that is not answered yet may belong to a nearer unit.
    fn inherited(
        &self,
        owned: &Owned,
        spawned: Option<u64>,
        (at, until): (u64, u64),
        now: u64,
        patient: bool,
    ) -> Caller {
        if let Some(connection) = self.earliest_unanswered(at) {
            return if patient {
                Caller::Waits(connection)
            } else {
                Caller::None(Absence::Expired)
            };
        }
        let (Some(unit), Some(ended)) = (spawned, owned.ended) else {
            return Self::certain(owned, patient);
        };
        if until > ended && kind(unit) == unit_kind::CONTEXT {
            // The request's own task started it after the response, so the task itself works on.
            return Self::certain(owned, patient);
        }
        // What outlives the request may be one of a pool that serves all, and that this request was the first to need.
        let settled = ended.saturating_add(SETTLE_NANOS);
        if at <= ended && now < settled {
            return Caller::Later(settled);
        }
        let acts_on = || {
            self.acts
                .range((unit, ended + 1)..=(unit, settled))
                .next()
                .is_some()
        };
        if at > ended || acts_on() {
            return Caller::None(Absence::OutlivedRequest);
        }
        Self::certain(owned, patient)
    }

    fn certain(owned: &Owned, patient: bool) -> Caller {
        match owned.span {
            Some(span) => Caller::Span(span),
            None if patient => Caller::Waits(owned.connection),
            None => Caller::None(Absence::Expired),
        }
    }

    /// The request that a unit was serving at a moment.
    fn serving(&self, step: &Step, at: u64) -> Serving<'_> {
        let Some(requests) = self.owned.get(&step.id) else {
            return Serving::No;
        };
        if self.shared.contains(&step.id) {
            return Serving::Several;
        }
        // A thread serves thousands, one after the other; a context few, but maybe at once.
        let since = if kind(step.id) == unit_kind::CONTEXT {
            0
        } else {
            place(requests, |owned| owned.began <= at).saturating_sub(1)
        };
        let within = |owned: &&Owned| owned.began <= at && owned.ended.is_none_or(|ended| at <= ended);
        let mut then = requests.range(since..).filter(within);
        match (then.next(), then.next()) {
            (Some(only), None) => Serving::One(only),
            (Some(_), Some(_)) => Serving::Several,
            (None, _) => Self::aftermath(step, requests, at),
        }
    }

    /// A task that was made for a request and answered it alone works for it also after its end.
    fn aftermath<'a>(step: &Step, requests: &'a VecDeque<Owned>, at: u64) -> Serving<'a> {
        let (Some(only), None) = (requests.front(), requests.get(1)) else {
            return Serving::No;
        };
        let made_for_it = made_at(step.id)
            .is_some_and(|made| made >= only.began && only.ended.is_none_or(|ended| made <= ended));
        let soon_after = only
            .ended
            .is_some_and(|ended| at > ended && at - ended < AFTERMATH_NANOS);
        if made_for_it && soon_after {
            Serving::One(only)
        } else {
            Serving::No
        }
    }

    /// A request that was read before `at` and of which nobody knows who answers it.
    fn earliest_unanswered(&self, at: u64) -> Option<u64> {
        let &(since, connection) = self.unanswered.first()?;
        (since <= at).then_some(connection)
    }

    fn why_none(unit: &Unit) -> Absence {
        if unit.line.steps().next().is_none() {
            Absence::UnitUnknown
        } else {
            Absence::NotServing
        }
    }

    fn own(&mut self, unit: u64, request: Owned) {
        let requests = self.owned.entry(unit).or_default();
        let overlaps = |other: &Owned| {
            let ended = |owned: &Owned| owned.ended.unwrap_or(u64::MAX);
            other.began < ended(&request) && request.began < ended(other)
        };
        if kind(unit) == unit_kind::CONTEXT && requests.iter().any(overlaps) {
            self.shared.insert(unit);
        }
        if requests.len() >= KEPT_PER_UNIT {
            requests.pop_front();
        }
        requests.insert(place(requests, |other| other.began <= request.began), request);
    }

    fn disown(&mut self, unit: u64, began: u64, which: impl Fn(&Owned) -> bool) {
        let Some(requests) = self.owned.get_mut(&unit) else {
            return;
        };
        let from = place(requests, |owned| owned.began < began);
        let mut then = requests.range(from..).take_while(|owned| owned.began == began);
        if let Some(index) = then.position(which) {
            requests.remove(from + index);
        }
        if requests.is_empty() {
            self.shared.remove(&unit);
            self.owned.remove(&unit);
        }
    }
}

/// How many of the requests of a unit, sorted by their beginnings, come before: like `partition_point`, and at once where
/// that is all but the latest few, or none, as it nearly always is.
fn place(requests: &VecDeque<Owned>, before: impl Fn(&Owned) -> bool) -> usize {
    let latest = requests.len().saturating_sub(LATEST);
    if requests.front().is_none_or(|first| !before(first)) {
        0
    } else if requests.get(latest).is_some_and(&before) {
        latest + requests.range(latest..).take_while(|owned| before(owned)).count()
    } else {
        requests.partition_point(before)
    }
}

/// What a unit was serving.
enum Serving<'a> {
    One(&'a Owned),
    Several,
    No,
}
