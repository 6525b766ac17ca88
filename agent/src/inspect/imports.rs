//! From the names of functions to the system calls that they make.

use crate::discover::{Syscall, SyscallSet};

/// Functions of the C library, fortified ones included, and the system call that each makes on a socket.
const LIBC: [(&str, Syscall); 25] = [
    ("read", Syscall::Read),
    ("__read", Syscall::Read),
    ("__read_chk", Syscall::Read),
    ("write", Syscall::Write),
    ("__write", Syscall::Write),
    ("readv", Syscall::Readv),
    ("writev", Syscall::Writev),
    ("send", Syscall::Sendto),
    ("__send", Syscall::Sendto),
    ("sendto", Syscall::Sendto),
    ("recv", Syscall::Recvfrom),
    ("__recv", Syscall::Recvfrom),
    ("__recv_chk", Syscall::Recvfrom),
    ("recvfrom", Syscall::Recvfrom),
    ("__recvfrom_chk", Syscall::Recvfrom),
    ("sendmsg", Syscall::Sendmsg),
    ("recvmsg", Syscall::Recvmsg),
    ("sendmmsg", Syscall::Sendmmsg),
    ("recvmmsg", Syscall::Recvmmsg),
    ("sendfile", Syscall::Sendfile),
    ("sendfile64", Syscall::Sendfile),
    ("splice", Syscall::Splice),
    // A stream over a socket reads and writes by itself.
    ("fdopen", Syscall::Read),
    ("fread", Syscall::Read),
    ("fwrite", Syscall::Write),
];

/// Packages in which Go programs call the kernel, by the last part of their path: syscall, internal/poll,
/// golang.org/x/sys/unix, golang.org/x/net/internal/socket, internal/syscall/unix.
const GO_PACKAGES: [&str; 4] = ["syscall", "poll", "unix", "socket"];

/// Functions of these packages, in lower case and without `Inet4`, `Inet6`.
const GO: [(&str, Syscall); 10] = [
    ("readv", Syscall::Readv),
    ("writev", Syscall::Writev),
    ("sendto", Syscall::Sendto),
    ("recvfrom", Syscall::Recvfrom),
    ("sendmsg", Syscall::Sendmsg),
    ("recvmsg", Syscall::Recvmsg),
    ("sendmmsg", Syscall::Sendmmsg),
    ("recvmmsg", Syscall::Recvmmsg),
    ("sendfile", Syscall::Sendfile),
    ("splice", Syscall::Splice),
];

/// The system call that a function of the C library makes on a socket.
pub fn of(function: &str) -> Option<Syscall> {
    LIBC.iter()
        .find(|(name, _)| *name == function)
        .map(|(_, syscall)| *syscall)
}

/// The system call that a function of a Go program makes on a socket.
pub fn of_go(function: &str) -> Option<Syscall> {
    let (package, name) = function.rsplit_once('.')?;
    if !GO_PACKAGES.contains(&package.rsplit('/').next()?) {
        return None;
    }
    let name = name.trim_end_matches("Inet4").trim_end_matches("Inet6");
    GO.iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known))
        .map(|(_, syscall)| *syscall)
}

/// Whether a function of the C library loads further libraries.
pub fn loads_libraries(function: &str) -> bool {
    matches!(function, "dlopen" | "dlmopen")
}

/// What libraries use that are loaded later: all but the calls for many datagrams.
pub fn common() -> SyscallSet {
    Syscall::ALL
        .into_iter()
        .filter(|syscall| !matches!(syscall, Syscall::Sendmmsg | Syscall::Recvmmsg))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_c_library() {
        assert_eq!(of("send"), Some(Syscall::Sendto));
        assert_eq!(of("__recv_chk"), Some(Syscall::Recvfrom));
        assert_eq!(of("sendfile64"), Some(Syscall::Sendfile));
        assert_eq!(of("readdir"), None);
    }

    #[test]
    fn functions_of_go() {
        assert_eq!(of_go("internal/poll.writev"), Some(Syscall::Writev));
        assert_eq!(of_go("internal/poll.SendFile"), Some(Syscall::Sendfile));
        assert_eq!(of_go("syscall.sendtoInet4"), Some(Syscall::Sendto));
        assert_eq!(
            of_go("golang.org/x/net/internal/socket.recvmmsg"),
            Some(Syscall::Recvmmsg)
        );
        assert_eq!(of_go("golang.org/x/sys/unix.Splice"), Some(Syscall::Splice));
        assert_eq!(of_go("github.com/acme/mail.sendmsg"), None);
        assert_eq!(of_go("main"), None);
    }
}
