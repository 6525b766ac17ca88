//! READER: routers that lead to each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Kind, values::Values};
use crate::routes::{
    memory::Memory,
    table::router::{Inside, Router, Stripped},
};

/// How deep routers lead to each other.
const MAX_DEPTH: usize = 8;
/// Words of a closure that are looked at: its code, and what it captured.
const CLOSURE: u64 = 8;

/// Reads routers and those that they lead to.
#[derive(Debug)]
pub struct Reader<'r, 'm, M> {
    /// How to read.
    pub values: Values<'m, M>,
    tables: &'r HashMap<u64, Kind>,
    routers: &'r BTreeMap<u64, Kind>,
    nested: HashSet<u64>,
}

impl<'r, 'm, M: Memory> Reader<'r, 'm, M> {
    /// A reader that knows the tables of `http.Handler` and all routers.
    pub fn new(
        values: Values<'m, M>,
        tables: &'r HashMap<u64, Kind>,
        routers: &'r BTreeMap<u64, Kind>,
    ) -> Self {
        Self {
            values,
            tables,
            routers,
            nested: HashSet::new(),
        }
    }

    /// The router at an address; `None` if there is none.
    pub fn router(&mut self, kind: Kind, at: u64, depth: usize) -> Option<Router> {
        if depth >= MAX_DEPTH {
            return None;
        }
        match kind {
            Kind::ServeMux => self.serve_mux(at, depth),
            Kind::Chi => self.chi(at, depth),
            Kind::Gin => self.gin(at),
            Kind::Echo => self.echo(at),
        }
    }

    /// Whether another router leads to it.
    pub fn is_nested(&self, at: u64) -> bool {
        self.nested.contains(&at)
    }

    /// The router that the handler at an address is, or that it calls as its closure says.
    pub fn inside(&mut self, handler: u64, depth: usize) -> Option<Inside> {
        let memory = self.values.memory;
        let data = memory.pointer(handler.checked_add(8)?)?;
        if let Some(kind) = self.known(memory.word(handler)?, data) {
            return self.lead(kind, data, Stripped::Nothing, depth);
        }
        let words: Vec<u64> = (0..CLOSURE)
            .map_while(|index| memory.word(data.checked_add(8 * index)?))
            .collect();
        let (kind, router) = words
            .windows(2)
            .find_map(|pair| Some((self.known(pair[0], pair[1])?, pair[1])))?;
        // `http.StripPrefix` captures the prefix.
        let texts = (1..words.len() as u64).filter_map(|index| self.values.string(data + 8 * index));
        let prefix = texts
            .into_iter()
            .find(|text| text.len() > 1 && text.starts_with('/'));
        let stripped = prefix.map_or(Stripped::Nothing, Stripped::Text);
        self.lead(kind, router, stripped, depth)
    }

    /// The same, of a router whose kind is known.
    pub fn lead(&mut self, kind: Kind, at: u64, stripped: Stripped, depth: usize) -> Option<Inside> {
        self.nested.insert(at);
        Some(Inside {
            router: self.router(kind, at, depth + 1)?,
            stripped,
        })
    }

    /// The kind of a router, wherever it was found.
    pub fn kind(&self, at: u64) -> Option<Kind> {
        self.routers.get(&at).copied()
    }

    fn known(&self, table: u64, router: u64) -> Option<Kind> {
        let kind = *self.tables.get(&table)?;
        (self.kind(router) == Some(kind)).then_some(kind)
    }
}
