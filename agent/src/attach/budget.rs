//! What the verifier thinks of each program: its bounds are a million instructions and 512 bytes of stack.
//!
//! It says so in its log, which aya reads only when a program is refused. So each is refused, after it was verified: there is no
//! descriptor left for it (`kernel/bpf/syscall.c:bpf_prog_load`).

use std::{fs::File, io, os::fd::AsRawFd as _};

use aya::{
    Btf, Ebpf, VerifierLogLevel,
    programs::{Program, ProgramError},
};
use serde::Serialize;

use super::{
    AttachError, KernelSettings, Tier,
    btf::KERNEL_BTF,
    copies::original,
    error::kernels_words,
    functions::FUNCTIONS,
    layout::Layout,
    load::{load_object, program_refused},
};

/// What one program costs the verifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Its name.
    pub program: String,
    /// Instructions that were looked at, on all paths.
    pub instructions: u64,
    /// States that were kept, to recognise paths.
    pub states: u64,
    /// Bytes of stack of the deepest of its functions.
    pub stack: u64,
    /// Why it is not loaded, in the kernel's words.
    pub refused: Option<String>,
}

/// Every program of the object, those of all tiers.
///
/// # Errors
/// [`AttachError`] when the object as a whole is refused.
pub fn budgets(settings: &KernelSettings) -> Result<Vec<Budget>, AttachError> {
    let layout = Layout::read(&settings.btf, Tier::Fentry)?;
    let mut ebpf = load_object(settings, Tier::Fentry, &layout, VerifierLogLevel::STATS)?;
    let btf = Btf::from_sys_fs().map_err(|source| AttachError::NoKernelTypes {
        path: KERNEL_BTF,
        source: Box::new(source),
    })?;
    let here: Vec<&str> = layout.functions.iter().map(|function| function.name).collect();
    let mut names: Vec<String> = ebpf.programs().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    // Copies cost what their original costs.
    let originals = names.into_iter().filter(|name| original(name) == name);
    let known = originals.filter(|name| {
        let function = function_of(name);
        function.is_none_or(|function| here.contains(&function))
    });
    known.map(|name| budget(&mut ebpf, name, &btf)).collect()
}

/// The function that a program of the fentry tier is for.
fn function_of(program: &str) -> Option<&'static str> {
    FUNCTIONS
        .iter()
        .find(|function| {
            function.fentry[0] == program || function.fexit.is_some_and(|fexit| fexit[0] == program)
        })
        .map(|function| function.name)
}

fn budget(ebpf: &mut Ebpf, name: String, btf: &Btf) -> Result<Budget, AttachError> {
    let program = ebpf
        .program_mut(&name)
        .ok_or(AttachError::Missing { name: "a program" })?;
    let refused = without_descriptors(|| load(program, function_of(&name).unwrap_or_default(), btf))
        .map_err(|source| program_refused("a program", ProgramError::IOError(source)))?;
    let Err(
        ref error @ ProgramError::LoadError {
            ref io_error,
            ref verifier_log,
        },
    ) = refused
    else {
        return Ok(of_log(name, "", Some("the kernel did not say".to_owned())));
    };
    let expected = io_error.raw_os_error() == Some(libc::EMFILE);
    let why = (!expected).then(|| kernels_words(error));
    Ok(of_log(name, &verifier_log.to_string(), why))
}

fn load(program: &mut Program, function: &str, btf: &Btf) -> Result<(), ProgramError> {
    match program {
        Program::TracePoint(program) => program.load(),
        Program::RawTracePoint(program) => program.load(),
        Program::KProbe(program) => program.load(),
        Program::UProbe(program) => program.load(),
        Program::FEntry(program) => program.load(function, btf),
        Program::FExit(program) => program.load(function, btf),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// Does something with no descriptor left.
fn without_descriptors<T>(action: impl FnOnce() -> T) -> io::Result<T> {
    let lowest = File::open("/dev/null")?.as_raw_fd();
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: writes the struct.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    let none = libc::rlimit {
        rlim_cur: lowest as libc::rlim_t,
        ..limit
    };
    // SAFETY: reads the struct.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) })?;
    let done = action();
    // SAFETY: reads the struct.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(done)
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// `stack depth 120+0+88` (one number for each function, in newer kernels with words between them) and
/// `processed 812 insns (limit 1000000) max_states_per_insn 4 total_states 30 peak_states 30 mark_read 7`
/// (`kernel/bpf/verifier.c:print_verification_stats`).
fn of_log(program: String, log: &str, refused: Option<String>) -> Budget {
    let after = |word: &str| log.rsplit_once(word).map_or("", |(_, rest)| rest);
    let number = |text: &str| text.split_whitespace().next()?.parse().ok();
    let depths = after("stack depth").lines().next().unwrap_or_default();
    Budget {
        program,
        instructions: number(after("processed ")).unwrap_or(0),
        states: number(after("total_states ")).unwrap_or(0),
        stack: depths
            .split(|character: char| !character.is_ascii_digit())
            .filter_map(|depth| depth.parse().ok())
            .max()
            .unwrap_or(0),
        refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_own_figures_are_read() {
        let log = "Func#1 is safe\nverification time 12 usec\nstack depth 88+0+264\nprocessed 812 insns (limit 1000000) \
                   max_states_per_insn 4 total_states 30 peak_states 29 mark_read 7\n";
        let found = of_log("x".to_owned(), log, None);
        assert_eq!((found.instructions, found.states, found.stack), (812, 30, 264));
        assert_eq!(of_log("x".to_owned(), "", None).instructions, 0);
    }
}
