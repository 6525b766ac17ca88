//! The runtimes of watched processes: what the kernel side is told of each, and what has to be probed for it.

use std::{
    collections::{HashMap, HashSet},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use agent_common::Runtime;

use super::monotonic_nanos;
use crate::{
    attach::Table,
    inspect::units::{self, Probe, UnitPlan},
};

/// Looks at a process until its runtime is known: a program that has just been executed has not loaded its libraries.
const LOOKS_MOST: u8 = 3;

/// What the kernel side knows of the units of watched processes.
///
/// Looking at an interpreter takes up to a tenth of a second, so a thread of its own does it for processes that come while
/// events are taken.
pub struct Units {
    runtimes: Table<u32, Runtime>,
    looks: HashMap<u32, u8>,
    /// None: units are threads only.
    asked: Option<Sender<u32>>,
    answered: Receiver<(u32, UnitPlan)>,
}

impl Units {
    /// Nothing told yet; unless `enabled`, nothing will be.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn new(runtimes: Table<u32, Runtime>, enabled: bool) -> std::io::Result<Self> {
        let (asked, questions) = channel();
        let (answers, answered) = channel();
        thread::Builder::new().name("inspect".to_owned()).spawn(move || {
            for pid in questions {
                if answers.send((pid, units::plan(pid))).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self {
            runtimes,
            looks: HashMap::new(),
            asked: enabled.then_some(asked),
            answered,
        })
    }

    /// A process is watched from the start: what has to be probed for it.
    pub fn of_running(&mut self, pid: u32) -> Vec<Probe> {
        self.looks.insert(pid, 1);
        if self.asked.is_none() {
            return Vec::new();
        }
        self.tell(pid, units::plan(pid))
    }

    /// A process runs a program from now on, or is watched from now on.
    pub fn begins(&mut self, pid: u32) {
        self.looks.insert(pid, 0);
        self.look(pid);
    }

    /// A process began to listen, or used a connection for the first time: by now it has loaded what it needs.
    pub fn is_up(&mut self, pid: u32) {
        if *self.looks.entry(pid).or_default() < LOOKS_MOST {
            self.look(pid);
        }
    }

    /// A process ended.
    pub fn ends(&mut self, pid: u32) {
        self.looks.remove(&pid);
    }

    /// What has to be probed according to what was found out since the last time.
    pub fn take_wanted(&mut self) -> Vec<(u32, Vec<Probe>)> {
        let mut wanted = Vec::new();
        while let Ok((pid, plan)) = self.answered.try_recv() {
            // It may have ended meanwhile, and its number be another's.
            if self.looks.contains_key(&pid) {
                wanted.push((pid, self.tell(pid, plan)));
            }
        }
        wanted
    }

    /// The making of contexts will not be seen any more in these processes, nor in those that were not looked at yet: a
    /// context at a known address may be another from now on.
    pub fn forget_contexts(&mut self, pids: &HashSet<u32>) {
        for (pid, mut runtime) in self.runtimes.all() {
            if pids.contains(&pid) || !self.looks.contains_key(&pid) {
                runtime.contexts_since = u64::MAX;
                self.insert(pid, runtime);
            }
        }
    }

    /// The making of contexts is seen in this process from now on.
    pub fn know_contexts(&mut self, pid: u32) {
        if let Ok(mut runtime) = self.runtimes.get(&pid)
            && runtime.contexts_since == u64::MAX
        {
            runtime.contexts_since = monotonic_nanos();
            self.insert(pid, runtime);
        }
    }

    fn look(&mut self, pid: u32) {
        *self.looks.entry(pid).or_default() += 1;
        if let Some(asked) = &self.asked {
            // The thread ends only when this does.
            let _ = asked.send(pid);
        }
    }

    fn tell(&mut self, pid: u32, plan: UnitPlan) -> Vec<Probe> {
        for reason in plan.missing {
            tracing::debug!(pid, "{reason}");
        }
        if let Some(mut runtime) = plan.runtime {
            let known = self.runtimes.get(&pid).ok();
            runtime.contexts_since = known.map_or(u64::MAX, |known| known.contexts_since);
            self.insert(pid, runtime);
        }
        plan.probes
    }

    fn insert(&mut self, pid: u32, runtime: Runtime) {
        if let Err(error) = self.runtimes.insert(pid, runtime, 0) {
            tracing::warn!(pid, %error, "the tasks of this process are not told apart; its calls may lack parents");
        }
    }
}
