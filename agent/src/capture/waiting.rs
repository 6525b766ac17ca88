//! Threads that already wait in a read when the agent comes.
//!
//! Their call's entry was not seen, so its exit would mean nothing to the kernel side, and the first request on a
//! connection that is older than the agent would be lost. `/proc/PID/task/TID/syscall` tells what a waiting thread
//! waits in; the kernel side is told what it would have seen itself.

use std::{fs, path::Path};

use agent_common::{Call, map::shape};

use super::monotonic_nanos;
use crate::attach::Table;

/// `BPF_NOEXIST`: do not replace what the kernel side has seen itself (`include/uapi/linux/bpf.h`).
const BPF_NOEXIST: u64 = 1;
/// `MSG_PEEK` and `MSG_TRUNC`, `MSG_OOB`, `MSG_ERRQUEUE`: such calls are not told.
const SPECIAL_FLAGS: u64 = (libc::MSG_PEEK | libc::MSG_TRUNC | libc::MSG_OOB | libc::MSG_ERRQUEUE) as u64;

/// Tells the kernel side of every thread of a process that waits in a read from a socket; returns the keys of their calls.
pub fn tell(pid: u32, calls: &mut Table<u64, Call>) -> Vec<u64> {
    let mut told = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return told;
    };
    for thread in threads.flatten() {
        let Some(tid) = thread
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        told.extend(tell_thread(pid, tid, calls));
    }
    told
}

/// Whether a call that the kernel side was told of has not ended.
pub fn is_waiting(key: u64, calls: &Table<u64, Call>) -> bool {
    calls.get(&key).is_ok_and(|call| call.file == 0)
}

fn tell_thread(pid: u32, tid: u32, calls: &mut Table<u64, Call>) -> Option<u64> {
    let place = format!("/proc/{pid}/task/{tid}/syscall");
    let before = fs::read_to_string(&place).ok()?;
    let call = waiting_in(&before).filter(|call| is_socket(pid, call.sk))?;
    let key = u64::from(pid) << 32 | u64::from(tid);
    calls.insert(key, call, BPF_NOEXIST).ok()?;
    // If it went on meanwhile, the entry is of a call that is over.
    if fs::read_to_string(&place).is_ok_and(|after| after != before) {
        let _ = calls.remove(&key);
        return None;
    }
    Some(key)
}

/// The read that a line of `/proc/PID/task/TID/syscall` describes: the call's number, its six arguments, the stack
/// pointer and the program counter (`fs/proc/base.c:proc_pid_syscall`).
fn waiting_in(line: &str) -> Option<Call> {
    let mut words = line.split_ascii_whitespace();
    let number: libc::c_long = words.next()?.parse().ok()?;
    let mut argument = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let (fd, address, length, fourth) = (argument()?, argument()?, argument()?, argument()?);
    let (shape, flags) = match number {
        libc::SYS_read => (shape::BUFFER, 0),
        libc::SYS_recvfrom => (shape::BUFFER, fourth),
        libc::SYS_readv => (shape::VECTOR, 0),
        libc::SYS_recvmsg => (shape::MESSAGE, length),
        _ => return None,
    };
    let began = monotonic_nanos();
    (flags & SPECIAL_FLAGS == 0).then_some(Call {
        sk: fd,
        file: 0,
        began,
        address,
        length,
        shape,
        direction: 0,
        ..Call::default()
    })
}

fn is_socket(pid: u32, fd: u64) -> bool {
    let link = fs::read_link(
        Path::new("/proc")
            .join(pid.to_string())
            .join("fd")
            .join(fd.to_string()),
    );
    link.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: libc::c_long, rest: &str) -> String {
        format!("{number} {rest} 0x7ffd 0x7f00\n")
    }

    #[test]
    fn reads_are_recognised_with_their_arguments() {
        let call = waiting_in(&line(libc::SYS_recvfrom, "0x5 0x7f1000 0x2000 0x0 0x0 0x0")).unwrap();
        assert_eq!((call.sk, call.address, call.length), (5, 0x7f_1000, 0x2000));
        assert_eq!((call.shape, call.file, call.direction), (shape::BUFFER, 0, 0));
        let call = waiting_in(&line(libc::SYS_readv, "0x5 0x7f1000 0x2 0x99 0x0 0x0")).unwrap();
        assert_eq!((call.shape, call.length), (shape::VECTOR, 2));
    }

    #[test]
    fn other_calls_peeking_and_running_threads_are_not_told() {
        assert!(waiting_in(&line(libc::SYS_recvfrom, "0x5 0x7f1000 0x2000 0x2 0x0 0x0")).is_none());
        assert!(waiting_in(&line(libc::SYS_write, "0x5 0x7f1000 0x2000 0x0 0x0 0x0")).is_none());
        assert!(waiting_in("running\n").is_none());
        assert!(waiting_in("-1 0x7ffd 0x7f00\n").is_none());
        assert!(waiting_in("").is_none());
    }
}
