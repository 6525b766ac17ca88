//! Bodies: how long one is, and where it ends.

/// How a body's end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; 0 for a message without a body.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
    /// The connection closes.
    UntilClose,
    /// It cannot be found: the head is contradictory or was cut.
    Unknown,
}

/// A body that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    decoder: Decoder,
    /// Bytes without framing so far.
    seen: u64,
}

#[derive(Clone, Copy, Debug)]
enum Decoder {
    Length { left: u64 },
    Chunks(Chunks),
    UntilClose,
}

/// Where in the chunked coding (RFC 9112 section 7.1). A lone LF ends a line too, as most servers have it.
#[derive(Clone, Copy, Debug)]
enum Chunks {
    /// In the line that tells a chunk's size.
    Size {
        value: u64,
        digits: u8,
        extension: bool,
        length: usize,
    },
    /// In its data.
    Data { left: u64 },
    /// In the line end after the data.
    DataEnd,
    /// In the trailer section: bytes in this line, bytes in all.
    Trailer { line: usize, length: usize },
}

/// How far a body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on; all was taken.
    More,
    /// It ended.
    Done,
    /// Its framing is lost.
    Broken,
}

/// Longest line of a chunk size with its extensions; servers allow between 4 and 16 KiB.
const LONGEST_SIZE_LINE: usize = 16 * 1024;
/// Longest trailer section.
const LONGEST_TRAILER: usize = 72 * 1024;

const SIZE_START: Chunks = Chunks::Size {
    value: 0,
    digits: 0,
    extension: false,
    length: 0,
};

impl Body {
    /// A body with this framing, unless it is empty or cannot be followed.
    pub(super) fn new(framing: Framing) -> Option<Self> {
        let decoder = match framing {
            Framing::Length(0) | Framing::Unknown => return None,
            Framing::Length(left) => Decoder::Length { left },
            Framing::Chunked => Decoder::Chunks(SIZE_START),
            Framing::UntilClose => Decoder::UntilClose,
        };
        Some(Self { decoder, seen: 0 })
    }

    /// Body bytes so far, without framing.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn is_until_close(&self) -> bool {
        matches!(self.decoder, Decoder::UntilClose)
    }

    pub(super) fn is_chunked(&self) -> bool {
        matches!(self.decoder, Decoder::Chunks(_))
    }

    /// Bytes from here on that are certainly content.
    pub(super) fn certain(&self) -> u64 {
        match self.decoder {
            Decoder::Length { left } | Decoder::Chunks(Chunks::Data { left }) => left,
            Decoder::Chunks(_) | Decoder::UntilClose => 0,
        }
    }

    /// Takes bytes; tells how many belong to the body, and `see` what of them is content.
    pub(super) fn take(&mut self, bytes: &[u8], mut see: impl FnMut(&[u8])) -> (usize, Step) {
        let mut used = 0;
        while used < bytes.len() {
            let step = if let Some(state) = self.framing_state() {
                used += 1;
                self.framing_byte(state, bytes[used - 1])
            } else {
                let (content, step) = self.skip((bytes.len() - used) as u64);
                let content = content as usize;
                see(&bytes[used..used + content]);
                used += content;
                step
            };
            if step != Step::More {
                return (used, step);
            }
        }
        (used, Step::More)
    }

    /// Passes over `count` bytes that are not known; tells how many belong to the body.
    pub(super) fn skip(&mut self, count: u64) -> (u64, Step) {
        match &mut self.decoder {
            Decoder::Length { left } | Decoder::Chunks(Chunks::Data { left }) => {
                let used = count.min(*left);
                *left -= used;
                self.seen = self.seen.saturating_add(used);
                (used, self.after_data())
            }
            Decoder::UntilClose => {
                self.seen = self.seen.saturating_add(count);
                (count, Step::More)
            }
            Decoder::Chunks(_) => (0, Step::Broken),
        }
    }

    /// What follows content that may be at its end.
    fn after_data(&mut self) -> Step {
        match self.decoder {
            Decoder::Length { left: 0 } => Step::Done,
            Decoder::Chunks(Chunks::Data { left: 0 }) => {
                self.decoder = Decoder::Chunks(Chunks::DataEnd);
                Step::More
            }
            _ => Step::More,
        }
    }

    /// Where in the chunked coding, unless content is next.
    fn framing_state(&self) -> Option<Chunks> {
        match self.decoder {
            Decoder::Length { .. } | Decoder::UntilClose | Decoder::Chunks(Chunks::Data { .. }) => None,
            Decoder::Chunks(state) => Some(state),
        }
    }

    fn framing_byte(&mut self, state: Chunks, byte: u8) -> Step {
        let next = match (state, byte) {
            (Chunks::DataEnd, b'\r') => Some(Chunks::DataEnd),
            (Chunks::DataEnd, b'\n') => Some(SIZE_START),
            (Chunks::Trailer { line: 0, .. }, b'\n') => return Step::Done,
            (Chunks::Trailer { length, .. }, b'\n') => Some(Chunks::Trailer {
                line: 0,
                length: length + 1,
            }),
            (Chunks::Trailer { line, length }, b'\r') => Some(Chunks::Trailer {
                line,
                length: length + 1,
            }),
            (Chunks::Trailer { line, length }, _) => Some(Chunks::Trailer {
                line: line + 1,
                length: length + 1,
            })
            .filter(|_| length < LONGEST_TRAILER),
            (
                Chunks::Size {
                    value,
                    digits,
                    extension,
                    length,
                },
                _,
            ) => size_byte(value, digits, extension, length, byte),
            _ => None,
        };
        match next {
            Some(next) => {
                self.decoder = Decoder::Chunks(next);
                Step::More
            }
            None => Step::Broken,
        }
    }
}

/// The state after one byte of a chunk-size line, or none if it is not one.
fn size_byte(value: u64, digits: u8, extension: bool, length: usize, byte: u8) -> Option<Chunks> {
    let length = length + 1;
    match byte {
        b'\n' if digits == 0 => None,
        b'\n' if value == 0 => Some(Chunks::Trailer { line: 0, length: 0 }),
        b'\n' => Some(Chunks::Data { left: value }),
        _ if length > LONGEST_SIZE_LINE => None,
        _ if extension => Some(Chunks::Size {
            value,
            digits,
            extension,
            length,
        }),
        b'\r' | b' ' | b'\t' | b';' if digits > 0 => Some(Chunks::Size {
            value,
            digits,
            extension: true,
            length,
        }),
        _ => {
            let digit = u64::from(char::from(byte).to_digit(16)?);
            // Sixteen significant digits fill the type; leading zeros do not count.
            let value = value.checked_mul(16)? | digit;
            Some(Chunks::Size {
                value,
                digits: digits.saturating_add(1),
                extension,
                length,
            })
        }
    }
}
