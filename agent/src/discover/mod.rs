//! DISCOVER: which processes there are, what they are called, and which of them are watched.

mod container;
mod error;
mod facts;
mod instance;
mod matching;
mod name;
mod observers;
mod overrides;
mod ports;
mod surroundings;
mod syscalls;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, path::PathBuf};

pub use error::InspectError;
pub use facts::has_ended;
pub use instance::id as instance_id;
pub use overrides::Overrides;
use serde::Serialize;
pub use syscalls::{Syscall, SyscallSet};

use crate::{
    config::{self, Resource, Selector, ServiceSettings, Settings},
    inspect::{Inspector, Runtime},
};
use facts::Facts;
use name::Evidence;
use ports::Listeners;

/// What is known of a process. It is read once, when the process is first looked at (and again after exec).
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Process id as the host sees it.
    pub pid: u32,
    /// Process id of its parent, host view.
    pub parent_pid: u32,
    /// When it started, clock ticks after boot: with the pid it names the process for ever.
    pub start_ticks: u64,
    /// Its parent, the parent's parent, and so on.
    pub ancestors: Vec<ProcessKey>,
    /// `service.name`.
    pub service_name: String,
    /// The name that it has if no setting is for it alone.
    pub found_name: String,
    /// `service.instance.id`, stable for the life of the process.
    pub service_instance_id: String,
    /// Path of the executable, in the process's own mount namespace.
    pub executable: PathBuf,
    /// The command line, as the process shows it now.
    pub command_line: Vec<String>,
    /// Container id, 64 hex digits, if it runs in one.
    pub container_id: Option<String>,
    /// What the container is called, if that was looked for.
    pub container_names: Vec<String>,
    /// What it runs in, as resource attributes: its container's names, and what is known of its pod.
    pub surroundings: Vec<(&'static str, String)>,
    /// Language runtime as the conventions name it (`python`, `go`, …), if recognised.
    pub language: Option<&'static str>,
    /// Version of the language runtime (`3.11.7`, `1.22.4`), if it can be read.
    pub language_version: Option<String>,
    /// TCP ports it listens on, ascending.
    pub ports: Vec<u16>,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// Attributes of the resource from `OTEL_RESOURCE_ATTRIBUTES` of the process and of the agent.
    pub resource_attributes: Vec<(String, String)>,
    /// What the settings say of it alone.
    pub overrides: Overrides,
}

/// What names a process for ever: pids are used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    /// Process id as the host sees it.
    pub pid: u32,
    /// When it started, clock ticks after boot.
    pub start_ticks: u64,
}

/// Inode numbers of a process's namespaces; 0 where they may not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Namespaces {
    /// Process ids.
    pub pid: u64,
    /// Mounts.
    pub mount: u64,
    /// Network.
    pub network: u64,
}

/// A process id, and what is known of the process or why that is nothing.
pub type Look = (u32, Result<Process, InspectError>);

/// Finds processes and knows which of them are selected.
#[derive(Debug)]
pub struct Discovery {
    select: Vec<Selector>,
    exclude: Vec<Selector>,
    watch_observers: bool,
    services: Vec<ServiceSettings>,
    engine: container::Engine,
    resource: Resource,
    inspector: Inspector,
    /// When the processes that are selected by pid started, as seen by the last scan.
    started: HashMap<u32, u64>,
    own_mount_namespace: u64,
}

impl Discovery {
    /// Discovery for what the settings select.
    pub fn new(settings: &Settings) -> Self {
        Self {
            select: settings.select.clone(),
            exclude: settings.exclude.clone(),
            watch_observers: settings.watch_observers,
            services: settings.services.clone(),
            engine: container::Engine::new(settings.docker_socket.as_deref()),
            resource: settings.resource.clone(),
            inspector: Inspector::default(),
            started: HashMap::new(),
            own_mount_namespace: facts::namespace(std::process::id(), "mnt"),
        }
    }

    /// All selected processes that run now, and all that pass on what these may send or be sent.
    ///
    /// # Errors
    ///
    /// Fails when a process selected by its id does not exist or may not be looked at, or when `/proc` is not
    /// readable. Processes that end meanwhile are left out.
    pub fn scan(&mut self) -> Result<Vec<Process>, InspectError> {
        for selector in self.select.clone() {
            if let Selector::Pid(pid) = selector {
                let process = self.inspect(pid)?;
                self.started.insert(pid, process.start_ticks);
            }
        }
        self.note_starts();
        let processes = self
            .look_at_all()?
            .into_iter()
            .filter_map(|(_, outcome)| outcome.ok());
        Ok(processes
            .filter(|process| self.selects(process) || process.is_relay())
            .collect())
    }

    /// Every process of this host with what is known of it, or why that is nothing; ascending by pid.
    ///
    /// # Errors
    ///
    /// Fails when `/proc` is not readable.
    pub fn look_at_all(&mut self) -> Result<Vec<Look>, InspectError> {
        let mut listeners = HashMap::new();
        let mut all: Vec<Look> = pids()?
            .into_iter()
            .map(|pid| (pid, self.inspect_with(pid, &mut listeners)))
            .collect();
        all.sort_unstable_by_key(|(pid, _)| *pid);
        Ok(all)
    }

    /// Looks at one process.
    ///
    /// # Errors
    ///
    /// Fails when it does not exist (any more), is no process with a program, or may not be looked at.
    pub fn inspect(&mut self, pid: u32) -> Result<Process, InspectError> {
        self.inspect_with(pid, &mut HashMap::new())
    }

    /// Whether the settings select this process. The agent itself never is.
    pub fn selects(&self, process: &Process) -> bool {
        process.pid != std::process::id()
            && self.matches_any(&self.select, process)
            && !self.excludes(process)
            && (self.watch_observers || !observers::is_one(process) || self.is_meant(process))
    }

    /// Whether the settings say that this process is not watched, also if its parent is.
    pub fn excludes(&self, process: &Process) -> bool {
        self.matches_any(&self.exclude, process)
    }

    /// Whether the settings say anything of some processes alone.
    pub fn has_overrides(&self) -> bool {
        !self.services.is_empty()
    }

    /// Looks again for what the settings say of a process alone: it listens on more ports now.
    pub fn look_again(&self, process: &mut Process) {
        self.override_settings(process);
    }

    /// The system calls for socket I/O that the process can use; what cannot be known counts as used.
    pub fn syscalls_used(&mut self, pid: u32) -> SyscallSet {
        self.inspector.syscalls_used(pid)
    }

    fn inspect_with(
        &mut self,
        pid: u32,
        listeners: &mut HashMap<u64, Listeners>,
    ) -> Result<Process, InspectError> {
        let facts = Facts::read(pid)?;
        let runtime = self.inspector.runtime(pid).unwrap_or_default();
        let container_id = container::id(pid);
        let attributes = self.resource_attributes(&facts);
        let container = container_id.as_deref().map(|id| self.engine.container(id));
        let container = container.unwrap_or_default();
        let surroundings = surroundings::of(pid, &facts, container.attributes);
        let service_name = self.service_name(&facts, &runtime, container.service.as_deref());
        let ports = listeners
            .entry(facts.namespaces.network)
            .or_insert_with(|| Listeners::of_namespace(pid))
            .ports_of(pid);
        let mut process = Process {
            pid,
            parent_pid: facts.ancestors.first().map_or(0, |parent| parent.pid),
            start_ticks: facts.key.start_ticks,
            ancestors: facts.ancestors,
            found_name: service_name.clone(),
            service_name,
            service_instance_id: instance::id(facts.key),
            executable: facts.executable,
            command_line: facts.arguments,
            container_id,
            container_names: container.names,
            surroundings,
            language: runtime.language,
            language_version: runtime.version,
            ports,
            namespaces: facts.namespaces,
            resource_attributes: attributes,
            overrides: Overrides::default(),
        };
        self.override_settings(&mut process);
        Ok(process)
    }

    fn service_name(&mut self, facts: &Facts, runtime: &Runtime, container: Option<&str>) -> String {
        if name::is_the_parents(facts)
            && let Some(parent) = facts.ancestors.first()
            && let Ok(parent) = self.inspect(parent.pid)
        {
            return parent.found_name;
        }
        let said = said_attributes(facts);
        // What runs in the agent's own container shares that container's name with everything else in it.
        let elsewhere = facts.namespaces.mount != self.own_mount_namespace;
        name::of(Evidence {
            facts,
            runtime: Some(runtime),
            attribute: said.get("service.name").map(String::as_str),
            given: self.resource.service_name.as_deref(),
            container: container.filter(|_| elsewhere),
        })
    }

    /// The agent's attributes and the process's own, which win.
    fn resource_attributes(&self, facts: &Facts) -> Vec<(String, String)> {
        let mut said = said_attributes(facts);
        said.remove("service.name");
        let given = self
            .resource
            .attributes
            .iter()
            .filter(|(name, _)| !said.contains_key(name))
            .cloned();
        let mut attributes: Vec<(String, String)> = given.collect();
        attributes.extend(said);
        attributes
    }
}

impl Process {
    /// The executable's file name.
    pub fn executable_name(&self) -> &str {
        self.executable
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }

    /// Whether it passes on what it receives, byte for byte: Docker's userland proxy (moby, cmd/docker-proxy).
    pub fn is_relay(&self) -> bool {
        self.executable_name() == "docker-proxy"
    }

    /// Adds a port that it listens on since it was looked at.
    pub fn listens_on(&mut self, port: u16) {
        if let Err(place) = self.ports.binary_search(&port) {
            self.ports.insert(place, port);
        }
    }

    /// What names it for ever.
    pub fn key(&self) -> ProcessKey {
        ProcessKey {
            pid: self.pid,
            start_ticks: self.start_ticks,
        }
    }
}

fn said_attributes(facts: &Facts) -> std::collections::BTreeMap<String, String> {
    let said = facts.variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    // The specification wants all of them to be ignored if one cannot be understood.
    config::pairs(said).unwrap_or_default()
}

fn pids() -> Result<Vec<u32>, InspectError> {
    let processes = procfs::process::all_processes().map_err(|error| InspectError::new(0, error))?;
    Ok(processes.flatten().map(|process| process.pid as u32).collect())
}
