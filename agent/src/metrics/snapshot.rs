//! All metrics at a moment, and how they are asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{Count, Histogram, Labels, Now, Reading, process, tempo};
use crate::discover::Process;

/// Who may wait for a snapshot; more are told to come back.
const WAITING_MOST: usize = 16;
/// How long the capture thread may take for a snapshot: it looks every 25 ms.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts of what a tier did not see.
const OF_TIER: [&str; 5] = [
    "drops",
    "recursion_misses",
    "probe_misses",
    "calls_torn",
    "calls_full",
];

/// All metrics at a moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The moment.
    pub at: Now,
    /// Those of each process.
    pub processes: Vec<SnapshotOfProcess>,
    /// Read `/proc` for the processes, too.
    pub read_processes: bool,
    /// Those in Tempo's names, if they are wanted.
    pub tempo: Option<tempo::Snapshot>,
    /// What the agent says of itself.
    pub agent: OfAgent,
}

/// All metrics of one process.
#[derive(Clone, Debug)]
pub struct SnapshotOfProcess {
    /// The process.
    pub process: Arc<Process>,
    /// The series of each instrument, in the order of the table.
    pub families: Vec<Vec<(Labels, Histogram)>>,
    /// What is one number a series.
    pub readings: Vec<Reading>,
}

/// What the agent says of itself.
#[derive(Clone, Debug, Default)]
pub struct OfAgent {
    /// When it began to count, in nanoseconds since the Unix epoch.
    pub since_unix_nanos: u64,
    /// What it counts: name and value.
    pub counts: Vec<(&'static str, u64)>,
    /// What there is now: name, what that is, and value.
    pub levels: Vec<(&'static str, &'static str, u64)>,
    /// What the kernel says of its programs, if that is wanted.
    pub programs: Vec<ProgramRuns>,
    /// The hooks that see the I/O.
    pub tier: &'static str,
}

/// What the kernel says of one of the agent's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramRuns {
    /// The program.
    pub name: String,
    /// How often it ran.
    pub count: u64,
    /// How long that took altogether.
    pub time: Duration,
}

/// The moment up to which nobody needs what was counted any more, apart from what it is now.
#[derive(Clone, Debug)]
pub struct Settled(Arc<AtomicU64>);

/// Where snapshots are asked for.
#[derive(Clone, Debug)]
pub struct Asker(mpsc::Sender<oneshot::Sender<Snapshot>>);

/// The capture thread's end: who wants a snapshot.
#[derive(Debug)]
pub struct Asked(mpsc::Receiver<oneshot::Sender<Snapshot>>);

/// Both ends.
pub fn channel() -> (Asker, Asked) {
    let (sender, receiver) = mpsc::channel(WAITING_MOST);
    (Asker(sender), Asked(receiver))
}

impl OfAgent {
    /// What it counts, by name; what depends on how the I/O is seen has that as a label.
    pub fn counted(&self) -> impl Iterator<Item = (&'static str, Labels, Count)> {
        self.counts.iter().map(|&(name, value)| {
            let count = Count {
                since_unix_nanos: self.since_unix_nanos,
                value,
            };
            let labels = if OF_TIER.contains(&name) {
                vec![("tier", self.tier.into())]
            } else {
                Labels::new()
            };
            (name, labels, count)
        })
    }
}

impl Settled {
    /// Nothing is needed.
    pub fn always() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// All is needed that comes from now on.
    pub fn never() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    /// What was counted until this moment is not needed any more.
    pub fn until(&self, moment: Now) {
        self.0.store(moment.monotonic, Relaxed);
    }

    /// That moment on the monotonic clock, in nanoseconds.
    pub fn monotonic(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Asker {
    /// A snapshot, with what `/proc` says; nothing if too many wait, or the capture thread does not answer.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let mut snapshot = self.of_capture().await?;
        let read = move || {
            process::read(&mut snapshot);
            snapshot
        };
        tokio::task::spawn_blocking(read).await.ok()
    }

    /// Whether the capture thread answers.
    pub async fn is_answered(&self) -> bool {
        self.of_capture().await.is_some()
    }

    async fn of_capture(&self) -> Option<Snapshot> {
        let (asking, answer) = oneshot::channel();
        self.0.try_send(asking).ok()?;
        tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
    }
}

impl Asked {
    /// Takes those who have asked since the last time.
    pub fn take(&mut self) -> Vec<oneshot::Sender<Snapshot>> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }

    /// The next who asks.
    #[cfg(test)]
    pub async fn next(&mut self) -> Option<oneshot::Sender<Snapshot>> {
        self.0.recv().await
    }
}
