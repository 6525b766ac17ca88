//! Whether a run of a request flow is PostgreSQL.

use super::{frame, message::Requests, startup};
use crate::{detect::Detection, session::SessionContext};

/// Judges the first bytes of a run of the request flow.
///
/// At the start of a connection only a packet with the protocol's version or one of its magic numbers counts: eight
/// bytes decide, two are enough to say no to any text protocol. In mid-stream a run starts with a message that begins
/// something (Query, Parse, Bind, …), told by its type byte, a length that fits the type, and, for Query and Parse, a
/// text that follows the way SQL does.
///
/// Bias: in mid-stream, binary protocols whose messages begin with one of those capital letters and a big-endian length
/// of four bytes may be taken for PostgreSQL; text protocols are not, as their second byte is not zero.
pub fn detect(bytes: &[u8], context: SessionContext) -> Detection {
    match startup::judge(bytes) {
        startup::Start::Packet(_) => Detection::Yes,
        startup::Start::NeedMore => Detection::NeedMore,
        startup::Start::Nonsense if context.from_start => Detection::No,
        startup::Start::Nonsense => message(bytes, context),
    }
}

/// Bytes of text that are looked at.
const TEXT: usize = 8;

fn message(bytes: &[u8], context: SessionContext) -> Detection {
    let grammar = Requests {
        query_bytes: context.limits.query_bytes,
    };
    match *bytes {
        [kind, ..] if !b"QPBDECSHXF".contains(&kind) => return Detection::No,
        // No message that begins a run has 256 MiB; the first byte of the length tells from text at once.
        [_, most, ..] if most > 0x0f => return Detection::No,
        [] | [_] | [_, _] | [_, _, _] | [_, _, _, _] => return Detection::NeedMore,
        _ => {}
    }
    let Some((length, _)) = frame::header(bytes, &grammar) else {
        return Detection::No;
    };
    let body = bytes.get(5..).unwrap_or_default();
    let length = length.min(TEXT);
    let enough = body.len() >= length;
    match bytes.first() {
        Some(b'Q' | b'P' | b'B' | b'E' | b'C')
            if is_binary(body.get(..body.len().min(length)).unwrap_or_default()) =>
        {
            Detection::No
        }
        Some(b'D') if body.first().is_some_and(|kind| !matches!(kind, b'S' | b'P')) => Detection::No,
        Some(b'S' | b'H' | b'X') => Detection::Yes,
        _ if enough => Detection::Yes,
        _ => Detection::NeedMore,
    }
}

/// Control characters that neither SQL nor a name has, before the first zero byte.
fn is_binary(body: &[u8]) -> bool {
    body.iter()
        .take_while(|byte| **byte != 0)
        .any(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}
