//! Exports as JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>), which may be cut anywhere: ids are
//! hexadecimal, kinds are numbers.
//!
//! Nothing is checked that does not matter here: this goes from token to token and looks, at the end of each object, whether it
//! was a span.

use super::{Exported, Groups, SPAN_ID_BYTES, SpanKind, TRACE_ID_BYTES};

/// Objects and arrays within each other; a span's attributes are nine deep.
const DEEPEST: usize = 64;

/// What the beginning of an export tells of.
pub(super) fn exported(text: &[u8]) -> Exported {
    let mut reader = Reader::default();
    let mut tokens = Tokens { rest: text };
    for token in &mut tokens {
        if !reader.take(token) {
            break;
        }
    }
    reader.finish()
}

/// What is open at a place of the text.
#[derive(Default)]
struct Reader<'a> {
    open: Vec<Level<'a>>,
    exported: Exported,
}

/// An object or an array.
#[derive(Default)]
struct Level<'a> {
    array: bool,
    /// The member whose value is next.
    member: Option<&'a [u8]>,
    trace_id: bool,
    span_id: bool,
    kind: Option<SpanKind>,
    groups: Groups,
}

impl<'a> Reader<'a> {
    /// Takes a token; false if the text goes too deep.
    fn take(&mut self, token: Token<'a>) -> bool {
        match token {
            Token::Open { array } => {
                if self.open.len() >= DEEPEST {
                    return false;
                }
                self.open.push(Level {
                    array,
                    ..Level::default()
                });
            }
            Token::Close => self.close(),
            Token::Comma => {
                if let Some(level) = self.open.last_mut() {
                    level.member = None;
                }
            }
            Token::Text(text) => self.text(text),
            Token::Number(number) => self.number(number),
        }
        true
    }

    fn text(&mut self, text: &'a [u8]) {
        let Some(level) = self.open.last_mut() else {
            return;
        };
        match level.member {
            None if !level.array => level.member = Some(text),
            Some(b"traceId") => level.trace_id = is_hex(text, TRACE_ID_BYTES),
            Some(b"spanId") => level.span_id = is_hex(text, SPAN_ID_BYTES),
            Some(b"key") => self.key(text),
            _ => {}
        }
    }

    fn number(&mut self, number: u64) {
        if let Some(level) = self.open.last_mut()
            && level.member == Some(b"kind")
        {
            level.kind = Some(SpanKind::of_number(number));
        }
    }

    /// The name of an attribute: of the object that has the attributes.
    fn key(&mut self, text: &[u8]) {
        if let [.., owner, list, _] = &mut self.open[..]
            && list.array
            && owner.member == Some(b"attributes")
        {
            owner.groups.note(text);
        }
    }

    fn close(&mut self) {
        if let Some(level) = self.open.pop()
            && level.trace_id
            && level.span_id
            && let Some(kind) = level.kind
        {
            self.exported.add(Exported::span(kind, level.groups));
        }
    }

    /// The text ends: what is open counts as far as it is there.
    fn finish(mut self) -> Exported {
        while !self.open.is_empty() {
            self.close();
        }
        self.exported
    }
}

fn is_hex(text: &[u8], bytes: usize) -> bool {
    text.len() == 2 * bytes && text.iter().all(u8::is_ascii_hexdigit)
}

/// A token that matters.
#[derive(Clone, Copy)]
enum Token<'a> {
    Open {
        array: bool,
    },
    Close,
    Comma,
    /// Text between quotes, escapes as they are: no name or id has any.
    Text(&'a [u8]),
    /// A whole number.
    Number(u64),
}

struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    /// Text up to its quote; none if it is cut.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let mut from = 0;
        loop {
            let found = from + memchr::memchr2(b'"', b'\\', self.rest.get(from..)?)?;
            if self.rest[found] == b'"' {
                let text = &self.rest[..found];
                self.rest = &self.rest[found + 1..];
                return Some(text);
            }
            from = found + 2;
        }
    }

    /// Digits that begin with `first`.
    fn digits(&mut self, first: u8) -> u64 {
        let mut number = u64::from(first - b'0');
        while let [digit @ b'0'..=b'9', rest @ ..] = self.rest {
            number = number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
            self.rest = rest;
        }
        number
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            self.rest = rest;
            return Some(match first {
                b'{' => Token::Open { array: false },
                b'[' => Token::Open { array: true },
                b'}' | b']' => Token::Close,
                b',' => Token::Comma,
                b'"' => Token::Text(self.quoted()?),
                digit @ b'0'..=b'9' => Token::Number(self.digits(digit)),
                _ => continue,
            });
        }
    }
}
