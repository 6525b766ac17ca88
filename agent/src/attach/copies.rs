//! Copies of programs, for kernels that take the CPU away from them.

use agent_common::map::{COPIES, COPY_SUFFIXES};

use super::{Tier, btf::Btf, tier::preemption};

/// The names of a program and of its further copies.
pub(super) type Copies = [&'static str; COPIES];

/// The names of the copies of a program.
macro_rules! copies {
    ($name:expr) => {
        [$name, concat!($name, "_b"), concat!($name, "_c")]
    };
}
pub(super) use copies;

/// The function that runs programs of system calls' tracepoints where these may sleep, and so lose the CPU: since Linux 7.2.
const PREEMPTIBLE: &str = "trace_call_bpf_faultable";

/// How many copies of each program a tier needs here to miss nothing but what is very rare.
pub(super) fn needed(tier: Tier, btf: &Btf) -> usize {
    let may_lose_it = match tier {
        Tier::Fentry => true,
        Tier::Kprobe => false,
        Tier::Tracepoint => btf.has_function(PREEMPTIBLE),
    };
    if may_lose_it && preemption().is_some() {
        COPIES
    } else {
        1
    }
}

/// The name of the program that one is a copy of.
pub(super) fn original(program: &str) -> &str {
    let mut further = COPY_SUFFIXES.iter().filter(|suffix| !suffix.is_empty());
    further
        .find_map(|suffix| program.strip_suffix(suffix))
        .unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_named_as_the_kernel_side_names_them() {
        let names = copies!("exit");
        for (name, suffix) in names.iter().zip(COPY_SUFFIXES) {
            assert_eq!(*name, format!("exit{suffix}"));
            assert_eq!(original(name), "exit");
        }
        assert_eq!(original("inet_sock_set_state"), "inet_sock_set_state");
    }
}
