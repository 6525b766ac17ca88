//! What the settings say of some processes alone, as far as it decides about traces and spans.

use agent_protocols::Role;
use foldhash::HashMap;

use super::LeftOut;
use crate::{capture::Located, config::Sampler, discover::Overrides};

/// What the settings say of some processes alone, by process id.
#[derive(Debug, Default)]
pub(super) struct Services(HashMap<u32, Overrides>);

impl Services {
    /// Notes what is said of a process.
    pub(super) fn set(&mut self, pid: u32, overrides: Overrides) {
        if overrides == Overrides::default() {
            self.0.remove(&pid);
        } else {
            self.0.insert(pid, overrides);
        }
    }

    /// A process was forked: what is said of the other holds for it, until something is said of it.
    pub(super) fn forked(&mut self, pid: u32, parent: u32) {
        if let Some(overrides) = self.0.get(&parent).cloned() {
            self.0.entry(pid).or_insert(overrides);
        }
    }

    /// The sampler of traces that begin with this exchange, if it is not the usual one.
    pub(super) fn sampler(&self, located: &Located) -> Option<Sampler> {
        self.0.get(&located.exchange.request_unit.pid)?.sampler
    }

    /// Whether an exchange is a request on a port that is not wanted.
    pub(super) fn leaves_out(&self, located: &Located) -> Option<LeftOut> {
        if located.exchange.role != Role::Server {
            return None;
        }
        let overrides = self.0.get(&located.exchange.request_unit.pid)?;
        let unwanted = located
            .endpoints
            .local
            .is_some_and(|local| !overrides.wants_port(local.port()));
        unwanted.then_some(LeftOut::OtherPort)
    }
}
