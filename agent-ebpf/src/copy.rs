//! Copying from a process's buffers, be they one or many.

use aya_ebpf::helpers::generated::bpf_probe_read_user;

use crate::{
    emit::FRAGMENT_BYTES,
    kernel,
    work::{self, Work},
};

/// Most segments of one call that are looked at; bytes beyond are counted, not copied. Python's and Go's
/// vectored writes stay far below; the system's bound is 1024 (`UIO_MAXIOV`).
const SEGMENTS_MAX: u32 = 64;

/// The buffers of a call.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Buffers {
    /// Address of the bytes, or of an array of `struct iovec`.
    pub address: u64,
    /// Number of segments; 0 if `address` is that of the bytes.
    pub segments: u64,
    /// Bytes of the first segment that lie before the call's.
    pub skip: u64,
    /// 1: the array of segments is in the kernel's memory.
    pub of_kernel: u64,
}

impl Buffers {
    /// Address of the first byte of a segment; none when there are not so many.
    #[inline(always)]
    pub fn segment(&self, index: u32) -> Option<u64> {
        if self.segments == 0 {
            return (index == 0).then_some(self.address);
        }
        if u64::from(index) >= self.segments {
            return None;
        }
        let skip = if index == 0 { self.skip } else { 0 };
        self.read(index).map(|segment| segment.base + skip)
    }

    #[inline(always)]
    fn read(&self, index: u32) -> Option<Segment> {
        let address = self.address + u64::from(index) * size_of::<Segment>() as u64;
        if self.of_kernel == 0 {
            kernel::user(address)
        } else {
            kernel::at(address)
        }
    }
}

/// Where copying from several segments stands. It lives in the work area: what is read from there is any number to the
/// verifier, so the passes of the loop look alike and are not multiplied with each other.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Cursor {
    /// Bytes still to be passed over.
    pub to_skip: u64,
    /// Bytes copied.
    pub copied: u64,
}

/// `struct iovec`: `include/uapi/linux/uio.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Segment {
    /// Address of its first byte.
    pub base: u64,
    /// Its length.
    pub length: u64,
}

/// Copies bytes `from..from + wanted` of the call to `bytes[at..]` of the work area; returns how many could be copied,
/// from the front. Verified on its own.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn copy_bytes(from: u64, wanted: u64, at: u64, slot: u64) -> u64 {
    let Some(work) = work::area(slot) else { return 0 };
    let buffers = work.transfer.buffers;
    if buffers.segments == 0 {
        return copy_plain(work, buffers.address + from, wanted, at);
    }
    work.cursor = Cursor {
        to_skip: from + buffers.skip,
        copied: 0,
    };
    for index in 0..SEGMENTS_MAX {
        if u64::from(index) >= buffers.segments || !copy_segment(work, buffers, index, wanted, at) {
            break;
        }
    }
    work.cursor.copied
}

/// Copies what is wanted of one segment; false when there is nothing left to do.
#[inline(always)]
fn copy_segment(work: &mut Work, buffers: Buffers, index: u32, wanted: u64, at: u64) -> bool {
    // SAFETY: a field of the work area; volatile, so that it does not stay in a register (see `Cursor`).
    let Cursor { to_skip, copied } = unsafe { core::ptr::addr_of!(work.cursor).read_volatile() };
    if copied >= wanted {
        return false;
    }
    let Some(segment) = buffers.read(index) else {
        return false;
    };
    let skipped = to_skip.min(segment.length);
    let here = (segment.length - skipped).min(wanted - copied);
    if here > 0 && copy_plain(work, segment.base + skipped, here, at + copied) < here {
        return false;
    }
    let cursor = Cursor {
        to_skip: to_skip - skipped,
        copied: copied + here,
    };
    // SAFETY: as above.
    unsafe { core::ptr::addr_of_mut!(work.cursor).write_volatile(cursor) };
    true
}

/// Copies `wanted` bytes (at most a fragment) to `bytes[at..]`, all or nothing.
#[inline(always)]
fn copy_plain(work: &mut Work, address: u64, wanted: u64, at: u64) -> u64 {
    let at = bounded(at, FRAGMENT_BYTES as u64);
    let wanted = bounded(wanted, FRAGMENT_BYTES as u64);
    if wanted == 0 {
        return 0;
    }
    // SAFETY: `at` and `wanted` are each at most a fragment, and `bytes` has room for two.
    let result = unsafe {
        let target = work.bytes.as_mut_ptr().add(at as usize);
        bpf_probe_read_user(target.cast(), wanted as u32, address as *const _)
    };
    if result == 0 { wanted } else { 0 }
}

/// The smaller of two numbers, in a way that the verifier can follow: the value must not be recomputed from another
/// register after the comparison.
#[inline(always)]
pub fn bounded(value: u64, most: u64) -> u64 {
    let mut value = value;
    // SAFETY: it only keeps the compiler from looking through `value`. (A move to itself and not an empty line: that
    // would give two line numbers to one instruction, which the kernel refuses.)
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(nomem, nostack, preserves_flags)) };
    if value > most { most } else { value }
}
