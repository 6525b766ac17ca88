//! Relays: processes that make a connection for each that they accept, and pass on byte for byte what they receive, as
//! Docker's userland proxy does. Whoever accepts what a relay made was called by whoever made what the relay accepted.
//!
//! Which connection was made for which is told by who copies: a goroutine that receives from the one and sends at the same
//! position into the other. (moby 26.1, cmd/docker-proxy/tcp_proxy_linux.go, `clientLoop`: a goroutine for each direction,
//! which does nothing but `io.Copy`.)

use agent_common::unit::unit_kind;
use agent_protocols::{Role, Unit};
use foldhash::HashMap;

use crate::capture::Ends;

/// Relays behind each other that are seen through.
const RELAYS_MOST: usize = 8;

/// Bytes that a relay moved.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// The connection.
    pub connection: u64,
    /// Its ends, the relay's first.
    pub ends: Ends,
    /// Which side of it the relay is.
    pub role: Role,
    /// Sent, else received.
    pub sent: bool,
    /// Position of the first byte in its direction.
    pub offset: u64,
}

/// Which connections relays made for which.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// What goroutines received from accepted connections and have not passed on, by process and goroutine.
    held: HashMap<(u32, u64), Moved>,
    /// By the connection that a relay made.
    made: HashMap<Ends, Made>,
}

#[derive(Clone, Copy, Debug)]
struct Made {
    /// What it was made for, as the process at its other end sees it.
    caller: Ends,
    ended_at: Option<u64>,
}

impl Relays {
    /// Bytes were moved by `unit`. Returns the connections of which nothing more need be known.
    pub(super) fn moved(&mut self, unit: &Unit, moved: Moved) -> Vec<u64> {
        let goroutine = unit.line.steps().next().map(|step| step.id);
        let Some(goroutine) = goroutine.filter(|id| id >> unit_kind::SHIFT == unit_kind::GOROUTINE) else {
            // A thread may do the one for this connection and the other for that.
            return vec![moved.connection];
        };
        let who = (unit.pid, goroutine);
        if !moved.sent {
            if moved.role == Role::Server {
                self.held.insert(who, moved);
            }
            return Vec::new();
        }
        let Some(received) = self.held.remove(&who) else {
            return Vec::new();
        };
        if moved.role != Role::Client || moved.offset != received.offset {
            return Vec::new();
        }
        let made = Made {
            caller: received.ends.other(),
            ended_at: None,
        };
        self.made.insert(moved.ends, made);
        vec![received.connection, moved.connection]
    }

    /// The connection that the caller made whose bytes come out of this one; this one, if no relay made it.
    pub(super) fn origin(&self, ends: Ends) -> Ends {
        let mut origin = ends;
        for _ in 0..RELAYS_MOST {
            match self.made.get(&origin) {
                Some(made) => origin = made.caller,
                None => break,
            }
        }
        origin
    }

    /// A connection ended.
    pub(super) fn ended(&mut self, ends: Ends, at: u64) {
        if let Some(made) = self.made.get_mut(&ends) {
            made.ended_at = Some(at);
        }
        self.held.retain(|_, held| held.ends != ends);
    }

    /// Forgets what ended before this moment.
    pub(super) fn forget(&mut self, before: u64) {
        self.made
            .retain(|_, made| made.ended_at.is_none_or(|at| at >= before));
    }
}
