//! GO: the routes of `http.ServeMux`, chi, gin and echo, found in the memory of a Go program, stripped or not.
//!
//! A router is handed on as an `http.Handler`: a pair of words, the address of the table that says which methods the router's type
//! has for this interface (`go:itab…`), and that of the router. The table has the address of `ServeHTTP`, and where that is says the
//! program's table of functions. So the tables are searched for that address, and all that the program can write to for the
//! pairs.

mod program;
mod reader;
mod regions;
mod routers;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, HashMap};

use super::{
    memory::{Memory as _, ProcessMemory},
    table::{Table, Tables},
};
use program::Program;
use reader::Reader;
use regions::Regions;
use values::Values;

/// Most routers of one process.
const MAX_ROUTERS: usize = 1024;

/// A type that is a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `http.ServeMux`.
    ServeMux,
    /// `chi.Mux`.
    Chi,
    /// `gin.Engine`.
    Gin,
    /// `echo.Echo`.
    Echo,
}

/// Where a Go program has what its routers are found by; reading its files once is enough.
#[derive(Debug)]
pub struct Go {
    pid: u32,
    program: Program,
    /// The tables of `http.Handler`, and whose they are.
    tables: HashMap<u64, Kind>,
}

impl Go {
    /// Looks at the executable of a process; `None` if it is not Go's, or serves nothing with `net/http`.
    pub fn of(pid: u32) -> Option<Self> {
        let memory = ProcessMemory::open(pid).ok()?;
        let program = Program::of(pid, &memory)?;
        let tables = program.handler_tables(pid, &memory, &Regions::of(pid)?);
        Some(Self { pid, program, tables })
    }

    /// All routes that the process has now; `None` if they cannot be read.
    pub fn tables(&self, memory: &ProcessMemory) -> Option<Tables> {
        memory.refresh();
        let values = Values {
            memory,
            minor: self.program.minor,
        };
        let routers = self.routers(memory)?;
        let mut reader = Reader::new(values, &self.tables, &routers);
        let read: Vec<_> = routers
            .iter()
            .filter_map(|(at, kind)| Some((*at, reader.router(*kind, *at, 0)?)))
            .collect();
        let roots = read
            .into_iter()
            .filter(|(at, router)| !router.is_empty() && !reader.is_nested(*at));
        let mut tables: Vec<Table> = Vec::new();
        for (_, router) in roots {
            let table = Table::Go(router);
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        Some(Tables(tables))
    }

    /// All routers, by address.
    fn routers(&self, memory: &ProcessMemory) -> Option<BTreeMap<u64, Kind>> {
        let mut found = BTreeMap::new();
        let defaults = self.program.default_muxes.iter();
        found.extend(defaults.filter_map(|at| Some((memory.pointer(*at)?, Kind::ServeMux))));
        let regions = Regions::of(self.pid)?;
        regions::search(self.pid, memory, &regions.written, |_, words| {
            for pair in words.windows(2) {
                let [table, router] = pair else { continue };
                if let Some(kind) = self.tables.get(table)
                    && *router != 0
                    && router.is_multiple_of(8)
                    && found.len() < MAX_ROUTERS
                {
                    found.insert(*router, *kind);
                }
            }
        });
        Some(found)
    }
}
