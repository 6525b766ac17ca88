//! Which program goes where, and attaching only what is in use.

use std::collections::HashSet;

use aya::{
    Ebpf,
    programs::{RawTracePoint, TracePoint},
};

use super::{AttachError, Rest, load::program_refused, uprobes::Uprobes};
use crate::{
    discover::{Syscall, SyscallSet},
    inspect::units::Probe,
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

/// The loaded programs and what they are attached to. Dropping it detaches all.
pub struct Hooks {
    ebpf: Ebpf,
    hooked: SyscallSet,
    uprobes: Uprobes,
}

impl Hooks {
    /// Nothing attached yet.
    pub(super) fn new(ebpf: Ebpf) -> Self {
        Self {
            ebpf,
            hooked: SyscallSet::default(),
            uprobes: Uprobes::default(),
        }
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
        self.tracepoint("enter_close", "sys_enter_close".to_owned())
    }

    /// Hooks those of `syscalls` that are not hooked yet; returns how many were.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses a program.
    pub fn hook(&mut self, syscalls: SyscallSet) -> Result<usize, AttachError> {
        let mut new = 0;
        for syscall in Syscall::ALL {
            if !syscalls.contains(syscall) || self.hooked.contains(syscall) {
                continue;
            }
            let (enter, exit) = programs(syscall);
            // Exit first: an entry without its exit would stay in the map of calls.
            self.tracepoint(exit, format!("sys_exit_{}", syscall.tracepoint()))?;
            self.tracepoint(enter, format!("sys_enter_{}", syscall.tracepoint()))?;
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

    fn tracepoint(&mut self, program: &'static str, name: String) -> Result<(), AttachError> {
        let loaded: &mut TracePoint = self.program(program)?;
        if loaded.fd().is_err() {
            loaded.load().map_err(|source| program_refused(program, source))?;
        }
        match loaded.attach(SYSCALLS, &name) {
            Ok(_) => Ok(()),
            Err(source) => Err(AttachError::Tracepoint {
                category: SYSCALLS,
                name,
                source: Box::new(source),
            }),
        }
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
fn programs(syscall: Syscall) -> (&'static str, &'static str) {
    match syscall {
        Syscall::Read => ("enter_read", "exit"),
        Syscall::Write => ("enter_write", "exit"),
        Syscall::Readv => ("enter_readv", "exit"),
        Syscall::Writev => ("enter_writev", "exit"),
        Syscall::Sendto => ("enter_sendto", "exit"),
        Syscall::Recvfrom => ("enter_recvfrom", "exit"),
        Syscall::Sendmsg => ("enter_sendmsg", "exit"),
        Syscall::Recvmsg => ("enter_recvmsg", "exit"),
        Syscall::Sendmmsg => ("enter_sendmmsg", "exit_messages"),
        Syscall::Recvmmsg => ("enter_recvmmsg", "exit_messages"),
        Syscall::Sendfile => ("enter_sendfile64", "exit"),
        Syscall::Splice => ("enter_splice", "exit"),
    }
}
