//! Operations and tables by keywords alone.

use std::collections::HashSet;

use super::{
    lexer::{Backslash, Kind, Lexer},
    summary::Part,
};

/// A token that is not white space.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
}

impl Word<'_> {
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind != Kind::QuotedName && self.text.eq_ignore_ascii_case(keyword)
    }

    pub(super) fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    pub(super) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::QuotedName)
    }
}

pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    Lexer::new(text, Backslash::Plain)
        .filter(|token| token.kind != Kind::Space)
        .map(|token| Word {
            kind: token.kind,
            text: token.of(text),
        })
        .collect()
}

/// A name with its qualification, as written, and what follows it.
pub(super) fn name<'a, 'b>(words: &'b [Word<'a>]) -> Option<(String, &'b [Word<'a>])> {
    let (first, mut rest) = words.split_first()?;
    if !first.is_name() {
        return None;
    }
    let mut name = first.text.to_owned();
    while let [dot, next, behind @ ..] = rest {
        if !dot.is(".") || !next.is_name() {
            break;
        }
        name.push('.');
        name.push_str(next.text);
        rest = behind;
    }
    Some((name, rest))
}

/// Operations and tables found by looking at keywords only: for what the parser does not know or must not be given.
pub(super) fn scan(words: &[Word<'_>]) -> Vec<Part> {
    let mut scanner = Scanner {
        words,
        at: 0,
        parts: Vec::new(),
        froms: Vec::new(),
        from: false,
        common: common_tables(words),
    };
    while let Some(&word) = words.get(scanner.at) {
        scanner.at += 1;
        scanner.word(word);
    }
    scanner.parts
}

/// Names that `WITH` defines: they are no tables.
fn common_tables<'a>(words: &[Word<'a>]) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for (at, pair) in words.windows(2).enumerate() {
        let [before, name] = pair else { continue };
        let may_define = name.is_name() && before.is_any(&["WITH", "RECURSIVE", ","]);
        if may_define && defines(words.get(at + 2..).unwrap_or_default()) {
            names.insert(name.text);
        }
    }
    names
}

/// What follows a name makes it one that `WITH` defines: `[(columns)] AS [[NOT] MATERIALIZED] (`.
fn defines(words: &[Word<'_>]) -> bool {
    const MOST_COLUMNS: usize = 64;
    let mut rest = words;
    if rest.first().is_some_and(|word| word.is("(")) {
        let Some(end) = rest.iter().take(2 * MOST_COLUMNS).position(|word| word.is(")")) else {
            return false;
        };
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    match rest {
        [a, b, ..] if a.is("AS") && b.is("(") => true,
        [a, b, c, ..] if a.is("AS") && b.is("MATERIALIZED") && c.is("(") => true,
        [a, b, c, ..] if a.is("AS") && b.is("NOT") && c.is("MATERIALIZED") => true,
        _ => false,
    }
}

struct Scanner<'a, 'b> {
    words: &'b [Word<'a>],
    /// Of the next word.
    at: usize,
    parts: Vec<Part>,
    /// `from` of the brackets around.
    froms: Vec<bool>,
    /// Between `FROM` and the next clause: a comma is followed by a table.
    from: bool,
    common: HashSet<&'a str>,
}

impl Scanner<'_, '_> {
    fn word(&mut self, word: Word<'_>) {
        match word.text {
            "(" => self.froms.push(std::mem::take(&mut self.from)),
            ")" => self.from = self.froms.pop().unwrap_or(false),
            "," if self.from => self.target(),
            _ if word.kind == Kind::Word => self.keyword(word),
            _ => {}
        }
    }

    fn keyword(&mut self, word: Word<'_>) {
        let before = self.at.checked_sub(2).and_then(|at| self.words.get(at));
        let after = |keywords: &[&str]| before.is_some_and(|before| before.is_any(keywords));
        if after(&["."]) {
        } else if word.is_any(&["INSERT", "UPDATE", "DELETE", "MERGE"])
            && !after(&["FOR", "DO", "ON", "KEY", "THEN", "BEFORE", "AFTER", "OR", "OF"])
        {
            self.operation(word);
            if word.is("UPDATE") {
                self.target();
            }
        } else if word.is("SELECT") {
            self.operation(word);
        } else if word.is("FROM") && !after(&["DISTINCT"]) && !self.in_special_function() {
            self.from = true;
            self.target();
        } else if word.is_any(&["JOIN", "INTO"]) {
            self.target();
        } else if word.is("USING") && !self.words.get(self.at).is_some_and(|next| next.is("(")) {
            self.from = true;
            self.target();
        } else if word.is_any(CLAUSES) {
            self.from = false;
        }
    }

    fn operation(&mut self, word: Word<'_>) {
        self.from = false;
        self.parts.push(Part::Operation(word.text.to_ascii_uppercase()));
    }

    /// `EXTRACT(year FROM t)` names no table.
    fn in_special_function(&self) -> bool {
        let mut depth = 0_usize;
        let before = self.words.get(..self.at.saturating_sub(1)).unwrap_or_default();
        for (at, word) in before.iter().enumerate().rev().take(64) {
            match word.text {
                ")" => depth += 1,
                "(" if depth > 0 => depth -= 1,
                "(" => {
                    return at
                        .checked_sub(1)
                        .and_then(|at| self.words.get(at))
                        .is_some_and(|function| {
                            function.is_any(&["EXTRACT", "SUBSTRING", "TRIM", "OVERLAY", "POSITION"])
                        });
                }
                _ => {}
            }
        }
        false
    }

    /// Takes the table at the current position, if there is one: not a subquery, function or common table.
    fn target(&mut self) {
        while self
            .words
            .get(self.at)
            .is_some_and(|word| word.is_any(&["ONLY", "LATERAL", "TABLE"]))
        {
            self.at += 1;
        }
        let rest = self.words.get(self.at..).unwrap_or_default();
        let Some((name, behind)) = name(rest) else { return };
        if rest
            .first()
            .is_some_and(|word| word.is_any(CLAUSES) || word.is_any(&["SELECT", "WITH", "ROWS"]))
        {
            return;
        }
        let called = behind.first().is_some_and(|word| word.is("(")) && self.from;
        if !called && !self.common.contains(name.as_str()) {
            self.parts.push(Part::Table(name));
        }
        self.at += rest.len() - behind.len();
    }
}

/// Keywords that end a list of tables.
const CLAUSES: &[&str] = &[
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "SET",
    "RETURNING",
    "WINDOW",
    "FOR",
    "VALUES",
];
