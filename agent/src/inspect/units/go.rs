//! GO: how the kernel side tells goroutines apart, and where they start others and send requests.
//!
//! Measured with Go 1.19 to 1.27 on x86-64, and with Go 1.26 on arm64. All that is needed of a program stays in it when it is stripped.

mod arm64;
mod code;
mod functions;
mod layout;
mod live;
#[cfg(test)]
mod tests;
mod window;
mod x86;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use agent_common::{
    Runtime,
    unit::{runtime_kind, thread_data},
};
use object::ReadCache;

use self::{
    code::{Code, Home, Slot},
    functions::{Function, Functions},
    layout::Layout,
};
use super::{Probe, ProbeKind, UnitPlan};
use crate::inspect::{
    elf::{Elf, Machine},
    executable, go,
    mapped::{self, Mapped},
};

/// The functions that are looked at.
const NAMES: [&str; 6] = [
    "runtime.mcall",
    "runtime.systemstack",
    "runtime.newproc.func1",
    "runtime.runqput",
    "net/http.(*persistConn).roundTrip",
    "runtime.save_g",
];
const MCALL: usize = 0;
const SYSTEMSTACK: usize = 1;
/// What `newproc`, which a `go` statement calls, does on the thread's system goroutine.
const NEWPROC: usize = 2;
/// Makes a goroutine run, the second argument.
const RUNQPUT: usize = 3;
const ROUND_TRIP: usize = 4;
/// Stores `g` on arm64; on x86-64 `mcall` does that itself.
const SAVE_G: usize = 5;

/// Longest function that is looked at, in bytes; `roundTrip` has about 4000.
const CODE_BYTES: u64 = 64 * 1024;

/// From a `persistConn` of `net/http` to the socket: `conn`, an interface, behind `alt`, `t` and `cacheKey`; `fd`, the
/// only field of `net.conn`; `pfd`, the first of `netFD`; `Sysfd` behind `fdmu` (Go, `src/net/http/transport.go`,
/// `src/net/net.go`, `src/net/fd_posix.go`, `src/internal/poll/fd_unix.go`; 1.17 to 1.27).
const TO_SOCKET: [u16; 4] = [80, 0, 0, 16];

/// What is to be known of a process's goroutines; nothing if it has no Go.
///
/// The program itself may be Go's, or one of its libraries.
pub fn plan(pid: u32) -> UnitPlan {
    if let Some(plan) = plan_of(pid, &executable(pid), None) {
        return plan;
    }
    let libraries = mapped::files(pid);
    let mut plans = libraries
        .iter()
        .filter(|library| !library.is_libc())
        .filter_map(|library| plan_of(pid, &library.path, Some(library)));
    match (plans.next(), plans.next()) {
        (Some(plan), None) => plan,
        (Some(_), Some(_)) => without_goroutines("the process has several libraries with a Go of their own"),
        (None, _) => UnitPlan::default(),
    }
}

/// A Go program, as it is in a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoProgram {
    /// Its version of Go: `1.24.4`.
    pub version: String,
    /// Functions that were asked for: the index of the name, and where the process has it.
    pub functions: Vec<(usize, std::ops::Range<u64>)>,
}

/// Functions of a process whose executable is a Go program; `None` if it is not. A name can have several, or none.
pub fn program(pid: u32, names: &[&str]) -> Option<GoProgram> {
    let file = File::open(executable(pid)).ok()?;
    let data = ReadCache::new(file.try_clone().ok()?);
    let elf = Elf::parse(&data)?;
    let version = go::build(&elf)?.version;
    let bias = bias(pid, &elf)?;
    let functions = Functions::of(&elf, &file)?.named(names)?;
    let live = |function: Function| {
        let addresses = function.addresses;
        let range = addresses.start.wrapping_add(bias)..addresses.end.wrapping_add(bias);
        (function.name, range)
    };
    Some(GoProgram {
        version,
        functions: functions.into_iter().map(live).collect(),
    })
}

/// How far from its own addresses a process has its executable.
fn bias(pid: u32, elf: &Elf<'_>) -> Option<u64> {
    if elf.is_fixed() {
        return Some(0);
    }
    let shown = mapped::executable(pid)?;
    let mapped = mapped::files(pid).into_iter().find(|file| file.shown == shown)?;
    elf.bias(mapped.address, mapped.offset)
}

/// `None`: the file has no Go.
fn plan_of(pid: u32, path: &Path, library: Option<&Mapped>) -> Option<UnitPlan> {
    let file = File::open(path).ok()?;
    let data = ReadCache::new(file.try_clone().ok()?);
    let elf = Elf::parse(&data)?;
    // Without a section of its own the build information would have to be searched in all of a process's libraries.
    if library.is_some() && elf.section(BUILD_INFO).is_none() {
        return None;
    }
    let version = go::build(&elf)?.version;
    let program = Program::of(elf, &file, path);
    Some(
        program
            .and_then(|program| program.plan(pid, library, &version))
            .unwrap_or_else(|reason| without_goroutines(&reason)),
    )
}

/// Section of the build information.
const BUILD_INFO: &str = ".go.buildinfo";

fn without_goroutines(reason: &str) -> UnitPlan {
    UnitPlan {
        missing: vec![format!(
            "goroutines are not told apart, so work is related by thread only: {reason}"
        )],
        ..UnitPlan::default()
    }
}

/// A Go program or library.
struct Program<'a> {
    elf: Elf<'a>,
    machine: Machine,
    path: PathBuf,
    functions: Vec<Function>,
}

impl<'a> Program<'a> {
    fn of(elf: Elf<'a>, file: &File, path: &Path) -> Result<Self, String> {
        let machine = elf
            .machine()
            .ok_or("Go's code is understood for x86-64 and arm64 only")?;
        let functions = Functions::of(&elf, file)
            .and_then(|functions| functions.named(&NAMES))
            .ok_or("the program's table of functions was not found")?;
        Ok(Self {
            elf,
            machine,
            path: path.to_owned(),
            functions,
        })
    }

    fn plan(&self, pid: u32, library: Option<&Mapped>, version: &str) -> Result<UnitPlan, String> {
        let layout = layout::of(version, self.machine)?;
        self.check(layout).ok_or_else(|| {
            format!("the program's code does not fit Go {version}, which it says it was built with")
        })?;
        let (thread_data, tls_offset) = self.home_of_g(pid, library)?;
        let mut plan = UnitPlan {
            runtime: Some(Runtime {
                kind: runtime_kind::GO,
                thread_data,
                tls_offset,
                first: layout.m,
                second: layout.goid,
                third: layout.curg,
                ..Runtime::default()
            }),
            ..UnitPlan::default()
        };
        self.add_start(&mut plan);
        self.add_request(&mut plan);
        Ok(plan)
    }

    /// Whether two of the offsets are those of the program's own code: `mcall` reads `g.m`, `systemstack` compares with
    /// `m.curg` (Go, `src/runtime/asm_amd64.s` and `asm_arm64.s`, 1.17 to 1.27). The third, of `goid`, is not checked here.
    fn check(&self, layout: Layout) -> Option<()> {
        let reads_m = self.codes(MCALL).any(|code| code.reads_of_g(layout.m));
        let compares_curg = self.codes(SYSTEMSTACK).any(|code| code.compares_at(layout.curg));
        (reads_m && compares_curg).then_some(())
    }

    /// Where a thread's `g` is: one of [`thread_data`], and how far from the thread pointer.
    fn home_of_g(&self, pid: u32, library: Option<&Mapped>) -> Result<(u32, i64), String> {
        let keeper = match self.machine {
            Machine::X86_64 => MCALL,
            Machine::Arm64 => SAVE_G,
        };
        let home = self
            .codes(keeper)
            .find_map(|code| code.home_of_g())
            .ok_or("where the program keeps the running goroutine was not found in its code")?;
        self.read_home(pid, library, home).ok_or_else(|| {
            "where the program keeps the running goroutine could not be read from it".to_owned()
        })
    }

    fn read_home(&self, pid: u32, library: Option<&Mapped>, home: Home) -> Option<(u32, i64)> {
        let live = |address| match library {
            Some(library) => Some(
                self.elf
                    .bias(library.address, library.offset)?
                    .wrapping_add(address),
            ),
            None => Some(bias(pid, &self.elf)?.wrapping_add(address)),
        };
        if let Some(only_if) = home.only_if
            && live::bytes(pid, live(only_if)?)? == [0]
        {
            return Some((thread_data::REGISTER, 0));
        }
        let offset = match home.slot {
            Slot::Offset(offset) => offset,
            Slot::Got(address) => i64::from_le_bytes(live::bytes(pid, live(address)?)?),
        };
        live::is_slot(self.machine, offset).then_some((thread_data::GLIBC, offset))
    }

    fn add_start(&self, plan: &mut UnitPlan) {
        let targets: Vec<u64> = self
            .named(RUNQPUT)
            .map(|function| function.addresses.start)
            .collect();
        let calls: Vec<u64> = self
            .codes(NEWPROC)
            .flat_map(|code| code.calls(&targets))
            .collect();
        let probe = match calls[..] {
            [call] => self.probe(ProbeKind::GoroutineStarted, call, 0),
            _ => None,
        };
        match probe {
            Some(probe) => plan.probes.push(probe),
            None => plan.missing.push(
                "what a goroutine does is not related to the request it was started for: the place where Go starts \
                 goroutines was not found in the program's code"
                    .to_owned(),
            ),
        }
    }

    /// A program without this function sends no requests with `net/http`: the linker leaves out what is not used.
    fn add_request(&self, plan: &mut UnitPlan) {
        if self.named(ROUND_TRIP).next().is_none() {
            return;
        }
        let places: Vec<u64> = self
            .codes(ROUND_TRIP)
            .filter_map(|code| code.behind_stack_check())
            .collect();
        let probe = match places[..] {
            [place] => self.probe(ProbeKind::RequestSent, place, cookie(TO_SOCKET)),
            _ => None,
        };
        match probe {
            Some(probe) => plan.probes.push(probe),
            None => plan.missing.push(
                "requests that the program sends with net/http are not related to those it answers: the place where \
                 it sends them was not found in its code"
                    .to_owned(),
            ),
        }
    }

    fn named(&self, name: usize) -> impl Iterator<Item = &Function> {
        self.functions
            .iter()
            .filter(move |function| function.name == name)
    }

    fn codes(&self, name: usize) -> impl Iterator<Item = Code<'a>> {
        self.named(name).filter_map(|function| {
            let addresses = &function.addresses;
            let length = addresses.end.checked_sub(addresses.start)?.min(CODE_BYTES);
            let bytes = self.elf.bytes(&self.elf.at_address(addresses.start)?, length)?;
            Some(Code::new(self.machine, addresses.start, bytes))
        })
    }

    fn probe(&self, kind: ProbeKind, address: u64, cookie: u64) -> Option<Probe> {
        Some(Probe {
            kind,
            path: self.path.clone(),
            offset: self.elf.at_address(address)?.start,
            cookie,
        })
    }
}

/// Four numbers of 16 bits, the first lowest.
fn cookie(offsets: [u16; 4]) -> u64 {
    offsets
        .iter()
        .rev()
        .fold(0, |cookie, offset| cookie << 16 | u64::from(*offset))
}
