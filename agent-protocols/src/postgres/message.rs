//! The messages of both flows (PostgreSQL 17, "Message Formats", section 53.7 of its documentation).

use std::borrow::Cow;

use super::frame::Grammar;

/// Most bytes wanted of the names in Bind, Describe, Execute and Close: the server cuts names at 63 bytes.
const NAMES: usize = 512;
/// Most bytes wanted of an error: its fields before the message are short.
const ERROR: usize = 8 * 1024;
/// Most bytes wanted of a command tag or a parameter.
const SHORT: usize = 256;

/// Messages from the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests {
    /// Longest query text wanted.
    pub(crate) query_bytes: usize,
}

impl Grammar for Requests {
    fn knows(&self, kind: u8) -> bool {
        b"QPBDECSHXFfcdp".contains(&kind)
    }

    fn wanted(&self, kind: u8, length: usize) -> Option<usize> {
        let (least, wanted) = match kind {
            b'Q' => (1, self.query_bytes),
            b'P' => (4, self.query_bytes + NAMES),
            b'B' => (8, NAMES),
            b'E' => (5, NAMES),
            b'D' | b'C' => (2, NAMES),
            b'F' => (10, 0),
            b'f' => (1, 0),
            b'd' | b'p' => (0, 0),
            b'S' | b'H' | b'X' | b'c' => return (length == 0).then_some(0),
            _ => return None,
        };
        (length >= least).then_some(wanted)
    }
}

/// Messages from the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Responses;

impl Grammar for Responses {
    fn knows(&self, kind: u8) -> bool {
        b"RKSZ123snITDtCENAGHWdcVv".contains(&kind)
    }

    fn wanted(&self, kind: u8, length: usize) -> Option<usize> {
        let (least, wanted) = match kind {
            b'Z' => return (length == 1).then_some(1),
            b'1' | b'2' | b'3' | b's' | b'n' | b'I' | b'c' => return (length == 0).then_some(0),
            b'C' => (1, SHORT),
            b'S' => (2, SHORT),
            b'E' => (1, ERROR),
            b'N' => (1, 0),
            b'T' | b'D' | b't' => (2, 0),
            b'R' | b'V' => (4, 0),
            b'K' | b'v' => (8, 0),
            b'A' => (6, 0),
            b'G' | b'H' | b'W' => (3, 0),
            b'd' => (0, 0),
            _ => return None,
        };
        (length >= least).then_some(wanted)
    }
}

/// A message that the server may send at any time: it belongs to no request.
pub(crate) fn is_asynchronous(kind: u8) -> bool {
    matches!(kind, b'N' | b'A' | b'S' | b'R' | b'K' | b'v')
}

/// The string up to its zero byte, and what follows it. A body that was cut may end before the zero byte.
pub(crate) fn string(bytes: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(0, bytes) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

/// The name up to its zero byte, and what follows it; none if the zero byte is missing.
pub(crate) fn name(bytes: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let (name, rest) = bytes.split_at_checked(memchr::memchr(0, bytes)?)?;
    Some((String::from_utf8_lossy(name), rest.get(1..)?))
}

/// What a command tag (`INSERT 0 5`, `SELECT 3`, `CREATE TABLE`) says: command and rows; nothing if it is cut off.
pub(crate) fn command_tag(body: &[u8]) -> (&str, Option<u64>) {
    let whole = body
        .strip_suffix(&[0])
        .and_then(|tag| std::str::from_utf8(tag).ok());
    let tag = whole.unwrap_or_default();
    let rows = tag.rsplit(' ').next().and_then(|number| number.parse().ok());
    (tag.split(' ').next().unwrap_or_default(), rows)
}

/// Fields of an `ErrorResponse`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorFields<'a> {
    pub(crate) code: &'a str,
    pub(crate) message: String,
    pub(crate) names: [&'a str; 5],
    pub(crate) file: &'a str,
    /// Where in the text of the query, in characters from 1.
    pub(crate) position: Option<usize>,
}

pub(crate) fn error_fields(body: &[u8]) -> ErrorFields<'_> {
    let mut fields = ErrorFields::default();
    let mut rest = body;
    while let Some((kind, value)) = rest.split_first().filter(|(kind, _)| **kind != 0) {
        let (value, behind) = string(value);
        let text = std::str::from_utf8(value).unwrap_or_default();
        match kind {
            b'C' => fields.code = text,
            b'M' => fields.message = String::from_utf8_lossy(value).into_owned(),
            b's' => fields.names[0] = text,
            b't' => fields.names[1] = text,
            b'c' => fields.names[2] = text,
            b'd' => fields.names[3] = text,
            b'n' => fields.names[4] = text,
            b'F' => fields.file = text,
            b'P' => fields.position = text.parse().ok(),
            _ => {}
        }
        rest = behind;
    }
    fields
}
