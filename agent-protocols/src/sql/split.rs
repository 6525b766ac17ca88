//! The statements of a text that may hold several.

use super::lexer::{Backslash, Kind, Lexer, Token};

/// One statement of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Where it stands in the text, in bytes, with the white space and comments before it.
    pub start: usize,
    /// The statement, without the semicolon.
    pub text: &'a str,
}

/// Splits a text at the semicolons between its statements, as PostgreSQL does; empty statements are left out.
///
/// Semicolons in brackets (`CREATE RULE … DO (…; …)`) and in `BEGIN ATOMIC … END` bodies do not count.
pub fn statements(text: &str, backslash: Backslash) -> Statements<'_> {
    Statements {
        text,
        start: 0,
        tokens: Lexer::new(text, backslash),
    }
}

/// Iterator over the statements of a text.
pub struct Statements<'a> {
    text: &'a str,
    start: usize,
    tokens: Lexer<'a>,
}

impl<'a> Iterator for Statements<'a> {
    type Item = Statement<'a>;

    fn next(&mut self) -> Option<Statement<'a>> {
        loop {
            let mut nesting = Nesting::default();
            let end = self
                .tokens
                .find(|token| nesting.ends_at(token, token.of(self.text)));
            let stop = end.map_or(self.text.len(), |semicolon| semicolon.start);
            let start = std::mem::replace(
                &mut self.start,
                end.map_or(self.text.len(), |semicolon| semicolon.end),
            );
            if nesting.words > 0 {
                return Some(Statement {
                    start,
                    text: self.text.get(start..stop).unwrap_or_default(),
                });
            }
            end?;
        }
    }
}

/// What is open in the statement so far.
#[derive(Default)]
struct Nesting {
    /// Tokens so far that are neither white space nor comment.
    words: usize,
    brackets: usize,
    /// `CREATE … FUNCTION|PROCEDURE` was read: `BEGIN ATOMIC` may come.
    routine: bool,
    creates: bool,
    blocks: usize,
}

impl Nesting {
    /// Takes a token; true if it is the semicolon that ends the statement.
    fn ends_at(&mut self, token: &Token, text: &str) -> bool {
        match (token.kind, text) {
            (Kind::Space, _) => return false,
            (Kind::Symbol, ";") if self.brackets == 0 && self.blocks == 0 => return true,
            (Kind::Symbol, "(") => self.brackets += 1,
            (Kind::Symbol, ")") => self.brackets = self.brackets.saturating_sub(1),
            (Kind::Word, word) => self.word(word),
            _ => {}
        }
        self.words += 1;
        false
    }

    fn word(&mut self, word: &str) {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if self.words == 0 {
            self.creates = is("CREATE");
        } else if self.creates && self.words <= 3 && (is("FUNCTION") || is("PROCEDURE")) {
            self.routine = true;
        } else if self.routine && self.brackets == 0 {
            if is("BEGIN") || (self.blocks > 0 && is("CASE")) {
                self.blocks += 1;
            } else if is("END") {
                self.blocks = self.blocks.saturating_sub(1);
            }
        }
    }
}
