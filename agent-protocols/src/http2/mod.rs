//! HTTP/2 without TLS (RFC 9113): no exchanges, but what a client's own SDK exports over gRPC.
//!
//! Only the client's flow is read, frame by frame. The first bytes of each stream's DATA are a gRPC message
//! (<https://github.com/grpc/grpc/blob/v1.76.0/doc/PROTOCOL-HTTP2.md>), and a trace export is told by what is in it: the paths of
//! requests are compressed with what came before (HPACK), so they could not be read on a connection that is older than the
//! agent. A connection on which none turns up is soon left alone.

mod detect;
mod frames;
mod streams;
#[cfg(test)]
mod tests;

pub use detect::{detect, may_be_preface};

use self::{
    frames::{Frames, Part},
    streams::Streams,
};
use crate::{
    chunk::Moment,
    exchange::Exchange,
    otlp::Exported,
    session::{Closing, Content, Counts, Desync, Flow, Piece, Session, SessionContext},
};

/// Messages without spans after which a connection on which there were none is given up.
const BARREN_MOST: u32 = 32;
/// Bytes of the client after which such a connection is given up.
const BYTES_MOST: u64 = 512 * 1024;

/// HTTP/2 on one connection.
#[derive(Debug)]
pub struct Http2Session {
    frames: Frames,
    streams: Streams,
    /// All that exports told of.
    known: Exported,
    /// What of that nobody was told yet.
    fresh: Exported,
    /// Messages without spans.
    barren: u32,
    /// Bytes of the client, missing ones included.
    seen: u64,
    counts: Counts,
}

impl Http2Session {
    /// A session of which nothing was seen yet.
    pub fn new(context: SessionContext) -> Self {
        Self {
            frames: Frames::new(context.from_start),
            streams: Streams::default(),
            known: Exported::default(),
            fresh: Exported::default(),
            barren: 0,
            seen: 0,
            counts: Counts::default(),
        }
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> Result<(), Desync> {
        self.seen = self.seen.saturating_add(bytes.len() as u64);
        while !bytes.is_empty() {
            let (used, part) = self.frames.take(bytes)?;
            let taken = &bytes[..used];
            bytes = &bytes[used..];
            match part {
                Part::Nothing => {}
                Part::Lost => self.counts.resyncs += 1,
                Part::Data { stream, from, ends } => {
                    let found = self.streams.take(stream, taken.get(from..).unwrap_or_default());
                    self.message(found);
                    if ends {
                        self.end(stream);
                    }
                }
                Part::End { stream } => self.end(stream),
            }
        }
        Ok(())
    }

    fn gap(&mut self, count: u64) {
        self.seen = self.seen.saturating_add(count);
        self.frames.skip(count);
        for exported in self.streams.cut() {
            self.message(Some(exported));
        }
    }

    fn end(&mut self, stream: u32) {
        let found = self.streams.end(stream);
        self.message(found);
    }

    /// A message was looked at, if there is any.
    fn message(&mut self, found: Option<Exported>) {
        let Some(exported) = found else { return };
        self.barren += u32::from(exported.is_nothing());
        self.known.add(exported);
        self.fresh.add(exported);
    }

    fn is_done(&self) -> bool {
        let in_vain = self.known.is_nothing() && (self.barren >= BARREN_MOST || self.seen >= BYTES_MOST);
        self.known.is_all() || in_vain
    }
}

impl Session for Http2Session {
    fn feed(&mut self, piece: Piece<'_>, _out: &mut Vec<Exchange>) -> Result<(), Desync> {
        match (piece.flow, piece.content) {
            (Flow::Request, Content::Bytes(bytes)) => self.bytes(bytes)?,
            (Flow::Request, Content::Gap(count)) => self.gap(count),
            (Flow::Response, _) => self.frames.turned(),
        }
        if self.is_done() {
            return Err(Desync::NothingToLearn);
        }
        Ok(())
    }

    fn close(&mut self, _closing: Closing, _moment: Moment, _out: &mut Vec<Exchange>) {}

    fn has_exchanges(&self) -> bool {
        false
    }

    fn take_exported(&mut self) -> Exported {
        std::mem::take(&mut self.fresh)
    }

    fn held_bytes(&self) -> usize {
        self.streams.held_bytes()
    }

    fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }
}
