//! PYTHON: the routes of Flask, Starlette and FastAPI applications, found among the objects of an interpreter.
//!
//! An application can be anywhere: a global variable, or only in the server's hands if a factory made it. So all objects are
//! looked at whose class is, or is derived from, one that has routes.

mod collector;
mod flask;
mod layout;
mod objects;
mod starlette;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use super::{
    memory::{Memory, ProcessMemory},
    table::{Table, Tables},
};
use crate::inspect::units::python::{CPython, interpreter_of};
use collector::Walk;
use layout::Layout;
use objects::Objects;

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(2);
/// Looks until one is complete: the process goes on meanwhile, and its collector moves objects from list to list.
const ATTEMPTS: usize = 4;
/// How long to wait for the collector.
const PAUSE: Duration = Duration::from_millis(20);
/// Most applications of one process.
const MAX_APPLICATIONS: usize = 256;

/// A class whose instances have routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `werkzeug.routing.Map`.
    Map,
    /// `starlette.applications.Starlette`, of which `FastAPI` is derived.
    Starlette,
}

/// Where the interpreter of a process is; reading its files once is enough.
#[derive(Clone, Copy, Debug)]
pub struct Python {
    interpreter: CPython,
    layout: Layout,
}

/// What one look found.
#[derive(Debug, Default)]
struct Seen {
    maps: Vec<u64>,
    applications: Vec<u64>,
}

impl Python {
    /// Finds the interpreter of a process; `None` if it has none, or one that is not supported.
    pub fn of(pid: u32) -> Option<Self> {
        let interpreter = interpreter_of(pid)?;
        Some(Self {
            interpreter,
            layout: Layout::of(interpreter.minor)?,
        })
    }

    /// All routes that the process has now; `None` if they cannot be read.
    pub fn tables(&self, memory: &ProcessMemory) -> Option<Tables> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            memory.refresh();
            let (walk, tables) = self.look(memory, Instant::now() + LOOK);
            match walk {
                Walk::Absent => return None,
                Walk::Complete => return Some(tables),
                // The oldest objects come first, and applications are among them.
                Walk::Late => return Some(tables).filter(|tables| !tables.is_empty()),
                Walk::Torn if !tables.is_empty() => last = Some(tables),
                Walk::Torn => {}
            }
        }
        last
    }

    fn look(&self, memory: &impl Memory, deadline: Instant) -> (Walk, Tables) {
        let objects = Objects {
            memory,
            layout: self.layout,
        };
        let Some(interpreter) = memory.pointer(self.interpreter.head) else {
            return (Walk::Absent, Tables::default());
        };
        let mut kinds = HashMap::new();
        let mut seen = Seen::default();
        let mut last = 0;
        let walk = collector::objects(&objects, interpreter, deadline, |object, class| {
            // Most have the class of the one before, or one that has no routes.
            if class == last {
                return;
            }
            match *kinds.entry(class).or_insert_with(|| kind(&objects, class)) {
                Some(kind) => seen.add(object, kind),
                None => last = class,
            }
        });
        (walk, seen.tables(&objects))
    }
}

impl Seen {
    fn add(&mut self, object: u64, kind: Kind) {
        let list = match kind {
            Kind::Map => &mut self.maps,
            Kind::Starlette => &mut self.applications,
        };
        if list.len() < MAX_APPLICATIONS && !list.contains(&object) {
            list.push(object);
        }
    }

    fn tables(mut self, objects: &Objects<'_, impl Memory>) -> Tables {
        // The order in which the collector has them changes.
        self.maps.sort_unstable();
        self.applications.sort_unstable();
        let maps = self.maps.iter().filter_map(|map| flask::map(objects, *map));
        let mut tables: Vec<Table> = maps.map(Table::Werkzeug).collect();
        tables.extend(starlette::roots(objects, &self.applications).map(Table::Starlette));
        Tables(tables)
    }
}

/// What a class is, by the names of it and of its bases.
fn kind(objects: &Objects<'_, impl Memory>, class: u64) -> Option<Kind> {
    objects.bases(class).into_iter().find_map(|class| {
        let kind = match objects.class_name(class)?.as_str() {
            "Map" => (Kind::Map, "werkzeug.routing"),
            "Starlette" => (Kind::Starlette, "starlette.applications"),
            _ => return None,
        };
        let (kind, module) = kind;
        objects.class_module(class)?.starts_with(module).then_some(kind)
    })
}
