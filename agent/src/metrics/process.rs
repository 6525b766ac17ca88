//! What `/proc` says of a watched process, by <https://opentelemetry.io/docs/specs/semconv/system/process-metrics/>.
//!
//! It is read when somebody looks, and not by the capture thread.

use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use procfs::{Current as _, process::Stat};

use super::{Labels, Number, NumberKind, NumberMetric, Reading, Snapshot};
use crate::discover::Process;

const NANOS_PER_SECOND: f64 = 1e9;

const CPU_TIME: NumberMetric = NumberMetric {
    name: "process.cpu.time",
    unit: "s",
    description: "Total CPU seconds broken down by different CPU modes.",
    kind: NumberKind::Counter,
};
const MEMORY_USAGE: NumberMetric = NumberMetric {
    name: "process.memory.usage",
    unit: "By",
    description: "The amount of physical memory in use.",
    kind: NumberKind::UpDownCounter,
};
const MEMORY_VIRTUAL: NumberMetric = NumberMetric {
    name: "process.memory.virtual",
    unit: "By",
    description: "The amount of committed virtual memory.",
    kind: NumberKind::UpDownCounter,
};
const THREADS: NumberMetric = NumberMetric {
    name: "process.thread.count",
    unit: "{thread}",
    description: "Process threads count.",
    kind: NumberKind::UpDownCounter,
};
const FILE_DESCRIPTORS: NumberMetric = NumberMetric {
    name: "process.unix.file_descriptor.count",
    unit: "{file_descriptor}",
    description: "Number of unix file descriptors in use by the process.",
    kind: NumberKind::UpDownCounter,
};
const UPTIME: NumberMetric = NumberMetric {
    name: "process.uptime",
    unit: "s",
    description: "The time the process has been running.",
    kind: NumberKind::Gauge,
};

/// When this host was booted, in nanoseconds since the Unix epoch: once, so that a start does not move.
static BOOTED: LazyLock<Option<u64>> = LazyLock::new(|| {
    let uptime = procfs::Uptime::current().ok()?.uptime_duration();
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(since_epoch.checked_sub(uptime)?.as_nanos() as u64)
});

/// Adds what `/proc` says of the processes of a snapshot, if that is wanted. One that is gone has no such metrics.
pub(super) fn read(snapshot: &mut Snapshot) {
    if !snapshot.read_processes {
        return;
    }
    for of_process in &mut snapshot.processes {
        of_process
            .readings
            .extend(of(&of_process.process).into_iter().flatten());
    }
}

fn of(process: &Process) -> Option<Vec<Reading>> {
    let known = procfs::process::Process::new(i32::try_from(process.pid).ok()?).ok()?;
    let stat = known.stat().ok()?;
    // The pid may have been used again.
    if stat.starttime != process.start_ticks {
        return None;
    }
    Some(readings(&stat, known.fd_count().ok(), (*BOOTED)?))
}

/// What the kernel says, of a host that was booted at `booted` nanoseconds since the Unix epoch.
fn readings(stat: &Stat, descriptors: Option<usize>, booted: u64) -> Vec<Reading> {
    let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
    let since_unix_nanos = booted + (seconds(stat.starttime) * NANOS_PER_SECOND) as u64;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_nanos() as u64);
    let reading = |metric, labels: Labels, value| Reading {
        metric,
        labels,
        value,
        since_unix_nanos,
    };
    let whole = |metric, number: u64| {
        reading(
            metric,
            Labels::new(),
            Number::Int(i64::try_from(number).unwrap_or(i64::MAX)),
        )
    };
    let cpu = |mode: &str, ticks| {
        let labels = vec![("cpu.mode", mode.into())];
        reading(&CPU_TIME, labels, Number::Float(seconds(ticks)))
    };
    let uptime = now.saturating_sub(since_unix_nanos) as f64 / NANOS_PER_SECOND;
    let mut readings = vec![
        cpu("user", stat.utime),
        cpu("system", stat.stime),
        whole(&MEMORY_USAGE, stat.rss * procfs::page_size()),
        whole(&MEMORY_VIRTUAL, stat.vsize),
        whole(&THREADS, stat.num_threads as u64),
        reading(&UPTIME, Labels::new(), Number::Float(uptime)),
    ];
    readings.extend(descriptors.map(|count| whole(&FILE_DESCRIPTORS, count as u64)));
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(readings: &[Reading], name: &str) -> f64 {
        let readings = readings.iter().filter(|reading| reading.metric.name == name);
        readings
            .map(|reading| match reading.value {
                Number::Int(number) => number as f64,
                Number::Float(number) => number,
            })
            .sum()
    }

    fn own() -> Process {
        let stat = procfs::process::Process::myself().unwrap().stat().unwrap();
        Process {
            pid: std::process::id(),
            start_ticks: stat.starttime,
            ..Process::default()
        }
    }

    #[test]
    fn this_process_is_read() {
        let readings = of(&own()).unwrap();
        assert!(number(&readings, "process.memory.usage") > 1e5);
        assert!(number(&readings, "process.memory.virtual") > number(&readings, "process.memory.usage"));
        assert!(number(&readings, "process.thread.count") >= 1.0);
        assert!(number(&readings, "process.unix.file_descriptor.count") >= 3.0);
        let uptime = number(&readings, "process.uptime");
        assert!((0.0..3600.0 * 24.0).contains(&uptime), "{uptime}");
        assert!(number(&readings, "process.cpu.time") <= uptime * 64.0 + 1.0);
    }

    #[test]
    fn another_process_with_the_same_pid_is_not() {
        let other = Process {
            start_ticks: 1,
            ..own()
        };
        assert_eq!(of(&other), None);
    }
}
