//! A look at a running Go program.

use std::{
    env, fs,
    io::Read as _,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    process::{Child, Command, Stdio},
};

use super::*;
use crate::inspect::pclntab::Table;

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
    built_for(folder, mode, GO_HERE)
}

/// Go's name of this machine's architecture.
const GO_HERE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};

fn built_for(folder: &Path, mode: &str, architecture: &str) -> Option<PathBuf> {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("main.go"), SOURCE).unwrap();
    fs::write(folder.join("go.mod"), "module example.com/fetch\n\ngo 1.17\n").unwrap();
    let output = folder.join(format!("{mode}-{architecture}"));
    let go = env::var_os("SIDELIGHT_TEST_GO").unwrap_or_else(|| "go".into());
    let status = Command::new(go)
        .current_dir(folder)
        .envs([
            ("CGO_ENABLED", "0"),
            ("GOARCH", architecture),
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
    let folder = Folder(env::temp_dir().join(format!("sidelight-units-go-{}", std::process::id())));
    for mode in ["exe", "pie"] {
        let Some(program) = built(&folder.0, mode) else {
            return;
        };
        let running = started(&program);
        let plan = plan(running.0.id());
        assert_eq!(plan.missing, Vec::<String>::new(), "{mode}");
        let runtime = plan.runtime.unwrap();
        let home = (runtime.thread_data, runtime.tls_offset);
        let expected = if cfg!(target_arch = "aarch64") {
            (thread_data::REGISTER, 0)
        } else {
            (thread_data::GLIBC, -8)
        };
        assert_eq!(
            (runtime.kind, home, runtime.first),
            (runtime_kind::GO, expected, 48)
        );
        assert!(runtime.second >= 152 && runtime.third >= 184, "{runtime:?}");
        are_right(&plan, mode, GO_HERE);
        let inode = fs::metadata(&program).unwrap().ino();
        assert!(
            plan.probes
                .iter()
                .all(|probe| fs::metadata(&probe.path).unwrap().ino() == inode)
        );
    }
}

/// Both probes, where the kernel does not have to let the instruction run elsewhere.
fn are_right(plan: &UnitPlan, mode: &str, architecture: &str) {
    let [start, request] = &plan.probes[..] else {
        panic!("{mode}: {:?}", plan.probes);
    };
    assert_eq!((start.kind, start.cookie), (ProbeKind::GoroutineStarted, 0));
    assert_eq!(
        (request.kind, request.cookie),
        (ProbeKind::RequestSent, 0x0010_0000_0000_0050)
    );
    let bytes = fs::read(&start.path).unwrap();
    let (start, request) = (start.offset as usize, request.offset as usize);
    if architecture == "arm64" {
        // bl; b.ls
        assert_eq!(bytes[start + 3] & 0xfc, 0x94, "{mode}");
        assert_eq!((bytes[request + 3], bytes[request] & 0x1f), (0x54, 9), "{mode}");
    } else {
        assert_eq!(bytes[start], 0xe8, "{mode}: call");
        // push %rbp, or jbe before Go 1.21
        assert!(matches!(bytes[request], 0x55 | 0x76 | 0x0f), "{mode}");
    }
}

#[test]
fn programs_for_arm64_are_understood_anywhere() {
    let folder = Folder(env::temp_dir().join(format!("sidelight-units-arm64-{}", std::process::id())));
    for mode in ["exe", "pie"] {
        let Some(path) = built_for(&folder.0, mode, "arm64") else {
            return;
        };
        let file = File::open(&path).unwrap();
        let data = ReadCache::new(file.try_clone().unwrap());
        let program = Program::of(Elf::parse(&data).unwrap(), &file, &path).unwrap();
        let layout = layout::of(&go::build(&program.elf).unwrap().version, Machine::Arm64).unwrap();
        assert_eq!(program.check(layout), Some(()), "{mode}");
        // Below a thread's storage are two words of the C library's.
        let home = program.codes(SAVE_G).find_map(|code| code.home_of_g()).unwrap();
        assert_eq!(home.slot, Slot::Offset(16), "{mode}");
        assert!(home.only_if.is_some(), "{mode}");
        let mut plan = UnitPlan::default();
        program.add_start(&mut plan);
        program.add_request(&mut plan);
        assert_eq!(plan.missing, Vec::<String>::new(), "{mode}");
        are_right(&plan, mode, "arm64");
    }
}

/// What is found in a file with some bytes changed, which are put back.
fn with_bytes_at(path: &Path, offset: u64, bytes: &[u8]) -> Option<Result<UnitPlan, String>> {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut before = vec![0; bytes.len()];
    file.read_exact_at(&mut before, offset).unwrap();
    file.write_all_at(bytes, offset).unwrap();
    let data = ReadCache::new(file.try_clone().unwrap());
    let plan = Elf::parse(&data)
        .map(|elf| Program::of(elf, &file, path).and_then(|program| program.plan(0, None, "1.25")));
    file.write_all_at(&before, offset).unwrap();
    plan
}

#[test]
fn damaged_programs_do_no_harm() {
    let folder = Folder(env::temp_dir().join(format!("sidelight-units-damaged-{}", std::process::id())));
    let Some(program) = built(&folder.0, "exe") else {
        return;
    };
    let data = ReadCache::new(File::open(&program).unwrap());
    let elf = Elf::parse(&data).unwrap();
    let table = Table::of_section(&elf).unwrap();
    let module = elf
        .section(".go.module")
        .map_or(table.start, |module| module.start);
    for (start, words) in [(table.start, 9), (table.functions.start, 9), (module, 24)] {
        for offset in (0..words).map(|index| start + 8 * index) {
            for bytes in [
                [0; 8],
                [0xff; 8],
                [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
                [1; 8],
            ] {
                let _ = with_bytes_at(&program, offset, &bytes);
            }
        }
    }
    // Another table than the one that the module tells of, and one that ends early.
    let wrong_magic = with_bytes_at(&program, table.start, &[0]).unwrap();
    assert!(wrong_magic.unwrap_err().contains("table of functions"));
    let length = fs::metadata(&program).unwrap().len();
    for cut in (0..length)
        .step_by(length as usize / 20)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        let file = File::options().read(true).write(true).open(&program).unwrap();
        file.set_len(cut).unwrap();
        let data = ReadCache::new(file.try_clone().unwrap());
        let _ = Elf::parse(&data).map(|elf| Program::of(elf, &file, &program).is_ok());
    }
}

#[test]
fn other_programs_have_no_plan() {
    assert_eq!(plan(std::process::id()), UnitPlan::default());
}
