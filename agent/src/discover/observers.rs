//! Programs that observe others: collectors and agents of telemetry. What they do is about what others do, and whoever watches
//! a whole host, or all that listens on some ports, does not mean them.
//!
//! Names and namespaces are those that Beyla leaves out without being told (grafana/beyla at b21b6afa,
//! `DefaultExcludeInstrument` and `DefaultExcludeServices` of `docs/config-schema.json`), and programs of the same kind.

use super::{Discovery, Process};
use crate::config::Selector;

/// How the names of their executables begin, and whether that is the whole name.
const PROGRAMS: [(&str, bool); 12] = [
    ("sidelight", true),
    ("beyla", true),
    ("obi", true),
    ("ebpf-instrument", true),
    ("alloy", true),
    ("grafana-agent", true),
    ("otelcol", false),
    ("otel-collector", true),
    ("rotel", false),
    ("fluent-bit", true),
    ("vector", true),
    ("promtail", true),
];

/// Namespaces of a cluster's own parts.
const NAMESPACES: [&str; 6] = [
    "kube-system",
    "kube-node-lease",
    "local-path-storage",
    "grafana-alloy",
    "cert-manager",
    "monitoring",
];

/// Whether a process observes others, or belongs to the cluster.
pub(super) fn is_one(process: &Process) -> bool {
    let name = process.executable_name();
    let is_program = PROGRAMS.iter().any(|(start, whole)| {
        name.strip_prefix(start)
            .is_some_and(|rest| !whole || rest.is_empty())
    });
    let mut surroundings = process.surroundings.iter();
    is_program
        || surroundings
            .any(|(name, value)| *name == "k8s.namespace.name" && NAMESPACES.contains(&value.as_str()))
}

impl Discovery {
    /// Whether a selector that matches a process means it, and not merely everything or a port.
    pub(super) fn is_meant(&self, process: &Process) -> bool {
        let mut meaning = self.select.iter().filter(|selector| selector.means_its_own());
        meaning.any(|selector| self.matches(selector, process))
    }
}

impl Selector {
    /// Whether it says more of a process than a port.
    fn means_its_own(&self) -> bool {
        match self {
            Self::All | Self::Ports(_) => false,
            Self::Rule(rule) => rule.groups().iter().flatten().any(Self::means_its_own),
            _ => true,
        }
    }
}
