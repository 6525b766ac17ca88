//! CPU time and memory of a process, from /proc (proc(5)).

use std::fs;

use anyhow::{Context, Result};

/// CPU time of a process, all its threads, user and system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    ticks: u64,
}

/// The kernel reports in this unit on every architecture (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

impl Usage {
    pub(super) fn of(pid: u32) -> Result<Self> {
        let file = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
        Self::parse(&text).with_context(|| format!("{file} is not understood: {text}"))
    }

    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            ticks: self.ticks.saturating_sub(earlier.ticks),
        }
    }

    pub(super) fn micros(self) -> f64 {
        self.ticks as f64 / TICKS_PER_SECOND * 1e6
    }

    /// `utime` and `stime`, the 14th and 15th fields; the second may have spaces and brackets in it.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
        let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self { ticks: user + system })
    }
}

/// Resident memory in KiB: the most so far, and now.
pub(super) fn memory_kib(pid: u32) -> Result<(u64, u64)> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .and_then(|rest| rest.split_whitespace().next());
        line.and_then(|number| number.parse().ok())
            .with_context(|| format!("{file} has no {key}"))
    };
    Ok((value("VmHWM:")?, value("VmRSS:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_and_brackets() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(Usage::parse(stat), Some(Usage { ticks: 300 }));
        assert_eq!(Usage::parse("42 (a"), None);
    }

    #[test]
    fn this_process_has_memory() {
        let (peak, now) = memory_kib(std::process::id()).unwrap();
        assert!(peak >= now && now > 0, "{peak} {now}");
    }
}
