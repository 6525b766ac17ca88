//! Reading the ring buffer in batches.

use std::{io, time::Duration};

use aya::maps::{MapData, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Recorder, decode::Event};

/// The ring buffer's reader.
///
/// The kernel side wakes it only when the buffer fills up or when a process came or went; everything else waits for
/// the next look. So the cost of a wake-up is shared by all events of a batch.
pub struct Reader {
    events: RingBuf<MapData>,
    recorder: Option<Recorder>,
    /// Records that were no events.
    undecodable: u64,
}

impl Reader {
    /// A reader of this ring buffer, which records what it reads if that is wanted.
    pub fn new(events: RingBuf<MapData>, recorder: Option<Recorder>) -> Self {
        Self {
            events,
            recorder,
            undecodable: 0,
        }
    }

    /// Waits until the kernel side wakes it, for at most `timeout`.
    ///
    /// # Errors
    /// When the operating system refuses to wait; an interruption by a signal is none.
    pub fn wait(&self, timeout: Duration) -> io::Result<()> {
        let mut fds = [PollFd::new(&self.events, PollFlags::IN)];
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands over every event that is there, at most `most`; returns how many records there were.
    pub fn drain(&mut self, most: usize, mut take: impl FnMut(Event<'_>)) -> usize {
        let mut seen = 0;
        while seen < most {
            let Some(record) = self.events.next() else { break };
            seen += 1;
            if let Some(recorder) = &mut self.recorder {
                recorder.record(&record);
            }
            match Event::decode(&record) {
                Some(event) => take(event),
                None => self.undecodable += 1,
            }
        }
        seen
    }

    /// Makes what was recorded so far safe from a sudden end.
    pub fn flush_recording(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
    }

    /// Records that were no events: 0 unless object and agent do not belong together.
    pub fn undecodable(&self) -> u64 {
        self.undecodable
    }
}
