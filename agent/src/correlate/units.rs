//! Units: what their ids say (see [`agent_common::unit`]), and which unit owns an exchange.

use agent_common::unit::unit_kind;
use agent_protocols::{Exchange, Unit};

/// Whether a unit can serve nothing but the request that began then: by its nature, or because it was made for it.
pub(super) fn serves_one(id: u64, began: u64) -> bool {
    kind(id) != unit_kind::CONTEXT || made_at(id).is_some_and(|made| made >= began)
}

/// Started to run beside what started it, and able to outlive it.
pub(super) fn is_spawned(id: u64) -> bool {
    kind(id) != unit_kind::JOB
}

/// When a context was made, if that was seen.
pub(super) fn made_at(id: u64) -> Option<u64> {
    let made = id & ((1 << unit_kind::SHIFT) - 1);
    (kind(id) == unit_kind::CONTEXT && id & unit_kind::FOUND == 0).then_some(made)
}

pub(super) fn kind(id: u64) -> u64 {
    id >> unit_kind::SHIFT
}

/// The unit that owns a request that was served: it began to answer it. A thread must have read it, too, and be unable to
/// do anything else meanwhile.
pub(super) fn owner_of(exchange: &Exchange) -> Option<u64> {
    let request = &exchange.request_unit;
    let answer = exchange.response_unit.as_ref().unwrap_or(request);
    let owner = owner(answer)?;
    let thread = kind(owner) == unit_kind::THREAD;
    (!thread || request.blocking && request.tid == answer.tid).then_some(owner)
}

/// The unit that owns what `unit` answers. A thread can own a request only if it could do nothing else meanwhile.
pub(super) fn owner(unit: &Unit) -> Option<u64> {
    let first = unit.line.steps().next()?;
    let thread = kind(first.id) == unit_kind::THREAD;
    (!thread || unit.blocking).then_some(first.id)
}
