//! The way from a placed exchange to the sinks and the metrics.

use std::{collections::VecDeque, io, sync::Arc};

use agent_protocols::{Detail, Role};

use super::{sinks::Sinks, spans, statistics::Statistics};
use crate::{
    capture::{Clock, Processes},
    config::{Sampler, Settings},
    conventions::{self, Description},
    correlate::{LeftOut, Placed},
    discover::Process,
    metrics::{Exemplar, Measured, Metrics, Now, Settled, tempo},
    routes::{Lookup, Routes},
};

/// How often it is looked whether an exchange has waited for too long for the routes of its process, in nanoseconds.
const LOOK_EVERY: u64 = 500_000_000;
/// Exchanges that may wait for that.
const MAX_WAITING: usize = 16_384;

/// The way from a placed exchange to the sinks.
pub struct Spans {
    /// From the kernel's time to that of the wall.
    pub clock: Clock,
    sinks: Arc<Sinks>,
    sampler: Sampler,
    redact_query: bool,
    routes: Routes,
    /// Exchanges whose processes are being looked at, and since when each waits.
    waiting: VecDeque<(u64, Placed)>,
    looked_at: u64,
    /// Counted before sampling, if anybody may want to see it.
    pub metrics: Option<Metrics>,
    /// What was counted here.
    pub statistics: Statistics,
}

impl Spans {
    /// Nothing counted yet. `settled`: also count metrics.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(settings: &Settings, sinks: Arc<Sinks>, settled: Option<Settled>) -> io::Result<Self> {
        Ok(Self {
            clock: Clock::new(),
            sinks,
            sampler: settings.sampler,
            redact_query: !settings.keep_query_values,
            routes: Routes::new(settings.routes.clone())?,
            waiting: VecDeque::new(),
            looked_at: 0,
            metrics: settled.map(|settled| Metrics::new(settings.metrics, settled)),
            statistics: Statistics::default(),
        })
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
        let is_answered = self.routes.take_answers(now);
        if is_answered || now.saturating_sub(self.looked_at) >= LOOK_EVERY {
            self.looked_at = now;
            for (since, placed) in std::mem::take(&mut self.waiting) {
                self.emit_one(placed, processes, now, since);
            }
        }
        for placed in placed.drain(..) {
            self.emit_one(placed, processes, now, now);
        }
    }

    /// The same, also of those that wait: there is no later.
    pub fn finish(&mut self, placed: &mut Vec<Placed>, processes: &mut Processes, now: u64) {
        self.emit(placed, processes, now);
        for (_, placed) in std::mem::take(&mut self.waiting) {
            // Since for ever, so that it does not wait again.
            self.emit_one(placed, processes, now, 0);
        }
    }

    /// Forgets what is known of processes that are not watched any more.
    pub fn forget_ended(&mut self, processes: &Processes) {
        self.routes.keep(|pid| processes.knows(pid));
    }

    /// Lets an exchange leave, or has it wait, since `since`, for what is not known yet.
    fn emit_one(&mut self, placed: Placed, processes: &mut Processes, now: u64, since: u64) {
        let Some(process) = processes.get(placed.located.exchange.request_unit.pid) else {
            self.statistics.unselected += 1;
            return;
        };
        let sampler = placed.sampler.unwrap_or(self.sampler);
        let kept = placed.left_out.is_none() && spans::is_sampled(sampler, &placed);
        let is_wanted = kept || self.metrics.is_some();
        let route = match self.route(&placed, &process, is_wanted, now, since) {
            Lookup::Wait => {
                self.waiting.push_back((since, placed));
                return;
            }
            Lookup::Known(route) => route,
        };
        match placed.left_out {
            Some(LeftOut::ExportedBySdk) => self.statistics.exported_by_sdk += 1,
            Some(LeftOut::SdkExport) => {
                self.statistics.sdk_exports += 1;
                return;
            }
            Some(LeftOut::OtherPort) => {
                self.statistics.other_ports += 1;
                return;
            }
            None => self.statistics.unsampled += u64::from(!kept),
        }
        if !is_wanted {
            return;
        }
        let located = &placed.located;
        let described = conventions::describe(
            &located.exchange,
            &located.endpoints,
            self.redact_query,
            route.as_deref(),
        );
        self.measure(&placed, &described, &process, kept, now);
        if kept {
            self.statistics.spans += 1;
            self.sinks
                .submit(spans::span(placed, described, process, &self.clock));
        }
    }

    /// The route of a request that was served; of anything else there is none.
    fn route(&mut self, placed: &Placed, process: &Process, is_wanted: bool, now: u64, since: u64) -> Lookup {
        let exchange = &placed.located.exchange;
        match &exchange.detail {
            Detail::Http(http) if exchange.role == Role::Server && is_wanted => {
                let waited = if self.waiting.len() < MAX_WAITING {
                    now.saturating_sub(since)
                } else {
                    u64::MAX
                };
                let lookup = self.routes.find(process, http, now, waited);
                self.statistics.routes_over_limit = self.routes.over_limit();
                lookup
            }
            _ => Lookup::Known(None),
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
        let exemplar = (kept && metrics.shows_exemplars()).then(|| Exemplar {
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
            trace_state: placed.trace_state.as_deref(),
            exemplar,
        };
        metrics.add_span(&placed, now);
    }
}
