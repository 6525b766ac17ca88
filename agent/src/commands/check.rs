//! `sidelight check`: what this kernel and these privileges allow.

use std::process::ExitCode;

use super::table::{self, Table};
use crate::{
    attach::{self, KernelSettings, Tier},
    cli::Listing,
    config::Settings,
    inspect::{self, Report},
    pipeline,
};

const NOT_TRIED: &str = "not tried: something that is required is missing, see above";

/// Probes the kernel, feature by feature; the exit code is 1 if nothing can be watched.
///
/// # Errors
///
/// Fails when stdout cannot be written to.
pub fn execute(listing: Listing, settings: &Settings) -> anyhow::Result<ExitCode> {
    let settings = pipeline::kernel_settings(settings);
    let mut report = inspect::report(&settings.btf);
    report.add_probes(try_probe(&settings, report.is_complete()));
    report.add_tiers(try_tiers(&settings, report.is_complete()));
    table::print(|out| match listing {
        Listing::Json => table::json(out, &report),
        Listing::Text => {
            text(&report).write(out)?;
            writeln!(out, "\n{}", summary(&report))
        }
    })?;
    Ok(if report.tier.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Has every program verified, and says what that took; the exit code is 1 if one is refused.
///
/// # Errors
///
/// Fails when the kernel refuses all of them, or stdout cannot be written to.
pub fn execute_programs(listing: Listing, settings: &Settings) -> anyhow::Result<ExitCode> {
    let budgets = attach::budgets(&pipeline::kernel_settings(settings))?;
    table::print(|out| match listing {
        Listing::Json => table::json(out, &budgets),
        Listing::Text => {
            let mut table = Table::new(["PROGRAM", "INSTRUCTIONS", "STATES", "STACK", "REFUSED"]);
            for budget in &budgets {
                table.push([
                    budget.program.clone(),
                    budget.instructions.to_string(),
                    budget.states.to_string(),
                    budget.stack.to_string(),
                    budget.refused.clone().unwrap_or_default(),
                ]);
            }
            table.write(out)
        }
    })?;
    Ok(if budgets.iter().all(|budget| budget.refused.is_none()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Attaches a probe in a program, for a moment.
fn try_probe(settings: &KernelSettings, complete: bool) -> Result<&'static str, String> {
    if !complete {
        return Err(NOT_TRIED.to_owned());
    }
    attach::try_probe(settings).map_err(|error| error.reason())
}

/// Loads and attaches everything of every tier, for a moment.
fn try_tiers(settings: &KernelSettings, complete: bool) -> Vec<(&'static str, Option<String>)> {
    if complete {
        // As the agent does at its start; what is wrong with it is said by the tiers.
        let _ = inspect::tracefs();
    }
    let outcome = |tier| {
        if !complete {
            return Some(NOT_TRIED.to_owned());
        }
        attach::try_out(settings, tier)
            .and_then(|()| attach::misses_nothing(tier))
            .err()
            .map(|error| error.reason())
    };
    Tier::ALL.map(|tier| (tier.name(), outcome(tier))).into()
}

fn text(report: &Report) -> Table<3> {
    let mut table = Table::new(["FEATURE", "HERE", "DETAIL"]);
    for feature in &report.features {
        let here = match (feature.available, feature.required) {
            (true, _) => "yes",
            (false, true) => "NO",
            (false, false) => "no",
        };
        table.push([feature.name.clone(), here.to_owned(), feature.detail.clone()]);
    }
    table
}

fn summary(report: &Report) -> String {
    match report.tier {
        Some(tier) => format!("sidelight can watch processes here, by its tier {tier}."),
        None => "sidelight cannot watch anything here: what is marked NO is required.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Feature;

    #[test]
    fn what_is_required_and_missing_stands_out() {
        let feature = |name: &str, available, required| Feature {
            name: name.to_owned(),
            available,
            detail: "why".to_owned(),
            required,
        };
        let report = Report {
            features: vec![
                feature("a", true, true),
                feature("b", false, true),
                feature("c", false, false),
            ],
            tier: None,
        };
        let mut shown = Vec::new();
        text(&report).write(&mut shown).unwrap();
        let expected = "FEATURE  HERE  DETAIL\na        yes   why\nb        NO    why\nc        no    why\n";
        assert_eq!(String::from_utf8(shown).unwrap(), expected);
        assert!(summary(&report).contains("cannot"));
    }
}
