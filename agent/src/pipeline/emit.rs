//! The way from a placed exchange to the sinks and the metrics.

use std::sync::Arc;

use super::{sinks::Sinks, spans, statistics::Statistics};
use crate::{
    capture::{Clock, Processes},
    config::{Sampler, Settings},
    conventions::{self, Description},
    correlate::{LeftOut, Placed},
    discover::Process,
    metrics::{Exemplar, Measured, Metrics, Now, Settled, tempo},
};

/// The way from a placed exchange to the sinks.
pub struct Spans {
    /// From the kernel's time to that of the wall.
    pub clock: Clock,
    sinks: Arc<Sinks>,
    sampler: Sampler,
    redact_query: bool,
    /// Counted before sampling, if anybody may want to see it.
    pub metrics: Option<Metrics>,
    /// What was counted here.
    pub statistics: Statistics,
}

impl Spans {
    /// Nothing counted yet. `settled`: also count metrics.
    pub fn new(settings: &Settings, sinks: Arc<Sinks>, settled: Option<Settled>) -> Self {
        Self {
            clock: Clock::new(),
            sinks,
            sampler: settings.sampler,
            redact_query: !settings.keep_query_values,
            metrics: settled.map(|settled| Metrics::new(settings.metrics, settled)),
            statistics: Statistics::default(),
        }
    }

    /// A moment of the monotonic clock, in nanoseconds.
    pub fn now(&self, monotonic: u64) -> Now {
        Now {
            monotonic,
            unix_nanos: self.clock.unix_nanos(monotonic),
        }
    }

    /// Where spans leave.
    pub fn sinks(&self) -> &Sinks {
        &self.sinks
    }

    /// Lets exchanges leave as spans, and counts them; `now` in monotonic nanoseconds.
    pub fn emit(&mut self, placed: &mut Vec<Placed>, processes: &mut Processes, now: u64) {
        for placed in placed.drain(..) {
            let Some(process) = processes.get(placed.located.exchange.request_unit.pid) else {
                self.statistics.unselected += 1;
                continue;
            };
            match placed.left_out {
                Some(LeftOut::ExportedBySdk) => self.statistics.exported_by_sdk += 1,
                Some(LeftOut::SdkExport) => {
                    self.statistics.sdk_exports += 1;
                    continue;
                }
                Some(LeftOut::OtherPort) => {
                    self.statistics.other_ports += 1;
                    continue;
                }
                None => {}
            }
            let sampler = placed.sampler.unwrap_or(self.sampler);
            let kept = placed.left_out.is_none() && spans::is_sampled(sampler, &placed);
            if !kept && self.metrics.is_none() {
                self.statistics.unsampled += u64::from(placed.left_out.is_none());
                continue;
            }
            let located = &placed.located;
            let described = conventions::describe(&located.exchange, &located.endpoints, self.redact_query);
            self.measure(&placed, &described, &process, kept, now);
            if kept {
                self.statistics.spans += 1;
                self.sinks
                    .submit(spans::span(placed, described, process, &self.clock));
            } else {
                self.statistics.unsampled += u64::from(placed.left_out.is_none());
            }
        }
    }

    /// Adds an exchange to the metrics; one that is kept as a span may stand for others like it.
    fn measure(
        &mut self,
        placed: &Placed,
        description: &Description,
        process: &Arc<Process>,
        kept: bool,
        now: u64,
    ) {
        let now = self.now(now);
        let Some(metrics) = &mut self.metrics else { return };
        let exchange = &placed.located.exchange;
        let exemplar = kept.then(|| Exemplar {
            trace_id: placed.trace_id,
            span_id: placed.span_id,
            unix_nanos: self.clock.unix_nanos(exchange.ended),
        });
        let measured = Measured {
            description,
            nanos: exchange.ended.saturating_sub(exchange.started),
            exemplar,
        };
        metrics.add(process, &measured, now);
        let placed = tempo::Placed {
            service: &process.service_name,
            description,
            nanos: measured.nanos,
            trace_id: placed.trace_id,
            span_id: placed.span_id,
            parent: placed.parent.ok(),
            exemplar,
        };
        metrics.add_span(&placed, now);
    }
}
