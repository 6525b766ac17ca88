//! Ways to move bytes that are not system calls of their own: `preadv2` and `pwritev2`, which some C libraries use for others, `io_uring`,
//! and the system calls of 32-bit programs. The tiers of functions see them all, that of system calls sees none. Sockets in a sockmap are
//! among them, though all tiers see those: not everybody may put one there.

use std::{
    io::{IoSlice, IoSliceMut},
    os::fd::{AsRawFd as _, BorrowedFd},
};

use io_uring::{IoUring, opcode, squeue::Entry, types::Fd};
use rustix::io::{self, Errno, ReadWriteFlags, preadv2, pwritev2};

use crate::sockmap;

/// All of them, each for reading and writing.
#[cfg(target_arch = "x86_64")]
pub(crate) const WIDER: &[&str] = &["positioned", "ring", "sockmap", "narrow"];
/// Not every processor of this architecture knows 32-bit programs.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const WIDER: &[&str] = &["positioned", "ring", "sockmap"];

/// The present position, which is all that a socket has: `do_preadv` in `fs/read_write.c` takes -1 for it.
const HERE: u64 = u64::MAX;

/// Reads, if the way is one of these.
pub(crate) fn read(socket: BorrowedFd<'_>, way: &str, bytes: &mut [u8]) -> Option<Result<usize, Errno>> {
    match way {
        "positioned" => {
            let (first, second) = bytes.split_at_mut(11);
            let mut parts = [IoSliceMut::new(first), IoSliceMut::new(second)];
            Some(preadv2(socket, &mut parts, HERE, ReadWriteFlags::empty()))
        }
        "ring" => {
            let receive = opcode::Recv::new(Fd(socket.as_raw_fd()), bytes.as_mut_ptr(), bytes.len() as u32);
            Some(by_ring(&receive.build()))
        }
        "sockmap" => Some(sockmap::enter(socket).and_then(|()| io::read(socket, bytes))),
        #[cfg(target_arch = "x86_64")]
        "narrow" => Some(narrow::read(socket, bytes)),
        _ => None,
    }
}

/// Writes, if the way is one of these.
pub(crate) fn write(socket: BorrowedFd<'_>, way: &str, bytes: &[u8]) -> Option<Result<usize, Errno>> {
    match way {
        "positioned" => {
            let (first, second) = bytes.split_at(bytes.len().min(9));
            let parts = [IoSlice::new(first), IoSlice::new(second)];
            Some(pwritev2(socket, &parts, HERE, ReadWriteFlags::empty()))
        }
        "ring" => {
            let send = opcode::Write::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32);
            Some(by_ring(&send.build()))
        }
        "sockmap" => Some(sockmap::enter(socket).and_then(|()| io::write(socket, bytes))),
        #[cfg(target_arch = "x86_64")]
        "narrow" => Some(narrow::write(socket, bytes)),
        _ => None,
    }
}

/// Has one operation done, and waits for it.
fn by_ring(operation: &Entry) -> Result<usize, Errno> {
    let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let mut ring = IoUring::new(2).map_err(failed)?;
    // SAFETY: the buffer outlives this function, which waits until the operation has ended.
    unsafe { ring.submission().push(operation) }.map_err(|_full| Errno::BUSY)?;
    ring.submit_and_wait(1).map_err(failed)?;
    let result = ring.completion().next().ok_or(Errno::IO)?.result();
    usize::try_from(result).map_err(|_negative| Errno::from_raw_os_error(-result))
}

/// System calls as 32-bit programs make them.
#[cfg(target_arch = "x86_64")]
mod narrow {
    use std::{arch::asm, os::fd::AsRawFd as _, os::fd::BorrowedFd, ptr, slice};

    use rustix::io::Errno;

    /// `arch/x86/entry/syscalls/syscall_32.tbl`.
    const READ: i32 = 3;
    const WRITE: i32 = 4;

    pub(super) fn read(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<usize, Errno> {
        let mut buffer = Buffer::new(bytes.len())?;
        let count = call(READ, socket, &buffer, bytes.len())?;
        bytes[..count].copy_from_slice(&buffer.bytes()[..count]);
        Ok(count)
    }

    pub(super) fn write(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
        let mut buffer = Buffer::new(bytes.len())?;
        buffer.bytes().copy_from_slice(bytes);
        call(WRITE, socket, &buffer, bytes.len())
    }

    fn call(number: i32, socket: BorrowedFd<'_>, buffer: &Buffer, length: usize) -> Result<usize, Errno> {
        let mut result = number;
        // SAFETY: reads or writes the buffer, which is of that length, and nothing else of this program. The kernel clears
        // r8 to r11 in some versions; the compiler keeps rbx for itself.
        unsafe {
            asm!(
                "xchg rbx, {first:r}",
                "int 0x80",
                "xchg rbx, {first:r}",
                first = inout(reg) i64::from(socket.as_raw_fd()) => _,
                inout("eax") result,
                in("ecx") buffer.start as u32,
                in("edx") length as u32,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        usize::try_from(result).map_err(|_negative| Errno::from_raw_os_error(-result))
    }

    /// Memory whose address has 32 bits.
    struct Buffer {
        start: *mut libc::c_void,
        length: usize,
    }

    impl Buffer {
        fn new(length: usize) -> Result<Self, Errno> {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
            // SAFETY: new memory, wherever the kernel puts it.
            let start = unsafe { libc::mmap(ptr::null_mut(), length, access, kind, -1, 0) };
            if start == libc::MAP_FAILED {
                return Err(Errno::NOMEM);
            }
            Ok(Self { start, length })
        }

        fn bytes(&mut self) -> &mut [u8] {
            // SAFETY: this value's own memory, of that length, zeroed by the kernel.
            unsafe { slice::from_raw_parts_mut(self.start.cast(), self.length) }
        }
    }

    impl Drop for Buffer {
        fn drop(&mut self) {
            // SAFETY: made by `new`; nothing borrows it any more.
            unsafe { libc::munmap(self.start, self.length) };
        }
    }
}
