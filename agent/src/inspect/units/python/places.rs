//! Probes in a file.

use std::path::Path;

use agent_common::unit::register;

use super::{
    flow::{self, Place},
    image::{Image, METH_FASTCALL, METH_O, Method},
};
use crate::inspect::units::{Probe, ProbeKind};

/// A file in which probes are placed.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// What it holds.
    pub image: &'a Image,
    /// Where it can be opened from here.
    pub path: &'a Path,
}

impl Site<'_> {
    fn probe(&self, kind: ProbeKind, place: Place) -> Option<Probe> {
        Some(Probe {
            kind,
            path: self.path.to_owned(),
            offset: self.image.offset(place.address)?,
            cookie: place.cookie,
        })
    }

    /// Where a function has its result, at the least cost. `function` may have its end in common with others that make
    /// the same kind of thing.
    pub fn result(&self, kind: ProbeKind, function: u64) -> Vec<Probe> {
        let probes: Vec<Probe> = flow::result_places(self.image, function)
            .into_iter()
            .filter_map(|place| self.probe(kind, place))
            .collect();
        if probes.is_empty() {
            return self.returned(kind, function).into_iter().collect();
        }
        probes
    }

    /// A uretprobe of a function.
    pub fn returned(&self, kind: ProbeKind, function: u64) -> Option<Probe> {
        let address = flow::return_entry(self.image, function);
        let cookie = register::RESULT;
        self.probe(kind, Place { address, cookie })
    }

    /// A probe where a method is called with one argument, with 0 as its cookie, or an array of arguments, with `array`.
    pub fn called(&self, kind: ProbeKind, method: Method, array: u64) -> Option<Probe> {
        let cookie = match method.flags {
            flags if flags & METH_FASTCALL != 0 => array,
            flags if flags & METH_O != 0 => 0,
            _ => return None,
        };
        let address = flow::entry(self.image, method.function);
        self.probe(kind, Place { address, cookie })
    }
}
