//! Which selectors match a process.

use super::{Discovery, Process, ProcessKey};
use crate::config::{Rule, Selector};

/// What Docker shows of a container's id: that much is enough to name it.
const SHORT_ID: usize = 12;

fn rule(rule: &Rule) -> impl Iterator<Item = &Selector> {
    rule.groups().iter().flatten()
}

impl Discovery {
    /// Whether any of the selectors matches.
    pub(super) fn matches_any(&self, selectors: &[Selector], process: &Process) -> bool {
        selectors.iter().any(|selector| self.matches(selector, process))
    }

    /// Whether one of every group matches.
    pub(super) fn matches_rule(&self, rule: &Rule, process: &Process) -> bool {
        let groups = rule.groups();
        !groups.is_empty() && groups.iter().all(|group| self.matches_any(group, process))
    }

    /// Notes when the processes started that are named by their ids anywhere but in the selection, and run. They need not.
    pub(super) fn note_starts(&mut self) {
        let of_services = self.services.iter().flat_map(|service| rule(&service.rule));
        let of_rules = self
            .select
            .iter()
            .chain(&self.exclude)
            .flat_map(|selector| match selector {
                Selector::Rule(of) => rule(of).collect(),
                other => vec![other],
            });
        let pids: Vec<u32> = of_rules
            .chain(of_services)
            .filter_map(|selector| match selector {
                Selector::Pid(pid) => Some(*pid),
                _ => None,
            })
            .collect();
        for pid in pids {
            if !self.started.contains_key(&pid)
                && let Ok(process) = self.inspect(pid)
            {
                self.started.insert(pid, process.start_ticks);
            }
        }
    }

    pub(super) fn matches(&self, selector: &Selector, process: &Process) -> bool {
        match selector {
            Selector::All => true,
            Selector::Service(pattern) => pattern.matches(&process.service_name),
            Selector::Ports(range) => process.ports.iter().any(|port| range.contains(port)),
            Selector::Executable(pattern) if pattern.is_about_a_path() => {
                pattern.matches(&process.executable.to_string_lossy())
            }
            Selector::Executable(pattern) => pattern.matches(process.executable_name()),
            Selector::CommandLine(pattern) => pattern.matches(&process.command_line.join(" ")),
            Selector::Container(pattern) => {
                let id = process.container_id.as_deref().unwrap_or_default();
                let is_start = pattern.as_str().len() >= SHORT_ID && id.starts_with(pattern.as_str());
                !id.is_empty()
                    && (is_start
                        || pattern.matches(id)
                        || process.container_names.iter().any(|name| pattern.matches(name)))
            }
            Selector::Rule(rule) => self.matches_rule(rule, process),
            Selector::Pid(pid) => {
                // A pid that was used again after its process ended is not what the user meant.
                let start = self.started.get(pid);
                let is_meant =
                    |key: &ProcessKey| key.pid == *pid && start.is_none_or(|start| key.start_ticks == *start);
                is_meant(&process.key()) || process.ancestors.iter().any(is_meant)
            }
        }
    }
}
