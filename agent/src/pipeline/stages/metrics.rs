//! What is shown to whoever wants to see the metrics.

use std::sync::Arc;

use agent_protocols::exchange::Http;

use super::Stages;
use crate::{
    capture::monotonic_nanos,
    conventions::{self, Endpoints},
    discover::Process,
    metrics::{Asked, Labels, OfAgent, Snapshot},
};

impl Stages {
    /// Shows the metrics to whoever wants to see them.
    pub(super) fn show_metrics(&mut self, now: u64) {
        let asking = self.asked.as_mut().map(Asked::take).unwrap_or_default();
        if asking.is_empty() {
            return;
        }
        let snapshot = self.snapshot(now);
        for asking in asking {
            // Whoever went away meanwhile wants none.
            let _ = asking.send(snapshot.clone());
        }
    }

    /// All metrics as they are now.
    pub(super) fn snapshot(&mut self, now: u64) -> Snapshot {
        let now = self.spans.now(now);
        let agent = self.of_agent();
        let active = self.requests_served();
        let mut snapshot = Snapshot {
            read_processes: self.measures.processes,
            agent,
            ..Snapshot::default()
        };
        let mut watched = self.programs.processes.looked_at();
        if let Some(metrics) = &mut self.spans.metrics {
            metrics.count_active(active, now);
            // Of a whole host, those that have calls are of interest.
            watched.retain(|process| !self.watches_all || metrics.knows(process));
            metrics.keep(&watched);
            snapshot.processes = metrics.snapshot();
            snapshot.tempo = metrics.tempo();
            let left_out = snapshot.tempo.as_ref().map(|tempo| tempo.left_out);
            let left_out = left_out.map(|calls| ("service_graph_left_out", calls));
            snapshot.agent.counts.extend(left_out);
        }
        // Later than all that was counted: no series may begin and end at the same time.
        snapshot.at = self.spans.now(monotonic_nanos());
        snapshot
    }

    /// The requests that watched processes are serving.
    fn requests_served(&mut self) -> Vec<(Arc<Process>, Labels)> {
        let mut served = Vec::new();
        let see = |pid, http: &Http, endpoints: &Endpoints| {
            served.push((pid, conventions::describe_active(http, endpoints)));
        };
        self.flow.connections.requests_served(see);
        let processes = &mut self.programs.processes;
        let of_running = |(pid, labels): (u32, Labels)| {
            let process = processes.is_running(pid).then(|| processes.get(pid))??;
            Some((process, labels))
        };
        served.into_iter().filter_map(of_running).collect()
    }

    /// What the agent says of itself.
    fn of_agent(&mut self) -> OfAgent {
        let (programs, uprobes) = self.hooks.attached();
        let mut levels = vec![
            (
                "watched_processes",
                "Processes that are watched.",
                self.watching() as u64,
            ),
            (
                "followed_connections",
                "Connections that are followed.",
                self.flow.connections.followed() as u64,
            ),
            (
                "waiting_events",
                "Events that wait for those that happened before them.",
                self.flow.waiting() as u64,
            ),
            (
                "loaded_programs",
                "Programs of the agent that run in the kernel.",
                programs as u64,
            ),
            (
                "attached_uprobes",
                "Probes in programs and libraries.",
                uprobes as u64,
            ),
        ];
        let mut counts = self.statistics().pairs();
        counts.extend(self.spans.sinks().exported());
        if let Some(waiting) = self.spans.sinks().waiting() {
            levels.push((
                "export_queue_spans",
                "Spans that wait or are on their way over OTLP.",
                waiting as u64,
            ));
        }
        OfAgent {
            since_unix_nanos: self.began.unix_nanos,
            counts,
            levels,
            programs: self.hooks.runs(),
            tier: self.hooks.tier().name(),
        }
    }
}
