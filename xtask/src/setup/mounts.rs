//! The kernel's file systems that eBPF programs are attached through.

use std::path::Path;

use anyhow::Result;

use crate::command::Cmd;
use crate::progress::Step;
use crate::sys;

/// File system, where it belongs, and what is there when it is mounted.
const WANTED: [(&str, &str, &str); 2] = [
    ("tracefs", "/sys/kernel/tracing", "/sys/kernel/tracing/events"),
    ("bpf", "/sys/fs/bpf", ""),
];

/// Mounts what is missing, when root; otherwise the agent itself says what it lacks.
pub(crate) fn ensure(step: &Step) -> Result<()> {
    let mounted = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    for (kind, place, sign) in WANTED {
        let present = mounted.lines().any(|line| is_mount(line, kind, place))
            || (!sign.is_empty() && Path::new(sign).exists());
        if !present && sys::is_root() && Path::new(place).is_dir() {
            Cmd::new("mount").args(["-t", kind, kind, place]).run(step)?;
        }
    }
    Ok(())
}

fn is_mount(line: &str, kind: &str, place: &str) -> bool {
    let mut fields = line.split(' ').skip(1);
    fields.next() == Some(place) && fields.next() == Some(kind)
}
