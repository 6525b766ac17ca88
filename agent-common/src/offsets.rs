//! Load-time constants: where fields are in this kernel's structs, and settings.
//!
//! Rust emits no CO-RE relocations, so the user side reads each offset from the running kernel's BTF and writes it
//! into a global of the kernel side before loading.

/// A field whose byte offset the kernel side needs: name of the global, struct, path of members.
pub struct Field {
    /// Name of the kernel side's global (`u32`).
    pub global: &'static str,
    /// Name of the struct.
    pub structure: &'static str,
    /// Members, separated by dots; anonymous ones are passed through.
    pub path: &'static str,
}

/// Declares a field.
const fn field(global: &'static str, structure: &'static str, path: &'static str) -> Field {
    Field {
        global,
        structure,
        path,
    }
}

/// Where a task's thread pointer is (`arch/x86/include/asm/processor.h`, `arch/arm64/include/asm/processor.h`).
const THREAD_POINTER: &str = if cfg!(target_arch = "aarch64") {
    "thread.uw.tp_value"
} else {
    "thread.fsbase"
};

/// Every field that the kernel side reads.
pub const FIELDS: &[Field] = &[
    field("TASK_FILES", "task_struct", "files"),
    field("TASK_PID", "task_struct", "pid"),
    field("TASK_TGID", "task_struct", "tgid"),
    field("TASK_SIGNAL", "task_struct", "signal"),
    field("TASK_FLAGS", "task_struct", "flags"),
    field("TASK_START_TIME", "task_struct", "start_time"),
    field("TASK_THREAD_POINTER", "task_struct", THREAD_POINTER),
    field("SIGNAL_LIVE", "signal_struct", "live.counter"),
    field("FILES_FDT", "files_struct", "fdt"),
    field("FDTABLE_FD", "fdtable", "fd"),
    field("FILE_INODE", "file", "f_inode"),
    field("FILE_FLAGS", "file", "f_flags"),
    field("FILE_PRIVATE_DATA", "file", "private_data"),
    field("INODE_MODE", "inode", "i_mode"),
    field("INODE_INO", "inode", "i_ino"),
    field("SOCKET_TYPE", "socket", "type"),
    field("SOCKET_SK", "socket", "sk"),
    field("SOCK_FAMILY", "sock", "__sk_common.skc_family"),
    field("SOCK_STATE", "sock", "__sk_common.skc_state"),
    field("SOCK_PEER_PORT", "sock", "__sk_common.skc_dport"),
    field("SOCK_LOCAL_PORT", "sock", "__sk_common.skc_num"),
    field("SOCK_PEER_V4", "sock", "__sk_common.skc_daddr"),
    field("SOCK_LOCAL_V4", "sock", "__sk_common.skc_rcv_saddr"),
    field("SOCK_PEER_V6", "sock", "__sk_common.skc_v6_daddr"),
    field("SOCK_LOCAL_V6", "sock", "__sk_common.skc_v6_rcv_saddr"),
    field("SOCK_NET", "sock", "__sk_common.skc_net.net"),
    field("NET_INUM", "net", "ns.inum"),
    field("SOCK_SOCKET", "sock", "sk_socket"),
    field("SOCK_PROTOCOL", "sock", "sk_protocol"),
    field("SOCK_BACKLOG_LIMIT", "sock", "sk_max_ack_backlog"),
    field("TCP_BYTES_RECEIVED", "tcp_sock", "bytes_received"),
    field("TCP_RCV_NXT", "tcp_sock", "rcv_nxt"),
    field("TCP_COPIED_SEQ", "tcp_sock", "copied_seq"),
    field("TCP_BYTES_ACKED", "tcp_sock", "bytes_acked"),
    field("TCP_WRITE_SEQ", "tcp_sock", "write_seq"),
    field("TCP_SND_UNA", "tcp_sock", "snd_una"),
    field("UNIX_ADDR", "unix_sock", "addr"),
    field("UNIX_PEER", "unix_sock", "peer"),
    field("UNIX_ADDRESS_LEN", "unix_address", "len"),
    field("UNIX_ADDRESS_NAME", "unix_address", "name"),
];

/// On arm64: where the registers of the present task's program are, and among them the one in which Go has `g`.
pub mod saved {
    /// Struct, member and global of where the kernel's stack of a task begins.
    pub const STACK: super::Field = super::field("TASK_STACK", "task_struct", "stack");
    /// Of the registers that are at the end of that stack (`arch/arm64/include/asm/processor.h:task_pt_regs`).
    pub const REGISTERS: &str = "pt_regs";
    /// The first of them.
    pub const FIRST: &str = "regs";
    /// The number of Go's: `x28` (Go, src/cmd/compile/abi-internal.md).
    pub const G: u32 = 28;
    /// Global: how far from the stack's beginning that register is.
    pub const STACK_G: &str = "STACK_G";
}

/// Settings: `u32` globals.
pub mod setting {
    /// Bytes copied at the start of a run of the request's direction.
    pub const REQUEST_BUDGET: &str = "REQUEST_BUDGET";
    /// Bytes copied at the start of a run of the response's direction.
    pub const RESPONSE_BUDGET: &str = "RESPONSE_BUDGET";
    /// Bytes copied at the end of each call beyond the budget; at most 1024.
    pub const TAIL_BYTES: &str = "TAIL_BYTES";
    /// Bytes waiting in the ring buffer at which the user side is woken.
    pub const WAKEUP_BYTES: &str = "WAKEUP_BYTES";
    /// 1: a process that calls exec is watched tentatively and reported.
    pub const WATCH_NEW: &str = "WATCH_NEW";
    /// `u8`: least important level of the kernel side's own log (aya-log's): 2 warnings, 5 traces.
    pub const LOG_LEVEL: &str = "AYA_LOG_LEVEL";
    /// 1: threads of the kernel's own, such as `io_uring`'s, can come to the hooks.
    pub const IO_WORKERS: &str = "IO_WORKERS";
    /// Copies of each program that are attached.
    pub const COPIES: &str = "COPIES";
    /// Work areas of each copy.
    pub const WORK_AREAS: &str = "WORK_AREAS";
    /// Process id of the agent, never watched.
    pub const OWN_PID: &str = "OWN_PID";
}
