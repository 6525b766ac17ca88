//! The scenario whose spans have to be the same everywhere: built here, run there, compared line by line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kernels::{ALL, Kernel, Machine};
use super::{Files, budget, userland};
use crate::command::cargo;
use crate::progress::Step;
use crate::setup::cross;
use crate::verb::build::Profile;
use crate::workspace::Workspace;

/// What is expected, as it came out of the tracepoint tier on the kernel of a development machine.
pub(crate) const EXPECTED: &str = "golden/expected.txt";
/// The run in which the kernel is made to refuse the other tiers when they are half loaded.
pub(crate) const FORCED: &str = "auto";
/// The tier with which programs are asked that are not the scenario's: who acts is read in the same way whatever the tier, the
/// bytes too, and of all tiers the verifier is done soonest with this one.
pub(crate) const ASKING: &str = "kprobe";
/// What it has to end with.
const LAST: &str = "tracepoint";
/// A program of each other tier, by what the kernel has of its name.
const REFUSED: &str = "fexit_inet_recv,kprobe_receive";

/// Differences that are shown.
const SHOWN: usize = 6;

/// Builds the scenario as a program that needs no library: the agent then takes it to use every system call.
pub(crate) fn build(workspace: &Workspace, machine: Machine, step: &Step) -> Result<PathBuf> {
    if !machine.is_this() {
        return cross::build(workspace, "golden", Profile::Dev, step);
    }
    let target = format!("{}-unknown-linux-gnu", machine.rust());
    let variable = target.to_uppercase().replace('-', "_");
    cargo()
        .args([
            "build",
            "--color",
            "never",
            "--package",
            "golden",
            "--target",
            &target,
        ])
        .arg("--target-dir")
        .arg(&workspace.target)
        .dir(&workspace.root)
        .env(
            &format!("CARGO_TARGET_{variable}_RUSTFLAGS"),
            "-C target-feature=+crt-static",
        )
        .run(step)?;
    Ok(workspace.target.join(target).join("debug/golden"))
}

/// What a machine needs to run it with every tier.
pub(crate) fn files(agent: &Path, scenario: &Path) -> Result<Files> {
    let mut files = Files::default();
    files.add_program("sidelight", agent)?;
    files.add_program("golden", scenario)?;
    let refused = format!("#!/bin/sh\nexec ./golden refuse {REFUSED} ./sidelight \"$@\"\n");
    files.add("refused", refused);
    Ok(files)
}

/// How much is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What every test run has time for: the scenario with every tier, and what only functions see.
    Tests,
    /// All.
    Whole,
}

/// A shell command that runs it with one tier after the other.
pub(crate) fn command(kernel: &Kernel, extent: Extent) -> String {
    let whole = extent == Extent::Whole;
    let tiers = kernel.tiers.iter().map(|tier| (*tier, "sidelight"));
    let runs = tiers.chain([(FORCED, "refused")]).map(|(tier, agent)| {
        format!(
            "echo '@@tier {tier}'; ./golden scenario ./{agent} {tier} 2>errors; echo \"@@code $?\"; cat errors\n"
        )
    });
    let wider = kernel
        .tiers
        .iter()
        .filter(|tier| **tier != LAST && (whole || **tier == ASKING))
        .map(|tier| (*tier, format!("./golden wider ./sidelight {tier}")));
    let units = if whole && kernel.units {
        userland::commands(ASKING)
    } else {
        Vec::new()
    };
    let databases = whole.then(|| userland::database_command(ASKING));
    let asked = units.into_iter().chain(databases);
    let others = wider
        .chain(asked.map(|command| (ASKING, command)))
        .map(|(tier, command)| format!("echo '@@other {tier}'; {command} 2>&1; echo \"@@code $?\"\n"));
    format!(
        "{}{}{}{FAULTS}",
        if whole { costs(kernel) } else { String::new() },
        runs.collect::<String>(),
        others.collect::<String>()
    )
}

/// A fault of the kernel's is worse than any wrong span. The one that is passed over says what is known: the map of connections
/// allocates as it grows, which kernels before 6.1 think dangerous in programs that run inside of the allocator; ours do not.
const FAULTS: &str = "echo '@@faults'; dmesg | awk '/uses run-time allocation/ {known=1; next} \
                      /BUG|Oops|WARNING/ {if (known) {known=0; next} print}' | head; true";

/// What the verifier counts, and where a tier is refused, why: that loads every tier once more.
fn costs(kernel: &Kernel) -> String {
    let check = if kernel.tiers == ALL {
        ""
    } else {
        "echo '@@check'; ./sidelight check --output json\n"
    };
    format!("{check}echo '@@programs'; {}\n", budget::COMMAND)
}

/// What came out of one tier.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TierResult {
    pub(crate) tier: String,
    /// The spans, and what was said beside them.
    pub(crate) spans: BTreeSet<String>,
    pub(crate) said: Vec<String>,
    pub(crate) code: Option<i32>,
}

/// All that a machine said.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) check: String,
    pub(crate) programs: String,
    pub(crate) tiers: Vec<TierResult>,
    /// What came of what is not compared but judged there.
    others: Vec<TierResult>,
    pub(crate) faults: Vec<String>,
}

impl Report {
    /// Why a tier is not used on that kernel, as `check` says it.
    pub(crate) fn refusal(&self, tier: &str) -> String {
        let check: serde_json::Value = serde_json::from_str(&self.check).unwrap_or_default();
        let features = check["features"].as_array().into_iter().flatten();
        let of_tier = features
            .filter(|feature| feature["name"] == format!("tier {tier}"))
            .find_map(|feature| feature["detail"].as_str());
        of_tier.unwrap_or("`check` says nothing of it").to_owned()
    }

    /// What is wrong with what is judged there.
    pub(crate) fn others(&self, tier: &str) -> Vec<String> {
        let wrong = self
            .others
            .iter()
            .filter(|other| other.tier == tier && other.code != Some(0));
        wrong.flat_map(|other| other.said.clone()).collect()
    }

    /// Understands the output of [`command`].
    pub(crate) fn parse(output: &str) -> Self {
        let mut report = Self::default();
        let mut part = "";
        for line in output.lines() {
            let (mark, rest) = line
                .strip_prefix("@@")
                .map_or(("", ""), |mark| mark.split_once(' ').unwrap_or((mark, "")));
            match (mark, report.tiers.last_mut()) {
                ("check", _) => part = "check",
                ("programs", _) => part = "programs",
                ("faults", _) => part = "faults",
                ("tier", _) => {
                    part = "spans";
                    report.tiers.push(TierResult {
                        tier: rest.to_owned(),
                        ..TierResult::default()
                    });
                }
                ("other", _) => {
                    part = "other";
                    report.others.push(TierResult {
                        tier: rest.to_owned(),
                        ..TierResult::default()
                    });
                }
                ("code", _) if part == "other" => {
                    if let Some(other) = report.others.last_mut() {
                        other.code = rest.parse().ok();
                    }
                }
                ("code", Some(tier)) => {
                    part = "said";
                    tier.code = rest.parse().ok();
                }
                (_, tier) => match (part, tier) {
                    ("check", _) => report.check.push_str(line),
                    ("programs", _) => report.programs.push_str(line),
                    ("faults", _) => report.faults.push(line.to_owned()),
                    ("other", _) => {
                        if let Some(other) = report.others.last_mut() {
                            other.said.push(line.to_owned());
                        }
                    }
                    ("spans", Some(tier)) => drop(tier.spans.insert(line.to_owned())),
                    ("said", Some(tier)) => tier.said.push(line.to_owned()),
                    _ => {}
                },
            }
        }
        report
    }
}

impl TierResult {
    /// What is other than expected; nothing if all is well.
    pub(crate) fn differences(&self, expected: &BTreeSet<String>) -> Vec<String> {
        if self.code != Some(0) {
            return self.said.clone();
        }
        if self.tier == FORCED && !self.ended_with(LAST) {
            return vec![format!("the agent did not come up with its tier {LAST}")];
        }
        let missing = expected.difference(&self.spans).map(|line| format!("- {line}"));
        let surplus = self.spans.difference(expected).map(|line| format!("+ {line}"));
        let mut all: Vec<String> = missing.chain(surplus).collect();
        let more = all.len().saturating_sub(SHOWN);
        if more > 0 {
            all.truncate(SHOWN);
            all.push(format!("and {more} more"));
        }
        all
    }

    /// The agent's closing counters, by name.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.closing(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    }

    fn ended_with(&self, tier: &str) -> bool {
        self.closing("tier") == Some(tier)
    }

    fn closing(&self, name: &str) -> Option<&str> {
        let stats = self.said.iter().find_map(|line| line.strip_prefix("stats: "))?;
        stats
            .split_whitespace()
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The spans that have to come out.
pub(crate) fn expected(workspace: &Workspace) -> Result<BTreeSet<String>> {
    let file = workspace.root.join(EXPECTED);
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    Ok(text.lines().map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "@@check\n{\"features\":[{\"name\":\"tier x\",\"detail\":\"why\"}]}\n@@tier fentry\nSERVER /a\nSERVER /b\n@@code 0\n\
                          stats: events=3 drops=0 tier=kprobe recursion_misses=2\n@@tier kprobe\n@@code 1\nsidelight: no\n\
                          @@other kprobe\nnot there\n@@code 1\n@@other fentry\nall\n@@code 0\n@@faults\nBUG: x\n";

    #[test]
    fn a_machines_output_is_taken_apart() {
        let report = Report::parse(OUTPUT);
        assert_eq!(report.refusal("x"), "why");
        assert_eq!(report.faults, ["BUG: x"]);
        assert_eq!(report.tiers.len(), 2);
        assert_eq!(report.tiers[0].counter("recursion_misses"), 2);
        assert!(report.tiers[0].ended_with("kprobe"));
        assert_eq!(report.tiers[1].code, Some(1));
        assert_eq!(report.others("kprobe"), ["not there"]);
        assert!(report.others("fentry").is_empty());
    }

    #[test]
    fn missing_and_surplus_spans_are_named() {
        let report = Report::parse(OUTPUT);
        let expected = |lines: &[&str]| lines.iter().map(ToString::to_string).collect();
        assert!(
            report.tiers[0]
                .differences(&expected(&["SERVER /a", "SERVER /b"]))
                .is_empty()
        );
        assert_eq!(
            report.tiers[0].differences(&expected(&["SERVER /a", "SERVER /c"])),
            ["- SERVER /c", "+ SERVER /b"]
        );
        assert_eq!(report.tiers[1].differences(&expected(&[])), ["sidelight: no"]);
    }
}
