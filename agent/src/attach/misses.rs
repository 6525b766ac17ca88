//! What the kernel skipped: it runs no program inside of another of its kind, and has a bound on returns it waits for.

use std::{fs, os::fd::AsRawFd as _};

use aya::{
    Ebpf,
    programs::{Program, ProgramFd},
};

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

fn fd(program: &Program) -> Option<&ProgramFd> {
    program.fd().ok()
}

fn of_program(fd: &ProgramFd) -> Option<u64> {
    use std::os::fd::AsFd as _;
    let number = fd.as_fd().as_raw_fd();
    recursion_misses(&fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?)
}

fn recursion_misses(fdinfo: &str) -> Option<u64> {
    let line = fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_read_where_it_has_one() {
        assert_eq!(
            recursion_misses("prog_type:\t26\nrecursion_misses:\t7\n"),
            Some(7)
        );
        assert_eq!(recursion_misses("prog_type:\t26\n"), None);
    }
}
