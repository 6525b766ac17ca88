//! What is said of the process in which spans happened.

use std::{borrow::Cow, sync::LazyLock};

use opentelemetry::KeyValue;
use rustix::time::{ClockId, clock_gettime};

use crate::{
    discover::{self, Process, ProcessKey},
    span::Value,
    utc::utc,
};

use super::encode;

/// Attributes that name the instance; `OTEL_RESOURCE_ATTRIBUTES` went into them when the process was looked at.
const IDENTITY: [&str; 2] = ["service.name", "service.instance.id"];

/// Resource attributes of a process, each name once, in the order in which they are shown.
pub fn attributes(process: &Process) -> Vec<(Cow<'static, str>, Value)> {
    let mut attributes = own(process);
    for (name, value) in &process.resource_attributes {
        let value = Value::from(value.as_str());
        match attributes.iter_mut().find(|(known, _)| known == name) {
            Some((known, _)) if IDENTITY.contains(&known.as_ref()) => {}
            Some((_, known)) => *known = value,
            None => attributes.push((name.clone().into(), value)),
        }
    }
    attributes
}

/// Resource attributes of the agent itself.
pub(super) fn of_agent() -> Vec<(Cow<'static, str>, Value)> {
    own(&AGENT)
}

/// The resource as opentelemetry-otlp takes it.
pub(super) fn otlp(process: &Process) -> opentelemetry_sdk::Resource {
    let attributes = attributes(process)
        .into_iter()
        .map(|(name, attribute)| KeyValue::new(name, encode::value(attribute)));
    opentelemetry_sdk::Resource::builder_empty()
        .with_attributes(attributes)
        .build()
}

/// What the agent knows by itself.
///
/// The conventions want `telemetry.sdk.name` to be another name than `opentelemetry` when another implementation made
/// the spans, and `telemetry.sdk.language` to be that implementation's language, not the watched program's.
fn own(process: &Process) -> Vec<(Cow<'static, str>, Value)> {
    let text = |path: &std::ffi::OsStr| Value::String(path.to_string_lossy().into_owned());
    let executable = &process.executable;
    let attributes = [
        ("service.name", Some(process.service_name.as_str().into())),
        (
            "service.instance.id",
            Some(process.service_instance_id.as_str().into()),
        ),
        ("process.pid", Some(Value::Int(i64::from(process.pid)))),
        ("process.executable.name", executable.file_name().map(text)),
        ("process.executable.path", Some(text(executable.as_os_str()))),
        ("container.id", process.container_id.as_deref().map(Value::from)),
        (
            "process.parent_pid",
            (process.parent_pid > 0).then_some(Value::Int(i64::from(process.parent_pid))),
        ),
        ("process.creation.time", creation_time(process).map(Value::from)),
        ("host.id", HOST_ID.as_deref().map(Value::from)),
        ("host.arch", Some(ARCHITECTURE.into())),
        ("os.type", Some("linux".into())),
        ("os.version", KERNEL.as_deref().map(Value::from)),
        ("host.name", HOST_NAME.as_deref().map(Value::from)),
        ("telemetry.sdk.name", Some("sidelight".into())),
        ("telemetry.sdk.language", Some("rust".into())),
        ("telemetry.sdk.version", Some(env!("CARGO_PKG_VERSION").into())),
        ("telemetry.distro.name", Some("sidelight".into())),
        ("telemetry.distro.version", Some(env!("CARGO_PKG_VERSION").into())),
    ];
    let surroundings = process.surroundings.iter();
    let surroundings = surroundings.map(|(name, value)| (*name, Some(Value::from(value.as_str()))));
    attributes
        .into_iter()
        .chain(surroundings)
        .filter_map(|(name, value)| Some((name.into(), value?)))
        .filter(|(_, value)| *value != Value::String(String::new()))
        .collect()
}

/// When a process started; nothing if that is not known.
fn creation_time(process: &Process) -> Option<String> {
    const NANOS_PER_SECOND: u64 = 1_000_000_000;
    let ticks = process.start_ticks;
    let nanos = ticks.checked_mul(NANOS_PER_SECOND / procfs::ticks_per_second())?;
    (ticks > 0).then(|| utc(BOOT_UNIX_NANOS.saturating_add(nanos)))
}

/// When the kernel started, by the present setting of the clock: said once, so that a resource stays the same.
static BOOT_UNIX_NANOS: LazyLock<u64> = LazyLock::new(|| {
    let nanos = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    };
    nanos(ClockId::Realtime).saturating_sub(nanos(ClockId::Boottime))
});

/// The agent as a process.
static AGENT: LazyLock<Process> = LazyLock::new(|| {
    let own = procfs::process::Process::myself().and_then(|own| own.stat());
    let key = ProcessKey {
        pid: std::process::id(),
        start_ticks: own.map_or(0, |stat| stat.starttime),
    };
    Process {
        pid: key.pid,
        start_ticks: key.start_ticks,
        service_name: "sidelight".to_owned(),
        service_instance_id: discover::instance_id(key),
        executable: std::env::current_exe().unwrap_or_default(),
        ..Process::default()
    }
});

/// What the `hostname` command prints, as the conventions define it.
static HOST_NAME: LazyLock<Option<String>> = LazyLock::new(|| line("/proc/sys/kernel/hostname"));

/// Where systemd and D-Bus keep a host's id (`machine-id(5)`), as the conventions advise; that of the host, if its file system is
/// seen through its first process.
static HOST_ID: LazyLock<Option<String>> =
    LazyLock::new(|| line("/proc/1/root/etc/machine-id").or_else(|| line("/etc/machine-id")));

/// The kernel's release, as `uname -r` prints it.
static KERNEL: LazyLock<Option<String>> = LazyLock::new(|| line("/proc/sys/kernel/osrelease"));

/// The architecture as the conventions name it.
const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else {
    "arm64"
};

fn line(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(process: &Process, name: &str) -> Option<Value> {
        let found: Vec<_> = attributes(process)
            .into_iter()
            .filter(|(known, _)| known == name)
            .collect();
        assert!(found.len() <= 1, "{name} twice");
        found.into_iter().next().map(|(_, value)| value)
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let process = Process {
            pid: 7,
            executable: "/usr/bin/app".into(),
            ..Process::default()
        };
        assert_eq!(get(&process, "process.pid"), Some(Value::Int(7)));
        assert_eq!(get(&process, "process.executable.name"), Some("app".into()));
        assert_eq!(
            get(&process, "process.executable.path"),
            Some("/usr/bin/app".into())
        );
        assert_eq!(get(&process, "telemetry.sdk.name"), Some("sidelight".into()));
        assert_eq!(get(&process, "container.id"), None);
        assert_eq!(get(&process, "service.name"), None);
        assert_eq!(get(&Process::default(), "process.executable.path"), None);
    }

    #[test]
    fn what_the_user_says_wins_except_over_the_identity() {
        let said = [
            ("host.name", "edge"),
            ("service.name", "other"),
            ("team", "a"),
            ("team", "b"),
        ];
        let process = Process {
            service_name: "shop".to_owned(),
            container_id: Some("ab12".to_owned()),
            resource_attributes: said
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Process::default()
        };
        assert_eq!(get(&process, "host.name"), Some("edge".into()));
        assert_eq!(get(&process, "service.name"), Some("shop".into()));
        assert_eq!(get(&process, "container.id"), Some("ab12".into()));
        assert_eq!(get(&process, "team"), Some("b".into()));
    }
}
