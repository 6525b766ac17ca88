//! Kernel probes of the kprobe tier, as events of tracefs: only there can it be said how many calls may be under way at once, and
//! only there are misses counted.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use aya::{Ebpf, programs::KProbe};

use super::{AttachError, functions::Function, load::program_refused, perf};

/// The group of our events; their names end in the agent's process id.
const GROUP: &str = "sidelight";

/// The probes of this agent. Dropping it removes them; those of an agent that was killed do nothing any more, and the next one
/// removes them.
pub(super) struct KernelProbes {
    tracefs: PathBuf,
    attached: Vec<Attached>,
}

struct Attached {
    event: String,
    /// Until it is closed the program runs.
    running: Option<OwnedFd>,
}

impl KernelProbes {
    /// Hooks the functions.
    ///
    /// # Errors
    /// When the kernel has no kernel probes, or refuses a program or a probe.
    pub(super) fn attach(
        ebpf: &mut Ebpf,
        tracefs: PathBuf,
        functions: &[&Function],
    ) -> Result<Self, AttachError> {
        let events = tracefs.join("kprobe_events");
        let old = fs::read_to_string(&events)
            .map_err(|source| AttachError::NoKernelProbes { path: events, source })?;
        let mut probes = Self {
            tracefs,
            attached: Vec::new(),
        };
        for event in left_behind(&old, |pid| Path::new("/proc").join(pid.to_string()).exists()) {
            // What another agent just removed is gone, too.
            let _ = probes.define(&format!("-:{GROUP}/{event}"));
        }
        for function in functions {
            probes.hook(ebpf, function)?;
        }
        Ok(probes)
    }

    /// Calls that the kernel could not report, by its own count.
    pub(super) fn missed(&self) -> u64 {
        let profile = fs::read_to_string(self.tracefs.join("kprobe_profile")).unwrap_or_default();
        missed(&profile, |event| {
            self.attached.iter().any(|one| one.event == event)
        })
    }

    /// The return runs first: an entry without its return would stay in the map of calls.
    fn hook(&mut self, ebpf: &mut Ebpf, function: &Function) -> Result<(), AttachError> {
        let name = function.name;
        let refused = |source| AttachError::Probe {
            function: name,
            source,
        };
        if let Some(program) = function.form.kretprobe() {
            let kind = format!("r{}", function.form.calls_at_once());
            let label = format!("{name}_return");
            let exit = self.define_probe(&kind, &label, name).map_err(refused)?;
            self.run(ebpf, program, exit, function)?;
        }
        let entry = self.define_probe("p", name, name).map_err(refused)?;
        self.run(ebpf, function.form.kprobe(), entry, function)
    }

    /// Returns where the new probe is among the others.
    fn define_probe(&mut self, kind: &str, label: &str, function: &str) -> io::Result<usize> {
        let event = format!("{label}_{}", std::process::id());
        self.define(&format!("{kind}:{GROUP}/{event} {function}"))?;
        self.attached.push(Attached { event, running: None });
        Ok(self.attached.len() - 1)
    }

    fn run(
        &mut self,
        ebpf: &mut Ebpf,
        program: &'static str,
        probe: usize,
        function: &Function,
    ) -> Result<(), AttachError> {
        let refused = |source| AttachError::Probe {
            function: function.name,
            source,
        };
        let probe = &mut self.attached[probe];
        let event = self.tracefs.join("events").join(GROUP).join(&probe.event);
        let id = read_id(&event).map_err(refused)?;
        let loaded = loaded(ebpf, program)?;
        let fd = loaded.fd().map_err(|source| program_refused(program, source))?;
        probe.running = Some(perf::attach(fd.as_fd(), id).map_err(refused)?);
        Ok(())
    }

    fn define(&self, line: &str) -> io::Result<()> {
        let mut events = OpenOptions::new()
            .append(true)
            .open(self.tracefs.join("kprobe_events"))?;
        // One write is one definition.
        events.write_all(format!("{line}\n").as_bytes())
    }
}

impl Drop for KernelProbes {
    fn drop(&mut self) {
        for mut probe in std::mem::take(&mut self.attached) {
            drop(probe.running.take());
            if let Err(error) = self.define(&format!("-:{GROUP}/{}", probe.event)) {
                tracing::debug!(event = probe.event, %error, "a kernel probe is left behind, without effect");
            }
        }
    }
}

fn loaded<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut KProbe, AttachError> {
    let program = ebpf.program_mut(name).ok_or(AttachError::Missing { name })?;
    let program: &mut KProbe = program
        .try_into()
        .map_err(|source| program_refused(name, source))?;
    if program.fd().is_err() {
        program.load().map_err(|source| program_refused(name, source))?;
    }
    Ok(program)
}

fn read_id(event: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(event.join("id"))?;
    text.trim().parse().map_err(io::Error::other)
}

/// Our events whose agent is gone. A line is `p:GROUP/EVENT FUNCTION`, with a number behind the `r` of a return.
fn left_behind(definitions: &str, runs: impl Fn(u32) -> bool) -> Vec<&str> {
    let ours = definitions.lines().filter_map(|line| {
        let (_, name) = line.split_whitespace().next()?.split_once(':')?;
        name.strip_prefix(GROUP)?.strip_prefix('/')
    });
    ours.filter(|event| {
        let pid = event.rsplit('_').next().and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid| !runs(pid))
    })
    .collect()
}

/// The sum of the third column of `kprobe_profile`, for our events.
fn missed(profile: &str, ours: impl Fn(&str) -> bool) -> u64 {
    let lines = profile.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|event| ours(event))?;
        words.nth(1)?.parse::<u64>().ok()
    });
    lines.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_agents_that_are_gone_are_found() {
        let definitions = "p:sidelight/inet_sendmsg_77 inet_sendmsg\n\
                           r4096:sidelight/inet_recvmsg_return_78 inet_recvmsg\n\
                           p:kprobes/others_79 vfs_read\np:sidelight/odd vfs_read\n";
        assert_eq!(
            left_behind(definitions, |pid| pid == 77),
            ["inet_recvmsg_return_78"]
        );
    }

    #[test]
    fn misses_of_our_own_events_are_added_up() {
        let profile =
            "  inet_sendmsg_77      12      3\n  inet_recvmsg_77   5   4\n  inet_sendmsg_8  1  100\n";
        assert_eq!(missed(profile, |event| event.ends_with("_77")), 7);
    }
}
