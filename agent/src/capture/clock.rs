//! From the kernel's monotonic clock, which stamps all events, to wall-clock time.

use rustix::time::{ClockId, clock_gettime};

/// How often the two clocks are compared: the wall clock is slewed by at most 500 ppm (`adjtimex(2)`), so that a
/// second adds at most half a microsecond.
const COMPARE_EVERY_NANOS: u64 = 1_000_000_000;
/// Tries per comparison; the one that took the shortest time counts.
const TRIES: usize = 5;

/// Converts moments. Exact to about a microsecond, also after the wall clock was set.
#[derive(Debug)]
pub struct Clock {
    /// Wall clock minus monotonic clock, in nanoseconds.
    difference: i128,
    compared_at: u64,
}

impl Clock {
    /// A clock compared now.
    pub fn new() -> Self {
        Self {
            difference: compare(),
            compared_at: monotonic_nanos(),
        }
    }

    /// Compares again if the last comparison is too old at `now` (monotonic nanoseconds).
    pub fn refresh(&mut self, now: u64) {
        if now.saturating_sub(self.compared_at) >= COMPARE_EVERY_NANOS {
            *self = Self::new();
        }
    }

    /// Nanoseconds since the Unix epoch at a moment of the monotonic clock.
    pub fn unix_nanos(&self, monotonic: u64) -> u64 {
        u64::try_from(i128::from(monotonic) + self.difference).unwrap_or(0)
    }
}

/// The present on the monotonic clock, in nanoseconds: `bpf_ktime_get_ns` reads the same one.
pub fn monotonic_nanos() -> u64 {
    nanos(ClockId::Monotonic) as u64
}

/// Reads the wall clock between two readings of the monotonic one, and believes the closest pair.
fn compare() -> i128 {
    let mut best = (i128::MAX, 0);
    for _ in 0..TRIES {
        let before = nanos(ClockId::Monotonic);
        let wall = nanos(ClockId::Realtime);
        let took = nanos(ClockId::Monotonic) - before;
        if took < best.0 {
            best = (took, wall - before - took / 2);
        }
    }
    best.1
}

fn nanos(clock: ClockId) -> i128 {
    let time = clock_gettime(clock);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn now_is_now_within_a_millisecond() {
        let clock = Clock::new();
        let ours = clock.unix_nanos(monotonic_nanos());
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        assert!(ours.abs_diff(system) < 1_000_000, "{ours} is not {system}");
    }

    #[test]
    fn it_is_compared_again_after_a_second_and_not_before() {
        let mut clock = Clock {
            difference: 5,
            compared_at: 1000,
        };
        clock.refresh(1000 + COMPARE_EVERY_NANOS - 1);
        assert_eq!(clock.unix_nanos(10), 15);
        clock.refresh(1000 + COMPARE_EVERY_NANOS);
        assert_ne!(clock.unix_nanos(10), 15);
    }
}
