//! What the settings say of some processes alone.

use std::{ops::RangeInclusive, sync::Arc};

use super::{Discovery, Process};
use crate::{config::Sampler, routes::RoutePattern};

/// What the settings (`services` in the configuration file) say of one process alone. Its name and namespace are in their
/// places already.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Which traces are kept that begin in it.
    pub sampler: Option<Sampler>,
    /// Patterns of its paths, such as `/users/{id}`, to be tried before those for all; empty if there are none.
    pub routes: Arc<[RoutePattern]>,
    /// The ports whose requests make spans and metrics; all if empty.
    pub ports: Arc<[RangeInclusive<u16>]>,
}

impl Overrides {
    /// Whether what the process serves on a port is wanted.
    pub fn wants_port(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.iter().any(|range| range.contains(&port))
    }
}

impl Discovery {
    /// Puts what the settings say of a process alone in its places: of each setting the first entry that matches and has
    /// it. Entries are matched with what the process is without them.
    pub(super) fn override_settings(&self, process: &mut Process) {
        if self.services.is_empty() {
            return;
        }
        process.service_name.clone_from(&process.found_name);
        let matching: Vec<_> = self
            .services
            .iter()
            .filter(|service| self.matches_rule(&service.rule, process))
            .collect();
        let entries = || matching.iter();
        if let Some(name) = entries().find_map(|service| service.name.clone()) {
            process.service_name = name;
        }
        if let Some(namespace) = entries().find_map(|service| service.namespace.clone()) {
            let attributes = &mut process.resource_attributes;
            attributes.retain(|(name, _)| name != "service.namespace");
            attributes.push(("service.namespace".to_owned(), namespace));
        }
        process.overrides = Overrides {
            sampler: entries().find_map(|service| service.sampling.sampler()),
            routes: entries()
                .find(|service| !service.routes.is_empty())
                .map_or_else(Arc::default, |service| service.routes.clone().into()),
            ports: entries()
                .find(|service| !service.ports.is_empty())
                .map_or_else(Arc::default, |service| service.ports.clone().into()),
        };
    }
}
