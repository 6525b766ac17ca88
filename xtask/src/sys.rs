//! The few calls that std does not have.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The width of the terminal on standard error.
pub(crate) fn terminal_columns() -> Option<usize> {
    // SAFETY: all-zero is a valid winsize.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes one winsize, and `size` is one.
    let done = unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_col > 0).then_some(size.ws_col.into())
}

/// Sends a signal to a process, or to a group when `pid` is negative. False when there is none, or it is another user's.
pub(crate) fn kill(pid: i32, signal: i32) -> bool {
    // SAFETY: kill takes two integers and has no memory effects here.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// The user and group id of `name`, from the user database's text form.
pub(crate) fn user_ids(name: &str) -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Makes the child a process group of its own, killed when this process dies, however it dies.
pub(crate) fn isolate(command: &mut Command) {
    command.process_group(0);
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}
