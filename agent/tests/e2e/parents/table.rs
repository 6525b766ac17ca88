//! What came out of a run, way by way.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::OpenOptions,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};

use super::judge::Verdict;

/// How many in a hundred must be right where that can be proved; the rest may be absent.
const RIGHT: usize = 99;
/// So many wrong ones are shown in full.
const SHOWN: usize = 5;

/// One line: spans of one kind, and the parents that they have.
pub(crate) struct Row {
    name: String,
    provable: bool,
    expected: usize,
    right: usize,
    absent: usize,
    wrong: usize,
}

/// All lines of a run.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    places: HashMap<String, usize>,
    wrong: Vec<String>,
}

impl Table {
    /// A line for `expected` spans.
    pub(crate) fn expect(&mut self, name: &str, provable: bool, expected: usize) {
        self.places.insert(name.to_owned(), self.rows.len());
        self.rows.push(Row {
            name: name.to_owned(),
            provable,
            expected,
            right: 0,
            absent: 0,
            wrong: 0,
        });
    }

    /// Counts one span; `span` describes it if it is wrong.
    pub(crate) fn count(
        &mut self,
        name: &str,
        verdict: Verdict,
        span: impl FnOnce() -> String,
    ) -> Result<()> {
        let place = self.places.get(name);
        let row = place.and_then(|place| self.rows.get_mut(*place));
        let row = row.with_context(|| format!("a span of the unknown way {name:?}"))?;
        match verdict {
            Verdict::Right => row.right += 1,
            Verdict::Absent => row.absent += 1,
            Verdict::Wrong(why) => {
                row.wrong += 1;
                self.wrong.push(format!("{name}: {}: {why}", span()));
            }
        }
        Ok(())
    }

    /// As Markdown.
    pub(crate) fn text(&self, title: &str) -> String {
        let mut text = format!(
            "\n## {title}\n\n| way | provable | expected | right | absent | wrong | not seen |\n|---|---|--:|--:|--:|--:|--:|\n"
        );
        for row in &self.rows {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.name,
                if row.provable { "yes" } else { "no" },
                row.expected,
                row.right,
                row.absent,
                row.wrong,
                row.expected.saturating_sub(row.right + row.absent + row.wrong),
            );
        }
        text
    }

    /// All rows in one: right, absent where a parent can be proved, absent where it cannot, wrong.
    pub(crate) fn sums(&self) -> [usize; 4] {
        self.rows
            .iter()
            .fold([0; 4], |[right, absent, unproved, wrong], row| {
                let [missing, allowed] = if row.provable {
                    [row.absent, 0]
                } else {
                    [0, row.absent]
                };
                [
                    right + row.right,
                    absent + missing,
                    unproved + allowed,
                    wrong + row.wrong,
                ]
            })
    }

    /// Not one is wrong, and what can be proved is right; else `text` shows it. What the agent counts as `lost` is allowed
    /// for, unless it is so much that nothing would be shown by the rest.
    pub(crate) fn judge(&self, text: &str, lost: u64) -> Result<()> {
        if !self.wrong.is_empty() {
            let shown = self.wrong.get(..SHOWN).unwrap_or(&self.wrong).join("\n");
            bail!("{} wrong parents{text}\nsuch as:\n{shown}", self.wrong.len());
        }
        let lost = usize::try_from(lost)?;
        let expected: usize = self.rows.iter().map(|row| row.expected).sum();
        if lost * 100 > expected {
            bail!(
                "{lost} spans or events were lost, more than one in a hundred: this machine is too busy{text}"
            );
        }
        // Each one may have cost a span its parent.
        let short = |row: &&Row| row.provable && (row.right + lost) * 100 < row.expected * RIGHT;
        let names: Vec<&str> = self
            .rows
            .iter()
            .filter(short)
            .map(|row| row.name.as_str())
            .collect();
        if !names.is_empty() {
            bail!(
                "less than {RIGHT} % have their parent: {}{text}",
                names.join(", ")
            );
        }
        Ok(())
    }
}

/// Adds a table to the file that `SIDELIGHT_TEST_REPORT` names, which has those of one run of the tests.
pub(crate) fn publish(text: &str) -> Result<()> {
    static BEGUN: Mutex<bool> = Mutex::new(false);
    let Some(file) = std::env::var_os("SIDELIGHT_TEST_REPORT") else {
        return Ok(());
    };
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = OpenOptions::new();
    options.create(true).write(true);
    let opened = if *begun {
        options.append(true).open(&file)
    } else {
        options.truncate(true).open(&file)
    };
    let mut opened = opened.with_context(|| format!("cannot write {}", file.display()))?;
    *begun = true;
    opened.write_all(text.as_bytes()).context("the report")
}
