//! Whether a run of the client's flow is HTTP/2.
//!
//! From the start: the connection preface (RFC 9113 section 3.4), decided after twelve bytes. In mid-stream: the header of
//! one of the frames that runs of a client begin with, and of HEADERS the first byte of a field that is in a table, as those are
//! that come first (RFC 7541 section 6.1); decided after ten bytes. Bias: binary protocols whose messages happen to begin with
//! 0x00, two bytes, 0x01 and a stream's number; [`super::frames`] finds that out.

use super::frames::Header;
use crate::{detect::Detection, session::SessionContext};

/// As much of the preface as no HTTP/1 request can begin with.
const PREFACE: &[u8] = b"PRI * HTTP/2";
/// A header, and the first byte of a frame's payload.
const DECISIVE: usize = Header::BYTES + 1;

/// Whether these bytes are the beginning of the preface, or it is of them.
pub fn may_be_preface(bytes: &[u8]) -> bool {
    PREFACE.starts_with(bytes) || bytes.starts_with(PREFACE)
}

/// Judges the first bytes of a run of the request flow.
pub fn detect(bytes: &[u8], context: SessionContext) -> Detection {
    if may_be_preface(bytes) {
        return if bytes.len() < PREFACE.len() {
            Detection::NeedMore
        } else {
            Detection::Yes
        };
    }
    // Frames are longer only where both sides agreed to that, and none of those that a run begins with is.
    if context.from_start || bytes.first() != Some(&0) {
        return Detection::No;
    }
    match Header::read(bytes) {
        None if bytes.get(3).is_none_or(|&kind| Header::can_start_run(kind)) => Detection::NeedMore,
        None => Detection::No,
        Some(header) if !header.starts_run() => Detection::No,
        Some(_) if bytes.len() < DECISIVE => Detection::NeedMore,
        Some(header) if header.is_headers() && bytes[Header::BYTES] & 0x80 == 0 => Detection::No,
        Some(_) => Detection::Yes,
    }
}
