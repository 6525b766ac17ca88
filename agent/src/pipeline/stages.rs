//! The stages of the capture thread, and how an event goes through them.

mod metrics;

use std::{sync::Arc, time::Duration};

use agent_common::{Call, ProcessEvent, kind, role};
use agent_protocols::Role;
use anyhow::Context as _;
use aya_log::EbpfLogger;

use super::{
    emit::Spans,
    flow::Flow,
    sinks::Sinks,
    spans::RandomIds,
    statistics::{self, Statistics},
};
use crate::{
    attach::{Counters, Hooks, Kernel, Rest, Table},
    capture::{self, Event, KernelMaps, Processes, Reader, Recorder, Units, monotonic_nanos},
    config::{MetricsSettings, Selector, Settings},
    correlate::Placed,
    discover::{self, Discovery, SyscallSet},
    inspect::units::Probe,
    metrics::{Asked, Now, Settled, Snapshot},
};

/// Records taken from the ring buffer at once.
const BATCH: usize = 4096;
/// So often between two looks at everything else: what has its place must go on also while more comes than can be taken.
const BATCHES: usize = 2;
/// How often what is old is looked for.
const TIDY_EVERY_NANOS: u64 = 1_000_000_000;

/// All stages from the ring buffer to the sinks.
pub struct Stages {
    reader: Reader,
    hooks: Hooks,
    calls: Table<u64, Call>,
    counters: Counters,
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    programs: Programs,
    flow: Flow<KernelMaps, RandomIds>,
    spans: Spans,
    /// Taken and given back with every turn, so that no room is allocated for each.
    placed: Vec<Placed>,
    /// Hook everything at once: what is executed next is not known.
    hook_all: bool,
    /// Calls that had begun before they could be seen and have not ended.
    waiting: Vec<u64>,
    tidied_at: u64,
    /// Who wants to see the metrics.
    asked: Option<Asked>,
    measures: MetricsSettings,
    /// Everything is watched, whether it has calls or not.
    watches_all: bool,
    began: Now,
}

/// What is known of the watched programs.
struct Programs {
    processes: Processes,
    units: Units,
    rest: Rest,
}

impl Stages {
    /// All stages, nothing hooked yet.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(
        settings: &Settings,
        kernel: Kernel,
        sinks: Arc<Sinks>,
        asked: Option<(Asked, Settled)>,
    ) -> anyhow::Result<Self> {
        let Kernel {
            mut hooks,
            events,
            watched,
            calls,
            connections,
            verdicts,
            runtimes,
            counters,
        } = kernel;
        let told = capture::ConnectionSettings {
            limits: settings.limits,
            report_noise: settings.report_noise,
        };
        let (asked, settled) = asked.unzip();
        let log = kernel_log(&mut hooks);
        if settings.metrics.program_runs && asked.is_some() {
            hooks.count_runs();
        }
        let now = monotonic_nanos();
        let kernel = KernelMaps {
            connections,
            verdicts,
        };
        let spans =
            Spans::new(settings, sinks, settled).context("the thread that reads routes did not start")?;
        let units = Units::new(runtimes, !settings.threads_only)
            .context("the thread that looks at programs did not start")?;
        Ok(Self {
            reader: Reader::new(events, settings.record.as_deref().map(Recorder::start)),
            hooks,
            calls,
            counters,
            log,
            programs: Programs {
                processes: Processes::new(Discovery::new(settings), watched),
                units,
                rest: Rest::default(),
            },
            flow: Flow::new(told, settings.leave_out, kernel, RandomIds::default(), now),
            began: spans.now(now),
            spans,
            placed: Vec::new(),
            hook_all: super::selects_new(&settings.select),
            waiting: Vec::new(),
            tidied_at: now,
            asked,
            measures: settings.metrics,
            watches_all: settings.select.contains(&Selector::All),
        })
    }

    /// Follows the life of processes, watches what is selected and runs now, and hooks what it uses.
    ///
    /// # Errors
    /// When the kernel refuses a program, or a process that was named does not exist.
    pub fn watch_selected(&mut self) -> anyhow::Result<()> {
        // First the hooks, so that no child of a watched process is missed; then the processes; then their calls.
        self.hooks.follow()?;
        self.programs.processes.watch_selected()?;
        for pid in self.programs.processes.pids() {
            let probes = self.programs.units.of_running(pid);
            self.probe(pid, &probes);
        }
        if self.hook_all {
            self.hooks.hook(SyscallSet::ALL)?;
        }
        self.hooks.hook(self.programs.processes.take_wanted())?;
        self.hooks.expect_waiting()?;
        self.waiting = self.programs.processes.tell_waiting(&mut self.calls);
        self.tidy_waiting();
        self.tell_overrides();
        Ok(())
    }

    /// Lets go of what only sees the end of calls that had begun before they could be seen, when all have ended.
    fn tidy_waiting(&mut self) {
        self.waiting.retain(|&key| capture::is_waiting(key, &self.calls));
        if self.waiting.is_empty() {
            self.hooks.expect_no_more();
        }
    }

    /// Tells the correlator what the settings say of some processes alone.
    fn tell_overrides(&mut self) {
        for (pid, overrides) in self.programs.processes.take_overrides() {
            self.flow.correlator.overrides(pid, overrides);
        }
    }

    /// Processes that are watched now.
    pub fn watching(&self) -> usize {
        self.programs.processes.running()
    }

    /// Takes a batch of events, after waiting for at most `wait`.
    ///
    /// # Errors
    /// When the ring buffer cannot be waited for.
    pub fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        self.reader
            .wait(wait)
            .context("the ring buffer cannot be waited for")?;
        let now = self.take_events();
        for (pid, probes) in self.programs.units.take_wanted() {
            self.probe(pid, &probes);
        }
        self.spans.clock.refresh(now);
        self.flow.turn(now, &mut self.placed);
        self.follow_needed(now);
        self.spans
            .emit(&mut self.placed, &mut self.programs.processes, now);
        self.show_metrics(now);
        if now.saturating_sub(self.tidied_at) >= TIDY_EVERY_NANOS {
            self.tidied_at = now;
            self.programs.processes.forget_ended(now);
            self.tell_overrides();
            self.spans.forget_ended(&self.programs.processes);
            self.rest_unneeded(now);
            let at = self.spans.now(now);
            if let Some(metrics) = &mut self.spans.metrics {
                metrics.forget_idle(at);
            }
            self.reader.flush_recording();
            self.tidy_waiting();
        }
        Ok(())
    }

    /// Takes what is left, and lets everything go. The metrics are only made if somebody wants them.
    pub fn finish(mut self) -> (Statistics, Option<Snapshot>) {
        while self.take_batch() == BATCH {}
        self.reader.flush_recording();
        self.flow.finish(&mut self.placed);
        self.hooks.log_misses();
        let now = monotonic_nanos();
        self.spans
            .finish(&mut self.placed, &mut self.programs.processes, now);
        let snapshot = self.asked.is_some().then(|| self.snapshot(now));
        (self.statistics(), snapshot)
    }

    fn statistics(&mut self) -> Statistics {
        let mut statistics = self.spans.statistics;
        statistics.kernel = statistics::read_kernel(&self.counters);
        statistics.tier = Some(self.hooks.tier());
        statistics.misses = self.hooks.misses();
        statistics.undecodable = self.reader.undecodable();
        statistics.correlation = self.flow.correlator.counts();
        (statistics.connections, statistics.unknown_connections) = self.flow.connections.counts();
        statistics
    }

    /// Probes what is new for a process; what cannot be probed costs that alone.
    fn probe(&mut self, pid: u32, probes: &[Probe]) {
        if self.programs.processes.is_relay(pid) {
            return;
        }
        self.programs.rest.begins(pid, monotonic_nanos());
        for probe in probes {
            match self.hooks.probe(pid, probe) {
                // A command that ran for a moment, like a container's check of its health.
                Err(error) if discover::has_ended(pid) => {
                    tracing::debug!(pid, "it ended before it was probed: {error:#}");
                    break;
                }
                Err(error) => tracing::warn!("{error:#}"),
                Ok(_) => {}
            }
        }
        self.know_contexts(pid);
    }

    /// What is attached for a process may suffice from now on to tell its contexts from those before them.
    fn know_contexts(&mut self, pid: u32) {
        if self.hooks.follows(pid) {
            self.programs.units.know_contexts(pid);
        }
    }

    /// Follows processes again that turned out to need it.
    fn follow_needed(&mut self, now: u64) {
        for placed in &self.placed {
            let exchange = &placed.located.exchange;
            if exchange.role == Role::Server {
                self.programs.rest.served(exchange.request_unit.pid, now);
            }
        }
        for pid in self.flow.correlator.take_related() {
            if !self.programs.rest.needed(pid, now) {
                continue;
            }
            match self.hooks.follow_again(pid) {
                Ok(mut followed) => {
                    followed.insert(pid);
                    for pid in followed {
                        self.know_contexts(pid);
                    }
                    tracing::debug!(pid, "where its units start others is probed again");
                }
                Err(error) => tracing::warn!("{error:#}"),
            }
        }
    }

    /// Lets processes rest that need not be followed.
    fn rest_unneeded(&mut self, now: u64) {
        let unneeded = self.hooks.unneeded(&self.programs.rest, now);
        if unneeded.is_empty() {
            return;
        }
        self.programs.units.forget_contexts(&unneeded);
        if let Err(error) = self.hooks.rest(&self.programs.rest, now) {
            tracing::warn!("{error:#}");
        }
        for &pid in &unneeded {
            self.programs.rest.rests(pid);
        }
        tracing::debug!(pids = ?unneeded, "where their units start others is not probed at present");
    }

    /// Takes events; returns the moment before which all that happened has been taken.
    fn take_events(&mut self) -> u64 {
        let before = monotonic_nanos();
        let drained = (0..BATCHES).any(|_| self.take_batch() < BATCH);
        if drained {
            before
        } else {
            self.flow.newest().min(before)
        }
    }

    fn take_batch(&mut self) -> usize {
        let Self {
            reader,
            programs,
            flow,
            hooks,
            ..
        } = self;
        let taken = reader.drain(BATCH, |event| {
            if let Event::Process(process) = &event
                && matches!(process.header.kind, kind::EXIT | kind::EXEC)
            {
                hooks.ended(process.header.pid);
            }
            let event = programs.look_at(event);
            for (pid, overrides) in programs.processes.take_overrides() {
                flow.correlator.overrides(pid, overrides);
            }
            flow.take(event);
            // At once: what was executed just now does not wait for the rest of the batch.
            if let Err(error) = hooks.hook(programs.processes.take_wanted()) {
                tracing::warn!("calls of a new process are not seen: {error:#}");
            }
        });
        if let Some(log) = &mut self.log {
            log.flush();
        }
        taken
    }
}

/// The kernel side's own log, if it can be read.
fn kernel_log(hooks: &mut Hooks) -> Option<EbpfLogger<&'static dyn log::Log>> {
    EbpfLogger::init(hooks.ebpf())
        .inspect_err(|error| {
            tracing::warn!(%error, "the kernel side's own log is not shown; everything else works");
        })
        .ok()
}

impl Programs {
    /// Keeps up with processes, and puts right what only they tell.
    fn look_at<'a>(&mut self, mut event: Event<'a>) -> Event<'a> {
        match &mut event {
            Event::Open(open) => {
                let pid = open.header.pid;
                self.units.is_up(pid);
                // The kernel side knows an accepted socket by its listener's backlog; one that was opened with a
                // backlog of 0 leaves no such trace.
                if open.role == role::CLIENT && self.processes.listens_on(pid, open.local_port) {
                    open.role = role::SERVER;
                }
            }
            Event::Process(process) => {
                self.processes.handle(process);
                self.follow_units(process);
            }
            Event::Data { .. } | Event::Close(_) => {}
        }
        event
    }

    /// Keeps up with what is known of a process's runtime.
    fn follow_units(&mut self, process: &ProcessEvent) {
        let pid = process.header.pid;
        match process.header.kind {
            kind::EXIT => {
                self.units.ends(pid);
                self.rest.ends(pid);
            }
            kind::EXEC => {
                self.rest.ends(pid);
                if self.processes.is_running(pid) {
                    self.units.begins(pid);
                }
            }
            kind::LISTEN if self.processes.is_running(pid) => self.units.is_up(pid),
            _ => {}
        }
    }
}
