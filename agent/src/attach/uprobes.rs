//! Probes in interpreters, libraries and Go programs, each attached once for all processes that map the file.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::{fd::BorrowedFd, unix::fs::MetadataExt as _},
};

use aya::Ebpf;

use super::{
    AttachError,
    rest::Need,
    way::{Handle, Way},
};
use crate::inspect::units::{Probe, ProbeKind};

/// The probes that are attached, by file, and those that are not at present.
pub struct Uprobes {
    places: HashMap<Place, Attached>,
    way: Way,
}

/// A place in a file, whatever path leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    kind: ProbeKind,
    device: u64,
    inode: u64,
    offset: u64,
}

/// What is attached at a place.
#[derive(Debug)]
struct Attached {
    link: Link,
    /// The watched processes that it is for, and how each names the place.
    users: HashMap<u32, Probe>,
}

#[derive(Debug)]
enum Link {
    Attached(Handle),
    /// Not attached at present.
    Resting,
    /// The kernel refused; it is not asked again.
    Refused,
}

impl Uprobes {
    /// Nothing attached yet.
    ///
    /// # Errors
    /// [`AttachError`] when there are no descriptors left.
    pub(super) fn new(ebpf: &Ebpf) -> Result<Self, AttachError> {
        Ok(Self {
            places: HashMap::new(),
            way: Way::untried(ebpf)?,
        })
    }

    /// The programs that are loaded for links.
    pub fn loaded(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>)> {
        self.way.loaded()
    }

    /// Attaches a probe for a process, unless it is; returns whether it was attached now.
    ///
    /// It is hit by every process that maps the file: a probe for one process would not be inherited by its children.
    ///
    /// # Errors
    /// [`AttachError`] when the file cannot be looked at, or the kernel refuses.
    pub fn attach(&mut self, ebpf: &mut Ebpf, pid: u32, probe: &Probe) -> Result<bool, AttachError> {
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
        let attached = self.places.entry(place).or_insert_with(|| Attached {
            link: Link::Resting,
            users: HashMap::new(),
        });
        attached.users.insert(pid, probe.clone());
        attached.follow(&mut self.way, ebpf, probe)
    }

    /// Probes that are attached now.
    pub fn attached(&self) -> usize {
        let links = self.places.values().map(|attached| &attached.link);
        links.filter(|link| matches!(link, Link::Attached(_))).count()
    }

    /// A process ended, or executes another program. Probes stay: the next of its kind is likely to come.
    pub fn ended(&mut self, pid: u32) {
        for attached in self.places.values_mut() {
            attached.users.remove(&pid);
        }
    }

    /// Attaches what was detached and is for this process; returns the processes that this is for too.
    ///
    /// # Errors
    /// As [`attach`](Self::attach).
    pub fn follow(&mut self, ebpf: &mut Ebpf, pid: u32) -> Result<HashSet<u32>, AttachError> {
        let mut others = HashSet::new();
        for attached in self.places.values_mut() {
            if let Some(probe) = attached.users.get(&pid).cloned()
                && attached.follow(&mut self.way, ebpf, &probe)?
            {
                others.extend(attached.users.keys());
            }
        }
        Ok(others)
    }

    /// Whether all is attached where units of this process start others.
    pub fn follows(&self, pid: u32) -> bool {
        let mut own = self.places.iter().filter(|(place, _)| place.kind.may_rest());
        own.all(|(_, attached)| {
            matches!(attached.link, Link::Attached(_)) || !attached.users.contains_key(&pid)
        })
    }

    /// The processes for which nothing need be attached at the places where units start others, because one of them
    /// rests and none needs to be followed.
    pub fn unneeded(&self, state: impl Fn(u32) -> Need) -> HashSet<u32> {
        let resting = self.resting(state);
        resting
            .flat_map(|(_, attached)| attached.users.keys().copied())
            .collect()
    }

    /// Detaches there.
    ///
    /// # Errors
    /// [`AttachError`] when the kernel refuses.
    pub fn rest(&mut self, ebpf: &mut Ebpf, state: impl Fn(u32) -> Need) -> Result<(), AttachError> {
        let places: Vec<Place> = self.resting(state).map(|(place, _)| *place).collect();
        for place in places {
            if let Some(attached) = self.places.get_mut(&place) {
                attached.rest(ebpf)?;
            }
        }
        Ok(())
    }

    fn resting(&self, state: impl Fn(u32) -> Need) -> impl Iterator<Item = (&Place, &Attached)> {
        self.places.iter().filter(move |(place, attached)| {
            let mut states = attached.users.keys().map(|&pid| state(pid));
            matches!(attached.link, Link::Attached(_))
                && place.kind.may_rest()
                && states.clone().any(|state| state == Need::Resting)
                && states.all(|state| state != Need::Followed)
        })
    }
}

impl Attached {
    /// Attaches if nothing is; returns whether it did.
    fn follow(&mut self, way: &mut Way, ebpf: &mut Ebpf, probe: &Probe) -> Result<bool, AttachError> {
        if !matches!(self.link, Link::Resting) {
            return Ok(false);
        }
        self.link = Link::Refused;
        self.link = Link::Attached(way.attach(ebpf, probe)?);
        Ok(true)
    }

    fn rest(&mut self, ebpf: &mut Ebpf) -> Result<(), AttachError> {
        if let Link::Attached(handle) = std::mem::replace(&mut self.link, Link::Resting)
            && let Some(probe) = self.users.values().next()
        {
            handle.let_go(ebpf, probe)?;
        }
        Ok(())
    }
}
