//! Pythons that are installed here.

use std::{
    io::Read as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use agent_common::unit::register;

use super::*;

/// A process that is ended with the test.
struct Running(Child);

impl Running {
    /// A Python that has come up; `None` if it is not installed or fails.
    fn start(python: &Path, imports: &str) -> Option<Self> {
        let script = format!("import {imports}, time; print('up', flush=True); time.sleep(60)");
        let child = Command::new(python)
            .args(["-c", &script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut running = Self(child.ok()?);
        let mut word = [0; 2];
        running.0.stdout.as_mut()?.read_exact(&mut word).ok()?;
        Some(running)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The Pythons of 3.9 to 3.14 of pyenv, and the one of the system.
fn pythons() -> Vec<PathBuf> {
    let home = std::env::var("HOME").unwrap_or_default();
    let versions = std::fs::read_dir(format!("{home}/.pyenv/versions"));
    let of_pyenv = versions.into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path().join("bin/python3");
        path.exists().then_some(path)
    });
    let mut pythons: Vec<PathBuf> = of_pyenv.collect();
    pythons.extend(
        [PathBuf::from("/usr/bin/python3")]
            .into_iter()
            .filter(|path| path.exists()),
    );
    if pythons.is_empty() {
        println!("not tested: no Python here");
    }
    pythons
}

fn is_supported(running: &Running) -> bool {
    let process = Process::new(running.pid());
    let minor = interpreter(&process).and_then(|file| version(&process, file, &Loaded::open(file)?).ok());
    minor.is_some_and(|minor| (9..=14).contains(&minor))
}

fn of_kind(plan: &UnitPlan, kind: ProbeKind) -> Vec<&Probe> {
    plan.probes.iter().filter(|probe| probe.kind == kind).collect()
}

#[test]
fn installed_pythons() {
    for python in pythons() {
        let Some(running) = Running::start(&python, "asyncio, _queue") else {
            println!("not tested: {}", python.display());
            continue;
        };
        let plan = plan(running.pid());
        println!("{}: {plan:#x?}", python.display());
        if !is_supported(&running) {
            assert!(plan.runtime.is_none() && plan.probes.is_empty() && !plan.missing.is_empty());
            continue;
        }
        let runtime = plan.runtime.unwrap();
        let process = Process::new(running.pid());
        assert_eq!(process.half_words(runtime.key_address).unwrap().0, 1);
        assert_eq!(runtime.thread_data, agent_common::unit::thread_data::SLOT);
        assert_eq!(plan.missing, Vec::<String>::new());
        assert!(!of_kind(&plan, ProbeKind::ContextCopied).is_empty());
        assert!(!of_kind(&plan, ProbeKind::ContextMade).is_empty());
        assert_eq!(of_kind(&plan, ProbeKind::JobPut).len(), 2);
        assert_eq!(of_kind(&plan, ProbeKind::JobTaken).len(), 2);
        assert!(plan.probes.iter().all(|probe| probe.path.exists()));
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn copies_are_seen_without_a_uretprobe() {
    for python in pythons() {
        let Some(running) = Running::start(&python, "asyncio") else {
            continue;
        };
        if !is_supported(&running) {
            continue;
        }
        let plan = plan(running.pid());
        let copied = of_kind(&plan, ProbeKind::ContextCopied);
        assert!(matches!(copied.len(), 1 | 2), "{}: {copied:?}", python.display());
        assert!(
            copied.iter().all(|probe| probe.cookie != register::RESULT),
            "{}: {copied:?}",
            python.display()
        );
    }
}

#[test]
fn a_module_that_is_not_imported_is_found() {
    for python in pythons() {
        let Some(running) = Running::start(&python, "sys") else {
            continue;
        };
        if is_supported(&running) {
            assert_eq!(of_kind(&plan(running.pid()), ProbeKind::JobTaken).len(), 2);
        }
    }
}

#[test]
fn offsets_of_another_version_do_not_check() {
    for python in pythons() {
        let Some(running) = Running::start(&python, "sys") else {
            continue;
        };
        let process = Process::new(running.pid());
        let Some(python) = interpreter(&process).and_then(Loaded::open) else {
            continue;
        };
        let minors = (9..=14)
            .filter(|minor| State::new(&process, &python, *minor).is_ok_and(|state| state.runtime().is_ok()));
        let minors: Vec<u32> = minors.collect();
        // 3.9 and 3.10 have the same.
        assert!(
            minors.len() == 1 && minors[0] > 10 || minors == [9, 10] || !is_supported(&running),
            "{}: {minors:?}",
            python.shown.display()
        );
    }
}

#[test]
fn other_programs_have_no_plan() {
    assert_eq!(plan(std::process::id()), UnitPlan::default());
}
