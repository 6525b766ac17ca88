//! Which program goes where, and attaching only what is in use.

use std::{collections::HashSet, os::fd::OwnedFd};

use aya::{
    Ebpf,
    programs::{RawTracePoint, TracePoint, trace_point::TracePointLinkId},
};

use super::{
    AttachError, Rest, Tier,
    copies::{Copies, copies},
    fentry,
    functions::Function,
    kprobes::KernelProbes,
    load::program_refused,
    misses::{self, Misses},
    runs,
    uprobes::Uprobes,
};
use crate::{
    discover::{Syscall, SyscallSet},
    inspect::{tracefs, units::Probe},
    metrics::ProgramRuns,
};

/// Category of the system calls' tracepoints.
const SYSCALLS: &str = "syscalls";

/// Programs that are always attached: the life of processes and of connections.
const RAW_TRACEPOINTS: [&str; 4] = [
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "inet_sock_set_state",
];

/// The programs at the end of those.
const EXIT_WAITING: Copies = copies!("exit_waiting");

/// System calls that a thread can wait in for bytes.
const WAITED_IN: [&str; 4] = ["read", "recvfrom", "readv", "recvmsg"];

/// The loaded programs and what they are attached to. Dropping it detaches all.
pub struct Hooks {
    tier: Tier,
    /// How many copies of each program are attached.
    copies: usize,
    // Before the programs, which its probes run.
    kernel_probes: Option<KernelProbes>,
    ebpf: Ebpf,
    hooked: SyscallSet,
    uprobes: Uprobes,
    /// See [`Hooks::expect_waiting`].
    waiting: Vec<(&'static str, TracePointLinkId)>,
    /// While it is open the kernel counts the runs of programs.
    counting: Option<OwnedFd>,
}

impl Hooks {
    /// Nothing attached yet.
    pub(super) fn new(ebpf: Ebpf, uprobes: Uprobes, tier: Tier, copies: usize) -> Self {
        Self {
            tier,
            copies,
            kernel_probes: None,
            ebpf,
            hooked: SyscallSet::default(),
            uprobes,
            waiting: Vec::new(),
            counting: None,
        }
    }

    /// Hooks the functions of the tier, if it is one of functions.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses a program.
    pub(super) fn hook_functions(&mut self, functions: &[&Function]) -> Result<(), AttachError> {
        match self.tier {
            Tier::Fentry => fentry::attach(&mut self.ebpf, functions, self.copies),
            Tier::Kprobe => {
                let tracefs = tracefs().map_err(|source| AttachError::NoTracefs { source })?;
                self.kernel_probes = Some(KernelProbes::attach(&mut self.ebpf, tracefs, functions)?);
                Ok(())
            }
            Tier::Tracepoint => Ok(()),
        }
    }

    /// The tier.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// What the kernel could not report, by its own count.
    pub fn misses(&self) -> Misses {
        Misses {
            recursion: misses::of_programs(&self.ebpf) + misses::of_loaded(self.uprobes.loaded()),
            probes: self.kernel_probes.as_ref().map_or(0, KernelProbes::missed),
        }
    }

    /// Says in the log which programs the kernel skipped.
    pub fn log_misses(&self) {
        for (program, times) in misses::by_program(&self.ebpf) {
            tracing::debug!(program, times, "the kernel skipped a program");
        }
    }

    /// Lets the kernel count the runs of the programs.
    pub fn count_runs(&mut self) {
        self.counting = runs::count();
    }

    /// The runs of the programs, if the kernel counts them.
    pub fn runs(&self) -> Vec<ProgramRuns> {
        match self.counting {
            Some(_) => runs::of_programs(&self.ebpf, self.uprobes.loaded()),
            None => Vec::new(),
        }
    }

    /// Programs that are loaded, and probes in programs and libraries that are attached.
    pub fn attached(&self) -> (usize, usize) {
        let loaded = self.ebpf.programs().filter(|(_, program)| program.fd().is_ok());
        (
            loaded.count() + self.uprobes.loaded().count(),
            self.uprobes.attached(),
        )
    }

    /// The loaded object, for its log.
    pub fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Follows processes and connections from now on.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses a program.
    pub fn follow(&mut self) -> Result<(), AttachError> {
        for name in RAW_TRACEPOINTS {
            let program: &mut RawTracePoint = self.program(name)?;
            program
                .load()
                .and_then(|()| program.attach(name).map(drop))
                .map_err(|source| program_refused(name, source))?;
        }
        match self.tier {
            Tier::Tracepoint => self
                .tracepoints(copies!("enter_close"), "sys_enter_close")
                .map(drop),
            // Their functions say when nobody holds a socket any more.
            Tier::Fentry | Tier::Kprobe => Ok(()),
        }
    }

    /// Sees the end of reads that threads wait in already: functions are seen from their beginning on only. Until
    /// [`Hooks::expect_no_more`], since it slows every system call.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses a program.
    pub fn expect_waiting(&mut self) -> Result<(), AttachError> {
        if self.tier == Tier::Tracepoint {
            return Ok(());
        }
        for syscall in WAITED_IN {
            let links = self.tracepoints(EXIT_WAITING, &format!("sys_exit_{syscall}"))?;
            self.waiting.extend(links);
        }
        Ok(())
    }

    /// All of them have ended.
    pub fn expect_no_more(&mut self) {
        for link in std::mem::take(&mut self.waiting) {
            let (name, link) = link;
            let detached = self.program(name).and_then(|program: &mut TracePoint| {
                program
                    .detach(link)
                    .map_err(|source| program_refused(name, source))
            });
            if let Err(error) = detached {
                tracing::warn!(%error, "a tracepoint cannot be let go, and goes on slowing system calls");
            }
        }
    }

    /// Hooks those of `syscalls` that are not hooked yet, if the tier is one of system calls; returns how many were.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses a program.
    pub fn hook(&mut self, syscalls: SyscallSet) -> Result<usize, AttachError> {
        let mut new = 0;
        if self.tier != Tier::Tracepoint {
            return Ok(new);
        }
        for syscall in Syscall::ALL {
            if !syscalls.contains(syscall) || self.hooked.contains(syscall) {
                continue;
            }
            let (enter, exit) = programs(syscall);
            // Exit first: an entry without its exit would stay in the map of calls.
            self.tracepoints(exit, &format!("sys_exit_{}", syscall.tracepoint()))?;
            self.tracepoints(enter, &format!("sys_enter_{}", syscall.tracepoint()))?;
            self.hooked.insert(syscall);
            new += 1;
        }
        Ok(new)
    }

    /// Attaches a probe for a process in its program or libraries, unless it is; returns whether it was attached now.
    ///
    /// # Errors
    /// [`AttachError`] when the file cannot be looked at, or the kernel refuses.
    pub fn probe(&mut self, pid: u32, probe: &Probe) -> Result<bool, AttachError> {
        self.uprobes.attach(&mut self.ebpf, pid, probe)
    }

    /// The processes that need not be followed where units start others, though they are.
    pub fn unneeded(&self, rest: &Rest, now: u64) -> HashSet<u32> {
        self.uprobes.unneeded(|pid| rest.need(pid, now))
    }

    /// Stops following them.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses.
    pub fn rest(&mut self, rest: &Rest, now: u64) -> Result<(), AttachError> {
        self.uprobes.rest(&mut self.ebpf, |pid| rest.need(pid, now))
    }

    /// Follows a process that rested; returns the processes for which something is attached again.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses.
    pub fn follow_again(&mut self, pid: u32) -> Result<HashSet<u32>, AttachError> {
        self.uprobes.follow(&mut self.ebpf, pid)
    }

    /// Whether all probes are attached where units of a process start others.
    pub fn follows(&self, pid: u32) -> bool {
        self.uprobes.follows(pid)
    }

    /// A process ended, or executes another program.
    pub fn ended(&mut self, pid: u32) {
        self.uprobes.ended(pid);
    }

    /// Attaches all copies of a program that there have to be.
    fn tracepoints(
        &mut self,
        programs: Copies,
        name: &str,
    ) -> Result<Vec<(&'static str, TracePointLinkId)>, AttachError> {
        let programs = programs.into_iter().take(self.copies);
        programs
            .map(|program| Ok((program, self.tracepoint(program, name.to_owned())?)))
            .collect()
    }

    fn tracepoint(&mut self, program: &'static str, name: String) -> Result<TracePointLinkId, AttachError> {
        let loaded: &mut TracePoint = self.program(program)?;
        if loaded.fd().is_err() {
            loaded.load().map_err(|source| program_refused(program, source))?;
        }
        loaded
            .attach(SYSCALLS, &name)
            .map_err(|source| AttachError::Tracepoint {
                category: SYSCALLS,
                name,
                source: Box::new(source),
            })
    }

    fn program<'a, P>(&'a mut self, name: &'static str) -> Result<&'a mut P, AttachError>
    where
        &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = aya::programs::ProgramError>,
    {
        let program = self.ebpf.program_mut(name).ok_or(AttachError::Missing { name })?;
        program.try_into().map_err(|source| program_refused(name, source))
    }
}

/// The programs for a system call's entry and exit.
fn programs(syscall: Syscall) -> (Copies, Copies) {
    match syscall {
        Syscall::Read => (copies!("enter_read"), copies!("exit")),
        Syscall::Write => (copies!("enter_write"), copies!("exit")),
        Syscall::Readv => (copies!("enter_readv"), copies!("exit")),
        Syscall::Writev => (copies!("enter_writev"), copies!("exit")),
        Syscall::Sendto => (copies!("enter_sendto"), copies!("exit")),
        Syscall::Recvfrom => (copies!("enter_recvfrom"), copies!("exit")),
        Syscall::Sendmsg => (copies!("enter_sendmsg"), copies!("exit")),
        Syscall::Recvmsg => (copies!("enter_recvmsg"), copies!("exit")),
        Syscall::Sendmmsg => (copies!("enter_sendmmsg"), copies!("exit_messages")),
        Syscall::Recvmmsg => (copies!("enter_recvmmsg"), copies!("exit_messages")),
        Syscall::Sendfile => (copies!("enter_sendfile64"), copies!("exit")),
        Syscall::Splice => (copies!("enter_splice"), copies!("exit")),
    }
}
