//! The fentry tier: two programs for each function, since the kernel checks their arguments against the function's types.
//!
//! The arguments of a tracing program are an array, with the result behind them (`kernel/bpf/btf.c:btf_ctx_access`).

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{
    functions,
    transfer::{RECEIVED, SENT},
};

/// A function's programs; each fexit program has a work area of its own.
macro_rules! functions {
    ($($at:ident, $after:ident, area $slot:literal: $begins:ident, result $result:literal $kind:ty;)*) => { $(
        #[fentry]
        pub fn $at(ctx: FEntryContext) -> i32 {
            let _ = $begins(&ctx);
            0
        }

        #[fexit]
        pub fn $after(ctx: FExitContext) -> i32 {
            let socket: u64 = ctx.arg(0);
            let result = i64::from(ctx.arg::<$kind>($result));
            if !functions::ends($slot, socket, result) {
                let _ = functions::ended_unseen(socket, result);
            }
            0
        }
    )* };
}

functions! {
    fentry_inet_sendmsg, fexit_inet_sendmsg, area 1: send, result 3 i32;
    fentry_inet6_sendmsg, fexit_inet6_sendmsg, area 2: send, result 3 i32;
    fentry_unix_stream_sendmsg, fexit_unix_stream_sendmsg, area 3: send, result 3 i32;
    fentry_inet_recvmsg, fexit_inet_recvmsg, area 4: receive, result 4 i32;
    fentry_inet6_recvmsg, fexit_inet6_recvmsg, area 5: receive, result 4 i32;
    fentry_unix_stream_recvmsg, fexit_unix_stream_recvmsg, area 6: receive, result 4 i32;
    fentry_inet_sendpage, fexit_inet_sendpage, area 7: send_page, result 5 i64;
    fentry_unix_stream_sendpage, fexit_unix_stream_sendpage, area 8: send_page, result 5 i64;
    fentry_tcp_splice_read, fexit_tcp_splice_read, area 9: splice, result 5 i64;
    fentry_unix_stream_splice_read, fexit_unix_stream_splice_read, area 10: splice, result 5 i64;
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

releases! { fentry_inet_release fentry_inet6_release fentry_unix_release }

#[inline(always)]
fn send(ctx: &FEntryContext) -> Option<()> {
    let socket = ctx.arg(0);
    functions::send_begins(socket, ctx.arg(1), ctx.arg(2), socket)
}

#[inline(always)]
fn receive(ctx: &FEntryContext) -> Option<()> {
    let socket = ctx.arg(0);
    functions::receive_begins(socket, ctx.arg(1), ctx.arg(2), ctx.arg(3), socket)
}

#[inline(always)]
fn send_page(ctx: &FEntryContext) -> Option<()> {
    let socket = ctx.arg(0);
    functions::count_begins(SENT, socket, ctx.arg(3), socket)
}

#[inline(always)]
fn splice(ctx: &FEntryContext) -> Option<()> {
    let socket = ctx.arg(0);
    functions::count_begins(RECEIVED, socket, ctx.arg(3), socket)
}
