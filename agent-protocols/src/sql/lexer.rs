//! PostgreSQL's lexical rules, as far as they tell literals from everything else.
//!
//! Source of the rules: PostgreSQL 17, `src/backend/parser/scan.l`. Where a text is wrong or cut off, a token reaches
//! further than PostgreSQL would let it: nothing that could be part of a literal is ever taken for something else.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space and comments.
    Space,
    /// A keyword or an identifier without quotes.
    Word,
    /// `"…"`, complete.
    QuotedName,
    /// A number.
    Number,
    /// A string in any quoting style, complete or cut off; also a quoted name that is cut off.
    Text,
    /// `$1`.
    Parameter,
    /// An operator or a single punctuation character.
    Symbol,
}

/// A token and where it stands, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    /// The token's characters.
    pub(crate) fn of<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// What a backslash means in `'…'`: the server's `standard_conforming_strings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backslash {
    /// Nothing special (`on`, the default since PostgreSQL 9.1).
    Plain,
    /// It escapes the next character (`off`).
    Escapes,
    /// Not known: a quote after a backslash is taken to go on to the end of the text.
    #[default]
    Unknown,
}

/// The tokens of a text, without a gap between them. Never fails.
pub(crate) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    backslash: Backslash,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, backslash: Backslash) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            backslash,
        }
    }

    /// A second lexer that goes on from here.
    pub(crate) fn fork(&self) -> Self {
        Self {
            bytes: self.bytes,
            at: self.at,
            backslash: self.backslash,
        }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_while(&mut self, test: impl Fn(u8) -> bool) {
        while self.bytes.get(self.at).is_some_and(|&byte| test(byte)) {
            self.at += 1;
        }
    }

    fn skip_to_end(&mut self) {
        self.at = self.bytes.len();
    }

    fn token(&mut self) -> Kind {
        match (self.byte(0), self.byte(1)) {
            (b'-', b'-') => self.line_comment(),
            (b'/', b'*') => self.block_comment(),
            (byte, _) if is_space(byte) => {
                self.skip_while(is_space);
                Kind::Space
            }
            (b'\'', _) => self.plain_string(),
            (b'"', _) => self.quoted_name(),
            (b'$', next) => self.dollar(next),
            (byte, next) if byte.is_ascii_digit() || (byte == b'.' && next.is_ascii_digit()) => self.number(),
            (byte, _) if starts_name(byte) => self.word_or_string(),
            _ => self.symbol(),
        }
    }

    fn line_comment(&mut self) -> Kind {
        self.skip_while(|byte| byte != b'\n' && byte != b'\r');
        Kind::Space
    }

    fn block_comment(&mut self) -> Kind {
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        break;
                    }
                }
                _ => self.at += 1,
            }
        }
        Kind::Space
    }

    /// A string from its opening quote on; `escapes` tells what a backslash does in it.
    fn string(&mut self, escapes: Backslash) -> Kind {
        loop {
            self.at += 1;
            self.string_part(escapes);
            if !self.continues() {
                return Kind::Text;
            }
        }
    }

    /// From behind the opening quote to behind the closing one.
    fn string_part(&mut self, escapes: Backslash) {
        let mut backslashes = 0_usize;
        while self.at < self.bytes.len() {
            match self.byte(0) {
                b'\\' if escapes == Backslash::Escapes => self.at += 2,
                b'\\' => {
                    backslashes += 1;
                    self.at += 1;
                    continue;
                }
                b'\'' if escapes == Backslash::Unknown && backslashes % 2 == 1 => self.skip_to_end(),
                b'\'' if self.byte(1) == b'\'' => self.at += 2,
                b'\'' => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
            backslashes = 0;
        }
        self.skip_to_end();
    }

    /// SQL joins strings that only white space with a line break separates; the second one has the quoting style of
    /// the first. Moves to the next opening quote if there is one.
    fn continues(&mut self) -> bool {
        let before = self.at;
        let mut line_break = false;
        loop {
            match (self.byte(0), self.byte(1)) {
                (b'\'', _) if line_break => return true,
                (b'\n' | b'\r', _) => {
                    line_break = true;
                    self.at += 1;
                }
                (b'-', b'-') => {
                    self.line_comment();
                }
                (byte, _) if is_space(byte) && self.at < self.bytes.len() => self.at += 1,
                _ => {
                    self.at = before;
                    return false;
                }
            }
        }
    }

    fn plain_string(&mut self) -> Kind {
        self.string(self.backslash)
    }

    fn quoted_name(&mut self) -> Kind {
        self.at += 1;
        while self.at < self.bytes.len() {
            match (self.byte(0), self.byte(1)) {
                (b'"', b'"') => self.at += 2,
                (b'"', _) => {
                    self.at += 1;
                    return Kind::QuotedName;
                }
                _ => self.at += 1,
            }
        }
        self.skip_to_end();
        Kind::Text
    }

    fn dollar(&mut self, next: u8) -> Kind {
        if next.is_ascii_digit() {
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
            return Kind::Parameter;
        }
        let Some(delimiter) = self.dollar_delimiter() else {
            return self.symbol();
        };
        self.at += delimiter.len();
        match memchr::memmem::find(self.bytes.get(self.at..).unwrap_or_default(), delimiter) {
            Some(found) => self.at += found + delimiter.len(),
            None => self.skip_to_end(),
        }
        Kind::Text
    }

    /// `$$` or `$tag$` at the current position.
    fn dollar_delimiter(&self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let tag = rest.get(1..)?;
        let length = tag
            .iter()
            .position(|&byte| !(starts_name(byte) || byte.is_ascii_digit()))?;
        (tag.get(length) == Some(&b'$') && !tag.first()?.is_ascii_digit()).then(|| rest.get(..length + 2))?
    }

    /// Digits and all that directly follows them: `1_000`, `0xFF`, `1.5e-3`, and the junk of a wrong number.
    fn number(&mut self) -> Kind {
        loop {
            self.skip_while(|byte| byte.is_ascii_digit() || byte == b'.' || continues_name(byte));
            let exponent = matches!(self.bytes.get(self.at.wrapping_sub(1)), Some(b'e' | b'E'));
            if exponent && matches!(self.byte(0), b'+' | b'-') && self.byte(1).is_ascii_digit() {
                self.at += 1;
            } else {
                return Kind::Number;
            }
        }
    }

    fn word_or_string(&mut self) -> Kind {
        match (self.byte(0).to_ascii_lowercase(), self.byte(1), self.byte(2)) {
            (b'e', b'\'', _) => {
                self.at += 1;
                self.string(Backslash::Escapes)
            }
            (b'b' | b'x' | b'n', b'\'', _) => {
                self.at += 1;
                self.plain_string()
            }
            (b'u', b'&', b'\'') => {
                self.at += 2;
                self.plain_string()
            }
            (b'u', b'&', b'"') => {
                self.at += 2;
                self.quoted_name()
            }
            _ => {
                self.skip_while(continues_name);
                Kind::Word
            }
        }
    }

    fn symbol(&mut self) -> Kind {
        let start = self.at;
        self.at += 1;
        if self.bytes.get(start) == Some(&b':') {
            self.at += usize::from(matches!(self.byte(0), b':' | b'='));
            return Kind::Symbol;
        }
        if !self.bytes.get(start).is_some_and(|&byte| is_operator(byte)) {
            return Kind::Symbol;
        }
        while is_operator(self.byte(0))
            && !matches!((self.byte(0), self.byte(1)), (b'-', b'-') | (b'/', b'*'))
        {
            self.at += 1;
        }
        self.leave_sign(start);
        Kind::Symbol
    }

    /// `=-1` is `=` and `-1`: an operator ends in a sign only if it has one of the characters no SQL operator has.
    fn leave_sign(&mut self, start: usize) {
        let is_odd = |byte: &u8| b"~!@#%^&|`?".contains(byte);
        while self.at > start + 1 {
            let operator = self.bytes.get(start..self.at).unwrap_or_default();
            if !matches!(operator.last(), Some(b'+' | b'-')) || operator.iter().any(is_odd) {
                break;
            }
            self.at -= 1;
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.at;
        (start < self.bytes.len()).then(|| {
            let kind = self.token();
            self.at = self.at.min(self.bytes.len());
            Token {
                kind,
                start,
                end: self.at,
            }
        })
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}
