//! The stages of the capture thread, and how an event goes through them.

use std::{sync::Arc, time::Duration};

use agent_common::{Call, DataEvent, OpenEvent, ProcessEvent, flag, kind, role};
use anyhow::Context as _;
use aya::maps::{self, MapData, PerCpuArray};
use aya_log::EbpfLogger;

use super::{
    sinks::Sinks,
    spans::{self, RandomIds},
    statistics::{self, Statistics},
};
use crate::{
    attach::{Hooks, Kernel},
    capture::{self, Clock, Connections, Event, Located, Processes, Reader, Units, monotonic_nanos},
    config::{Sampler, Settings},
    correlate::{Correlator, Placed},
    discover::{Discovery, SyscallSet},
    inspect::units::Probe,
};

/// Records taken from the ring buffer between two looks at everything else.
const BATCH: usize = 4096;
/// How often what is old is looked for.
const TIDY_EVERY_NANOS: u64 = 1_000_000_000;

/// All stages from the ring buffer to the sinks.
pub struct Stages {
    reader: Reader,
    hooks: Hooks,
    calls: maps::HashMap<MapData, u64, Call>,
    counters: PerCpuArray<MapData, u64>,
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    flow: Flow,
    /// Hook everything at once: what is executed next is not known.
    hook_all: bool,
    tidied_at: u64,
}

/// What an event flows through.
struct Flow {
    processes: Processes,
    units: Units,
    connections: Connections,
    correlator: Correlator<RandomIds>,
    clock: Clock,
    sinks: Arc<Sinks>,
    sampler: Sampler,
    redact_query: bool,
    statistics: Statistics,
    /// Taken and given back with every event, so that no room is allocated for each.
    placed: Vec<Placed>,
    located: Vec<Located>,
}

impl Stages {
    /// All stages, nothing hooked yet.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(settings: &Settings, kernel: Kernel, sinks: Arc<Sinks>) -> anyhow::Result<Self> {
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
        let log = match EbpfLogger::init(hooks.ebpf()) {
            Ok(log) => Some(log),
            Err(error) => {
                tracing::warn!(%error, "the kernel side's own log is not shown; everything else works");
                None
            }
        };
        Ok(Self {
            reader: Reader::new(events),
            hooks,
            calls,
            counters,
            log,
            flow: Flow {
                processes: Processes::new(Discovery::new(settings), watched),
                units: Units::new(runtimes).context("the thread that looks at programs did not start")?,
                connections: Connections::new(told, connections, verdicts),
                correlator: Correlator::new(RandomIds::default()),
                clock: Clock::new(),
                sinks,
                sampler: settings.sampler,
                redact_query: !settings.keep_query_values,
                statistics: Statistics::default(),
                placed: Vec::new(),
                located: Vec::new(),
            },
            hook_all: super::selects_new(&settings.select),
            tidied_at: monotonic_nanos(),
        })
    }

    /// Follows the life of processes, watches what is selected and runs now, and hooks what it uses.
    ///
    /// # Errors
    /// When the kernel refuses a program, or a process that was named does not exist.
    pub fn watch_selected(&mut self) -> anyhow::Result<()> {
        // First the hooks, so that no child of a watched process is missed; then the processes; then their calls.
        self.hooks.follow()?;
        self.flow.processes.watch_selected()?;
        for pid in self.flow.processes.pids() {
            let probes = self.flow.units.of_running(pid);
            attach_probes(&mut self.hooks, &probes);
        }
        if self.hook_all {
            self.hooks.hook(SyscallSet::ALL)?;
        }
        self.hooks.hook(self.flow.processes.take_wanted())?;
        self.flow.processes.tell_waiting(&mut self.calls);
        Ok(())
    }

    /// Processes that are watched now.
    pub fn watching(&self) -> usize {
        self.flow.processes.running()
    }

    /// Takes a batch of events, after waiting for at most `wait`.
    ///
    /// # Errors
    /// When the ring buffer cannot be waited for.
    pub fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        self.reader
            .wait(wait)
            .context("the ring buffer cannot be waited for")?;
        while self.take_batch() == BATCH {}
        self.tidy();
        Ok(())
    }

    /// Takes what is left, and lets everything go.
    pub fn finish(mut self) -> Statistics {
        while self.take_batch() == BATCH {}
        self.flow.finish();
        let mut statistics = self.flow.statistics;
        statistics.kernel = statistics::read_kernel(&self.counters);
        statistics.undecodable = self.reader.undecodable();
        statistics.correlation = self.flow.correlator.counts();
        (statistics.connections, statistics.unknown_connections) = self.flow.connections.counts();
        statistics
    }

    fn take_batch(&mut self) -> usize {
        let Self {
            reader, flow, hooks, ..
        } = self;
        let taken = reader.drain(BATCH, |event| {
            flow.take(event);
            // At once: what was executed just now does not wait for the rest of the batch.
            if let Err(error) = hooks.hook(flow.processes.take_wanted()) {
                tracing::warn!("calls of a new process are not seen: {error:#}");
            }
        });
        if let Some(log) = &mut self.log {
            log.flush();
        }
        taken
    }

    fn tidy(&mut self) {
        attach_probes(&mut self.hooks, &self.flow.units.take_wanted());
        let now = monotonic_nanos();
        self.flow.place(now);
        if now.saturating_sub(self.tidied_at) >= TIDY_EVERY_NANOS {
            self.tidied_at = now;
            self.flow.tidy(now);
        }
    }
}

impl Flow {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Open(open) => self.open(open),
            Event::Data { event, head, tail } => self.data(&event, head, tail),
            Event::Close(close) => {
                let Self {
                    connections, located, ..
                } = self;
                let (pid, ends) = (connections.pid(close.id), connections.ends(close.id));
                connections.close(&close, |exchange| located.push(exchange));
                self.correlate();
                if !self.connections.is_followed(close.id) {
                    let ends = ends.map(|(ends, _)| ends);
                    self.correlator.connection_ended(pid.unwrap_or_default(), close.id, ends);
                }
            }
            Event::Process(process) => {
                self.processes.handle(&process);
                self.follow_units(&process);
                if process.header.kind == kind::EXIT {
                    let Self {
                        connections, located, ..
                    } = self;
                    connections.process_ended(process.header.pid, process.time, |exchange| {
                        located.push(exchange);
                    });
                    self.correlate();
                }
            }
        }
    }

    /// Keeps up with what is known of a process's runtime.
    fn follow_units(&mut self, process: &ProcessEvent) {
        let pid = process.header.pid;
        match process.header.kind {
            kind::EXIT => self.units.ends(pid),
            kind::EXEC if self.processes.is_running(pid) => self.units.begins(pid),
            kind::LISTEN if self.processes.is_running(pid) => self.units.is_up(pid),
            _ => {}
        }
    }

    fn open(&mut self, mut event: OpenEvent) {
        self.units.is_up(event.header.pid);
        // The kernel side knows an accepted socket by its listener's backlog; one that was opened with a backlog of 0
        // leaves no such trace.
        if event.role == role::CLIENT && self.processes.listens_on(event.header.pid, event.local_port) {
            event.role = role::SERVER;
        }
        self.connections.open(&event);
        if let Some((ends, role)) = self.connections.ends(event.id) {
            self.correlator.opened(ends, role);
        }
    }

    fn data(&mut self, event: &DataEvent, head: &[u8], tail: &[u8]) {
        self.tell_correlator(event);
        let Self {
            connections, located, ..
        } = self;
        connections.data(event, head, tail, |exchange| located.push(exchange));
        self.correlate();
    }

    /// What the correlator must know before an exchange is over.
    fn tell_correlator(&mut self, event: &DataEvent) {
        let sent = event.header.flags & flag::SENT != 0;
        match (sent, self.connections.serves(event.id)) {
            (false, true) => self
                .correlator
                .request_read(event.header.pid, event.id, event.ended),
            (true, true) => self
                .correlator
                .response_written(event.id, &capture::unit(event)),
            (true, false) => self.correlator.call_made(&capture::unit(event), event.began),
            (false, false) => {}
        }
    }

    /// Hands over what is finished.
    fn correlate(&mut self) {
        let Self {
            correlator, located, ..
        } = self;
        for exchange in located.drain(..) {
            correlator.handle(exchange);
        }
    }

    /// Gives what has waited long enough its place.
    fn place(&mut self, now: u64) {
        self.correlator.poll(now, &mut self.placed);
        self.emit();
    }

    fn emit(&mut self) {
        for placed in self.placed.drain(..) {
            let Some(process) = self.processes.get(placed.located.exchange.request_unit.pid) else {
                self.statistics.unselected += 1;
                continue;
            };
            if !spans::is_sampled(self.sampler, &placed) {
                self.statistics.unsampled += 1;
                continue;
            }
            self.statistics.spans += 1;
            self.sinks
                .submit(spans::span(placed, process, &self.clock, self.redact_query));
        }
    }

    fn tidy(&mut self, now: u64) {
        self.clock.refresh(now);
        self.processes.forget_ended(now);
        let Self {
            connections, located, ..
        } = self;
        connections.forget_lingering(now, |exchange| located.push(exchange));
        self.correlate();
    }

    fn finish(&mut self) {
        self.correlator.finish(&mut self.placed);
        self.emit();
    }
}

/// Probes what is new; what cannot be probed costs that alone.
fn attach_probes(hooks: &mut Hooks, probes: &[Probe]) {
    for probe in probes {
        if let Err(error) = hooks.probe(probe) {
            tracing::warn!("{error:#}");
        }
    }
}
