//! Patterns for names, paths and command lines.

use std::fmt;

use regex::Regex;

use super::parse::Invalid;

/// What a regular expression begins with, among shell patterns.
const REGEX: &str = "re:";

/// A shell pattern (`python3*`), or a regular expression (`re:^/opt/.*/server$`).
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    Glob(glob::Pattern),
    Regex(Regex),
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let matcher = match text.strip_prefix(REGEX) {
            Some(expression) => {
                Matcher::Regex(Regex::new(expression).map_err(|error| refused_regex(&error))?)
            }
            None => Matcher::Glob(glob::Pattern::new(text).map_err(|error| {
                Invalid::new(
                    format!("a shell pattern ({})", error.msg),
                    "write it like python3* or */bin/server",
                )
            })?),
        };
        Ok(Self {
            text: text.to_owned(),
            matcher,
        })
    }

    /// Whether it fits: a shell pattern the whole text, a regular expression any part of it.
    pub fn matches(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Glob(pattern) => pattern.matches(text),
            Matcher::Regex(expression) => expression.is_match(text),
        }
    }

    /// Whether it is about a path and not only about a file's name.
    pub fn is_about_a_path(&self) -> bool {
        matches!(self.matcher, Matcher::Regex(_)) || self.text.contains('/')
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// regex says what is wrong in a picture of several lines, the reason on the last.
fn refused_regex(error: &regex::Error) -> Invalid {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default();
    Invalid::new(
        format!("a regular expression ({})", reason.trim_start_matches("error: ")),
        "write it like re:^/opt/.*/server$",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_pattern_fits_the_whole_and_an_expression_any_part() {
        let fits = |pattern: &str, text: &str| Pattern::new(pattern).unwrap().matches(text);
        assert!(fits("python3*", "python3.11") && !fits("ython3*", "python3.11"));
        assert!(fits("*/bin/?erver", "/opt/a/bin/server"));
        assert!(fits("re:ython3", "python3.11") && !fits("re:^ython3", "python3.11"));
        assert!(fits("gunicorn *", "gunicorn app:app --workers 4"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let error = Pattern::new("re:(").unwrap_err();
        assert_eq!(error.expected, "a regular expression (unclosed group)");
        assert!(
            Pattern::new("[a")
                .unwrap_err()
                .expected
                .starts_with("a shell pattern")
        );
    }
}
