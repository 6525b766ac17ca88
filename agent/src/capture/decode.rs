//! From bytes of the ring buffer to events.

use agent_common::{CloseEvent, DataEvent, Header, OpenEvent, ProcessEvent, kind};

/// What one hook saw.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// First sight of a connection.
    Open(OpenEvent),
    /// Bytes.
    Data {
        /// The fixed part.
        event: DataEvent,
        /// The first bytes.
        head: &'a [u8],
        /// The last bytes, after the hole.
        tail: &'a [u8],
    },
    /// The end of a connection, or of one direction.
    Close(CloseEvent),
    /// A process came, changed or went.
    Process(ProcessEvent),
}

impl<'a> Event<'a> {
    /// Reads an event; `None` if the bytes are none, which means that object and agent do not belong together.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let header: Header = read(bytes)?;
        match header.kind {
            kind::OPEN => read(bytes).map(Self::Open),
            kind::DATA => data(bytes),
            kind::CLOSE => read(bytes).map(Self::Close),
            kind::EXEC | kind::FORK | kind::EXIT | kind::LISTEN => read(bytes).map(Self::Process),
            _ => None,
        }
    }
}

fn data(bytes: &[u8]) -> Option<Event<'_>> {
    let event: DataEvent = read(bytes)?;
    let payload = bytes.get(size_of::<DataEvent>()..)?;
    let (head, rest) = payload.split_at_checked(event.head as usize)?;
    let tail = rest.get(..event.tail as usize)?;
    Some(Event::Data { event, head, tail })
}

/// A type of which every bit pattern is a value.
///
/// # Safety
/// The type must be `repr(C)` without niches, so that any bytes are a valid value.
unsafe trait Record: Copy {}
// SAFETY: integers and arrays of them only.
unsafe impl Record for Header {}
// SAFETY: as above.
unsafe impl Record for OpenEvent {}
// SAFETY: as above.
unsafe impl Record for DataEvent {}
// SAFETY: as above.
unsafe impl Record for CloseEvent {}
// SAFETY: as above.
unsafe impl Record for ProcessEvent {}

fn read<T: Record>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: there are enough bytes, any bytes are a `T` (see `Record`), and alignment is not required.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn data_event(head: u32, tail: u32) -> Vec<u8> {
        let first = u64::from(kind::DATA) | (7 << 32);
        let lengths = u64::from(head) | (u64::from(tail) << 32);
        let mut bytes = words(&[first, 8, 99, 1, 2, 3, 4, 5, lengths]);
        bytes.resize(size_of::<DataEvent>(), 0);
        bytes
    }

    #[test]
    fn data_carries_its_bytes() {
        let mut bytes = data_event(3, 2);
        bytes.extend(b"abcyz\0\0\0");
        let Some(Event::Data { event, head, tail }) = Event::decode(&bytes) else {
            panic!("no data event")
        };
        assert_eq!((event.header.pid, event.header.tid, event.id), (7, 8, 99));
        assert_eq!(
            (event.began, event.ended, event.offset, event.skipped, event.hole),
            (1, 2, 3, 4, 5)
        );
        assert_eq!((head, tail), (&b"abc"[..], &b"yz"[..]));
    }

    #[test]
    fn what_is_cut_off_or_of_no_known_kind_is_no_event() {
        let mut bytes = data_event(3, 2);
        bytes.extend(b"abcy");
        assert!(Event::decode(&bytes).is_none());
        for end in 0..size_of::<DataEvent>() {
            assert!(Event::decode(&bytes[..end]).is_none());
        }
        assert!(Event::decode(&words(&[77, 0, 0, 0, 0])).is_none());
        assert!(Event::decode(&data_event(u32::MAX, u32::MAX)).is_none());
    }
}
