//! What the kernel skipped: it runs no program inside of another of its kind, and has a bound on returns it waits for.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use aya::{Ebpf, programs::Program};

use super::copies::original;

/// What was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Misses {
    /// Runs of programs that were skipped because the program had not ended on the CPU; where it has copies, those that no other copy
    /// can have made up for, at most. 0 before 5.12, which does not count them.
    pub recursion: u64,
    /// Hits of kernel probes that were skipped, returns beyond the bound included; before 6.2 the latter are not counted.
    pub probes: u64,
}

/// How often the kernel skipped each loaded program, of those that it skipped (`kernel/bpf/syscall.c:bpf_prog_show_fdinfo`).
pub(super) fn by_program(ebpf: &Ebpf) -> Vec<(&str, u64)> {
    let skipped = |(name, program)| Some((name, of_program(fd(program)?)?));
    ebpf.programs()
        .filter_map(skipped)
        .filter(|(_, times)| *times > 0)
        .collect()
}

/// Adds up what the kernel says of each loaded program.
pub(super) fn of_programs(ebpf: &Ebpf) -> u64 {
    let loaded = ebpf
        .programs()
        .filter_map(|(name, program)| Some((name, fd(program)?)));
    missed(loaded.filter_map(|(name, fd)| Some((name, of_program(fd)?))))
}

/// What all copies of a program were skipped for is not more than what the luckiest of them was.
fn missed<'a>(programs: impl Iterator<Item = (&'a str, u64)>) -> u64 {
    let mut least: BTreeMap<&str, u64> = BTreeMap::new();
    for (program, times) in programs {
        least
            .entry(original(program))
            .and_modify(|least| *least = times.min(*least))
            .or_insert(times);
    }
    least.values().sum()
}

/// The same for programs that aya did not load.
pub(super) fn of_loaded<'a>(programs: impl Iterator<Item = (&'static str, BorrowedFd<'a>)>) -> u64 {
    programs.filter_map(|(_, program)| of_program(program)).sum()
}

/// What the kernel says of a loaded program under this name.
pub(super) fn said_of(program: BorrowedFd<'_>, field: &str) -> Option<u64> {
    let said = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).ok()?;
    number(&said, field)
}

fn fd(program: &Program) -> Option<BorrowedFd<'_>> {
    Some(program.fd().ok()?.as_fd())
}

fn of_program(program: BorrowedFd<'_>) -> Option<u64> {
    said_of(program, "recursion_misses")
}

fn number(fdinfo: &str, field: &str) -> Option<u64> {
    let mut fields = fdinfo.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(name, _)| *name == field)?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_copy_saw_was_not_missed() {
        let skipped = [("exit", 3), ("exit_b", 1), ("exit_c", 2), ("enter_read", 5)];
        assert_eq!(missed(skipped.into_iter()), 1 + 5);
        assert_eq!(missed([("exit", 3), ("exit_b", 0)].into_iter()), 0);
    }

    #[test]
    fn the_kernels_count_is_read_where_it_has_one() {
        assert_eq!(
            number("prog_type:\t26\nrecursion_misses:\t7\n", "recursion_misses"),
            Some(7)
        );
        assert_eq!(number("prog_type:\t26\n", "recursion_misses"), None);
    }
}
