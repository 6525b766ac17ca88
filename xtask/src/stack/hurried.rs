//! Prometheus' settings and rules with each time divided, and nothing else changed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// What each time in rules is divided by.
pub(crate) const FACTOR: u64 = 30;
/// What each time in settings is: a scrape may take no longer than from one to the next, and a machine may be busy.
const OF_SETTINGS: u64 = 10;

/// The keys whose values are times.
const KEYS: [&str; 5] = [
    "for",
    "interval",
    "scrape_interval",
    "evaluation_interval",
    "out_of_order_time_window",
];
/// Prometheus' units with their milliseconds. Weeks come before what begins like them.
const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("y", 31_536_000_000),
];

/// Writes the folder that takes the place of `deploy/prometheus`.
pub(crate) fn write(workspace: &Workspace, folder: &Path) -> Result<()> {
    let source = workspace.root.join("deploy/prometheus");
    let rules = folder.join("rules");
    // What an earlier version had would be rules, too.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(&rules).with_context(|| format!("creating {}", rules.display()))?;
    let hurry = |from: &Path, to: &Path, factor: u64| -> Result<()> {
        let text = fs::read_to_string(from).with_context(|| format!("reading {}", from.display()))?;
        let hurried = hurried(&text, factor).with_context(|| from.display().to_string())?;
        fs::write(to, hurried).with_context(|| format!("writing {}", to.display()))
    };
    hurry(
        &source.join("prometheus.yaml"),
        &folder.join("prometheus.yaml"),
        OF_SETTINGS,
    )?;
    let listing = source.join("rules-local");
    for entry in fs::read_dir(&listing).with_context(|| format!("listing {}", listing.display()))? {
        let entry = entry.with_context(|| format!("listing {}", listing.display()))?;
        hurry(&entry.path(), &rules.join(entry.file_name()), FACTOR)?;
    }
    Ok(())
}

/// The same lines with shorter times: those of ranges, `[5m]`, and those of the keys above.
fn hurried(text: &str, factor: u64) -> Result<String> {
    let mut hurried = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        hurried.push_str(&ranges(&value(line, factor)?, factor)?);
    }
    Ok(hurried)
}

/// A line whose key is one of those above, with its value divided; any other as it is.
fn value(line: &str, factor: u64) -> Result<String> {
    let Some((key, rest)) = line.split_once(": ") else {
        return Ok(line.to_owned());
    };
    if !KEYS.contains(&key.trim_start_matches(['-', ' '])) {
        return Ok(line.to_owned());
    }
    let time = rest.trim_end();
    Ok(format!(
        "{key}: {}{}",
        divided(time, factor)?,
        &rest[time.len()..]
    ))
}

fn ranges(line: &str, factor: u64) -> Result<String> {
    let mut parts = line.split('[');
    let mut hurried = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        hurried.push('[');
        match part.split_once(']') {
            Some((range, rest)) if milliseconds(range).is_some() => {
                hurried.push_str(&divided(range, factor)?);
                hurried.push(']');
                hurried.push_str(rest);
            }
            _ => hurried.push_str(part),
        }
    }
    Ok(hurried)
}

fn divided(time: &str, factor: u64) -> Result<String> {
    let whole = milliseconds(time).with_context(|| format!("{time:?} is not a time"))?;
    ensure!(whole >= factor, "{time} is too short to be divided");
    Ok(format!("{}ms", whole / factor))
}

/// `1h30m` in milliseconds; nothing if it is not a time.
fn milliseconds(time: &str) -> Option<u64> {
    let (mut rest, mut sum) = (time, 0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let (unit, length) = UNITS.iter().find(|(unit, _)| rest[end..].starts_with(unit))?;
        sum += number * length;
        rest = &rest[end + unit.len()..];
    }
    (sum > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_divided_and_names_stay() {
        let text = "- interval: 30s\n  - expr: sum(rate(a{le=~\"[1-9]m\"}[1h30m])) > (14 * (1-0.95))\n    for: 15m\n    \
                    labels:\n      long: 6h\n    record: a:burnrate1h30m\n  scrape_interval: 5s\n";
        let expected = "- interval: 1000ms\n  - expr: sum(rate(a{le=~\"[1-9]m\"}[180000ms])) > (14 * (1-0.95))\n    \
                        for: 30000ms\n    labels:\n      long: 6h\n    record: a:burnrate1h30m\n  scrape_interval: 166ms\n";
        assert_eq!(hurried(text, 30).unwrap(), expected);
    }

    #[test]
    fn what_is_no_time_is_none() {
        assert_eq!(milliseconds("1d12h"), Some(129_600_000));
        assert_eq!(milliseconds("0-9"), None);
        assert_eq!(milliseconds("1"), None);
        assert!(hurried("    for: long\n", 30).is_err());
    }
}
