//! What the kernel skipped: it runs no program inside of another of its kind, and has a bound on returns it waits for.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use aya::{Ebpf, programs::Program};

/// What was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Misses {
    /// Runs of programs that were skipped because another one had not ended on the CPU; 0 before 5.12, which does not count them.
    pub recursion: u64,
    /// Hits of kernel probes that were skipped, returns beyond the bound included; before 6.2 the latter are not counted.
    pub probes: u64,
}

/// Adds up what the kernel says of each loaded program (`kernel/bpf/syscall.c:bpf_prog_show_fdinfo`).
pub(super) fn of_programs(ebpf: &Ebpf) -> u64 {
    let loaded = ebpf.programs().filter_map(|(_, program)| fd(program));
    loaded.filter_map(of_program).sum()
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
    fn the_kernels_count_is_read_where_it_has_one() {
        assert_eq!(
            number("prog_type:\t26\nrecursion_misses:\t7\n", "recursion_misses"),
            Some(7)
        );
        assert_eq!(number("prog_type:\t26\n", "recursion_misses"), None);
    }
}
