//! The programs of probes, loaded for links of the kind `uprobe_multi`: a program is for these or for perf events, never for both.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use aya_obj::{Object, ProgramSection};

use super::{
    bpf::{self, Code},
    load::OBJECT,
};

/// The programs of probes.
#[derive(Default)]
pub(super) struct Multi {
    /// The object's maps, by whose descriptors the code names them: they stay open for as long as it may be loaded.
    maps: Vec<(String, OwnedFd)>,
    /// Empty until the first is loaded.
    code: HashMap<String, Code>,
    loaded: HashMap<&'static str, OwnedFd>,
}

impl Multi {
    /// Nothing loaded yet.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn new(ebpf: &Ebpf) -> io::Result<Self> {
        let maps = ebpf
            .maps()
            .filter_map(|(name, map)| Some((name.to_owned(), data(map)?)));
        let maps = maps.map(|(name, map)| Ok((name, map.fd().as_fd().try_clone_to_owned()?)));
        Ok(Self {
            maps: maps.collect::<io::Result<_>>()?,
            ..Self::default()
        })
    }

    /// Whether the kernel has such links, tried with one of the programs.
    pub fn is_usable(&mut self, name: &'static str) -> bool {
        self.load(name).is_ok_and(bpf::links_exist)
    }

    /// Runs a program at this place, in whichever process, until what is returned is dropped.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn attach(
        &mut self,
        name: &'static str,
        path: &Path,
        offset: u64,
        cookie: u64,
    ) -> io::Result<OwnedFd> {
        let program = self.load(name)?.try_clone_to_owned()?;
        let returns = self.code.get(name).is_some_and(|code| code.returns);
        bpf::link(program.as_fd(), path, offset, cookie, returns)
    }

    /// The programs that are loaded.
    pub fn loaded(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>)> {
        self.loaded.iter().map(|(name, program)| (*name, program.as_fd()))
    }

    fn load(&mut self, name: &'static str) -> io::Result<BorrowedFd<'_>> {
        if self.code.is_empty() {
            self.code = code(&self.maps).map_err(io::Error::other)?;
        }
        if !self.loaded.contains_key(name) {
            let code = self.code.get(name).ok_or(io::ErrorKind::NotFound)?;
            self.loaded.insert(name, bpf::load(code)?);
        }
        let program = self.loaded.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(program.as_fd())
    }
}

/// The code of all probes, with these maps in it. aya has it, too, but does not give it away.
fn code(
    maps: &[(String, OwnedFd)],
) -> Result<HashMap<String, Code>, Box<dyn std::error::Error + Send + Sync>> {
    let mut object = Object::parse(OBJECT)?;
    let known = object.maps.clone();
    let named = maps
        .iter()
        .filter_map(|(name, descriptor)| Some((name.as_str(), descriptor.as_raw_fd(), known.get(name)?)));
    let sections = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_maps(named, &sections)?;
    object.relocate_calls(&sections)?;
    let probes = object.programs.into_iter().filter_map(|(name, program)| {
        let returns = match program.section {
            ProgramSection::UProbe { .. } => false,
            ProgramSection::URetProbe { .. } => true,
            _ => return None,
        };
        let function = object.functions.remove(&program.function_key())?;
        let code = Code {
            name: name.clone(),
            license: program.license,
            instructions: function.instructions,
            returns,
        };
        Some((name, code))
    });
    Ok(probes.collect())
}

/// A map of one of the kinds that the object has.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::PerCpuHashMap(data)
        | Map::RingBuf(data) => Some(data),
        _ => None,
    }
}
