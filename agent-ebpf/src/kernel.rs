//! Reading the kernel's and the process's memory: the only places that do.

use aya_ebpf::{
    Global,
    helpers::{bpf_get_current_task, bpf_probe_read_kernel, bpf_probe_read_user, generated},
};

use crate::offsets;

/// Mode bits of an inode, and their value for a socket: `include/uapi/linux/stat.h`.
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
/// `SOCK_STREAM`: `include/linux/net.h`.
const SOCK_STREAM: u16 = 1;
/// `O_NONBLOCK`: `include/uapi/asm-generic/fcntl.h`.
const O_NONBLOCK: u32 = 0o4000;

/// `PF_IO_WORKER`: `include/linux/sched.h`.
const PF_IO_WORKER: u32 = 0x10;

/// A socket that a process did I/O on.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Socket {
    /// Address of its `struct sock`.
    pub sk: u64,
    /// Address of the `struct file` through which it was used.
    pub file: u64,
}

impl Socket {
    /// Its inode number: tells it from an older one at the same address.
    #[inline(always)]
    pub fn inode(&self) -> Option<u64> {
        let inode: u64 = field(self.file, &offsets::FILE_INODE)?;
        field(inode, &offsets::INODE_INO)
    }

    /// Whether the file description is blocking.
    #[inline(always)]
    pub fn is_blocking(&self) -> bool {
        field::<u32>(self.file, &offsets::FILE_FLAGS).is_some_and(|flags| flags & O_NONBLOCK == 0)
    }

    /// Whether it is a byte stream.
    #[inline(always)]
    pub fn is_stream(&self) -> bool {
        let socket: Option<u64> = field(self.file, &offsets::FILE_PRIVATE_DATA);
        socket.and_then(|socket| field::<u16>(socket, &offsets::SOCKET_TYPE)) == Some(SOCK_STREAM)
    }
}

/// Reads the field of a kernel struct that begins `offset` bytes after `base`.
#[inline(always)]
pub fn field<T: Copy>(base: u64, offset: &Global<u32>) -> Option<T> {
    at(base.wrapping_add(u64::from(offset.load())))
}

/// Reads kernel memory.
#[inline(always)]
pub fn at<T: Copy>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address itself and fails on bad ones.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}

/// Reads kernel memory into a place that is too large for the stack.
#[inline(always)]
pub fn copy<const N: usize>(address: u64, target: &mut [u8; N]) -> Option<()> {
    // SAFETY: the helper checks the address itself and fails on bad ones; `target` has N bytes.
    let result = unsafe {
        generated::bpf_probe_read_kernel(target.as_mut_ptr().cast(), N as u32, address as *const _)
    };
    (result == 0).then_some(())
}

/// Reads the memory of the current process.
#[inline(always)]
pub fn user<T: Copy>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address itself and fails on bad ones.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

/// Address of the current `task_struct`.
#[inline(always)]
pub fn current_task() -> u64 {
    // SAFETY: no arguments, always valid in the programs used here.
    unsafe { bpf_get_current_task() }
}

/// Whether the current task is a thread of the kernel that does I/O for a process (io_uring): it has the thread pointer of
/// whoever made it (`arch/x86/kernel/process.c:copy_thread`), and is not that thread.
#[inline(always)]
pub fn is_io_worker() -> bool {
    offsets::IO_WORKERS.load() != 0
        && field::<u32>(current_task(), &offsets::TASK_FLAGS).is_none_or(|flags| flags & PF_IO_WORKER != 0)
}

/// The register in which Go has `g` on arm64, as the program had it when it came into the kernel; of a thread of the kernel's own
/// there is none.
#[inline(always)]
pub fn register_of_g() -> Option<u64> {
    if is_io_worker() {
        return None;
    }
    let stack: u64 = field(current_task(), &offsets::TASK_STACK)?;
    field(stack, &offsets::STACK_G)
}

/// What a `struct socket` of a byte stream belongs to; `None` for those of the kernel's own, which have no file.
#[inline(always)]
pub fn stream_of_user(socket: u64) -> Option<Socket> {
    if field::<u16>(socket, &offsets::SOCKET_TYPE)? != SOCK_STREAM {
        return None;
    }
    let file: u64 = field(socket, &offsets::SOCKET_FILE)?;
    let sk: u64 = field(socket, &offsets::SOCKET_SK)?;
    (file != 0).then_some(Socket { sk, file })
}

/// The socket behind a file descriptor of the current process, if it is one.
///
/// The way: task → files → fdt → fd[n] → file → inode (is it a socket?) → `struct socket` → `struct sock`, as in
/// `fs/file.c:files_lookup_fd_raw` and `net/socket.c:sock_from_file`. A descriptor that is out of range leads nowhere
/// or to a wrong socket, but then the call fails and nothing is done with it.
#[inline(always)]
pub fn socket(fd: u32) -> Option<Socket> {
    let files: u64 = field(current_task(), &offsets::TASK_FILES)?;
    let table: u64 = field(files, &offsets::FILES_FDT)?;
    let array: u64 = field(table, &offsets::FDTABLE_FD)?;
    let file: u64 = at(array + u64::from(fd) * 8)?;
    let inode: u64 = field(file, &offsets::FILE_INODE)?;
    let mode: u16 = field(inode, &offsets::INODE_MODE)?;
    if mode & S_IFMT != S_IFSOCK {
        return None;
    }
    let socket: u64 = field(file, &offsets::FILE_PRIVATE_DATA)?;
    Some(Socket {
        sk: field(socket, &offsets::SOCKET_SK)?,
        file,
    })
}
