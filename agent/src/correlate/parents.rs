//! The parent of each exchange: whom a call was made for, and whose call a request is.
//!
//! What a program's own SDK says goes first. A call that carries a `traceparent` which did not come with the request that it
//! was made for was traced by an SDK: it hangs on the SDK's span, and that request, if it began the trace, is of the same trace.

use agent_protocols::{Detail, Exchange};

use super::{Absence, Correlator, Ids, SETTLE_NANOS, Wait, Waiting, joins, requests::Caller, trees::Parent};
use crate::correlate::trace_context::TraceContext;

/// How long a request that carries a `traceparent` waits for the end of the call at the other end: without it, it has that
/// parent. In nanoseconds.
const JOIN_WAIT_NANOS: u64 = 10_000_000_000;

impl<I: Ids> Correlator<I> {
    /// The parent of a request: the call at the other end of its connection, or what came with it.
    pub(super) fn sender(&mut self, waiting: &Waiting, now: u64, impatient: bool) -> Result<Parent, Wait> {
        let context = self.trees.context(waiting.span).cloned();
        let ended = waiting.located.exchange.ended;
        let impatient = impatient || context.is_some() && now.saturating_sub(ended) > JOIN_WAIT_NANOS;
        let call = self.joins.call_of(&waiting.located);
        match (call, context) {
            (joins::Call::Span(call), context)
                if context.is_none() || self.trees.context(call) == context.as_ref() =>
            {
                self.counts.joined += 1;
                Ok(Parent::Span(call))
            }
            (joins::Call::Expected, _) if !impatient => Err(Wait::Until(now.saturating_add(SETTLE_NANOS))),
            (_, Some(context)) => Ok(Parent::Remote(context)),
            (joins::Call::Expected, None) => {
                self.counts.expired += 1;
                Ok(Parent::None(Absence::CallNotSeen))
            }
            (_, None) => Ok(Parent::None(Absence::SenderNotWatched)),
        }
    }

    /// The parent of a call: what it carries, if its program made that; else the request that it was made for.
    pub(super) fn caller(&mut self, waiting: &Waiting, now: u64, patient: bool) -> Result<Parent, Wait> {
        let exchange = &waiting.located.exchange;
        let unit = &exchange.request_unit;
        let caller = match self.processes.get(&unit.pid) {
            None => Caller::None(Absence::NothingServed),
            Some(requests) => {
                if !requests.calls_for_itself(unit, exchange.started) {
                    self.related.insert(unit.pid);
                }
                requests.caller(unit, exchange.started, now, patient)
            }
        };
        let context = self.trees.context(waiting.span).cloned();
        match (caller, context) {
            (Caller::Waits(connection), _) => Err(Wait::Connection(connection)),
            (Caller::Later(at), _) => Err(Wait::Until(at)),
            (Caller::Span(request), Some(context)) if !self.trees.came_with(request, &context) => {
                self.sdks.propagated(unit.pid);
                self.trees.claim(request, &context);
                Ok(Parent::Remote(context))
            }
            (Caller::Span(request), _) => Ok(Parent::Span(request)),
            (Caller::None(_), Some(context)) => Ok(Parent::Remote(context)),
            (Caller::None(absence), None) => {
                self.counts.expired += u64::from(absence == Absence::Expired);
                Ok(Parent::None(absence))
            }
        }
    }
}

/// The `traceparent` that a request came with, or that a call carries.
pub(super) fn context(exchange: &Exchange) -> Option<TraceContext> {
    let Detail::Http(http) = &exchange.detail else {
        return None;
    };
    TraceContext::parse(http.traceparent.as_deref()?, http.tracestate.as_deref())
}
