//! What came of the scenario, kernel by kernel and tier by tier.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::budget;
use super::golden::{FORCED, Report, TierResult};
use super::kernels::KERNELS;
use super::{Kernel, Outcome};
use crate::workspace::Workspace;

/// All tiers, the cheapest first.
const TIERS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];

/// What came of the scenario on one kernel with one tier.
pub(crate) struct Row {
    pub(crate) kernel: Kernel,
    release: String,
    tier: String,
    booted: Duration,
    spans: usize,
    /// How many there should be.
    expected: usize,
    events: u64,
    /// What the kernel skipped, by its own count.
    skipped: u64,
    /// Instructions of its largest program, in the verifier's count.
    instructions: u64,
    /// Why this kernel does without the tier.
    refusal: Option<String>,
    pub(crate) differences: Vec<String>,
}

impl Row {
    /// Whether all is as it has to be.
    pub(crate) fn is_good(&self) -> bool {
        self.differences.is_empty()
    }

    /// Kernel and tier.
    pub(crate) fn name(&self) -> String {
        format!("{}, tier {}", self.kernel.name(), self.tier)
    }

    /// A kernel that did not get to the end of the scenario.
    pub(crate) fn failed(kernel: Kernel, error: &anyhow::Error) -> Self {
        Self {
            differences: vec![format!("{error:#}")],
            ..Self::empty(kernel, "none")
        }
    }

    fn empty(kernel: Kernel, tier: &str) -> Self {
        Self {
            kernel,
            release: String::new(),
            tier: tier.to_owned(),
            booted: Duration::ZERO,
            spans: 0,
            expected: 0,
            events: 0,
            skipped: 0,
            instructions: 0,
            refusal: None,
            differences: Vec::new(),
        }
    }

    fn line(&self) -> String {
        let tier = if self.tier == FORCED {
            "`auto`, the others refused by force"
        } else {
            &self.tier
        };
        format!(
            "| {} | {} | {tier} | {} | {} | {} | {} | {:.1} s |",
            self.release(),
            self.kernel.machine.rust(),
            self.verdict(),
            self.events,
            self.skipped,
            self.instructions,
            self.booted.as_secs_f64()
        )
    }

    /// The kernel's release, or what it was looked for as.
    fn release(&self) -> String {
        if self.release.is_empty() {
            self.kernel.name()
        } else {
            let release = format!("{} {}", self.release, self.kernel.parameters);
            release.trim_end().to_owned()
        }
    }

    fn verdict(&self) -> String {
        match &self.refusal {
            Some(why) => why.clone(),
            None if self.differences.is_empty() => format!("all {}", self.spans),
            None if self.spans == self.expected => {
                format!("all {}, **but not all else as expected**", self.spans)
            }
            None => format!("**{} of {}**", self.spans, self.expected),
        }
    }
}

/// A row for each tier.
pub(crate) fn rows(kernel: Kernel, outcome: &Outcome, expected: &BTreeSet<String>) -> Vec<Row> {
    let report = Report::parse(&outcome.output);
    let programs = budget::parse(&report.programs);
    let blank = |tier: &str| Row {
        release: outcome.release.clone(),
        booted: outcome.booted,
        ..Row::empty(kernel, tier)
    };
    let without = TIERS.iter().filter(|tier| !kernel.tiers.contains(tier));
    let without = without.map(|tier| Row {
        refusal: Some(report.refusal(tier)),
        ..blank(tier)
    });
    let faults = report
        .faults
        .iter()
        .map(|fault| format!("the kernel says: {fault}"));
    let faults: Vec<String> = faults.collect();
    let with = report.tiers.iter().map(|tier| Row {
        spans: tier.spans.intersection(expected).count(),
        expected: expected.len(),
        events: tier.counter("events"),
        skipped: skipped(tier),
        instructions: budget::of_tier(&programs, &tier.tier),
        differences: tier
            .differences(expected)
            .into_iter()
            .chain(report.others(&tier.tier))
            .chain(faults.clone())
            .collect(),
        ..blank(&tier.tier)
    });
    without.chain(with).collect()
}

fn skipped(tier: &TierResult) -> u64 {
    tier.counter("recursion_misses") + tier.counter("probe_misses")
}

const HEAD: &str = "| kernel | architecture | tier | spans as expected | events | skipped | instructions | boot |\n\
                    |---|---|---|---|--:|--:|--:|--:|\n";

/// The rows as Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    format!("{HEAD}{}", lines(rows.iter()))
}

/// Keeps the rows of a kernel until it is run again.
pub(crate) fn remember(workspace: &Workspace, kernel: &Kernel, rows: &[Row]) -> Result<()> {
    let own = lines(rows.iter().filter(|row| row.kernel == *kernel));
    let file = memory(workspace, kernel);
    fs::write(&file, own).with_context(|| format!("writing {}", file.display()))
}

/// The rows of all kernels, each of its last run; a kernel that was not run yet has none.
pub(crate) fn remembered(workspace: &Workspace) -> Result<String> {
    let kept: String = KERNELS
        .iter()
        .filter_map(|kernel| fs::read_to_string(memory(workspace, kernel)).ok())
        .collect();
    ensure!(
        !kept.is_empty(),
        "no kernel was run yet: `cargo xtask vm --all` runs all"
    );
    Ok(format!("{HEAD}{kept}"))
}

fn memory(workspace: &Workspace, kernel: &Kernel) -> PathBuf {
    workspace
        .target
        .join("vm")
        .join(format!("{}.rows", kernel.name()))
}

fn lines<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    rows.map(|row| row.line() + "\n").collect()
}
