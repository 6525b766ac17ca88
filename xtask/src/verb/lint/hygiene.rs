//! Things in files that no tool of a language looks for.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::command::Cmd;

/// Written by tools.
const GENERATED: [&str; 4] = ["Cargo.lock", "go.sum", "requirements.lock", "go.lock"];
/// Folders that only exist on the machine of whoever wrote them down.
const PRIVATE_FOLDERS: [&str; 3] = ["/home/", "/root/", "/Users/"];
/// Package registries differ from site to site (mirrors, proxies): the clients know where theirs are.
const REGISTRY_WORDS: [&str; 6] = [
    "pypi",
    "pythonhosted",
    "npmjs",
    "proxy.golang",
    "deb.debian",
    "static.crates",
];

/// Fails with every finding in the files that git follows.
pub(super) fn check(root: &Path) -> Result<()> {
    let files = Cmd::new("git").args(["ls-files", "-z"]).dir(root).output()?;
    let mut findings = Vec::new();
    for name in files
        .split('\0')
        .filter(|name| !name.is_empty() && !is_generated(name))
    {
        let path = root.join(name);
        // Deleted here and still followed, or a link.
        if !path.is_file() {
            continue;
        }
        let content = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        if let Ok(text) = std::str::from_utf8(&content) {
            findings.extend(
                look_at(text)
                    .into_iter()
                    .map(|finding| format!("{name}:{finding}")),
            );
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        bail!("{}", findings.join("\n"))
    }
}

fn is_generated(name: &str) -> bool {
    GENERATED
        .iter()
        .any(|generated| name.rsplit('/').next() == Some(generated))
}

/// `LINE: what is wrong`, for everything that is.
fn look_at(text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut found = |what: &str| findings.push(format!("{number}: {what}"));
        if line.ends_with([' ', '\t', '\r']) {
            found("white space at the end of the line");
        }
        if PRIVATE_FOLDERS.iter().any(|folder| names_below(line, folder)) {
            found("a path of one machine");
        }
        if line
            .split(['"', '\'', '<', '>', '(', ')', '`', ' '])
            .any(is_registry)
        {
            found("the address of a package registry: leave it to the client's own settings");
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(format!(
            "{}: no newline at the end of the file",
            text.lines().count()
        ));
    }
    findings
}

/// Whether the line has a path with something below `folder`, which is not just part of a longer path.
fn names_below(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let inside = line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "._-}".contains(c));
        let named = line[at + folder.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
        named && !inside
    })
}

fn is_registry(word: &str) -> bool {
    word.contains("://") && REGISTRY_WORDS.iter().any(|registry| word.contains(registry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_name_their_line() {
        let home = ["/ho", "me/ann/x"].concat();
        let registry = ["https://py", "pi.example/simple"].concat();
        let text = format!("fine\ntrailing \nsee {home}\nuse {registry}\nlast");
        let lines: Vec<String> = look_at(&text)
            .iter()
            .map(|finding| finding[..2].to_owned())
            .collect();
        assert_eq!(lines, ["2:", "3:", "4:", "5:"]);
    }

    #[test]
    fn ordinary_lines_are_left_alone() {
        assert_eq!(
            look_at("see /proc/1/root/etc and the home/page\nx\n"),
            Vec::<String>::new()
        );
        assert_eq!(look_at(""), Vec::<String>::new());
    }
}
