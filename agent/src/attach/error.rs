//! What can keep the kernel side from being loaded or hooked.

use std::{io, path::PathBuf};

use aya::programs::ProgramError;

/// What can keep the kernel side from being loaded or hooked. Each message says what, why and what to do.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The kernel does not publish its types.
    #[error(
        "the kernel's type information {path} cannot be read: {source}; a kernel built with CONFIG_DEBUG_INFO_BTF=y is \
         needed (all current distributions have it), or a file with the types of exactly this kernel, named by SIDELIGHT_BTF, \
         with which the tiers kprobe and tracepoint work; without either only `sidelight ps` does"
    )]
    NoBtf {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel does not publish its types, and a file does not do instead.
    #[error(
        "the kernel's type information {path} cannot be used: {source}; tracing programs need a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoKernelTypes {
        /// Where it should be.
        path: &'static str,
        /// Why not.
        source: Box<aya::BtfError>,
    },
    /// The kernel has no probes on its functions.
    #[error("{path} cannot be used: {source}; a kernel built with CONFIG_KPROBE_EVENTS=y is needed")]
    NoKernelProbes {
        /// Where they are defined.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing says where events are.
    #[error("{source}")]
    NoTracefs {
        /// Why not.
        source: crate::inspect::TracefsError,
    },
    /// A function cannot be probed.
    #[error("the kernel's function {function} cannot be probed: {source}")]
    Probe {
        /// Which.
        function: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Some calls could be missed.
    #[error(
        "this kernel may preempt its programs ({how}), so that even three copies of each could miss calls; `--tier fentry` takes it nevertheless"
    )]
    Preempted {
        /// By which of its ways.
        how: String,
    },
    /// No tier can be used.
    #[error("{refusals}; `sidelight check` shows what this kernel allows")]
    NoTier {
        /// Why not, tier by tier.
        refusals: String,
    },
    /// The kernel's types are not in a form that is understood.
    #[error("the kernel's type information {path} is damaged: {reason}; please report it with `uname -r`")]
    BadBtf {
        /// Where it came from.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// A field that is needed does not exist in this kernel.
    #[error(
        "this kernel has no field {structure}.{field}: it is newer or older than any known; please report it with `uname -r`"
    )]
    NoField {
        /// The struct.
        structure: &'static str,
        /// The path of members.
        field: &'static str,
    },
    /// No right to load programs.
    #[error(
        "loading eBPF programs was refused: {source}; run as root, or with the capabilities BPF, PERFMON, SYS_PTRACE and \
         DAC_READ_SEARCH (`sidelight check` shows which are missing)"
    )]
    NotPermitted {
        /// The kernel's answer.
        source: io::Error,
    },
    /// The object could not be loaded.
    #[error("the eBPF object could not be loaded: {source}; `sidelight check` shows what this kernel allows")]
    Object {
        /// Why.
        source: Box<aya::EbpfError>,
    },
    /// A program was refused.
    #[error(
        "the eBPF program {program} was refused: {source}; `sidelight check` shows what this kernel allows"
    )]
    Program {
        /// Which.
        program: &'static str,
        /// Why, with the verifier's words if it was the verifier.
        source: Box<ProgramError>,
    },
    /// A file to be probed cannot be looked at.
    #[error("{path} cannot be probed: {source}; tasks of programs that use it are not told apart")]
    ProbedFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No right to probe programs.
    #[error(
        "{path} may not be probed: {source}; give CAP_SYS_ADMIN, or use Linux 6.6 or newer, where BPF and PERFMON are enough; \
         until then the tasks of programs that use it are not told apart"
    )]
    ProbeNotPermitted {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No descriptors left.
    #[error("the eBPF maps cannot be kept open: {source}; allow more open files (`ulimit -n`)")]
    Descriptors {
        /// The kernel's answer.
        source: io::Error,
    },
    /// Nothing to hook.
    #[error(
        "the tracepoint {category}:{name} could not be used: {source}; is tracefs mounted? \
         (`mount -t tracefs tracefs /sys/kernel/tracing`)"
    )]
    Tracepoint {
        /// Its category.
        category: &'static str,
        /// Its name.
        name: String,
        /// Why.
        source: Box<ProgramError>,
    },
    /// A map of the kernel side is missing or of another type: object and agent do not belong together.
    #[error("the map {map} of the eBPF object is unusable: {source}; rebuild with `cargo xtask build-ebpf`")]
    Map {
        /// Which.
        map: &'static str,
        /// Why.
        source: Box<aya::maps::MapError>,
    },
    /// A map or program is missing.
    #[error(
        "the eBPF object has no {name}: object and agent do not belong together; rebuild with `cargo xtask build-ebpf`"
    )]
    Missing {
        /// What is missing.
        name: &'static str,
    },
}

/// Lines of the verifier's log that are shown where one line has to do.
const LOG_TAIL: usize = 3;
/// Lines at its end that say how much it had looked at, and not why it refused (`kernel/bpf/verifier.c:print_verification_stats`).
const LOG_STATS: [&str; 3] = ["verification time", "stack depth", "processed"];

impl AttachError {
    /// What happened, in one short line, with the kernel's own words.
    pub fn reason(&self) -> String {
        match self {
            Self::Program { program, source } => format!("program {program}: {}", kernels_words(source)),
            Self::NotPermitted { source } => format!("the kernel forbids it: {source}"),
            Self::Tracepoint { name, source, .. } => format!("{name}: {}", kernels_words(source)),
            other => other.to_string(),
        }
    }
}

/// The kernel's answer, and the end of the verifier's log.
pub(super) fn kernels_words(error: &ProgramError) -> String {
    if let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    {
        let log = verifier_log.to_string();
        let says_why = |line: &&str| {
            !line.trim().is_empty() && !LOG_STATS.iter().any(|start| line.trim_start().starts_with(start))
        };
        let lines: Vec<&str> = log.lines().filter(says_why).collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join(" | ");
        return if tail.is_empty() {
            io_error.to_string()
        } else {
            format!("{io_error}; the verifier says: {tail}")
        };
    }
    root_io_error(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The operating system's answer at the root of an error, if there is one.
pub(super) fn root_io_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        current = error.source();
    }
    None
}
