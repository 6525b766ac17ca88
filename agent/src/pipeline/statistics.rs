//! What the agent reports of itself when it ends: nothing is lost in silence.

use std::fmt;

use agent_common::{Counter, map::COUNTERS_LEN};
use agent_protocols::connection::ConnectionCounts;

use crate::{
    attach::{Counters, Misses, Tier},
    correlate,
};

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// The hooks that saw it.
    pub tier: Option<Tier>,
    /// What they missed, by the kernel's own count.
    pub misses: Misses,
    /// What the kernel side counted, by [`Counter`].
    pub kernel: [u64; COUNTERS_LEN as usize],
    /// What connections counted.
    pub connections: ConnectionCounts,
    /// Events of connections whose opening was lost.
    pub unknown_connections: u64,
    /// Records that were no events.
    pub undecodable: u64,
    /// What the correlator counted.
    pub correlation: correlate::Counts,
    /// Exchanges of processes that were not selected (or no longer known).
    pub unselected: u64,
    /// Spans left out because the program's own SDK exports the same calls.
    pub exported_by_sdk: u64,
    /// Requests on ports that the settings do not want for their process.
    pub other_ports: u64,
    /// Calls left out because they are exports of the program's own SDK.
    pub sdk_exports: u64,
    /// Spans that sampling left out.
    pub unsampled: u64,
    /// Requests without a route because too many were guessed for their process.
    pub routes_over_limit: u64,
    /// Spans handed to the sinks.
    pub spans: u64,
}

/// Sums the kernel side's counters over all CPUs.
pub fn read_kernel(counters: &Counters) -> [u64; COUNTERS_LEN as usize] {
    let mut sums = [0; COUNTERS_LEN as usize];
    for (counter, _) in Counter::ALL {
        sums[counter as usize] = counters.sum(counter as u32);
    }
    sums
}

/// What is shown also where it is 0.
const ALWAYS: usize = 3;

impl Statistics {
    /// All counts by name; what matters to everyone first.
    pub fn pairs(&self) -> Vec<(&'static str, u64)> {
        let kernel = |counter: Counter| self.kernel[counter as usize];
        let first = [
            ("events", kernel(Counter::Events)),
            ("drops", kernel(Counter::Drops)),
            ("spans", self.spans),
        ];
        let kernel_rest = Counter::ALL
            .iter()
            .filter(|(counter, _)| !matches!(counter, Counter::Events | Counter::Drops));
        let kernel_rest = kernel_rest.map(|&(counter, name)| (name, kernel(counter)));
        first.into_iter().chain(kernel_rest).chain(self.rest()).collect()
    }

    fn rest(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let ConnectionCounts {
            session,
            gaps,
            gap_bytes,
            duplicate_bytes,
            wrong_guesses,
            unknown,
            encrypted,
        } = self.connections;
        let rest = [
            ("recursion_misses", self.misses.recursion),
            ("probe_misses", self.misses.probes),
            ("gaps", gaps),
            ("gap_bytes", gap_bytes),
            ("duplicate_bytes", duplicate_bytes),
            ("wrong_guesses", wrong_guesses),
            ("unknown_streams", unknown),
            ("encrypted_streams", encrypted),
            ("unparsable", session.unparsable),
            ("resyncs", session.resyncs),
            ("orphan_responses", session.orphan_responses),
            ("over_limit", session.over_limit),
            ("noise", session.noise),
            ("unknown_connections", self.unknown_connections),
            ("undecodable", self.undecodable),
            ("parents_expired", self.correlation.expired),
            ("parents_over_limit", self.correlation.over_limit),
            ("unselected", self.unselected),
            ("exported_by_sdk", self.exported_by_sdk),
            ("other_ports", self.other_ports),
            ("sdk_exports", self.sdk_exports),
            ("unsampled", self.unsampled),
            ("routes_over_limit", self.routes_over_limit),
        ];
        rest.into_iter()
    }
}

impl fmt::Display for Statistics {
    /// `name=value` pairs, of most only those that are not 0.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for (place, (name, value)) in self.pairs().into_iter().enumerate() {
            if place < ALWAYS || value > 0 {
                write!(out, "{space}{name}={value}")?;
                space = " ";
            }
            if place + 1 == ALWAYS
                && let Some(tier) = self.tier
            {
                write!(out, " tier={}", tier.name())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_shown_only_where_everyone_looks_for_them() {
        let mut statistics = Statistics {
            tier: Some(Tier::Kprobe),
            misses: Misses {
                recursion: 0,
                probes: 5,
            },
            spans: 3,
            unselected: 2,
            ..Statistics::default()
        };
        statistics.kernel[Counter::Events as usize] = 7;
        statistics.kernel[Counter::CopiedBytes as usize] = 99;
        assert_eq!(
            statistics.to_string(),
            "events=7 drops=0 spans=3 tier=kprobe copied_bytes=99 probe_misses=5 unselected=2"
        );
    }
}
