//! PROGRAM: by what routers are found in a Go program.

use std::{collections::HashMap, ops::Range};

use iced_x86::{Code, Decoder, DecoderOptions, Register};

use super::{
    Kind,
    regions::{self, Regions},
};
use crate::{
    inspect::units::go as inspected,
    routes::memory::{Memory as _, ProcessMemory},
};

/// The methods that make a type an `http.Handler`, and functions that use `http.DefaultServeMux`.
const NAMES: [&str; 9] = [
    "net/http.(*ServeMux).ServeHTTP",
    "github.com/go-chi/chi/v5.(*Mux).ServeHTTP",
    "github.com/go-chi/chi.(*Mux).ServeHTTP",
    "github.com/gin-gonic/gin.(*Engine).ServeHTTP",
    "github.com/labstack/echo/v4.(*Echo).ServeHTTP",
    "net/http.serverHandler.ServeHTTP",
    "net/http.HandleFunc",
    "net/http.Handle",
    "net/http.(*Server).Serve",
];
const KINDS: [Kind; 5] = [Kind::ServeMux, Kind::Chi, Kind::Chi, Kind::Gin, Kind::Echo];
/// From a table for an interface to the address of the first method (`abi.ITab`: `Inter`, `Type`, `Hash`, `Fun`; Go,
/// src/internal/abi/iface.go, 1.17 to 1.27).
const FIRST_METHOD: u64 = 24;
/// Longest function that is looked at.
const CODE_BYTES: u64 = 8192;

/// By what routers are found in a Go program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Version 1.`minor` of Go.
    pub minor: u32,
    /// Variables that may hold the address of a `ServeMux`: `http.DefaultServeMux` is one of them.
    pub default_muxes: Vec<u64>,
    /// Addresses of `ServeHTTP`.
    methods: HashMap<u64, Kind>,
}

impl Program {
    /// That of a process; `None` if it is not Go's, or serves nothing with `net/http`.
    pub fn of(pid: u32, memory: &ProcessMemory) -> Option<Self> {
        let program = inspected::program(pid, &NAMES)?;
        let minor = program.version.split('.').nth(1)?;
        let digits = minor.find(|character: char| !character.is_ascii_digit());
        let minor = minor[..digits.unwrap_or(minor.len())].parse().ok()?;
        let mut of_program = Self {
            minor,
            ..Self::default()
        };
        for (name, addresses) in &program.functions {
            match KINDS.get(*name) {
                Some(kind) => {
                    of_program.methods.insert(addresses.start, *kind);
                }
                None => of_program.default_muxes.extend(loads(memory, addresses)),
            }
        }
        of_program.default_muxes.sort_unstable();
        of_program.default_muxes.dedup();
        (!program.functions.is_empty()).then_some(of_program)
    }

    /// Addresses of the tables of `http.Handler` for types that are routers.
    pub fn handler_tables(&self, pid: u32, memory: &ProcessMemory, regions: &Regions) -> HashMap<u64, Kind> {
        let mut tables = HashMap::new();
        regions::search(pid, memory, &regions.data, |start, words| {
            for (at, word) in (start..).step_by(8).zip(words) {
                let Some(kind) = self.methods.get(word) else {
                    continue;
                };
                let table = at.wrapping_sub(FIRST_METHOD);
                let (interface, class) = (memory.pointer(table), memory.pointer(table + 8));
                let hash = memory.half_word(table + 16);
                // The type has its hash too (`abi.Type`: `Size_`, `PtrBytes`, `Hash`).
                let of_class = class.and_then(|class| memory.half_word(class + 16));
                if interface.is_some() && hash.is_some() && hash == of_class {
                    tables.insert(table, *kind);
                }
            }
        });
        tables
    }
}

/// The variables that a function reads by `mov OFFSET(%rip), REGISTER`.
fn loads(memory: &ProcessMemory, addresses: &Range<u64>) -> Vec<u64> {
    if cfg!(not(target_arch = "x86_64")) {
        return Vec::new();
    }
    let length = addresses.end.saturating_sub(addresses.start).min(CODE_BYTES);
    let mut code = vec![0; length as usize];
    if memory.read(addresses.start, &mut code).is_none() {
        return Vec::new();
    }
    let decoder = Decoder::with_ip(64, &code, addresses.start, DecoderOptions::NONE);
    decoder
        .into_iter()
        .take_while(|instruction| !instruction.is_invalid())
        .filter(|instruction| {
            instruction.code() == Code::Mov_r64_rm64 && instruction.memory_base() == Register::RIP
        })
        .map(|instruction| instruction.memory_displacement64())
        .collect()
}
