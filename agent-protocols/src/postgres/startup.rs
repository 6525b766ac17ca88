//! The packets before the first message: they have a length but no type.

use super::message::string;

/// `MAX_STARTUP_PACKET_LENGTH` of PostgreSQL (include/libpq/pqcomm.h).
pub(crate) const MAX_PACKET: usize = 10_000;

const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSSAPI: u32 = 80_877_104;

/// A packet before the first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Asks for TLS or GSSAPI: one byte is the answer.
    Encryption,
    /// Asks to cancel a statement of another connection: no answer.
    Cancel,
    /// Starts the session.
    Startup {
        user: Option<String>,
        database: Option<String>,
    },
}

/// What the first eight bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A packet of so many bytes.
    Packet(usize),
    /// No packet.
    Nonsense,
    /// Too few bytes to tell.
    NeedMore,
}

/// Judges the first bytes of a connection, of which the first eight matter.
pub(crate) fn judge(bytes: &[u8]) -> Start {
    // A packet is shorter than 65,536 bytes, so its first two bytes are zero.
    if bytes.iter().take(2).any(|byte| *byte != 0) {
        return Start::Nonsense;
    }
    let Some((length, code)) = bytes.first_chunk::<8>().copied().map(split) else {
        return match bytes
            .first_chunk::<4>()
            .map(|length| u32::from_be_bytes(*length) as usize)
        {
            Some(length) if !(8..=MAX_PACKET).contains(&length) => Start::Nonsense,
            _ => Start::NeedMore,
        };
    };
    let fits = match code {
        TLS | GSSAPI => length == 8,
        // The key has 4 bytes, in protocol 3.2 up to 256.
        CANCEL => (16..=268).contains(&length),
        // 3.0, and 3.2 of PostgreSQL 18.
        _ => code >> 16 == 3 && (9..=MAX_PACKET).contains(&length),
    };
    if fits {
        Start::Packet(length)
    } else {
        Start::Nonsense
    }
}

fn split(head: [u8; 8]) -> (usize, u32) {
    let both = u64::from_be_bytes(head);
    ((both >> 32) as usize, both as u32)
}

/// Reads a complete packet.
pub(crate) fn parse(packet: &[u8]) -> Option<Packet> {
    let (_, code) = split(*packet.first_chunk()?);
    match code {
        TLS | GSSAPI => Some(Packet::Encryption),
        CANCEL => Some(Packet::Cancel),
        _ => {
            let (mut user, mut database) = (None, None);
            let mut rest = packet.get(8..)?;
            while rest.first().is_some_and(|byte| *byte != 0) {
                let (key, behind) = string(rest);
                let (value, behind) = string(behind);
                let value = || Some(String::from_utf8_lossy(value).into_owned());
                match key {
                    b"user" => user = value(),
                    b"database" => database = value(),
                    _ => {}
                }
                rest = behind;
            }
            // The server's rule: a session without a database uses the one with the user's name.
            let database = database.or_else(|| user.clone());
            Some(Packet::Startup { user, database })
        }
    }
}
