//! What `/proc` says of a process.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use super::{InspectError, Namespaces, ProcessKey};

/// Longest command line that is read; the kernel allows megabytes, and names are found at its start.
const COMMAND_LINE_BYTES: u64 = 64 * 1024;
/// Longest environment that is read.
const ENVIRONMENT_BYTES: u64 = 1024 * 1024;
/// Parents that are followed: a bound against a `/proc` that changes meanwhile, not a depth that occurs.
const MAX_ANCESTORS: usize = 64;
/// `PF_KTHREAD` of the kernel's include/linux/sched.h.
const PF_KTHREAD: u32 = 0x0020_0000;

/// What `/proc` says of a process.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its pid and start.
    pub key: ProcessKey,
    /// Its parent, the parent's parent, and so on.
    pub ancestors: Vec<ProcessKey>,
    /// Path of the executable in the process's mount namespace.
    pub executable: PathBuf,
    /// The command line as the process shows it now.
    pub arguments: Vec<String>,
    /// Name and value, in their order.
    pub environment: Vec<(String, String)>,
    /// Its working directory, if it may be read.
    pub working_directory: Option<PathBuf>,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// Inode of its UTS namespace, the one that has the host name.
    pub uts_namespace: u64,
}

impl Facts {
    /// Reads what `/proc` says of process `pid`.
    ///
    /// # Errors
    ///
    /// Fails when it is no running process, or may not be looked at.
    pub fn read(pid: u32) -> Result<Self, InspectError> {
        let error = |error| InspectError::new(pid, error);
        let process = procfs::process::Process::new(pid as i32).map_err(error)?;
        let stat = process.stat().map_err(error)?;
        refuse_what_has_no_program(pid, &stat)?;
        let executable = process.exe().map_err(error)?;
        refuse_thread(pid, &process)?;
        Ok(Self {
            key: ProcessKey {
                pid,
                start_ticks: stat.starttime,
            },
            ancestors: ancestors(stat.ppid),
            executable: without_deleted_mark(executable),
            arguments: strings(&read_bounded(pid, "cmdline", COMMAND_LINE_BYTES)),
            environment: environment(&read_bounded(pid, "environ", ENVIRONMENT_BYTES)),
            working_directory: process.cwd().ok(),
            namespaces: Namespaces {
                pid: namespace(pid, "pid"),
                mount: namespace(pid, "mnt"),
                network: namespace(pid, "net"),
            },
            uts_namespace: namespace(pid, "uts"),
        })
    }

    /// The value of an environment variable, if it is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The executable's file name.
    pub fn executable_name(&self) -> &str {
        self.executable
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }
}

/// Whether a process ended, though its parent may not have asked for it yet.
pub fn has_ended(pid: u32) -> bool {
    let stat = procfs::process::Process::new(pid as i32).and_then(|process| process.stat());
    let known = stat.map_err(|error| InspectError::new(pid, error));
    let alive = known.and_then(|stat| refuse_what_has_no_program(pid, &stat));
    matches!(
        alive,
        Err(InspectError::NoSuchProcess { .. } | InspectError::Zombie { .. })
    )
}

/// Inode number of the namespace of this kind, or 0 if it may not be read.
pub fn namespace(pid: u32, kind: &str) -> u64 {
    std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).map_or(0, |metadata| metadata.ino())
}

fn refuse_what_has_no_program(pid: u32, stat: &procfs::process::Stat) -> Result<(), InspectError> {
    if stat.flags & PF_KTHREAD != 0 {
        return Err(InspectError::KernelThread { pid });
    }
    if matches!(stat.state, 'Z' | 'X' | 'x') {
        return Err(InspectError::Zombie { pid });
    }
    Ok(())
}

/// `/proc/TID` exists for every thread, though no listing shows it.
fn refuse_thread(pid: u32, process: &procfs::process::Process) -> Result<(), InspectError> {
    let status = process.status().map_err(|error| InspectError::new(pid, error))?;
    match u32::try_from(status.tgid) {
        Ok(owner) if owner != pid => Err(InspectError::Thread { pid, process: owner }),
        _ => Ok(()),
    }
}

fn ancestors(parent: i32) -> Vec<ProcessKey> {
    let stat = |pid: i32| {
        procfs::process::Process::new(pid)
            .and_then(|process| process.stat())
            .ok()
    };
    std::iter::successors(stat(parent), |child| stat(child.ppid))
        .take(MAX_ANCESTORS)
        .map(|stat| ProcessKey {
            pid: stat.pid as u32,
            start_ticks: stat.starttime,
        })
        .collect()
}

/// The start of one of the process's files, as much as can be read.
fn read_bounded(pid: u32, name: &str, most: u64) -> Vec<u8> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(format!("/proc/{pid}/{name}"))?
            .take(most)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().unwrap_or_default()
}

/// The strings of a list in which each ends with a NUL. Programs that rewrite their title leave NULs at its end.
fn strings(bytes: &[u8]) -> Vec<String> {
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    bytes[..end]
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

fn environment(bytes: &[u8]) -> Vec<(String, String)> {
    strings(bytes)
        .iter()
        .filter_map(|variable| variable.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The kernel marks the path of an executable that was removed or replaced since.
fn without_deleted_mark(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(text) => PathBuf::from(text),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewritten_title_loses_its_padding_but_empty_arguments_stay() {
        assert_eq!(
            strings(b"gunicorn: worker [app]\0\0\0\0"),
            ["gunicorn: worker [app]"]
        );
        assert_eq!(strings(b"a\0\0b\0"), ["a", "", "b"]);
        assert_eq!(strings(b""), Vec::<String>::new());
        assert_eq!(strings(b"\0\0"), Vec::<String>::new());
    }

    #[test]
    fn an_environment_is_names_and_values() {
        let parsed = environment(b"A=1\0B=x=y\0broken\0C=\0");
        let pairs: Vec<(&str, &str)> = parsed.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(pairs, [("A", "1"), ("B", "x=y"), ("C", "")]);
    }

    #[test]
    fn this_process_is_read() {
        let facts = Facts::read(std::process::id()).unwrap();
        assert_eq!(facts.executable, std::env::current_exe().unwrap());
        assert_eq!(facts.working_directory, std::env::current_dir().ok());
        assert_eq!(facts.ancestors[0].pid, std::os::unix::process::parent_id());
        assert_ne!(facts.namespaces.network, 0);
    }

    #[test]
    fn a_thread_is_refused_with_its_process() {
        let own = std::process::id();
        let (send, receive) = std::sync::mpsc::channel();
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            send.send(rustix::thread::gettid().as_raw_pid() as u32).unwrap();
            let _ = wait.recv();
        });
        let result = Facts::read(receive.recv().unwrap());
        drop(stop);
        other.join().unwrap();
        assert!(matches!(result, Err(InspectError::Thread { process, .. }) if process == own));
    }

    #[test]
    fn what_does_not_exist_is_named() {
        let error = Facts::read(i32::MAX as u32).unwrap_err();
        assert!(error.to_string().contains("no process has this id"), "{error}");
    }

    #[test]
    fn a_zombie_is_refused() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let ended = || matches!(Facts::read(pid), Err(InspectError::Zombie { .. }));
        while !ended() {
            std::thread::yield_now();
        }
        assert!(has_ended(pid));
        assert!(!has_ended(std::process::id()));
        child.wait().unwrap();
        assert!(has_ended(pid));
        assert!(matches!(
            Facts::read(pid),
            Err(InspectError::NoSuchProcess { .. })
        ));
    }
}
