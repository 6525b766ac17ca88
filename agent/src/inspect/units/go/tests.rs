//! A look at a running Go program.

use std::{
    env, fs,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    process::{Child, Command, Stdio},
};

use super::*;

const SOURCE: &str = r#"package main

import (
	"net/http"
	"os"
)

func main() {
	go http.Get(os.Args[1])
	os.Stdout.WriteString("!")
	os.Stdin.Read(make([]byte, 1))
}
"#;

/// A folder that is removed with the test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds the program as most are shipped; `None` if this machine has no Go.
fn built(folder: &Path, mode: &str) -> Option<PathBuf> {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("main.go"), SOURCE).unwrap();
    fs::write(folder.join("go.mod"), "module example.com/fetch\n\ngo 1.17\n").unwrap();
    let output = folder.join(mode);
    let go = env::var_os("SIDELIGHT_TEST_GO").unwrap_or_else(|| "go".into());
    let status = Command::new(go)
        .current_dir(folder)
        .envs([
            ("CGO_ENABLED", "0"),
            ("GOFLAGS", "-mod=mod"),
            ("GOTOOLCHAIN", "local"),
        ])
        .args(["build", "-ldflags=-s -w", "-buildmode", mode, "-o"])
        .arg(&output)
        .status();
    let Ok(status) = status else {
        println!("not tested: Go is not installed");
        return None;
    };
    assert!(status.success());
    Some(output)
}

fn started(program: &Path) -> Running {
    let child = Command::new(program)
        .arg("http://127.0.0.1:1/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    running.0.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    running
}

#[test]
fn a_running_stripped_program_is_understood() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let folder = Folder(env::temp_dir().join(format!("sidelight-units-go-{}", std::process::id())));
    for mode in ["exe", "pie"] {
        let Some(program) = built(&folder.0, mode) else {
            return;
        };
        let running = started(&program);
        let plan = plan(running.0.id());
        assert_eq!(plan.missing, Vec::<String>::new(), "{mode}");
        let runtime = plan.runtime.unwrap();
        assert_eq!(
            (runtime.kind, runtime.tls_offset, runtime.first),
            (runtime_kind::GO, -8, 48)
        );
        assert!(runtime.second >= 152 && runtime.third >= 184, "{runtime:?}");
        let [start, request] = &plan.probes[..] else {
            panic!("{mode}: {:?}", plan.probes);
        };
        assert_eq!((start.kind, start.cookie), (ProbeKind::GoroutineStarted, 0));
        assert_eq!(
            (request.kind, request.cookie),
            (ProbeKind::RequestSent, 0x0010_0000_0000_0050)
        );
        let bytes = fs::read(&start.path).unwrap();
        assert_eq!(bytes[start.offset as usize], 0xe8, "{mode}: call");
        // push %rbp, or jbe before Go 1.21
        assert!(
            matches!(bytes[request.offset as usize], 0x55 | 0x76 | 0x0f),
            "{mode}"
        );
        let inode = fs::metadata(&program).unwrap().ino();
        assert!(
            plan.probes
                .iter()
                .all(|probe| fs::metadata(&probe.path).unwrap().ino() == inode)
        );
    }
}

#[test]
fn other_programs_have_no_plan() {
    assert_eq!(plan(std::process::id()), UnitPlan::default());
}
