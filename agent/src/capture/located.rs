//! Exchanges with the place where they took place, and what both ends of a connection know it by.

use std::sync::Arc;

use agent_common::OpenEvent;
use agent_protocols::Exchange;

use super::connections::is_unix;
use crate::conventions::Endpoints;

/// An exchange, and where it took place.
#[derive(Clone, Debug)]
pub struct Located {
    /// The exchange.
    pub exchange: Exchange,
    /// The addresses of its connection.
    pub endpoints: Arc<Endpoints>,
    /// The connection.
    pub connection: u64,
    /// Its ends, if the other one can be known by them.
    pub ends: Option<Ends>,
}

/// The ends of a connection on one host, by what both know: seen from the other end they are the other way round.
///
/// TCP: the sequence numbers before each direction's first byte, which are random and which neither another network
/// namespace nor address translation changes. UNIX: the addresses of both sockets in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    own: u64,
    peer: u64,
    unix: bool,
}

impl Ends {
    /// As the other end sees them.
    pub fn other(self) -> Self {
        Self {
            own: self.peer,
            peer: self.own,
            unix: self.unix,
        }
    }

    /// Any, for tests.
    #[cfg(test)]
    pub(crate) fn sample(own: u64, peer: u64) -> Self {
        Self {
            own,
            peer,
            unix: false,
        }
    }

    pub(super) fn of(event: &OpenEvent) -> Option<Self> {
        let unix = is_unix(event);
        (event.own_end != 0 && event.peer_end != 0).then_some(Self {
            own: event.own_end,
            peer: event.peer_end,
            unix,
        })
    }
}
