//! The system calls that move bytes over sockets.

/// A set of system calls that move bytes over sockets.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SyscallSet(u16);

impl SyscallSet {
    /// All of them.
    pub const ALL: Self = Self((1 << Syscall::ALL.len()) - 1);

    /// The calls that are in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Adds a call.
    pub fn insert(&mut self, syscall: Syscall) {
        self.0 |= 1 << syscall as u16;
    }

    /// Whether `syscall` is in the set.
    pub fn contains(self, syscall: Syscall) -> bool {
        self.0 & (1 << syscall as u16) != 0
    }

    /// Whether any of them works on sockets alone.
    pub fn has_socket_calls(self) -> bool {
        [
            Syscall::Sendto,
            Syscall::Recvfrom,
            Syscall::Sendmsg,
            Syscall::Recvmsg,
        ]
        .into_iter()
        .any(|syscall| self.contains(syscall))
    }

    /// The calls of the set, in the order of [`Syscall::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Syscall> {
        Syscall::ALL
            .into_iter()
            .filter(move |syscall| self.contains(*syscall))
    }
}

impl FromIterator<Syscall> for SyscallSet {
    fn from_iter<I: IntoIterator<Item = Syscall>>(syscalls: I) -> Self {
        let mut set = Self::default();
        syscalls.into_iter().for_each(|syscall| set.insert(syscall));
        set
    }
}

impl std::fmt::Debug for SyscallSet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

/// A system call that moves bytes over sockets (`close` is always hooked and not listed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Syscall {
    /// `read`
    Read,
    /// `write`
    Write,
    /// `readv`
    Readv,
    /// `writev`
    Writev,
    /// `sendto`
    Sendto,
    /// `recvfrom`
    Recvfrom,
    /// `sendmsg`
    Sendmsg,
    /// `recvmsg`
    Recvmsg,
    /// `sendmmsg`
    Sendmmsg,
    /// `recvmmsg`
    Recvmmsg,
    /// `sendfile` (`sendfile64` in tracefs)
    Sendfile,
    /// `splice`
    Splice,
}

impl Syscall {
    /// All, in the order of their numbers in a set.
    pub const ALL: [Self; 12] = [
        Self::Read,
        Self::Write,
        Self::Readv,
        Self::Writev,
        Self::Sendto,
        Self::Recvfrom,
        Self::Sendmsg,
        Self::Recvmsg,
        Self::Sendmmsg,
        Self::Recvmmsg,
        Self::Sendfile,
        Self::Splice,
    ];

    /// The name in tracefs after `sys_enter_` and `sys_exit_`.
    pub fn tracepoint(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Readv => "readv",
            Self::Writev => "writev",
            Self::Sendto => "sendto",
            Self::Recvfrom => "recvfrom",
            Self::Sendmsg => "sendmsg",
            Self::Recvmsg => "recvmsg",
            Self::Sendmmsg => "sendmmsg",
            Self::Recvmmsg => "recvmmsg",
            Self::Sendfile => "sendfile64",
            Self::Splice => "splice",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: SyscallSet = [Syscall::Splice, Syscall::Read].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Syscall::Read, Syscall::Splice]);
        assert!(!set.contains(Syscall::Write));
        assert_eq!(set.union(SyscallSet::ALL), SyscallSet::ALL);
        assert!(!set.has_socket_calls() && SyscallSet::ALL.has_socket_calls());
        assert_eq!(SyscallSet::ALL.iter().count(), Syscall::ALL.len());
    }
}
