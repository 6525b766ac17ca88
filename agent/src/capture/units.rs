//! The runtimes of watched processes: what the kernel side is told of each, and what has to be probed for it.

use std::collections::HashMap;

use agent_common::Runtime;
use aya::maps::{self, MapData};

use crate::inspect::units::{self, Probe, UnitPlan};

/// Looks at a process until its runtime is known: a program that has just been executed has not loaded its libraries.
const LOOKS_MOST: u8 = 3;

/// What the kernel side knows of the units of watched processes.
pub struct Units {
    runtimes: maps::HashMap<MapData, u32, Runtime>,
    looks: HashMap<u32, u8>,
    /// Probes to be attached.
    wanted: Vec<Probe>,
}

impl Units {
    /// Nothing told yet.
    pub fn new(runtimes: maps::HashMap<MapData, u32, Runtime>) -> Self {
        Self {
            runtimes,
            looks: HashMap::new(),
            wanted: Vec::new(),
        }
    }

    /// A process runs a program from now on, or is watched from now on.
    pub fn begins(&mut self, pid: u32) {
        self.looks.insert(pid, 0);
        self.look(pid);
    }

    /// A process began to listen, or used a connection for the first time: by now it has loaded what it needs.
    pub fn is_up(&mut self, pid: u32) {
        let looks = self.looks.entry(pid).or_default();
        if *looks < LOOKS_MOST {
            self.look(pid);
        }
    }

    /// A process ended.
    pub fn ends(&mut self, pid: u32) {
        self.looks.remove(&pid);
    }

    /// Takes the probes to be attached since the last time.
    pub fn take_wanted(&mut self) -> Vec<Probe> {
        std::mem::take(&mut self.wanted)
    }

    fn look(&mut self, pid: u32) {
        *self.looks.entry(pid).or_default() += 1;
        let UnitPlan {
            runtime,
            probes,
            missing,
        } = units::plan(pid);
        for reason in missing {
            tracing::debug!(pid, "{reason}");
        }
        if let Some(runtime) = runtime
            && let Err(error) = self.runtimes.insert(pid, runtime, 0)
        {
            tracing::warn!(pid, %error, "the tasks of this process are not told apart; its calls may lack parents");
        }
        self.wanted.extend(probes);
    }
}
