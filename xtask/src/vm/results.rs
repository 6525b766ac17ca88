//! What came of the scenario, kernel by kernel and tier by tier.

use std::collections::BTreeSet;
use std::time::Duration;

use super::budget;
use super::golden::{FORCED, Report, TierResult};
use super::{Kernel, Outcome};

/// All tiers, the cheapest first.
const TIERS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];

/// What came of the scenario on one kernel with one tier.
pub(crate) struct Row {
    pub(crate) kernel: Kernel,
    release: String,
    tier: String,
    booted: Duration,
    spans: usize,
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
        let may_skip = self.kernel.skips.contains(&self.tier.as_str());
        self.differences.is_empty() || (may_skip && self.skipped > 0 && self.spans > 0)
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
            events: 0,
            skipped: 0,
            instructions: 0,
            refusal: None,
            differences: Vec::new(),
        }
    }

    fn line(&self, expected: usize) -> String {
        let tier = if self.tier == FORCED {
            "`auto`, the others refused by force"
        } else {
            &self.tier
        };
        format!(
            "| {} | {} | {tier} | {} | {} | {} | {} | {:.1} s |",
            self.release(),
            self.kernel.machine.rust(),
            self.verdict(expected),
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
            self.release.clone()
        }
    }

    fn verdict(&self, expected: usize) -> String {
        match &self.refusal {
            Some(why) => why.clone(),
            None if self.differences.is_empty() => format!("all {}", self.spans),
            None if self.is_good() => format!("{} of {expected}; the kernel skipped the rest", self.spans),
            None => format!("**{} of {expected}**", self.spans),
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

/// The rows as Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let expected = rows.iter().map(|row| row.spans).max().unwrap_or(0);
    let lines: Vec<String> = rows.iter().map(|row| row.line(expected)).collect();
    format!(
        "| kernel | architecture | tier | spans as expected | events | skipped | instructions | boot |\n\
         |---|---|---|---|--:|--:|--:|--:|\n{}\n",
        lines.join("\n")
    )
}
