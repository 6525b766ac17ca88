//! How often the kernel ran the agent's programs, and how long that took.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    time::Duration,
};

use aya::{
    Ebpf,
    programs::{Program, ProgramInfo},
    sys::{Stats, enable_stats},
};

use super::misses::said_of;
use crate::metrics::ProgramRuns;

/// Lets the kernel count for as long as the result is kept; that costs each run of each program of this host two looks at the
/// clock. Nothing if the kernel does not (before 5.8) or may not.
pub(super) fn count() -> Option<OwnedFd> {
    enable_stats(Stats::RunTime)
        .inspect_err(|error| {
            tracing::warn!(
                "the runs of the agent's programs are not counted: {error}; leave SIDELIGHT_METRICS_PROGRAM_RUNS out, or run \
                 with CAP_SYS_ADMIN on Linux 5.8 or newer"
            );
        })
        .ok()
}

/// What the kernel counted of the programs that are loaded.
pub(super) fn of_programs<'a>(
    ebpf: &Ebpf,
    others: impl Iterator<Item = (&'static str, BorrowedFd<'a>)>,
) -> Vec<ProgramRuns> {
    let runs = |(name, program): (&str, &Program)| {
        let info: ProgramInfo = program.info().ok()?;
        Some(ProgramRuns {
            name: name.to_owned(),
            count: info.run_count(),
            time: info.run_time(),
        })
    };
    let loaded = ebpf.programs().filter(|(_, program)| program.fd().is_ok());
    loaded
        .filter_map(runs)
        .chain(others.filter_map(of_loaded))
        .collect()
}

/// The same for a program that aya did not load.
fn of_loaded((name, program): (&'static str, BorrowedFd<'_>)) -> Option<ProgramRuns> {
    Some(ProgramRuns {
        name: name.to_owned(),
        count: said_of(program, "run_cnt")?,
        time: Duration::from_nanos(said_of(program, "run_time_ns")?),
    })
}
