//! Load-time constants: see `agent_common::offsets` for what each is.

use aya_ebpf::Global;

macro_rules! constants {
    ($($name:ident)*) => { $(
        #[unsafe(no_mangle)]
        pub static $name: Global<u32> = Global::new(0);
    )* };
}

constants! {
    TASK_FILES
    TASK_PID
    TASK_TGID
    TASK_SIGNAL
    TASK_START_TIME
    TASK_THREAD_POINTER
    SIGNAL_LIVE
    FILES_FDT
    FDTABLE_FD
    FILE_INODE
    FILE_FLAGS
    FILE_PRIVATE_DATA
    INODE_MODE
    INODE_INO
    SOCKET_TYPE
    SOCKET_SK
    SOCK_FAMILY
    SOCK_STATE
    SOCK_PEER_PORT
    SOCK_LOCAL_PORT
    SOCK_PEER_V4
    SOCK_LOCAL_V4
    SOCK_PEER_V6
    SOCK_LOCAL_V6
    SOCK_NET
    NET_INUM
    SOCK_SOCKET
    SOCK_PROTOCOL
    SOCK_BACKLOG_LIMIT
    TCP_BYTES_RECEIVED
    TCP_RCV_NXT
    TCP_COPIED_SEQ
    TCP_BYTES_ACKED
    TCP_WRITE_SEQ
    TCP_SND_UNA
    UNIX_ADDR
    UNIX_PEER
    UNIX_ADDRESS_LEN
    UNIX_ADDRESS_NAME
    REQUEST_BUDGET
    RESPONSE_BUDGET
    TAIL_BYTES
    WAKEUP_BYTES
    WATCH_NEW
    OWN_PID
}
