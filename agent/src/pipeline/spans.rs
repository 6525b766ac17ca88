//! From placed exchanges to spans.

use std::sync::Arc;

use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use crate::{
    capture::Clock,
    config::Sampler,
    conventions::Description,
    correlate::{Ids, Placed},
    discover::Process,
    span::{Span, SpanId, TraceId},
};

/// Random ids, as the W3C recommendation asks for.
#[derive(Debug, Default)]
pub struct RandomIds(RandomIdGenerator);

impl Ids for RandomIds {
    fn trace_id(&mut self) -> TraceId {
        self.0.new_trace_id()
    }

    fn span_id(&mut self) -> SpanId {
        self.0.new_span_id()
    }
}

/// Puts a span together.
pub fn span(placed: Placed, described: Description, process: Arc<Process>, clock: &Clock) -> Span {
    let exchange = &placed.located.exchange;
    let Description {
        name,
        kind,
        status,
        attributes,
    } = described;
    Span {
        trace_id: placed.trace_id,
        span_id: placed.span_id,
        parent: placed.parent.ok(),
        no_parent: placed.parent.err(),
        trace_state: placed.trace_state,
        name,
        kind,
        start_unix_nanos: clock.unix_nanos(exchange.started),
        end_unix_nanos: clock.unix_nanos(exchange.ended.max(exchange.started)),
        status,
        attributes,
        process,
    }
}

/// Whether a trace is kept. The decision depends on the trace's id and on what came with it only, so that all spans
/// of a trace fare alike: <https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased>.
pub fn is_sampled(sampler: Sampler, placed: &Placed) -> bool {
    if sampler.parent_based
        && let Some(decided) = placed.sampled
    {
        return decided;
    }
    let [_, _, _, _, _, _, _, _, low @ ..] = placed.trace_id.to_bytes();
    let position = u64::from_be_bytes(low) >> 1;
    sampler.ratio >= 1.0 || position < (sampler.ratio * (1_u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests {
    use agent_protocols::{
        Detail, Exchange, Role, Unit,
        exchange::{Ending, Http},
    };

    use super::*;
    use crate::{capture::Located, conventions::Endpoints};

    fn placed(trace_id: u128, sampled: Option<bool>) -> Placed {
        let exchange = Exchange {
            role: Role::Server,
            started: 0,
            ended: 0,
            request_unit: Unit::default(),
            response_unit: None,
            request_offset: 0,
            response_offset: None,
            ending: Ending::Complete,
            detail: Detail::Http(Http::default()),
        };
        Placed {
            located: Box::new(Located {
                exchange,
                endpoints: Arc::new(Endpoints::default()),
                connection: 0,
                ends: None,
            }),
            trace_id: TraceId::from_bytes(trace_id.to_be_bytes()),
            span_id: SpanId::INVALID,
            parent: Err(crate::correlate::Absence::NothingServed),
            trace_state: None,
            sampled,
            sampler: None,
            left_out: None,
        }
    }

    #[test]
    fn the_ratio_is_met_and_the_same_id_fares_alike() {
        let quarter = Sampler {
            parent_based: false,
            ratio: 0.25,
        };
        let mut ids = RandomIds::default();
        let kept = (0..10_000)
            .filter(|_| {
                is_sampled(
                    quarter,
                    &placed(u128::from_be_bytes(ids.trace_id().to_bytes()), None),
                )
            })
            .count();
        assert!((2_200..2_800).contains(&kept), "{kept}");
        let all = Sampler {
            parent_based: false,
            ratio: 1.0,
        };
        let none = Sampler {
            parent_based: false,
            ratio: 0.0,
        };
        for id in [1, u128::MAX, 1 << 64] {
            assert!(is_sampled(all, &placed(id, None)));
            assert!(!is_sampled(none, &placed(id, None)));
        }
    }

    #[test]
    fn the_callers_decision_counts_if_it_is_to_be_followed() {
        let follow = Sampler {
            parent_based: true,
            ratio: 0.0,
        };
        assert!(is_sampled(follow, &placed(1, Some(true))));
        assert!(!is_sampled(follow, &placed(1, None)));
        let own = Sampler {
            parent_based: false,
            ratio: 1.0,
        };
        assert!(is_sampled(own, &placed(1, Some(false))));
    }
}
