//! The first bytes of each stream's data, until they are looked at.

use std::collections::VecDeque;

use crate::otlp::{self, Exported};

/// Streams that are followed at once; what an exporter sends is rarely more than one.
const STREAMS_MOST: usize = 8;
/// Bytes of a message that are kept at most: as many as capture copies of a request, unless it is told otherwise.
const MOST: usize = 64 * 1024;

/// Streams that have data.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: VecDeque<Stream>,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    /// None once they were looked at.
    data: Option<Vec<u8>>,
}

impl Streams {
    /// Takes data of a stream. What they tell of, once there is enough of them.
    pub(super) fn take(&mut self, id: u32, bytes: &[u8]) -> Option<Exported> {
        let data = self.stream(id)?.data.as_mut()?;
        let room = MOST - data.len();
        data.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if data.len() < MOST {
            return None;
        }
        self.stream(id)?.look()
    }

    /// A stream ended. What it told of, if that is not known yet.
    pub(super) fn end(&mut self, id: u32) -> Option<Exported> {
        let index = self.open.iter().position(|stream| stream.id == id)?;
        self.open.remove(index)?.look()
    }

    /// Data are missing, of whichever stream: what there is of each is looked at.
    pub(super) fn cut(&mut self) -> Vec<Exported> {
        self.open.iter_mut().filter_map(Stream::look).collect()
    }

    pub(super) fn held_bytes(&self) -> usize {
        let data = self.open.iter().filter_map(|stream| stream.data.as_ref());
        data.map(Vec::capacity).sum()
    }

    /// The stream with this number, in the place of the oldest if there are too many.
    fn stream(&mut self, id: u32) -> Option<&mut Stream> {
        let index = self.open.iter().position(|stream| stream.id == id);
        if index.is_none() {
            if self.open.len() >= STREAMS_MOST {
                self.open.pop_front();
            }
            self.open.push_back(Stream {
                id,
                data: Some(Vec::new()),
            });
        }
        self.open.get_mut(index.unwrap_or(self.open.len() - 1))
    }
}

impl Stream {
    /// Looks at the data once: at the first message, for exports have no other. Before it stand whether it is compressed,
    /// and its length.
    fn look(&mut self) -> Option<Exported> {
        let data = self.data.take()?;
        let [compressed, a, b, c, d, message @ ..] = &data[..] else {
            return (!data.is_empty()).then(Exported::default);
        };
        if *compressed > 1 {
            return Some(Exported::default());
        }
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        Some(otlp::exported(&message[..message.len().min(length)]))
    }
}
