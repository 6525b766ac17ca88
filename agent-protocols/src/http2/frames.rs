//! Frames of the client's flow (RFC 9113 section 4.1).

use crate::session::Desync;

/// The rest of the preface is checked, too (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
/// `PRIORITY_UPDATE`, the registered type with the highest number
/// (<https://www.iana.org/assignments/http2-parameters/http2-parameters.xhtml>).
const LAST_TYPE: u8 = 0x10;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Times that the frames may be lost before the stream is taken for something else.
const LOST_MOST: u8 = 8;

/// Where in the frames the client's flow is.
#[derive(Debug)]
pub(super) struct Frames {
    place: Place,
    /// Bytes of the server came since the client's last.
    turned: bool,
    /// The next header is looked for: the server may as well have spoken amid a frame of the client.
    doubtful: bool,
    lost: u8,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// So many bytes of the preface came.
    Preface(usize),
    /// So many bytes of a header came.
    Header(usize, [u8; Header::BYTES]),
    /// In a frame, of which so many bytes are to come.
    Payload { header: Header, left: u32 },
    /// Not known, until a run begins.
    Adrift,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

/// What some bytes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing that matters.
    Nothing,
    /// No frame; the next is looked for where a run begins.
    Lost,
    /// Data of a stream, from this byte on, and whether they are its last.
    Data { stream: u32, from: usize, ends: bool },
    /// The end of a stream.
    End { stream: u32 },
}

const START: Place = Place::Header(0, [0; Header::BYTES]);

impl Frames {
    pub(super) fn new(from_start: bool) -> Self {
        let place = if from_start { Place::Preface(0) } else { START };
        Self {
            place,
            turned: false,
            doubtful: false,
            lost: 0,
        }
    }

    /// The server said something: what the client says next begins a run, and so a frame.
    pub(super) fn turned(&mut self) {
        self.turned = true;
    }

    /// Takes bytes, of which there must be some; tells how many, and what they were.
    ///
    /// # Errors
    /// When the stream is no HTTP/2.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, Part), Desync> {
        if std::mem::take(&mut self.turned) && matches!(self.place, Place::Adrift) {
            self.place = START;
            self.doubtful = true;
        }
        match self.place {
            Place::Preface(seen) => self.preface(seen, bytes),
            Place::Header(seen, gathered) => self.header(seen, gathered, bytes),
            Place::Payload { header, left } => Ok(self.payload(header, left, bytes)),
            Place::Adrift => Ok((bytes.len(), Part::Nothing)),
        }
    }

    /// Passes over bytes that are not known.
    pub(super) fn skip(&mut self, count: u64) {
        self.turned = false;
        self.place = match self.place {
            Place::Payload { left, .. } if count == u64::from(left) => START,
            Place::Payload { header, left } if count < u64::from(left) => Place::Payload {
                header,
                left: left - count as u32,
            },
            _ => Place::Adrift,
        };
    }

    fn preface(&mut self, seen: usize, bytes: &[u8]) -> Result<(usize, Part), Desync> {
        let wanted = &PREFACE[seen..];
        let used = wanted.len().min(bytes.len());
        if bytes[..used] != wanted[..used] {
            return Err(Desync::NotThisProtocol);
        }
        self.place = match seen + used {
            all if all == PREFACE.len() => START,
            some => Place::Preface(some),
        };
        Ok((used, Part::Nothing))
    }

    fn header(
        &mut self,
        seen: usize,
        mut gathered: [u8; Header::BYTES],
        bytes: &[u8],
    ) -> Result<(usize, Part), Desync> {
        let used = bytes.len().min(Header::BYTES - seen);
        gathered[seen..seen + used].copy_from_slice(&bytes[..used]);
        if seen + used < Header::BYTES {
            self.place = Place::Header(seen + used, gathered);
            return Ok((used, Part::Nothing));
        }
        let doubtful = std::mem::take(&mut self.doubtful);
        let fits = |header: &Header| header.is_of_client() && (!doubtful || header.starts_run());
        match Header::read(&gathered).filter(fits) {
            Some(header) => {
                self.lost = if doubtful { 0 } else { self.lost };
                self.place = Place::Payload {
                    header,
                    left: header.length,
                };
                let part = match header.length {
                    0 => self.ended(header),
                    _ => Part::Nothing,
                };
                Ok((used, part))
            }
            None if doubtful => {
                self.place = Place::Adrift;
                Ok((bytes.len(), Part::Nothing))
            }
            None => self.lose().map(|part| (bytes.len(), part)),
        }
    }

    fn lose(&mut self) -> Result<Part, Desync> {
        self.lost += 1;
        if self.lost > LOST_MOST {
            return Err(Desync::NotThisProtocol);
        }
        self.place = Place::Adrift;
        Ok(Part::Lost)
    }

    fn payload(&mut self, header: Header, left: u32, bytes: &[u8]) -> (usize, Part) {
        let used = bytes.len().min(left as usize);
        let first = left == header.length;
        let left = left - used as u32;
        let end = if left == 0 {
            self.ended(header)
        } else {
            self.place = Place::Payload { header, left };
            Part::Nothing
        };
        if header.kind != DATA {
            return (used, end);
        }
        let data = Part::Data {
            stream: header.stream,
            from: usize::from(first && header.flags & PADDED != 0),
            ends: end != Part::Nothing,
        };
        (used, data)
    }

    /// A frame is at its end.
    fn ended(&mut self, header: Header) -> Part {
        self.place = START;
        let ends = match header.kind {
            DATA | HEADERS => header.flags & END_STREAM != 0,
            RST_STREAM => true,
            _ => false,
        };
        if ends {
            Part::End {
                stream: header.stream,
            }
        } else {
            Part::Nothing
        }
    }
}

impl Header {
    /// Length of a header, in bytes.
    pub(super) const BYTES: usize = 9;

    /// Reads a header, if it is there as a whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<3>()?;
        let (&[kind, flags], rest) = rest.split_first_chunk()?;
        let (stream, _) = rest.split_first_chunk()?;
        Some(Self {
            length: length
                .iter()
                .fold(0, |length, &byte| length << 8 | u32::from(byte)),
            kind,
            flags,
            stream: u32::from_be_bytes(*stream),
        })
    }

    /// Whether a client may send it: streams of clients have odd numbers (RFC 9113 section 5.1.1), and the reserved bit is 0.
    fn is_of_client(&self) -> bool {
        let reserved = self.stream >> 31 != 0;
        !reserved && (self.stream == 0 || self.stream % 2 == 1) && self.kind <= LAST_TYPE
    }

    /// Whether runs of clients begin with frames of this type.
    pub(super) fn can_start_run(kind: u8) -> bool {
        matches!(kind, HEADERS | SETTINGS | PING | WINDOW_UPDATE)
    }

    /// Whether it is one that runs of clients begin with, in every detail that is fixed (RFC 9113 section 6).
    pub(super) fn starts_run(&self) -> bool {
        match self.kind {
            HEADERS => {
                let others = self.flags & !(END_STREAM | END_HEADERS | PADDED | PRIORITY);
                self.length > 0 && others == 0 && self.flags & END_HEADERS != 0 && self.stream != 0
            }
            SETTINGS => self.flags == ACK && self.length == 0 && self.stream == 0,
            PING => self.flags & !ACK == 0 && self.length == 8 && self.stream == 0,
            WINDOW_UPDATE => self.flags == 0 && self.length == 4,
            _ => false,
        }
    }

    pub(super) fn is_headers(&self) -> bool {
        self.kind == HEADERS && self.flags & (PADDED | PRIORITY) == 0
    }
}
