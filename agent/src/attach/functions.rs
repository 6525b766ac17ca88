//! The socket functions of the kernel that the tiers fentry and kprobe hook.

use super::copies::{Copies, copies};

/// What a function does; each has its own form of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `(struct socket *, struct msghdr *, size_t)`.
    Send,
    /// `(struct socket *, struct msghdr *, size_t, int)`.
    Receive,
    /// `(struct socket *, struct page *, int, size_t, int)`.
    SendPage,
    /// `(struct socket *, loff_t *, struct pipe_inode_info *, size_t, unsigned int)`.
    Splice,
    /// `(struct socket *)`.
    Release,
}

/// A function, and the programs for it.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// Whether there are kernels that do without it.
    pub(super) optional: bool,
    pub(super) fentry: Copies,
    /// None for functions whose result says nothing.
    pub(super) fexit: Option<Copies>,
}

macro_rules! functions {
    ($($name:literal $form:ident $optional:literal $fentry:literal $($fexit:literal)?;)*) => {
        &[$(Function { name: $name, form: Form::$form, optional: $optional, fentry: copies!($fentry), fexit: functions!(@ $($fexit)?) }),*]
    };
    (@) => { None };
    (@ $fexit:literal) => { Some(copies!($fexit)) };
}

/// All of them. `sendpage` went in 6.5, since when sendfile and splice come by `sendmsg` (`net/ipv4/af_inet.c`).
pub(super) const FUNCTIONS: &[Function] = functions! {
    "inet_sendmsg" Send false "fentry_inet_sendmsg" "fexit_inet_sendmsg";
    "inet6_sendmsg" Send false "fentry_inet6_sendmsg" "fexit_inet6_sendmsg";
    "unix_stream_sendmsg" Send false "fentry_unix_stream_sendmsg" "fexit_unix_stream_sendmsg";
    "inet_recvmsg" Receive false "fentry_inet_recvmsg" "fexit_inet_recvmsg";
    "inet6_recvmsg" Receive false "fentry_inet6_recvmsg" "fexit_inet6_recvmsg";
    "unix_stream_recvmsg" Receive false "fentry_unix_stream_recvmsg" "fexit_unix_stream_recvmsg";
    "inet_sendpage" SendPage true "fentry_inet_sendpage" "fexit_inet_sendpage";
    "unix_stream_sendpage" SendPage true "fentry_unix_stream_sendpage" "fexit_unix_stream_sendpage";
    "tcp_splice_read" Splice false "fentry_tcp_splice_read" "fexit_tcp_splice_read";
    "unix_stream_splice_read" Splice false "fentry_unix_stream_splice_read" "fexit_unix_stream_splice_read";
    "inet_release" Release false "fentry_inet_release";
    "inet6_release" Release false "fentry_inet6_release";
    "unix_release" Release false "fentry_unix_release";
};

impl Form {
    /// The program of the kprobe tier at the entry.
    pub(super) fn kprobe(self) -> &'static str {
        match self {
            Self::Send => "kprobe_send",
            Self::Receive => "kprobe_receive",
            Self::SendPage => "kprobe_send_page",
            Self::Splice => "kprobe_splice",
            Self::Release => "kprobe_release",
        }
    }

    /// The one at the return.
    pub(super) fn kretprobe(self) -> Option<&'static str> {
        match self {
            Self::Send | Self::Receive => Some("kretprobe_int"),
            Self::SendPage | Self::Splice => Some("kretprobe_long"),
            Self::Release => None,
        }
    }

    /// Calls of the function that may be under way at once, on the whole host, without one being missed: each holds a kretprobe
    /// until it returns, and threads wait in reads for as long as they like.
    pub(super) fn calls_at_once(self) -> u32 {
        match self {
            Self::Receive => MOST_AT_ONCE,
            _ => 512,
        }
    }
}

/// `KRETPROBE_MAXACTIVE_MAX` (`kernel/trace/trace_kprobe.c`).
const MOST_AT_ONCE: u32 = 4096;
