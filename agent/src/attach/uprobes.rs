//! Probes in interpreters, libraries and Go programs, each attached once.

use std::{collections::HashSet, fs, os::unix::fs::MetadataExt as _};

use aya::{
    Ebpf,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
    },
};

use super::{AttachError, load::program_refused};
use crate::inspect::units::{Probe, ProbeKind};
use agent_common::unit::register;

/// The probes that are attached, by file.
#[derive(Debug, Default)]
pub struct Uprobes {
    attached: HashSet<Place>,
}

/// A place in a file, whatever path leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    kind: ProbeKind,
    device: u64,
    inode: u64,
    offset: u64,
}

impl Uprobes {
    /// Attaches a probe, unless it is; returns whether it was attached now.
    ///
    /// It is hit by every process that maps the file: a probe for one process would not be inherited by its children.
    ///
    /// # Errors
    /// [`AttachError`] when the file cannot be looked at, or the kernel refuses.
    pub fn attach(&mut self, ebpf: &mut Ebpf, probe: &Probe) -> Result<bool, AttachError> {
        let file = fs::metadata(&probe.path).map_err(|source| AttachError::ProbedFile {
            path: probe.path.clone(),
            source,
        })?;
        let place = Place {
            kind: probe.kind,
            device: file.dev(),
            inode: file.ino(),
            offset: probe.offset,
        };
        if !self.attached.insert(place) {
            return Ok(false);
        }
        let name = program(probe);
        let loaded: &mut UProbe = ebpf
            .program_mut(name)
            .ok_or(AttachError::Missing { name })?
            .try_into()
            .map_err(|source| program_refused(name, source))?;
        if loaded.fd().is_err() {
            loaded.load().map_err(|source| program_refused(name, source))?;
        }
        let point = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(probe.offset),
            cookie: Some(probe.cookie),
        };
        loaded
            .attach(point, &probe.path, UProbeScope::AllProcesses)
            .map(|_| true)
            .map_err(|source| program_refused(name, source))
    }
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
