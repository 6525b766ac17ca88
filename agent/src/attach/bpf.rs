//! Two commands of `bpf(2)` that aya 0.14 does not know: loading a program for links of the kind `uprobe_multi`, and such a link.
//!
//! Probes in programs can be made by `perf_event_open`, too, but since the mending of CVE-2025-38466 that wants `CAP_SYS_ADMIN`
//! (`kernel/events/core.c`, `perf_uprobe_event_init`). For a link, `CAP_BPF` is enough, and to load its program also `CAP_PERFMON`
//! (`kernel/bpf/syscall.c`, `__sys_bpf` and `bpf_prog_load`; `kernel/trace/bpf_trace.c`, `bpf_uprobe_multi_link_attach`). Linux has
//! these links from 6.6 on.

use std::{
    ffi::{CStr, CString},
    io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya_obj::generated::{
    BPF_F_UPROBE_MULTI_RETURN, bpf_attach_type::BPF_TRACE_UPROBE_MULTI, bpf_cmd, bpf_insn,
    bpf_prog_type::BPF_PROG_TYPE_KPROBE,
};

/// `BPF_OBJ_NAME_LEN`, with the zero at the end.
const NAME_BYTES: usize = 16;

/// A program that is ready to be loaded.
pub(super) struct Code {
    pub name: String,
    pub license: CString,
    pub instructions: Vec<bpf_insn>,
    /// Whether it runs when the probed function returns.
    pub returns: bool,
}

/// What `BPF_PROG_LOAD` takes, as far as it is used (`union bpf_attr`, `include/uapi/linux/bpf.h`).
#[repr(C)]
#[derive(Default)]
struct LoadArguments {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; NAME_BYTES],
    interface: u32,
    expected_attach_type: u32,
}

/// What `BPF_LINK_CREATE` takes for `BPF_TRACE_UPROBE_MULTI`.
#[repr(C)]
#[derive(Default)]
struct LinkArguments {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    reference_counts: u64,
    cookies: u64,
    count: u32,
    multi_flags: u32,
    /// 0: whichever process.
    pid: u32,
    padding: u32,
}

/// Loads a program for links of this kind. Kernels that do not know them may load it all the same: see [`links_exist`].
pub(super) fn load(code: &Code) -> io::Result<OwnedFd> {
    let mut arguments = LoadArguments {
        program_type: BPF_PROG_TYPE_KPROBE as u32,
        instruction_count: code.instructions.len() as u32,
        instructions: code.instructions.as_ptr() as u64,
        license: code.license.as_ptr() as u64,
        expected_attach_type: BPF_TRACE_UPROBE_MULTI as u32,
        ..LoadArguments::default()
    };
    let name = code.name.as_bytes();
    let shown = name.len().min(NAME_BYTES - 1);
    arguments.name[..shown].copy_from_slice(&name[..shown]);
    // SAFETY: instructions and license live through the call, and their lengths are right.
    unsafe { bpf(bpf_cmd::BPF_PROG_LOAD, &arguments) }
}

/// Runs a program whenever any process comes to this offset of the file's code, or returns from the function there, until what
/// is returned is dropped.
pub(super) fn link(
    program: BorrowedFd<'_>,
    path: &Path,
    offset: u64,
    cookie: u64,
    returns: bool,
) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    link_at(program, &path, offset, cookie, returns)
}

/// Whether the kernel has such links. It is asked for one in what is no file: who knows of them says so (`EBADF`).
pub(super) fn links_exist(program: BorrowedFd<'_>) -> bool {
    let refused = link_at(program, c"/", 1, 0, false).err();
    refused.and_then(|error| error.raw_os_error()) == Some(libc::EBADF)
}

fn link_at(
    program: BorrowedFd<'_>,
    path: &CStr,
    offset: u64,
    cookie: u64,
    returns: bool,
) -> io::Result<OwnedFd> {
    let arguments = LinkArguments {
        program: program.as_raw_fd() as u32,
        attach_type: BPF_TRACE_UPROBE_MULTI as u32,
        path: path.as_ptr() as u64,
        offsets: (&raw const offset) as u64,
        cookies: (&raw const cookie) as u64,
        count: 1,
        multi_flags: if returns { BPF_F_UPROBE_MULTI_RETURN } else { 0 },
        ..LinkArguments::default()
    };
    // SAFETY: the path, the one offset and the one cookie live through the call.
    unsafe { bpf(bpf_cmd::BPF_LINK_CREATE, &arguments) }
}

/// A command whose answer is a new descriptor.
///
/// # Safety
/// `arguments` has the form that the command takes, and what it points to can be read.
unsafe fn bpf<T>(command: bpf_cmd, arguments: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise; neither command writes to arguments of this size.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_int,
            std::ptr::from_ref(arguments),
            size_of::<T>() as libc::c_uint,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use aya_obj::generated::bpf_attr;

    use super::*;

    /// The kernel's own layout, as aya's bindings have it.
    #[test]
    fn the_arguments_lie_where_the_kernel_looks_for_them() {
        assert_eq!(size_of::<LoadArguments>(), 72);
        assert_eq!(offset_of!(LoadArguments, name), 48);
        assert_eq!(offset_of!(LoadArguments, expected_attach_type), 68);
        assert!(size_of::<LoadArguments>() <= size_of::<bpf_attr>());
        assert_eq!(size_of::<LinkArguments>(), 64);
        assert_eq!(offset_of!(LinkArguments, path), 16);
        assert_eq!(offset_of!(LinkArguments, cookies), 40);
        assert_eq!(offset_of!(LinkArguments, pid), 56);
    }

    #[test]
    fn a_path_with_a_zero_is_refused_before_the_kernel_is_asked() {
        use std::os::fd::AsFd as _;
        let file = std::fs::File::open("/dev/null").unwrap();
        let refused = link(file.as_fd(), Path::new("a\0b"), 0, 0, false).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(!links_exist(file.as_fd()), "that is no program");
    }
}
