//! What this kernel and these privileges allow, found by trying.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use aya::{
    maps::MapType,
    programs::ProgramType,
    sys::{is_map_supported, is_program_supported},
};
use procfs::process::Process;
use serde::Serialize;

use super::tracefs;

/// Inode of the first pid namespace (`PROC_PID_INIT_INO`, `include/linux/proc_ns.h`).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const CAP_SYS_ADMIN: u8 = 21;

/// Capabilities with their bit (include/uapi/linux/capability.h), whether `CAP_SYS_ADMIN` includes them, and what the
/// agent needs each for.
const CAPABILITIES: [(&str, u8, bool, &str); 6] = [
    ("CAP_BPF", 39, true, "to load programs and maps"),
    (
        "CAP_PERFMON",
        38,
        true,
        "to attach programs, and to read kernel memory in them",
    ),
    ("CAP_SYS_PTRACE", 19, false, "to look at other users' processes"),
    (
        "CAP_DAC_READ_SEARCH",
        2,
        false,
        "to read tracefs and other users' executables",
    ),
    (
        "CAP_SYS_NICE",
        23,
        false,
        "to miss no calls on kernels that preempt, by a real-time priority for moments",
    ),
    (
        "CAP_SYS_ADMIN",
        CAP_SYS_ADMIN,
        true,
        "to mount tracefs where it is not; to probe interpreters and Go programs where the kernel does it by perf events (before 6.6)",
    ),
];

/// What the kernel side is made of, by the name that the kernel has for it.
const PROGRAMS: [(&str, ProgramType); 4] = [
    ("tracepoint", ProgramType::TracePoint),
    ("raw_tracepoint", ProgramType::RawTracePoint),
    ("kprobe", ProgramType::KProbe),
    ("tracing", ProgramType::Tracing),
];
const MAPS: [(&str, MapType); 5] = [
    ("ringbuf", MapType::RingBuf),
    ("hash", MapType::Hash),
    ("lru_hash", MapType::LruHash),
    ("array", MapType::Array),
    ("percpu_array", MapType::PerCpuArray),
];

/// What this host allows.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Feature by feature.
    pub features: Vec<Feature>,
    /// The tier that `--tier auto` takes; none: nothing can be watched.
    pub tier: Option<&'static str>,
}

/// One thing that the agent uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// What it is.
    pub name: String,
    /// Whether it is there.
    pub available: bool,
    /// What it is for, or why it is not there and what to do.
    pub detail: String,
    /// Nothing can be watched without it.
    pub required: bool,
}

/// Tries everything; the kernel's types are in the file `types`.
pub fn report(types: &Path) -> Report {
    let mut features = capabilities(effective_capabilities());
    features.extend([btf(types), tracepoints(), lockdown(), pid_namespace()]);
    features.extend(PROGRAMS.iter().map(|(name, kind)| program(name, *kind)));
    features.extend(MAPS.iter().map(|(name, kind)| map(name, *kind)));
    Report { features, tier: None }
}

impl Report {
    /// Whether everything is there without which nothing can be watched.
    pub fn is_complete(&self) -> bool {
        self.features
            .iter()
            .all(|feature| feature.available || !feature.required)
    }

    /// Adds how programs can be probed, or why not.
    pub fn add_probes(&mut self, tried: Result<&'static str, String>) {
        let (available, detail) = match tried {
            Ok(way) => (true, way.to_owned()),
            Err(why) => (false, why),
        };
        self.features
            .push(feature("probes in programs (uprobes)", available, detail));
    }

    /// Adds what came of trying the tiers, the cheapest first: nothing, or why one cannot be used.
    pub fn add_tiers(&mut self, tried: impl IntoIterator<Item = (&'static str, Option<String>)>) {
        for (name, refused) in tried {
            let detail = match (&refused, self.tier) {
                (Some(why), _) => why.clone(),
                (None, None) => "taken by --tier auto".to_owned(),
                (None, Some(cheaper)) => format!("works; {cheaper} costs less"),
            };
            if refused.is_none() {
                self.tier.get_or_insert(name);
            }
            self.features
                .push(feature(format!("tier {name}"), refused.is_none(), detail));
        }
    }
}

fn feature(name: impl Into<String>, available: bool, detail: impl Into<String>) -> Feature {
    Feature {
        name: name.into(),
        available,
        detail: detail.into(),
        required: false,
    }
}

fn required(name: impl Into<String>, outcome: Result<String, String>) -> Feature {
    let available = outcome.is_ok();
    Feature {
        required: true,
        ..feature(name, available, outcome.unwrap_or_else(|why| why))
    }
}

fn effective_capabilities() -> u64 {
    Process::myself()
        .and_then(|process| process.status())
        .map_or(0, |status| status.capeff)
}

fn capabilities(effective: u64) -> Vec<Feature> {
    let has = |bit: u8| effective & (1 << bit) != 0;
    CAPABILITIES
        .iter()
        .map(|(name, bit, in_admin, purpose)| {
            let available = has(*bit) || (*in_admin && has(CAP_SYS_ADMIN));
            feature(*name, available, *purpose)
        })
        .collect()
}

fn btf(types: &Path) -> Feature {
    let outcome = match std::fs::metadata(types) {
        Ok(metadata) => Ok(format!("{}, {} KiB", types.display(), metadata.len() / 1024)),
        Err(error) => Err(format!(
            "{}: {error}; a kernel with CONFIG_DEBUG_INFO_BTF=y is needed, or SIDELIGHT_BTF=FILE for the tiers kprobe and \
             tracepoint",
            types.display()
        )),
    };
    required("kernel types (BTF)", outcome)
}

fn tracepoints() -> Feature {
    let outcome = match tracefs::mounted() {
        None => Err(tracefs::NOT_MOUNTED.to_owned()),
        Some(path) => tracefs::readable(&path)
            .map(|()| format!("{}/events/syscalls", path.display()))
            .map_err(|error| error.to_string()),
    };
    match outcome {
        // The agent mounts it at its start.
        Err(_) if tracefs::mounted().is_none() && is_root() => required(
            "system call events (tracefs)",
            Ok("not mounted; sidelight mounts it at its start".to_owned()),
        ),
        outcome => required("system call events (tracefs)", outcome),
    }
}

fn is_root() -> bool {
    effective_capabilities() & (1 << CAP_SYS_ADMIN) != 0
}

fn lockdown() -> Feature {
    let text = std::fs::read_to_string(LOCKDOWN).unwrap_or_default();
    required("reading kernel memory (lockdown)", lockdown_allows(&text))
}

/// The mode stands in brackets: `none [integrity] confidentiality`. Only the last forbids programs to read kernel memory
/// (`LOCKDOWN_BPF_READ_KERNEL`, include/linux/security.h).
fn lockdown_allows(text: &str) -> Result<String, String> {
    let mode = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or("none", |(mode, _)| mode);
    match mode {
        "confidentiality" => Err(
            "the kernel's lockdown mode is confidentiality; boot with lockdown=integrity or none".to_owned(),
        ),
        mode => Ok(format!("lockdown mode {mode}")),
    }
}

fn pid_namespace() -> Feature {
    let inode = std::fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino());
    if inode == INITIAL_PID_NAMESPACE {
        feature("pid namespace of the host", true, "all processes can be seen")
    } else {
        let detail = "only processes of this pid namespace can be seen; start the container with the host's (--pid=host, \
                      hostPID: true)";
        feature("pid namespace of the host", false, detail)
    }
}

fn program(name: &str, kind: ProgramType) -> Feature {
    let outcome = match is_program_supported(kind) {
        Ok(true) => Ok("can be loaded".to_owned()),
        Ok(false) => Err("this kernel does not have it".to_owned()),
        Err(error) => Err(refused(&error)),
    };
    let mut probed = required(format!("program type {name}"), outcome);
    probed.required = matches!(kind, ProgramType::TracePoint);
    probed
}

fn map(name: &str, kind: MapType) -> Feature {
    let outcome = match is_map_supported(kind) {
        Ok(true) => Ok("can be created".to_owned()),
        Ok(false) => Err("this kernel does not have it; Linux 5.8 or newer is needed".to_owned()),
        Err(error) => Err(refused(&error)),
    };
    required(format!("map type {name}"), outcome)
}

/// What the kernel's refusal means: with these capabilities it is the kernel's own policy.
fn refused(error: &dyn std::error::Error) -> String {
    let cause = std::iter::successors(Some(error), |error| error.source()).last();
    let cause = cause.map_or_else(String::new, ToString::to_string);
    let missing: Vec<String> = capabilities(effective_capabilities())
        .into_iter()
        .filter(|capability| {
            !capability.available && ["CAP_BPF", "CAP_PERFMON"].contains(&capability.name.as_str())
        })
        .map(|capability| capability.name)
        .collect();
    if missing.is_empty() {
        format!("{cause}: this kernel forbids it, to root too")
    } else {
        format!("{cause}; run as root or with {}", missing.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_capability_includes_those_that_were_split_off_it() {
        let names = |effective: u64| -> Vec<String> {
            let all = capabilities(effective).into_iter();
            all.filter(|feature| feature.available)
                .map(|feature| feature.name)
                .collect()
        };
        assert_eq!(names(0), Vec::<String>::new());
        assert_eq!(
            names(1 << CAP_SYS_ADMIN),
            ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"]
        );
        assert_eq!(names(1 << 39 | 1 << 19), ["CAP_BPF", "CAP_SYS_PTRACE"]);
    }

    #[test]
    fn only_confidentiality_forbids() {
        assert!(lockdown_allows("").is_ok());
        assert_eq!(
            lockdown_allows("none [integrity] confidentiality\n"),
            Ok("lockdown mode integrity".to_owned())
        );
        assert!(lockdown_allows("none integrity [confidentiality]\n").is_err());
    }

    #[test]
    fn the_first_tier_that_works_is_taken() {
        let mut report = report(Path::new("/sys/kernel/btf/vmlinux"));
        assert!(report.features.iter().all(|feature| !feature.detail.is_empty()));
        report.features.clear();
        report.add_tiers([
            ("fentry", Some("no trampolines".to_owned())),
            ("kprobe", None),
            ("tracepoint", None),
        ]);
        assert_eq!(report.tier, Some("kprobe"));
        let said: Vec<_> = report
            .features
            .iter()
            .map(|feature| (feature.available, feature.detail.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (false, "no trampolines"),
                (true, "taken by --tier auto"),
                (true, "works; kprobe costs less")
            ]
        );
    }
}
