//! What came out of the tests, and what test programs write about it.

use crate::progress::{Progress, print};

/// The sum of all tests.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) passed: usize,
    pub(super) failed: Vec<Failure>,
    pub(super) skipped: Vec<Skip>,
}

/// A test that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) name: String,
    /// The command that runs it again.
    pub(super) again: String,
    pub(super) output: String,
}

/// A test that could not run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Skip {
    pub(super) name: String,
    pub(super) reason: String,
}

/// One line of a test program about one test.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Passed(&'a str),
    Failed(&'a str),
    Ignored(&'a str, &'a str),
}

impl<'a> Line<'a> {
    /// Understands `test NAME ... ok`, `… FAILED` and `… ignored[, REASON]`, the form of libtest and of libtest-mimic.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
        let name = name.trim_end();
        match result.trim_end() {
            "ok" => Some(Self::Passed(name)),
            "FAILED" => Some(Self::Failed(name)),
            ignored => {
                let reason = ignored.strip_prefix("ignored")?.trim_start_matches([',', ' ']);
                Some(Self::Ignored(
                    name,
                    if reason.is_empty() {
                        "no reason given"
                    } else {
                        reason
                    },
                ))
            }
        }
    }
}

impl Outcome {
    pub(super) fn is_good(&self) -> bool {
        self.failed.is_empty() && self.passed > 0
    }

    /// Shows what failed and what was skipped, and closes with the counts on standard output.
    pub(super) fn report(&self, progress: &Progress) {
        for skip in &self.skipped {
            progress.say(format!("skipped  {}: {}", skip.name, skip.reason));
        }
        for failure in &self.failed {
            progress.say(format!(
                "\n---- {} ----\n{}",
                failure.name,
                failure.output.trim_end()
            ));
        }
        for failure in &self.failed {
            progress.say(format!("FAILED   {}; again: {}", failure.name, failure.again));
        }
        let (passed, failed, skipped) = (self.passed, self.failed.len(), self.skipped.len());
        // Whoever closed standard output does not want to know.
        let _ = print(&format!("{passed} passed, {failed} failed, {skipped} skipped\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_test_harnesses() {
        assert_eq!(Line::parse("test a::b ... ok"), Some(Line::Passed("a::b")));
        assert_eq!(
            Line::parse("test load::x      ... FAILED"),
            Some(Line::Failed("load::x"))
        );
        assert_eq!(
            Line::parse("test c ... ignored, needs root"),
            Some(Line::Ignored("c", "needs root"))
        );
        assert_eq!(
            Line::parse("test c ... ignored"),
            Some(Line::Ignored("c", "no reason given"))
        );
        assert_eq!(
            Line::parse("test src/lib.rs - f (line 3) ... ok"),
            Some(Line::Passed("src/lib.rs - f (line 3)"))
        );
    }

    #[test]
    fn other_lines_are_not_results() {
        for line in [
            "test result: ok. 3 passed; 0 failed",
            "running 3 tests",
            "testing ... ok",
            "test x ... maybe",
        ] {
            assert_eq!(Line::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_run_without_any_test_is_not_good() {
        assert!(!Outcome::default().is_good());
        assert!(
            Outcome {
                passed: 1,
                ..Outcome::default()
            }
            .is_good()
        );
    }
}
