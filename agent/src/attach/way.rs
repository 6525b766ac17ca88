//! How a probe in a program is attached: by a link, where the kernel has links for probes, since these need no `CAP_SYS_ADMIN`
//! (see [`bpf`](super::bpf)); else by a perf event.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use aya::{
    Ebpf, VerifierLogLevel,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLinkId, UProbeScope},
    },
};

use procfs::process::Process;

use super::{
    AttachError, KernelSettings, Tier,
    error::root_io_error,
    layout::Layout,
    load::{load_object, program_refused},
    multi::Multi,
};
use crate::inspect::units::{Probe, ProbeKind};
use agent_common::unit::register;

/// How probes are attached.
pub(super) enum Way {
    /// None was yet.
    Untried(Multi),
    /// By links of the kind `uprobe_multi`.
    Links(Multi),
    /// By perf events.
    Events,
}

/// A probe that is attached.
#[derive(Debug)]
pub(super) enum Handle {
    Link(OwnedFd),
    Event(UProbeLinkId),
}

impl Way {
    /// Which, the first probe will tell.
    ///
    /// # Errors
    /// [`AttachError`] when there are no descriptors left.
    pub fn untried(ebpf: &Ebpf) -> Result<Self, AttachError> {
        let programs = Multi::new(ebpf).map_err(|source| AttachError::Descriptors { source })?;
        Ok(Self::Untried(programs))
    }

    /// The programs that are loaded for links.
    pub fn loaded(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>)> {
        let programs = match self {
            Self::Untried(programs) | Self::Links(programs) => Some(programs),
            Self::Events => None,
        };
        programs.into_iter().flat_map(Multi::loaded)
    }

    /// Attaches a probe.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses.
    pub fn attach(&mut self, ebpf: &mut Ebpf, probe: &Probe) -> Result<Handle, AttachError> {
        let name = program(probe);
        if let Self::Untried(programs) = self {
            let links = programs.is_usable(name);
            tracing::debug!(links, "how probes in programs are attached");
            *self = if links {
                Self::Links(std::mem::take(programs))
            } else {
                Self::Events
            };
        }
        match self {
            Self::Links(programs) => programs
                .attach(name, &probe.path, probe.offset, probe.cookie)
                .map(Handle::Link)
                .map_err(|source| probe_refused(probe, source)),
            Self::Untried(_) | Self::Events => attach_event(ebpf, name, probe).map(Handle::Event),
        }
    }
}

impl Handle {
    /// Detaches it.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses.
    pub fn let_go(self, ebpf: &mut Ebpf, probe: &Probe) -> Result<(), AttachError> {
        let name = program(probe);
        match self {
            // It ends with its descriptor.
            Self::Link(link) => drop(link),
            Self::Event(event) => loaded(ebpf, name)?
                .detach(event)
                .map_err(|source| program_refused(name, source))?,
        }
        Ok(())
    }
}

/// Attaches a probe to a function of the agent for a moment; says how that is done.
///
/// # Errors
/// [`AttachError`] when the kernel refuses.
pub fn try_probe(settings: &KernelSettings) -> Result<&'static str, AttachError> {
    let probe = own_function(try_probe as *const (), 0).ok_or(AttachError::Missing {
        name: "file of its own",
    })?;
    let layout = Layout::read(&settings.btf, Tier::Tracepoint)?;
    let mut ebpf = load_object(settings, Tier::Tracepoint, &layout, VerifierLogLevel::default())?;
    let mut way = Way::untried(&ebpf)?;
    way.attach(&mut ebpf, &probe)?.let_go(&mut ebpf, &probe)?;
    Ok(match way {
        Way::Links(_) => "by links, for which CAP_BPF and CAP_PERFMON are enough",
        Way::Untried(_) | Way::Events => "by perf events, for which newer kernels want CAP_SYS_ADMIN",
    })
}

fn own_function(address: *const (), cookie: u64) -> Option<Probe> {
    let address = address as u64;
    let maps = Process::myself().and_then(|process| process.maps()).ok()?;
    let mut maps = maps.into_iter();
    let map = maps.find(|map| (map.address.0..map.address.1).contains(&address))?;
    Some(Probe {
        kind: ProbeKind::ContextMade,
        path: "/proc/self/exe".into(),
        offset: address - map.address.0 + map.offset,
        cookie,
    })
}

fn attach_event(ebpf: &mut Ebpf, name: &'static str, probe: &Probe) -> Result<UProbeLinkId, AttachError> {
    let loaded = loaded(ebpf, name)?;
    if loaded.fd().is_err() {
        loaded.load().map_err(|source| program_refused(name, source))?;
    }
    let point = UProbeAttachPoint {
        location: UProbeAttachLocation::AbsoluteOffset(probe.offset),
        cookie: Some(probe.cookie),
    };
    loaded
        .attach(point, &probe.path, UProbeScope::AllProcesses)
        .map_err(|source| match root_io_error(&source) {
            Some(said) => probe_refused(probe, of_kernel(said)),
            None => program_refused(name, source),
        })
}

/// The kernel's answer, to be kept.
fn of_kernel(said: &io::Error) -> io::Error {
    said.raw_os_error()
        .map_or_else(|| said.kind().into(), io::Error::from_raw_os_error)
}

/// Tells a missing right from other failures.
fn probe_refused(probe: &Probe, source: io::Error) -> AttachError {
    let path = probe.path.clone();
    match source.kind() {
        io::ErrorKind::PermissionDenied => AttachError::ProbeNotPermitted { path, source },
        _ => AttachError::ProbedFile { path, source },
    }
}

fn loaded<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut UProbe, AttachError> {
    let program = ebpf.program_mut(name).ok_or(AttachError::Missing { name })?;
    program.try_into().map_err(|source| program_refused(name, source))
}

/// The program for a probe: at a function's return if the cookie says so.
fn program(probe: &Probe) -> &'static str {
    let returns = probe.cookie == register::RESULT;
    match probe.kind {
        ProbeKind::ContextCopied if returns => "context_copied_ret",
        ProbeKind::ContextCopied => "context_copied",
        ProbeKind::ContextMade if returns => "context_made_ret",
        ProbeKind::ContextMade => "context_made",
        ProbeKind::JobPut => "job_put",
        ProbeKind::JobTaken if returns => "job_taken_ret",
        ProbeKind::JobTaken => "job_taken",
        ProbeKind::BufferQueued => "buffer_queued",
        ProbeKind::GreenletMade if returns => "greenlet_made_ret",
        ProbeKind::GreenletMade => "greenlet_made",
        ProbeKind::GoroutineStarted => "goroutine_started",
        ProbeKind::RequestSent => "request_sent",
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{load::tests::settings, runs},
        *,
    };
    use aya::util::KernelVersion;

    const CALLS: u64 = 50;

    /// What is probed here; its name and its result make it no other function's equal.
    #[unsafe(no_mangle)]
    #[inline(never)]
    extern "C" fn sidelight_probed_by_its_test(value: u64) -> u64 {
        std::hint::black_box(value) ^ 0x5_1DE1
    }

    fn probe(cookie: u64) -> Probe {
        own_function(sidelight_probed_by_its_test as *const (), cookie).unwrap()
    }

    /// Runs of the program for as many calls as there are.
    fn runs_of_calls(ebpf: &Ebpf, way: &Way, name: &str) -> u64 {
        let so_far = || -> u64 {
            let runs = runs::of_programs(ebpf, way.loaded());
            let own = runs.iter().filter(|runs| runs.name == name);
            own.map(|runs| runs.count).sum()
        };
        let before = so_far();
        for value in 0..CALLS {
            std::hint::black_box(sidelight_probed_by_its_test(value));
        }
        so_far() - before
    }

    /// Each way has a program run at each call, and not once it was let go. Needs root; without it says so and proves nothing.
    #[test]
    fn each_way_sees_all_calls_until_it_is_let_go() {
        let settings = settings();
        let loaded = Layout::read(&settings.btf, Tier::Tracepoint).and_then(|layout| {
            load_object(&settings, Tier::Tracepoint, &layout, VerifierLogLevel::default())
        });
        let (Ok(mut ebpf), Some(_counting)) = (loaded, runs::count()) else {
            println!("not tested: this needs root and a kernel with BTF");
            return;
        };
        let here = KernelVersion::current().unwrap();
        for (links, cookie) in [true, false]
            .into_iter()
            .flat_map(|links| [(links, 0), (links, register::RESULT)])
        {
            let mut way = if links {
                Way::untried(&ebpf).unwrap()
            } else {
                Way::Events
            };
            let probe = probe(cookie);
            let handle = way.attach(&mut ebpf, &probe).unwrap();
            let expected = links && here >= KernelVersion::new(6, 6, 0);
            assert_eq!(
                matches!(handle, Handle::Link(_)),
                expected,
                "Linux has links from 6.6 on"
            );
            let name = program(&probe);
            // Another copy of this test's program, which has the same probe, may call it meanwhile.
            let exact = (0..10).any(|_| runs_of_calls(&ebpf, &way, name) == CALLS);
            assert!(exact, "{links} {cookie}");
            handle.let_go(&mut ebpf, &probe).unwrap();
            assert_eq!(runs_of_calls(&ebpf, &way, name), 0, "{links} {cookie}");
        }
    }

    #[test]
    fn what_the_kernel_forbids_is_told_from_what_cannot_be() {
        let said = |code| probe_refused(&probe(0), io::Error::from_raw_os_error(code)).to_string();
        for word in ["may not be probed", "CAP_SYS_ADMIN", "6.6"] {
            assert!(said(libc::EACCES).contains(word), "{word}");
        }
        assert!(said(libc::EINVAL).contains("cannot be probed"));
    }
}
