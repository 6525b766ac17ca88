//! Whether bytes start an HTTP/1 message.

use crate::{
    detect::{Detection, LONGEST_PREFIX},
    session::SessionContext,
};

/// Longest method taken for one; the longest registered one, `UPDATEREDIRECTREF`, has 17.
const LONGEST_METHOD: usize = 24;

/// Whether the first bytes of a run start an HTTP/1 request.
///
/// Smallest decisive prefix: the method, a space and the first byte of the target, as in `GET /` (for the absolute
/// form four bytes of it, `GET http`). Only methods in capital letters, `-` and `_` count; on a connection whose start
/// was not seen, where the first byte may be in the middle of a method, only the well-known ones.
///
/// Bias: RTSP, SIP over a proxy's socket, ICAP and SSDP look alike up to the version, which the session refuses then.
pub fn detect(bytes: &[u8], context: SessionContext) -> Detection {
    if context.from_start {
        request_start(bytes)
    } else {
        certain_request_start(bytes)
    }
}

/// Whether bytes that stand where a message can begin start a request.
pub(super) fn request_start(bytes: &[u8]) -> Detection {
    let blank = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    if blank >= LONGEST_PREFIX / 4 {
        return Detection::No;
    }
    let line = &bytes[blank..];
    let method = line
        .iter()
        .take_while(|byte| matches!(byte, b'A'..=b'Z' | b'-' | b'_'))
        .count();
    if method > LONGEST_METHOD {
        return Detection::No;
    }
    match &line[method..] {
        [] => Detection::NeedMore,
        [b' ', target @ ..] if method > 0 => target_start(&line[..method], target),
        _ => Detection::No,
    }
}

/// The same where the first bytes of a message may be missing: neither `OST / HTTP/1.1` nor what follows the end of
/// another head will do.
pub(super) fn certain_request_start(bytes: &[u8]) -> Detection {
    const METHODS: [&[u8]; 8] = [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"DELETE ",
        b"OPTIONS ",
        b"PATCH ",
        b"CONNECT ",
    ];
    if METHODS
        .iter()
        .any(|method| bytes.starts_with(method) || method.starts_with(bytes))
    {
        request_start(bytes)
    } else {
        Detection::No
    }
}

fn target_start(method: &[u8], target: &[u8]) -> Detection {
    const ABSOLUTE: &[u8] = b"http";
    match target {
        [] => Detection::NeedMore,
        [b'/' | b'*', ..] => Detection::Yes,
        [first, ..] if method == b"CONNECT" => match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'[' | b'_' => Detection::Yes,
            _ => Detection::No,
        },
        _ => {
            let seen = target.len().min(ABSOLUTE.len());
            match target[..seen].eq_ignore_ascii_case(&ABSOLUTE[..seen]) {
                true if seen == ABSOLUTE.len() => Detection::Yes,
                true => Detection::NeedMore,
                false => Detection::No,
            }
        }
    }
}

/// Whether bytes start a status line: `HTTP/1.`, a minor version, a space and three digits.
pub(super) fn response_start(bytes: &[u8]) -> Detection {
    const PATTERN: &[u8] = b"HTTP/1.0 000";
    let blank = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let line = &bytes[blank.min(4)..];
    let fits = line.iter().zip(PATTERN).all(|(byte, pattern)| match pattern {
        b'0' => byte.is_ascii_digit(),
        _ => byte == pattern,
    });
    match fits {
        false => Detection::No,
        true if line.len() >= PATTERN.len() => Detection::Yes,
        true => Detection::NeedMore,
    }
}
