//! Loading the kernel side: offsets and settings in, maps out.

use std::io;

use agent_common::{Call, Connection, Runtime, Verdict, map, offsets::setting};
use aya::{
    Ebpf, EbpfError, EbpfLoader, VerifierLogLevel,
    maps::{Map, MapData, MapError, RingBuf},
    programs::ProgramError,
};

use crate::discover::SyscallSet;

use super::{
    AttachError, Choice, Counters, Hooks, Refusal, Table, Tier, error, layout::Layout, tier, uprobes::Uprobes,
};

/// The object for this architecture, built by `cargo xtask build-ebpf`.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("SIDELIGHT_EBPF_OBJECT"));

/// Levels of aya-log.
const LOG_WARN: u8 = 2;
const LOG_TRACE: u8 = 5;

/// What the kernel side is told when it is loaded.
#[derive(Clone, Debug)]
pub struct KernelSettings {
    /// The kernel's types.
    pub btf: std::path::PathBuf,
    /// Bytes copied at the start of each run of the request's direction.
    pub request_head_bytes: u32,
    /// The same for the response's direction.
    pub response_head_bytes: u32,
    /// Bytes copied at the end of each call beyond that.
    pub tail_bytes: u32,
    /// Size of the ring buffer; a power of two times the page size.
    pub ring_buffer_bytes: u32,
    /// Connections followed at most.
    pub max_connections: u32,
    /// Processes watched at most.
    pub max_processes: u32,
    /// Watch what executes from now on until the user side has decided.
    pub watch_new: bool,
    /// Write the kernel side's trace messages to the log, not only its warnings.
    pub trace: bool,
}

/// The loaded kernel side. Dropping it detaches everything.
pub struct Kernel {
    /// The hooks.
    pub hooks: Hooks,
    /// Events.
    pub events: RingBuf<MapData>,
    /// Watched processes.
    pub watched: Table<u32, u32>,
    /// System calls under way.
    pub calls: Table<u64, Call>,
    /// Followed connections.
    pub connections: Table<u64, Connection>,
    /// What is wanted of them.
    pub verdicts: Table<u64, Verdict>,
    /// How the units of processes are read.
    pub runtimes: Table<u32, Runtime>,
    /// What the kernel side counted.
    pub counters: Counters,
}

/// Loads the kernel side and hooks the functions of the first tier that the kernel takes; tells of those before it.
/// Of the tier of system calls nothing is hooked yet: that depends on what is watched.
///
/// # Errors
/// [`AttachError`] when the kernel refuses all of them.
pub fn start(settings: &KernelSettings, choice: Choice) -> Result<(Kernel, Vec<Refusal>), AttachError> {
    let attempt = |tier| {
        if choice == Choice::Cheapest {
            tier::misses_nothing(tier)?;
        }
        load_and_hook(settings, tier)
    };
    match tier::first(choice.tiers(), attempt) {
        Ok((_, kernel, refused)) => Ok((kernel, refused)),
        Err(mut refused) => Err(match (refused.pop(), refused.is_empty()) {
            (Some(only), true) => only.error,
            (last, _) => AttachError::NoTier {
                refusals: tier::list(refused.iter().chain(&last)),
            },
        }),
    }
}

/// Loads and hooks all of a tier, whatever is watched, and lets go of it again.
///
/// # Errors
/// [`AttachError`] when the kernel refuses any of it.
pub fn try_out(settings: &KernelSettings, tier: Tier) -> Result<(), AttachError> {
    let mut kernel = load_and_hook(settings, tier)?;
    kernel.hooks.follow()?;
    kernel.hooks.hook(SyscallSet::ALL)?;
    kernel.hooks.expect_waiting()
}

fn load_and_hook(settings: &KernelSettings, tier: Tier) -> Result<Kernel, AttachError> {
    let layout = Layout::read(&settings.btf, tier)?;
    let mut ebpf = load_object(settings, tier, &layout, VerifierLogLevel::default())?;
    // Before the maps are taken out.
    let uprobes = Uprobes::new(&ebpf)?;
    let mut kernel = Kernel {
        events: take(&mut ebpf, map::EVENTS, RingBuf::try_from)?,
        watched: take(&mut ebpf, map::WATCHED, Table::try_from)?,
        connections: take(&mut ebpf, map::CONNECTIONS, Table::try_from)?,
        calls: take(&mut ebpf, map::CALLS, Table::try_from)?,
        verdicts: take(&mut ebpf, map::VERDICTS, Table::try_from)?,
        runtimes: take(&mut ebpf, map::RUNTIMES, Table::try_from)?,
        counters: take(&mut ebpf, map::COUNTERS, Counters::try_from)?,
        hooks: Hooks::new(ebpf, uprobes, tier, layout.copies),
    };
    kernel.hooks.hook_functions(&layout.functions)?;
    Ok(kernel)
}

/// Loads the maps; programs are loaded when they are hooked.
pub(super) fn load_object(
    settings: &KernelSettings,
    tier: Tier,
    layout: &Layout,
    log: VerifierLogLevel,
) -> Result<Ebpf, AttachError> {
    let areas = match tier {
        Tier::Fentry => map::WORK_AREAS_OF_FEXIT,
        Tier::Kprobe | Tier::Tracepoint => map::WORK_AREAS,
    };
    let copies = u32::try_from(layout.copies).unwrap_or(1);
    let own_pid = std::process::id();
    let watch_new = u32::from(settings.watch_new);
    let log_level: u8 = if settings.trace { LOG_TRACE } else { LOG_WARN };
    let wakeup_bytes = settings.ring_buffer_bytes / 8;
    // A worker of io_uring makes no system calls.
    let io_workers = u32::from(tier != Tier::Tracepoint);
    let mut loader = EbpfLoader::new();
    loader.verifier_log_level(log);
    for (global, offset) in &layout.globals {
        loader.override_global(global, offset, true);
    }
    loader
        .override_global(setting::REQUEST_BUDGET, &settings.request_head_bytes, true)
        .override_global(setting::RESPONSE_BUDGET, &settings.response_head_bytes, true)
        .override_global(setting::TAIL_BYTES, &settings.tail_bytes, true)
        .override_global(setting::WAKEUP_BYTES, &wakeup_bytes, true)
        .override_global(setting::WATCH_NEW, &watch_new, true)
        .override_global(setting::IO_WORKERS, &io_workers, true)
        .override_global(setting::LOG_LEVEL, &log_level, true)
        .override_global(setting::OWN_PID, &own_pid, true)
        .override_global(setting::COPIES, &copies, true)
        .override_global(setting::WORK_AREAS, &areas, true)
        .map_max_entries(map::EVENTS, settings.ring_buffer_bytes)
        .map_max_entries(map::CONNECTIONS, settings.max_connections)
        .map_max_entries(map::WATCHED, settings.max_processes)
        .map_max_entries(map::RUNTIMES, settings.max_processes)
        .map_max_entries(map::WORK, areas * copies)
        .map_max_entries(map::OPENING, areas * copies)
        .map_max_entries(map::NEXT_ID, areas * copies);
    loader.load(OBJECT).map_err(refused)
}

fn take<T>(
    ebpf: &mut Ebpf,
    name: &'static str,
    convert: impl FnOnce(Map) -> Result<T, MapError>,
) -> Result<T, AttachError> {
    let map = ebpf.take_map(name).ok_or(AttachError::Missing { name })?;
    convert(map).map_err(|source| AttachError::Map {
        map: name,
        source: Box::new(source),
    })
}

/// Tells a missing right from other failures.
fn refused(source: EbpfError) -> AttachError {
    let permission =
        error::root_io_error(&source).filter(|error| error.kind() == io::ErrorKind::PermissionDenied);
    match permission {
        Some(error) => AttachError::NotPermitted {
            source: io::Error::from(error.kind()),
        },
        None => AttachError::Object {
            source: Box::new(source),
        },
    }
}

/// The same for one program.
pub(super) fn program_refused(program: &'static str, source: ProgramError) -> AttachError {
    let permission =
        error::root_io_error(&source).filter(|error| error.kind() == io::ErrorKind::PermissionDenied);
    match permission {
        Some(error) if !verifier_spoke(&source) => AttachError::NotPermitted {
            source: io::Error::from(error.kind()),
        },
        _ => AttachError::Program {
            program,
            source: Box::new(source),
        },
    }
}

/// The verifier says that permission is denied, too, of a program that does what it must not.
fn verifier_spoke(source: &ProgramError) -> bool {
    matches!(source, ProgramError::LoadError { verifier_log, .. } if !verifier_log.to_string().trim().is_empty())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn settings() -> KernelSettings {
        KernelSettings {
            btf: super::super::btf::KERNEL_BTF.into(),
            request_head_bytes: 65_536,
            response_head_bytes: 8192,
            tail_bytes: 256,
            ring_buffer_bytes: 1 << 20,
            max_connections: 1024,
            max_processes: 1024,
            watch_new: true,
            trace: true,
        }
    }

    /// Needs root and a kernel with BTF; without them it says so and proves nothing.
    #[test]
    fn every_program_of_system_calls_passes_the_verifier_and_attaches() {
        let mut kernel = match load_and_hook(&settings(), Tier::Tracepoint) {
            Ok(kernel) => kernel,
            Err(AttachError::NotPermitted { .. } | AttachError::NoBtf { .. }) => {
                println!("not tested: this needs root and a kernel with BTF");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        kernel.hooks.follow().unwrap();
        assert_eq!(kernel.hooks.hook(SyscallSet::ALL).unwrap(), 12);
        assert_eq!(
            kernel.hooks.hook(SyscallSet::ALL).unwrap(),
            0,
            "nothing is hooked twice"
        );
    }

    #[test]
    fn a_missing_btf_file_is_said_with_its_path() {
        let settings = KernelSettings {
            btf: "/nonexistent/btf".into(),
            ..settings()
        };
        for choice in [Choice::Cheapest, Choice::Only(Tier::Tracepoint)] {
            let Err(error) = start(&settings, choice) else {
                panic!("loaded without BTF")
            };
            let message = error.to_string();
            for word in ["/nonexistent/btf", "CONFIG_DEBUG_INFO_BTF", "SIDELIGHT_BTF", "ps"] {
                assert!(message.contains(word), "{word} is not in {message}");
            }
        }
    }
}
