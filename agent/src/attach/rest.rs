//! Which processes have to be followed closely.
//!
//! Probes where units start others cost each time that one does. They say nothing about a process whose calls are made
//! by the very units that answer, or that makes none. Such a process rests, until a call comes whose parent depends, or
//! may depend, on what its unit came from.

use std::collections::HashMap;

const SECOND: u64 = 1_000_000_000;
/// A process that never needed to be followed rests after so long, in nanoseconds.
const PATIENCE_AT_FIRST: u64 = 5 * SECOND;
/// One that did, after so long at first; then after twice as long as before, each time that it rested in vain.
const PATIENCE_AFTERWARDS: u64 = 60 * SECOND;
const PATIENCE_MOST: u64 = 3600 * SECOND;
/// Requests without a need that show that there is none.
const REQUESTS_LEAST: u64 = 1000;

/// What is known of the need to follow processes; times in monotonic nanoseconds.
#[derive(Debug, Default)]
pub struct Rest {
    processes: HashMap<u32, Followed>,
}

/// Whether a process has to be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It has.
    Followed,
    /// It serves nothing at present, so it does not matter.
    Idle,
    /// It has not.
    Resting,
}

#[derive(Debug)]
struct Followed {
    /// When it was needed last, or the process began.
    last: u64,
    /// Requests since.
    requests: u64,
    /// When the last request was served; `None` before the first.
    served: Option<u64>,
    patience: u64,
    rests: bool,
}

impl Rest {
    /// A process is followed from now on, unless it is.
    pub fn begins(&mut self, pid: u32, now: u64) {
        self.processes.entry(pid).or_insert(Followed {
            last: now,
            requests: 0,
            served: None,
            patience: PATIENCE_AT_FIRST,
            rests: false,
        });
    }

    /// A process ended.
    pub fn ends(&mut self, pid: u32) {
        self.processes.remove(&pid);
    }

    /// A process served a request.
    pub fn served(&mut self, pid: u32, now: u64) {
        if let Some(followed) = self.processes.get_mut(&pid) {
            followed.served = Some(now);
            followed.requests += 1;
        }
    }

    /// A process that serves made a call that it has to be followed for; true if it rested.
    pub fn needed(&mut self, pid: u32, now: u64) -> bool {
        let Some(followed) = self.processes.get_mut(&pid) else {
            return false;
        };
        if followed.served.is_none() {
            return false;
        }
        followed.last = now;
        followed.requests = 0;
        let rested = std::mem::take(&mut followed.rests);
        followed.patience = if rested {
            followed.patience.saturating_mul(2).min(PATIENCE_MOST)
        } else {
            followed.patience
        }
        .max(PATIENCE_AFTERWARDS);
        rested
    }

    /// Whether a process has to be followed; one that is not known has not.
    pub fn need(&self, pid: u32, now: u64) -> Need {
        let Some(followed) = self.processes.get(&pid) else {
            return Need::Idle;
        };
        let long_ago = |moment: u64| now.saturating_sub(moment) >= followed.patience;
        if followed.rests || long_ago(followed.last) && followed.requests >= REQUESTS_LEAST {
            Need::Resting
        } else if long_ago(followed.last) && followed.served.is_none_or(long_ago) {
            Need::Idle
        } else {
            Need::Followed
        }
    }

    /// A process is not followed any more.
    pub fn rests(&mut self, pid: u32) {
        if let Some(followed) = self.processes.get_mut(&pid) {
            followed.rests = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: u32 = 7;

    fn after_requests(requests: u64) -> Rest {
        let mut rest = Rest::default();
        rest.begins(PID, 0);
        for _ in 0..requests {
            rest.served(PID, SECOND);
        }
        rest
    }

    #[test]
    fn who_serves_and_makes_no_call_rests_after_a_while() {
        let rest = after_requests(REQUESTS_LEAST);
        assert_eq!(rest.need(PID, PATIENCE_AT_FIRST - 1), Need::Followed);
        assert_eq!(rest.need(PID, PATIENCE_AT_FIRST), Need::Resting);
    }

    #[test]
    fn few_requests_show_nothing() {
        let mut rest = after_requests(REQUESTS_LEAST - 1);
        assert_eq!(rest.need(PID, PATIENCE_AT_FIRST), Need::Followed);
        assert_eq!(rest.need(PID, 2 * PATIENCE_AT_FIRST), Need::Idle);
        rest.served(PID, 2 * PATIENCE_AT_FIRST);
        assert_eq!(rest.need(PID, 2 * PATIENCE_AT_FIRST), Need::Resting);
    }

    #[test]
    fn who_serves_nothing_does_not_matter() {
        let mut rest = Rest::default();
        rest.begins(PID, 0);
        assert_eq!(rest.need(PID, 0), Need::Followed);
        assert_eq!(rest.need(PID, PATIENCE_AT_FIRST), Need::Idle);
        assert!(!rest.needed(PID, PATIENCE_AT_FIRST), "nor do its calls");
        assert_eq!(rest.need(PID, PATIENCE_AT_FIRST), Need::Idle);
    }

    #[test]
    fn a_call_ends_the_rest_and_makes_the_next_harder_to_come_by() {
        let mut rest = after_requests(REQUESTS_LEAST);
        rest.rests(PID);
        let mut now = PATIENCE_AT_FIRST;
        for patience in [
            PATIENCE_AFTERWARDS,
            2 * PATIENCE_AFTERWARDS,
            4 * PATIENCE_AFTERWARDS,
        ] {
            assert!(rest.needed(PID, now));
            assert!(!rest.needed(PID, now), "it is followed already");
            for _ in 0..REQUESTS_LEAST {
                rest.served(PID, now + patience);
            }
            assert_eq!(rest.need(PID, now + patience - 1), Need::Followed);
            assert_eq!(rest.need(PID, now + patience), Need::Resting);
            rest.rests(PID);
            now += patience;
        }
    }

    #[test]
    fn a_number_that_is_used_again_begins_anew() {
        let mut rest = after_requests(REQUESTS_LEAST);
        rest.ends(PID);
        assert_eq!(rest.need(PID, PATIENCE_AT_FIRST), Need::Idle);
        rest.begins(PID, PATIENCE_AT_FIRST);
        assert_eq!(rest.need(PID, PATIENCE_AT_FIRST), Need::Followed);
    }
}
