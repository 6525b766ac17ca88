//! The fentry tier: two programs for each function, since the kernel checks their arguments against the function's types.
//!
//! The arguments of a tracing program are an array, with the result behind them (`kernel/bpf/btf.c:btf_ctx_access`).

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{
    functions::{self, Place},
    transfer::{RECEIVED, SENT},
};

/// A function's programs, in copies; each fexit program has a work area of its own.
macro_rules! functions {
    ($(area $area:literal, $begins:ident, result $result:literal $kind:ty: $($copy:literal $at:ident $after:ident),*;)*) => { $($(
        #[fentry]
        pub fn $at(ctx: FEntryContext) -> i32 {
            let _ = $begins(&ctx, $copy);
            0
        }

        #[fexit]
        pub fn $after(ctx: FExitContext) -> i32 {
            let socket: u64 = ctx.arg(0);
            let result = i64::from(ctx.arg::<$kind>($result));
            if !functions::ends($area, Place::new(socket, $copy), result) {
                let _ = functions::ended_unseen(socket, result);
            }
            0
        }
    )*)* };
}

functions! {
    area 1, send, result 3 i32:
        0 fentry_inet_sendmsg fexit_inet_sendmsg, 1 fentry_inet_sendmsg_b fexit_inet_sendmsg_b, 2 fentry_inet_sendmsg_c fexit_inet_sendmsg_c;
    area 2, send, result 3 i32:
        0 fentry_inet6_sendmsg fexit_inet6_sendmsg, 1 fentry_inet6_sendmsg_b fexit_inet6_sendmsg_b, 2 fentry_inet6_sendmsg_c fexit_inet6_sendmsg_c;
    area 3, send, result 3 i32:
        0 fentry_unix_stream_sendmsg fexit_unix_stream_sendmsg, 1 fentry_unix_stream_sendmsg_b fexit_unix_stream_sendmsg_b, 2 fentry_unix_stream_sendmsg_c fexit_unix_stream_sendmsg_c;
    area 4, receive, result 4 i32:
        0 fentry_inet_recvmsg fexit_inet_recvmsg, 1 fentry_inet_recvmsg_b fexit_inet_recvmsg_b, 2 fentry_inet_recvmsg_c fexit_inet_recvmsg_c;
    area 5, receive, result 4 i32:
        0 fentry_inet6_recvmsg fexit_inet6_recvmsg, 1 fentry_inet6_recvmsg_b fexit_inet6_recvmsg_b, 2 fentry_inet6_recvmsg_c fexit_inet6_recvmsg_c;
    area 6, receive, result 4 i32:
        0 fentry_unix_stream_recvmsg fexit_unix_stream_recvmsg, 1 fentry_unix_stream_recvmsg_b fexit_unix_stream_recvmsg_b, 2 fentry_unix_stream_recvmsg_c fexit_unix_stream_recvmsg_c;
    area 7, send_page, result 5 i64:
        0 fentry_inet_sendpage fexit_inet_sendpage, 1 fentry_inet_sendpage_b fexit_inet_sendpage_b, 2 fentry_inet_sendpage_c fexit_inet_sendpage_c;
    area 8, send_page, result 5 i64:
        0 fentry_unix_stream_sendpage fexit_unix_stream_sendpage, 1 fentry_unix_stream_sendpage_b fexit_unix_stream_sendpage_b, 2 fentry_unix_stream_sendpage_c fexit_unix_stream_sendpage_c;
    area 9, splice, result 5 i64:
        0 fentry_tcp_splice_read fexit_tcp_splice_read, 1 fentry_tcp_splice_read_b fexit_tcp_splice_read_b, 2 fentry_tcp_splice_read_c fexit_tcp_splice_read_c;
    area 10, splice, result 5 i64:
        0 fentry_unix_stream_splice_read fexit_unix_stream_splice_read, 1 fentry_unix_stream_splice_read_b fexit_unix_stream_splice_read_b, 2 fentry_unix_stream_splice_read_c fexit_unix_stream_splice_read_c;
}

macro_rules! releases {
    ($($at:ident)*) => { $(
        #[fentry]
        pub fn $at(ctx: FEntryContext) -> i32 {
            functions::released(ctx.arg(0));
            0
        }
    )* };
}

releases! {
    fentry_inet_release fentry_inet_release_b fentry_inet_release_c
    fentry_inet6_release fentry_inet6_release_b fentry_inet6_release_c
    fentry_unix_release fentry_unix_release_b fentry_unix_release_c
}

#[inline(always)]
fn send(ctx: &FEntryContext, copy: u32) -> Option<()> {
    let socket = ctx.arg(0);
    functions::send_begins(socket, ctx.arg(1), ctx.arg(2), Place::new(socket, copy))
}

#[inline(always)]
fn receive(ctx: &FEntryContext, copy: u32) -> Option<()> {
    let socket = ctx.arg(0);
    functions::receive_begins(
        socket,
        ctx.arg(1),
        ctx.arg(2),
        ctx.arg(3),
        Place::new(socket, copy),
    )
}

#[inline(always)]
fn send_page(ctx: &FEntryContext, copy: u32) -> Option<()> {
    let socket = ctx.arg(0);
    functions::count_begins(SENT, socket, ctx.arg(3), Place::new(socket, copy))
}

#[inline(always)]
fn splice(ctx: &FEntryContext, copy: u32) -> Option<()> {
    let socket = ctx.arg(0);
    functions::count_begins(RECEIVED, socket, ctx.arg(3), Place::new(socket, copy))
}
