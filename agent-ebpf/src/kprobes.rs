//! The kprobe tier: one program for each form of function, at the entry and the return of each of them.
//!
//! A kretprobe cannot read the arguments, so what belongs together is told by the thread and the stack pointer.

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use crate::{
    functions::{self, Place},
    registers::{frame_at_entry, frame_at_return},
    transfer::{RECEIVED, SENT},
    work::KRETPROBE,
};

#[kprobe]
pub fn kprobe_send(ctx: ProbeContext) -> u32 {
    let _ = send(&ctx);
    0
}

#[kprobe]
pub fn kprobe_receive(ctx: ProbeContext) -> u32 {
    let _ = receive(&ctx);
    0
}

/// `X_sendpage(struct socket *, struct page *, int, size_t, int)`, up to Linux 6.4.
#[kprobe]
pub fn kprobe_send_page(ctx: ProbeContext) -> u32 {
    let _ = count(&ctx, SENT);
    0
}

/// `X_splice_read(struct socket *, loff_t *, struct pipe_inode_info *, size_t, unsigned int)`.
#[kprobe]
pub fn kprobe_splice(ctx: ProbeContext) -> u32 {
    let _ = count(&ctx, RECEIVED);
    0
}

#[kprobe]
pub fn kprobe_release(ctx: ProbeContext) -> u32 {
    if let Some(socket) = ctx.arg(0) {
        functions::released(socket);
    }
    0
}

/// Functions that return an `int`.
#[kretprobe]
pub fn kretprobe_int(ctx: RetProbeContext) -> u32 {
    functions::ends(KRETPROBE, Place::only(frame_at_return(&ctx)), i64::from(ctx.ret::<i32>()));
    0
}

/// Functions that return a `ssize_t`.
#[kretprobe]
pub fn kretprobe_long(ctx: RetProbeContext) -> u32 {
    functions::ends(KRETPROBE, Place::only(frame_at_return(&ctx)), ctx.ret::<i64>());
    0
}

#[inline(always)]
fn send(ctx: &ProbeContext) -> Option<()> {
    functions::send_begins(ctx.arg(0)?, ctx.arg(1)?, ctx.arg(2)?, Place::only(frame_at_entry(ctx)))
}

#[inline(always)]
fn receive(ctx: &ProbeContext) -> Option<()> {
    functions::receive_begins(
        ctx.arg(0)?,
        ctx.arg(1)?,
        ctx.arg(2)?,
        ctx.arg(3)?,
        Place::only(frame_at_entry(ctx)),
    )
}

#[inline(always)]
fn count(ctx: &ProbeContext, direction: usize) -> Option<()> {
    functions::count_begins(direction, ctx.arg(0)?, ctx.arg(3)?, Place::only(frame_at_entry(ctx)))
}
