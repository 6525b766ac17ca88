//! A look at real executables.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::*;
use crate::discover::Syscall;

fn read(path: &Path) -> Binary {
    Binary::read(File::open(path).unwrap())
}

/// A folder that is removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sidelight-inspect-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a compiler; false if this machine has none.
fn compiled(command: &mut Command) -> bool {
    let Ok(status) = command.stdout(Stdio::null()).status() else {
        eprintln!("not tested: {:?} is not installed", command.get_program());
        return false;
    };
    assert!(status.success(), "{command:?}");
    true
}

#[test]
fn this_program_is_rust() {
    let binary = read(&std::env::current_exe().unwrap());
    assert!(binary.is_dynamic && binary.go.is_none() && binary.interpreter.is_none());
    assert!(binary.needed.iter().any(|library| library.starts_with("libc.so")));
    assert!(binary.rustc_version.is_some());
    let syscalls = binary.syscalls.unwrap();
    assert!(
        syscalls.contains(Syscall::Write) && syscalls.contains(Syscall::Recvfrom),
        "{syscalls:?}"
    );
}

#[test]
fn what_is_no_executable_says_nothing() {
    let folder = Folder::new("text");
    assert_eq!(read(&folder.write("text", "#!/bin/sh\n")), Binary::default());
    assert_eq!(read(&folder.write("empty", "")), Binary::default());
    assert_eq!(read(&folder.write("short", "\x7fELF\x02\x01")), Binary::default());
}

#[test]
fn damaged_executables_do_no_harm() {
    let folder = Folder::new("damaged");
    let whole = fs::read("/bin/true").unwrap();
    for cut in (0..whole.len()).step_by(whole.len() / 50 + 1) {
        let path = folder.0.join("cut");
        fs::write(&path, &whole[..cut]).unwrap();
        let _ = read(&path);
        let mut flipped = whole.clone();
        flipped[cut] ^= 0xff;
        fs::write(&path, &flipped).unwrap();
        let _ = read(&path);
    }
}

#[test]
fn only_what_a_c_program_calls_counts() {
    let folder = Folder::new("c");
    let source = "#include <sys/socket.h>\n#include <sys/uio.h>\n\
                  int main(void) { char b[9]; return send(0, b, 9, 0) + readv(0, 0, 0); }\n";
    let (source, output) = (folder.write("main.c", source), folder.0.join("main"));
    if !compiled(Command::new("cc").arg("-o").arg(&output).arg(&source)) {
        return;
    }
    let syscalls: Vec<Syscall> = read(&output).syscalls.unwrap().iter().collect();
    assert_eq!(syscalls, [Syscall::Readv, Syscall::Sendto]);
    assert!(compiled(
        Command::new("cc")
            .arg("-static")
            .arg("-o")
            .arg(&output)
            .arg(&source)
    ));
    let binary = read(&output);
    assert!(!binary.is_dynamic);
    assert_eq!(binary.syscalls, None);
}

#[test]
fn a_stripped_go_program_tells_its_version_its_module_and_its_calls() {
    let folder = Folder::new("go");
    folder.write("go.mod", "module example.com/acme/shop/v2\n\ngo 1.19\n");
    let copying = "package main\n\nimport (\n\t\"io\"\n\t\"net\"\n\t\"os\"\n)\n\nfunc main() {\n\
                   \tl, _ := net.Listen(\"tcp\", \":0\")\n\tc, _ := l.Accept()\n\tio.Copy(c, os.Stdin)\n}\n";
    folder.write("main.go", copying);
    let output = folder.0.join("binary");
    let mut build = Command::new("go");
    build
        .current_dir(&folder.0)
        .env("CGO_ENABLED", "0")
        .args(["build", "-ldflags=-s -w", "-o"])
        .arg(&output);
    if !compiled(&mut build) {
        return;
    }
    let binary = read(&output);
    let go = binary.go.unwrap();
    assert_eq!(go.module.as_deref(), Some("example.com/acme/shop/v2"));
    assert!(go.version.starts_with("1."), "{}", go.version);
    assert!(!binary.is_dynamic);
    let syscalls = binary.syscalls.unwrap();
    assert!(
        syscalls.contains(Syscall::Read) && syscalls.contains(Syscall::Write),
        "{syscalls:?}"
    );
    assert!(
        !syscalls.contains(Syscall::Recvmmsg) && !syscalls.contains(Syscall::Sendmmsg),
        "{syscalls:?}"
    );
}

#[test]
fn python_says_its_version() {
    let Ok(output) = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable, *sys.version_info[:2])"])
        .output()
    else {
        eprintln!("not tested: python3 is not installed");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let [executable, major, minor] = text.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    let mut child = Command::new(executable)
        .args(["-c", "input()"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut inspector = Inspector::default();
    // The child may not have been executed yet when it is first looked at.
    let deadline = Instant::now() + Duration::from_secs(30);
    let runtime = loop {
        let runtime = inspector.runtime(child.id()).unwrap();
        if runtime.version.is_some() && runtime.language == Some("python") || Instant::now() > deadline {
            break runtime;
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(runtime.language, Some("python"));
    assert!(runtime.version.unwrap().starts_with(&format!("{major}.{minor}")));
}
