//! The processes that are watched: the kernel's list and what is known of each.

use std::{collections::HashMap, sync::Arc};

use agent_common::{Call, ProcessEvent, WatchMode, kind};
use aya::maps::MapError;

use super::waiting;
use crate::{
    attach::Table,
    discover::{Discovery, Overrides, Process, SyscallSet},
};

/// How long an ended process is remembered: its connections may be reported after it.
const REMEMBER_ENDED_NANOS: u64 = 30_000_000_000;

/// How far back a worker's listener may have been opened: prefork servers need one or two.
const GENERATIONS: usize = 4;

/// The watched processes.
pub struct Processes {
    discovery: Discovery,
    watched: Table<u32, u32>,
    known: HashMap<u32, Entry>,
    /// System calls that watched processes can use and that are not hooked yet.
    wanted: SyscallSet,
    /// What the settings say of some processes alone, since this was asked.
    overrides: Vec<(u32, Overrides)>,
}

/// What is known of one.
struct Entry {
    /// Filled in when first asked for: most forked children are never asked for.
    process: Option<Arc<Process>>,
    /// The process it was forked from, for what is gone before it could be looked at.
    parent: u32,
    ended_at: Option<u64>,
    /// It only passes on what others send.
    relay: bool,
}

impl Processes {
    /// None yet.
    pub fn new(discovery: Discovery, watched: Table<u32, u32>) -> Self {
        Self {
            discovery,
            watched,
            known: HashMap::new(),
            wanted: SyscallSet::default(),
            overrides: Vec::new(),
        }
    }

    /// Watches all selected processes that run now.
    ///
    /// # Errors
    /// When a process that was named does not exist, or the kernel's list is full.
    pub fn watch_selected(&mut self) -> anyhow::Result<()> {
        for process in self.discovery.scan()? {
            self.watch(process)?;
        }
        Ok(())
    }

    /// Tells the kernel side what threads of watched processes are waiting in already; to be called when the calls are
    /// hooked. Returns the keys of those calls.
    pub fn tell_waiting(&self, calls: &mut Table<u64, Call>) -> Vec<u64> {
        self.known
            .keys()
            .flat_map(|&pid| waiting::tell(pid, calls))
            .collect()
    }

    /// Watches a process and what it can do.
    ///
    /// # Errors
    /// When the kernel's list is full.
    pub fn watch(&mut self, process: Process) -> Result<(), MapError> {
        let pid = process.pid;
        let relay = process.is_relay();
        let mode = if relay {
            WatchMode::RELAY
        } else {
            WatchMode::SELECTED
        };
        self.watched.insert(pid, mode.0, 0)?;
        let used = self.discovery.syscalls_used(pid);
        // What never does socket I/O by itself is there to execute something else, such as a shell. What that uses is not
        // known yet, and would be hooked too late for its first bytes.
        self.wanted = self.wanted.union(if used.has_socket_calls() {
            used
        } else {
            SyscallSet::ALL
        });
        let parent = process.parent_pid;
        self.note_overrides(&process);
        self.known.insert(
            pid,
            Entry {
                process: Some(Arc::new(process)),
                parent,
                ended_at: None,
                relay,
            },
        );
        Ok(())
    }

    /// Takes what the kernel says of a process.
    pub fn handle(&mut self, event: &ProcessEvent) {
        let pid = event.header.pid;
        match event.header.kind {
            kind::FORK => self.forked(pid, event.detail as u32),
            kind::EXEC => self.executed(pid),
            kind::LISTEN => self.listens(pid, event.detail as u16),
            kind::EXIT => {
                if let Some(entry) = self.known.get_mut(&pid) {
                    entry.ended_at = Some(event.time);
                }
            }
            _ => {}
        }
    }

    /// The process of this id, if it is watched.
    pub fn get(&mut self, pid: u32) -> Option<Arc<Process>> {
        let entry = self.known.get(&pid)?;
        if let Some(process) = &entry.process {
            return Some(Arc::clone(process));
        }
        let parent = entry.parent;
        let process = Arc::new(self.look_at_child(pid, parent)?);
        self.wanted = self.wanted.union(self.discovery.syscalls_used(pid));
        self.note_overrides(&process);
        self.known.get_mut(&pid)?.process = Some(Arc::clone(&process));
        Some(process)
    }

    /// Whether a process, or one that it was forked from, listens on a TCP port.
    pub fn listens_on(&self, pid: u32, port: u16) -> bool {
        let mut pid = pid;
        for _ in 0..GENERATIONS {
            let Some(entry) = self.known.get(&pid) else {
                return false;
            };
            if entry
                .process
                .as_ref()
                .is_some_and(|process| process.ports.contains(&port))
            {
                return true;
            }
            pid = entry.parent;
        }
        false
    }

    /// Takes the system calls that have to be hooked since the last time.
    pub fn take_wanted(&mut self) -> SyscallSet {
        std::mem::take(&mut self.wanted)
    }

    /// Takes what the settings say of some processes alone, since the last time.
    pub fn take_overrides(&mut self) -> Vec<(u32, Overrides)> {
        std::mem::take(&mut self.overrides)
    }

    /// Forgets processes that ended some time ago; `now` in monotonic nanoseconds.
    pub fn forget_ended(&mut self, now: u64) {
        let keep = |entry: &mut Entry| entry.ended_at.is_none_or(|at| now < at + REMEMBER_ENDED_NANOS);
        let Self {
            known,
            overrides,
            discovery,
            ..
        } = self;
        known.retain(|&pid, entry| {
            let kept = keep(entry);
            if !kept && discovery.has_overrides() {
                overrides.push((pid, Overrides::default()));
            }
            kept
        });
    }

    fn note_overrides(&mut self, process: &Process) {
        if self.discovery.has_overrides() {
            self.overrides.push((process.pid, process.overrides.clone()));
        }
    }

    /// The processes that are watched.
    pub fn pids(&self) -> Vec<u32> {
        self.known.keys().copied().collect()
    }

    /// Whether a process is watched and runs.
    pub fn is_running(&self, pid: u32) -> bool {
        self.known.get(&pid).is_some_and(|entry| entry.ended_at.is_none())
    }

    /// Whether a process is watched, or was until some time ago.
    pub fn knows(&self, pid: u32) -> bool {
        self.known.contains_key(&pid)
    }

    /// Whether a process only passes on what others send.
    pub fn is_relay(&self, pid: u32) -> bool {
        self.known.get(&pid).is_some_and(|entry| entry.relay)
    }

    /// Processes that are watched for their own sake and run.
    pub fn running(&self) -> usize {
        self.known
            .values()
            .filter(|entry| entry.ended_at.is_none() && !entry.relay)
            .count()
    }

    /// Those of them that were looked at.
    pub fn looked_at(&self) -> Vec<Arc<Process>> {
        let running = self
            .known
            .values()
            .filter(|entry| entry.ended_at.is_none() && !entry.relay);
        running.filter_map(|entry| entry.process.clone()).collect()
    }

    /// The kernel side watches the child already; it was wrong to, if the parent was only being considered.
    fn forked(&mut self, pid: u32, parent: u32) {
        if self.known.contains_key(&parent) {
            self.known.insert(
                pid,
                Entry {
                    process: None,
                    parent,
                    ended_at: None,
                    relay: false,
                },
            );
            // It may execute anything, and its first bytes are not to be missed.
            self.wanted = SyscallSet::ALL;
        } else {
            self.ignore(pid);
        }
    }

    /// A program was executed: a child of a watched process stays watched, any other must be selected.
    fn executed(&mut self, pid: u32) {
        let inherited = self.known.get(&pid).is_some_and(|entry| entry.ended_at.is_none());
        match self.discovery.inspect(pid) {
            Ok(process)
                if (inherited && !self.discovery.excludes(&process))
                    || process.is_relay()
                    || self.discovery.selects(&process) =>
            {
                self.watch_or_warn(process);
            }
            // Gone already: a child is then described by its parent when it is asked for.
            Err(_) if inherited => {}
            Ok(_) | Err(_) => self.ignore(pid),
        }
    }

    /// A process began to listen on a port: it may be selected or excluded by it from now on.
    fn listens(&mut self, pid: u32, port: u16) {
        let watched = self.known.get_mut(&pid).filter(|entry| entry.ended_at.is_none());
        if let Some(known) = watched.and_then(|entry| entry.process.as_mut()) {
            // Looking at it anew would take long, and keep everything else waiting.
            let process = Arc::make_mut(known);
            process.listens_on(port);
            self.discovery.look_again(process);
            let process = process.clone();
            if self.discovery.excludes(&process) {
                self.ignore(pid);
            } else {
                self.note_overrides(&process);
            }
        } else if let Ok(process) = self.discovery.inspect(pid)
            && !self.discovery.excludes(&process)
            && (self.known.contains_key(&pid) || self.discovery.selects(&process))
        {
            self.watch_or_warn(process);
        }
    }

    fn watch_or_warn(&mut self, process: Process) {
        let (pid, service) = (process.pid, process.service_name.clone());
        match self.watch(process) {
            Ok(()) => tracing::debug!(pid, service, "watching"),
            Err(error) => tracing::warn!(
                pid,
                service,
                %error,
                "this process is not watched: the list is full; raise SIDELIGHT_CAPTURE_MAX_PROCESSES or select fewer"
            ),
        }
    }

    fn ignore(&mut self, pid: u32) {
        self.known.remove(&pid);
        // An entry that is not there is what is wanted.
        let _ = self.watched.remove(&pid);
    }

    /// Looks at a forked child; one that is gone is described by what it was forked from.
    fn look_at_child(&mut self, pid: u32, parent: u32) -> Option<Process> {
        if let Ok(process) = self.discovery.inspect(pid) {
            return Some(process);
        }
        // The parent may be gone without having been looked at, too.
        let described = self.get(parent)?;
        Some(Process {
            pid,
            parent_pid: parent,
            ..Process::clone(&described)
        })
    }
}
