//! A statement's text without its literals.

use super::lexer::{Backslash, Kind, Lexer, Token};

/// What stands for a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// `?` for every literal: what users see.
    QuestionMark,
    /// `0` for a number and `''` for a string: what a SQL parser accepts wherever it accepts the literal.
    Typed,
}

/// Replaces all literals, leaves comments out and makes every stretch of white space one blank.
///
/// * `TRUE`, `FALSE`, `NULL`, parameters (`$1`), casts and quoted names are kept; a sign that belongs to a number goes
///   with it.
/// * `IN (1, 2, 3)` and `ARRAY[1, 2, 3]` become `IN (?)` and `ARRAY[?]` when their elements are literals or constants.
/// * Of `VALUES (…), (…), …` the first row stays.
/// * Semicolons at the end are left out.
///
/// The result is never longer than `text` with [`Placeholder::QuestionMark`].
pub(crate) fn sanitize(text: &str, backslash: Backslash, placeholder: Placeholder) -> String {
    let mut writer = Writer {
        text,
        tokens: Lexer::new(text, backslash),
        out: String::with_capacity(text.len()),
        placeholder,
        space: false,
        before: Before::Start,
        sign: None,
        list: None,
        depth: 0,
        values: None,
    };
    while let Some(token) = writer.tokens.next() {
        writer.take(token);
    }
    writer.finish()
}

/// The last token that was not white space, as far as the next one's meaning depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Start,
    /// A name, a closing bracket, a literal or a parameter: a sign after it is a binary operator.
    Operand,
    /// An operator, an opening bracket, a comma, or a keyword that an expression follows.
    Prefix,
    /// `IN`.
    In,
    /// `ARRAY`.
    Array,
    /// `VALUES`.
    Values,
    /// The `)` that closed a row of `VALUES`.
    Row,
}

struct Writer<'a> {
    text: &'a str,
    tokens: Lexer<'a>,
    out: String,
    placeholder: Placeholder,
    /// White space came since the last token.
    space: bool,
    before: Before,
    /// Where in `out` a sign stands that may belong to the number after it.
    sign: Option<usize>,
    /// Where in `out` a list began of which all elements so far were literals.
    list: Option<usize>,
    /// Open brackets.
    depth: usize,
    /// The value of `depth` outside the rows of the current `VALUES`.
    values: Option<usize>,
}

impl Writer<'_> {
    fn take(&mut self, token: Token) {
        match token.kind {
            Kind::Space => self.space = true,
            Kind::Number => self.literal(true),
            Kind::Text => self.literal(false),
            Kind::Word => self.word(token.of(self.text)),
            Kind::QuotedName | Kind::Parameter => {
                self.list = None;
                self.push(token.of(self.text));
                self.before = Before::Operand;
            }
            Kind::Symbol => self.symbol(token.of(self.text)),
        }
    }

    fn push(&mut self, piece: &str) {
        if self.space && !self.out.is_empty() {
            self.out.push(' ');
        }
        self.space = false;
        self.sign = None;
        self.out.push_str(piece);
    }

    fn literal(&mut self, number: bool) {
        if let (true, Some(sign)) = (number, self.sign) {
            self.space = self.out.as_bytes().get(sign) == Some(&b' ');
            self.out.truncate(sign);
        }
        self.push(match (self.placeholder, number) {
            (Placeholder::QuestionMark, _) => "?",
            (Placeholder::Typed, true) => "0",
            (Placeholder::Typed, false) => "''",
        });
        self.before = Before::Operand;
    }

    fn word(&mut self, word: &str) {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if !["NULL", "TRUE", "FALSE"].iter().any(|constant| is(constant)) {
            self.list = None;
        }
        self.push(word);
        self.before = if is("IN") {
            Before::In
        } else if is("ARRAY") {
            Before::Array
        } else if is("VALUES") {
            Before::Values
        } else if BEFORE_EXPRESSION.iter().any(|keyword| is(keyword)) {
            Before::Prefix
        } else {
            Before::Operand
        };
    }

    fn symbol(&mut self, symbol: &str) {
        match symbol {
            "(" | "[" => self.open(symbol),
            ")" | "]" => self.close(symbol),
            "," if self.before == Before::Row && self.skip_rows() => {}
            "," => {
                self.push(symbol);
                self.before = Before::Prefix;
            }
            "-" | "+" => self.sign(symbol),
            "." => {
                self.list = None;
                self.push(symbol);
                self.before = Before::Operand;
            }
            _ => {
                self.list = None;
                self.push(symbol);
                self.before = Before::Prefix;
            }
        }
    }

    fn open(&mut self, symbol: &str) {
        if self.before == Before::Values {
            self.values = Some(self.depth);
        }
        self.push(symbol);
        self.depth += 1;
        self.list = match (self.before, symbol) {
            (Before::In, "(") | (Before::Array, "[") => Some(self.out.len()),
            _ => None,
        };
        self.before = Before::Prefix;
    }

    fn close(&mut self, symbol: &str) {
        self.collapse_list();
        self.push(symbol);
        self.depth = self.depth.saturating_sub(1);
        self.before = if self.values == Some(self.depth) {
            Before::Row
        } else {
            Before::Operand
        };
    }

    /// A sign where an operand is expected belongs to the number after it.
    fn sign(&mut self, symbol: &str) {
        let at = self.out.len();
        let unary = !matches!(self.before, Before::Operand | Before::Row);
        let first = self.sign;
        self.push(symbol);
        if unary {
            self.sign = first.or(Some(at));
        } else {
            self.list = None;
        }
        self.before = Before::Prefix;
    }

    /// Behind a row of `VALUES` and a comma: leaves out the further rows. False if no row follows.
    fn skip_rows(&mut self) -> bool {
        let mut ahead = self.tokens.fork();
        if ahead
            .find(|token| token.kind != Kind::Space)
            .is_none_or(|token| token.of(self.text) != "(")
        {
            return false;
        }
        let (mut depth, mut space) = (0_usize, false);
        loop {
            let after = self.tokens.fork();
            let Some(token) = self.tokens.next() else {
                return true;
            };
            match token.of(self.text) {
                "(" => depth += 1,
                ")" if depth > 0 => depth -= 1,
                "," => {}
                _ if token.kind == Kind::Space || depth > 0 => {}
                _ => {
                    self.tokens = after;
                    self.space = space;
                    return true;
                }
            }
            space = token.kind == Kind::Space;
        }
    }

    fn collapse_list(&mut self) {
        let is_element = |byte: u8| !matches!(byte, b'+' | b'-' | b',' | b' ');
        if let Some(start) = self.list.take()
            && self.out.bytes().skip(start).any(is_element)
        {
            self.out.truncate(start);
            self.space = false;
            self.push(if self.placeholder == Placeholder::QuestionMark {
                "?"
            } else {
                "0"
            });
        }
    }

    fn finish(mut self) -> String {
        self.collapse_list();
        let length = self.out.trim_end_matches([';', ' ']).len();
        self.out.truncate(length);
        self.out
    }
}

/// Words after which `-1` is a number and not a subtraction.
const BEFORE_EXPRESSION: &[&str] = &[
    "SELECT",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "THEN",
    "ELSE",
    "WHEN",
    "CASE",
    "BETWEEN",
    "LIMIT",
    "OFFSET",
    "RETURNING",
    "BY",
    "ON",
    "HAVING",
    "LIKE",
    "ILIKE",
    "DISTINCT",
    "ALL",
    "ANY",
    "SOME",
    "DEFAULT",
    "FETCH",
    "NEXT",
    "FORWARD",
    "BACKWARD",
    "ABSOLUTE",
    "RELATIVE",
    "FROM",
    "TO",
    "WITH",
    "INCREMENT",
    "MINVALUE",
    "MAXVALUE",
    "START",
];
