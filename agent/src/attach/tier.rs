//! The tiers: ways to see the same calls, the cheapest first.

use std::fs;

use super::AttachError;

/// A set of hooks that sees all I/O on sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// fentry and fexit on the socket functions of the kernel.
    Fentry,
    /// kprobes and kretprobes on the same functions.
    Kprobe,
    /// The tracepoints of the system calls.
    Tracepoint,
}

/// Which tier is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The cheapest that the kernel takes and that misses nothing.
    Cheapest,
    /// This one.
    Only(Tier),
}

/// A tier that could not be used.
#[derive(Debug)]
pub struct Refusal {
    /// Which.
    pub tier: Tier,
    /// Why.
    pub error: AttachError,
}

impl Tier {
    /// All of them, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Fentry, Self::Kprobe, Self::Tracepoint];

    /// Its name in settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        }
    }
}

impl Choice {
    pub(super) fn tiers(self) -> &'static [Tier] {
        match self {
            Self::Cheapest => &Tier::ALL,
            Self::Only(Tier::Fentry) => &[Tier::Fentry],
            Self::Only(Tier::Kprobe) => &[Tier::Kprobe],
            Self::Only(Tier::Tracepoint) => &[Tier::Tracepoint],
        }
    }
}

/// Whether a tier sees every call on this kernel. Tracing programs run with preemption on, and one that has not ended on a CPU is
/// skipped there for whoever else comes to it (`kernel/bpf/trampoline.c:__bpf_prog_enter_recur`); copies make that rare, not
/// impossible. Programs of kprobes are not preempted, those of tracepoints neither before Linux 7.2.
pub fn misses_nothing(tier: Tier) -> Result<(), AttachError> {
    match preemption() {
        Some(how) if tier == Tier::Fentry => Err(AttachError::Preempted { how }),
        _ => Ok(()),
    }
}

/// How this kernel may take the CPU away from a program, if it may.
pub(super) fn preemption() -> Option<String> {
    let chosen = fs::read_to_string("/sys/kernel/debug/sched/preempt").ok();
    let built = fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default();
    preemption_in(chosen.as_deref(), &built)
}

/// What was chosen stands in parentheses, `none voluntary (full)`; where that cannot be read, the kernel's version says what it
/// was built for.
fn preemption_in(chosen: Option<&str>, built: &str) -> Option<String> {
    let chosen = chosen.and_then(|text| text.split_once('(')?.1.split_once(')'));
    match chosen {
        Some(("none" | "voluntary", _)) => None,
        Some((how, _)) => Some(format!("preempt={how}")),
        None => built
            .split_whitespace()
            .find(|word| word.starts_with("PREEMPT"))
            .map(ToOwned::to_owned),
    }
}

/// The first tier for which `attempt` succeeds, with those that were refused before it.
///
/// # Errors
/// All refusals, when there is no other.
pub(super) fn first<T>(
    tiers: &[Tier],
    mut attempt: impl FnMut(Tier) -> Result<T, AttachError>,
) -> Result<(Tier, T, Vec<Refusal>), Vec<Refusal>> {
    let mut refused = Vec::new();
    for &tier in tiers {
        match attempt(tier) {
            Ok(done) => return Ok((tier, done, refused)),
            Err(error) => refused.push(Refusal { tier, error }),
        }
    }
    Err(refused)
}

/// Refusals as one line; what several have in common is said once.
pub fn list<'a>(refusals: impl IntoIterator<Item = &'a Refusal>) -> String {
    let mut said: Vec<(String, String)> = Vec::new();
    for refusal in refusals {
        let reason = refusal.error.reason();
        match said.iter_mut().find(|(_, known)| *known == reason) {
            Some((tiers, _)) => {
                tiers.push_str(", ");
                tiers.push_str(refusal.tier.name());
            }
            None => said.push((refusal.tier.name().to_owned(), reason)),
        }
    }
    let parts: Vec<String> = said
        .iter()
        .map(|(tiers, reason)| format!("tier {tiers}: {reason}"))
        .collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> AttachError {
        AttachError::Missing { name: "x" }
    }

    #[test]
    fn the_first_that_works_is_taken_and_the_refusals_are_kept() {
        let (tier, done, refused) = first(&Tier::ALL, |tier| {
            if tier == Tier::Fentry {
                Err(error())
            } else {
                Ok(tier.name())
            }
        })
        .unwrap();
        assert_eq!((tier, done), (Tier::Kprobe, "kprobe"));
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].tier, Tier::Fentry);
    }

    #[test]
    fn what_was_chosen_at_boot_counts_more_than_what_was_built() {
        let built = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.1";
        assert_eq!(preemption_in(Some("none (voluntary) full\n"), built), None);
        assert_eq!(
            preemption_in(Some("full (lazy)\n"), built).as_deref(),
            Some("preempt=lazy")
        );
        assert_eq!(preemption_in(None, built).as_deref(), Some("PREEMPT_DYNAMIC"));
        assert_eq!(preemption_in(None, "#1 SMP Debian 5.10.223"), None);
    }

    #[test]
    fn without_any_all_refusals_are_told() {
        let refused = first::<()>(&Tier::ALL, |_| Err(error())).unwrap_err();
        assert_eq!(refused.iter().map(|one| one.tier).collect::<Vec<_>>(), Tier::ALL);
    }
}
