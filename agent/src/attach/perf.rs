//! Attaching a loaded program to an event of tracefs: aya makes kernel probes of its own, without a bound of our choice on the
//! calls that may be under way.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

/// `PERF_TYPE_TRACEPOINT`, `PERF_EVENT_IOC_SET_BPF`, `PERF_EVENT_IOC_ENABLE`, `PERF_FLAG_FD_CLOEXEC`:
/// `include/uapi/linux/perf_event.h`.
const TYPE_TRACEPOINT: u32 = 2;
const SET_BPF: libc::c_ulong = 0x4004_2408;
const ENABLE: libc::c_ulong = 0x2400;
const CLOSE_ON_EXEC: libc::c_ulong = 8;

/// The first published form of `struct perf_event_attr` (`PERF_ATTR_SIZE_VER0`).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config_1: u64,
}

/// Runs a program at every hit of the event with this id, on all CPUs, until what is returned is dropped.
pub(super) fn attach(program: BorrowedFd<'_>, event: u64) -> io::Result<OwnedFd> {
    let attributes = Attributes {
        kind: TYPE_TRACEPOINT,
        size: size_of::<Attributes>() as u32,
        config: event,
        ..Attributes::default()
    };
    let opened = open(&attributes)?;
    control(&opened, SET_BPF, program.as_raw_fd())?;
    control(&opened, ENABLE, 0)?;
    Ok(opened)
}

/// Of all processes, on the first CPU: a program runs on all of them, whichever the event was opened for
/// (`kernel/trace/trace_kprobe.c:kprobe_perf_func`).
fn open(attributes: &Attributes) -> io::Result<OwnedFd> {
    // SAFETY: the attributes live through the call and say their own size.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(attributes),
            -1,
            0,
            -1,
            CLOSE_ON_EXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn control(event: &OwnedFd, request: libc::c_ulong, argument: i32) -> io::Result<()> {
    // SAFETY: both requests take a number.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), request as _, argument) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
