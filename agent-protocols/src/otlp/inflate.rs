//! The beginning of what was compressed.

use std::io::Read;

use flate2::bufread::{GzDecoder, ZlibDecoder};

/// Bytes that a beginning inflates to at most.
const MOST: usize = 256 * 1024;

/// Inflates as much as there is and memory allows, if it is compressed: gzip (RFC 1952 section 2.3.1) or zlib with the usual
/// window of 32 KiB (RFC 1950 section 2.2), which HTTP calls deflate.
pub(super) fn beginning(bytes: &[u8]) -> Option<Vec<u8>> {
    match bytes {
        [0x1f, 0x8b, ..] => Some(read(GzDecoder::new(bytes))),
        [0x78, ..] => Some(read(ZlibDecoder::new(bytes))),
        _ => None,
    }
}

/// Reads to the end, or to where the input is cut or broken.
fn read(source: impl Read) -> Vec<u8> {
    let mut inflated = Vec::new();
    // What there was before an error is in the buffer all the same.
    let _ = source.take(MOST as u64).read_to_end(&mut inflated);
    inflated
}
