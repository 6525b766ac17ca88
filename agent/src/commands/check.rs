//! `sidelight check`: what this kernel and these privileges allow.

use std::process::ExitCode;

use super::table::{self, Table};
use crate::{
    cli::Listing,
    inspect::{self, Report},
};

/// Probes the kernel, feature by feature; the exit code is 1 if nothing can be watched.
///
/// # Errors
///
/// Fails when stdout cannot be written to.
pub fn execute(listing: Listing) -> anyhow::Result<ExitCode> {
    let report = inspect::report();
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
