//! A kernel that refuses programs: the agent under a filter of system calls that asks this program first.

use std::{
    env, fs,
    io::{Read as _, Seek as _, SeekFrom},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use rustix::io::{FdFlags, fcntl_setfd};

/// `BPF_PROG_LOAD`, and where `union bpf_attr` has the program's name then: `include/uapi/linux/bpf.h`.
const LOAD: u32 = 5;
const NAME_AT: u64 = 48;
const NAME_BYTES: usize = 16;

/// `SECCOMP_IOCTL_NOTIF_RECV` and `_SEND`: `include/uapi/linux/seccomp.h`.
const RECEIVE: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;

/// Where `struct seccomp_data` has the call's number and the lower half of its first argument.
const NUMBER_AT: u32 = 0;
const FIRST_AT: u32 = 16;

/// Becomes `program`, for which the kernel refuses to load what is called `names`, separated by commas; another process stays
/// beside it, which says so.
pub(crate) fn run(names: &str, program: &str, arguments: &[&str]) -> Result<()> {
    let asked = install()?;
    fcntl_setfd(&asked, FdFlags::empty()).context("keeping the filter's descriptor")?;
    let own = env::current_exe().context("asking for this program's own path")?;
    let number = asked.as_raw_fd().to_string();
    Command::new(own)
        .args(["answer", &number, names])
        .spawn()
        .context("starting what answers")?;
    fcntl_setfd(&asked, FdFlags::CLOEXEC).context("giving the filter's descriptor away")?;
    bail!(Command::new(program).args(arguments).exec())
}

/// A filter that asks before programs are loaded, of this thread and of all that it starts; returns where it asks.
fn install() -> Result<OwnedFd> {
    let number = libc::SYS_bpf as u32;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let end = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, value, otherwise| libc::sock_filter {
        code,
        jt: 0,
        jf: otherwise,
        k: value,
    };
    let mut steps = [
        step(load, NUMBER_AT, 0),
        step(equal, number, 3),
        step(load, FIRST_AT, 0),
        step(equal, LOAD, 1),
        step(end, libc::SECCOMP_RET_USER_NOTIF, 0),
        step(end, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let filter = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the filter lives through the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            std::ptr::from_ref(&filter),
        )
    };
    if fd < 0 {
        return Err(std::io::Error::last_os_error()).context("filtering system calls");
    }
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Answers for as long as the process lives that it was started for.
pub(crate) fn answer(number: &str, names: &str) -> Result<()> {
    // SAFETY: takes a number.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let asked: i32 = number.parse().context("a descriptor's number")?;
    let names: Vec<&str> = names.split(',').collect();
    loop {
        // SAFETY: plain numbers, of which the kernel wants zeros.
        let mut question: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        control(asked, RECEIVE, &mut question)?;
        let name = name_of(question.pid, question.data.args[1]).unwrap_or_default();
        let refused = names.contains(&name.as_str());
        let mut answer = libc::seccomp_notif_resp {
            id: question.id,
            val: 0,
            error: if refused { -libc::E2BIG } else { 0 },
            flags: if refused {
                0
            } else {
                libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32
            },
        };
        // It may have ended meanwhile.
        let _ = control(asked, SEND, &mut answer);
    }
}

fn control<T>(asked: i32, request: libc::c_ulong, value: &mut T) -> Result<()> {
    // SAFETY: the kernel reads and writes as many bytes as the request says, which are the value's.
    let done = unsafe { libc::ioctl(asked, request as _, std::ptr::from_mut(value)) };
    if done < 0 {
        return Err(std::io::Error::last_os_error()).context("the filter's descriptor");
    }
    Ok(())
}

/// The name in the attributes of a program that is to be loaded.
fn name_of(pid: u32, attributes: u64) -> Result<String> {
    let mut memory = fs::File::open(format!("/proc/{pid}/mem"))?;
    memory.seek(SeekFrom::Start(attributes + NAME_AT))?;
    let mut name = [0; NAME_BYTES];
    memory.read_exact(&mut name)?;
    let name = String::from_utf8_lossy(&name);
    Ok(name.trim_end_matches('\0').to_owned())
}
