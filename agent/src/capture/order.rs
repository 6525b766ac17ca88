//! Events in the order of their times.
//!
//! The ring buffer has what CPUs wrote in the order in which each got its turn. Everything after this stage sees the
//! order in which it happened, whatever that was: each event waits until nothing that happened before it can come.

use std::collections::VecDeque;

use agent_common::{CloseEvent, DataEvent, OpenEvent, ProcessEvent};

use super::Event;

/// How long an event waits for others, in nanoseconds: by how much clocks of two CPUs may differ, and a program may be
/// kept from writing an event after it has looked at the clock.
pub const WINDOW_NANOS: u64 = 3_000_000;
/// Bytes that may wait; more go on at once, in the best order there is.
const BYTES_MOST: usize = 4 * 1024 * 1024;
/// Buffers kept to be used again.
const SPARE_MOST: usize = 1024;
/// The largest of them.
const SPARE_BYTES: usize = 4096;

/// Events that wait for those that happened before them.
#[derive(Default)]
pub struct Order {
    /// By time; of one moment by thread, and of one thread as they came.
    held: VecDeque<Held>,
    bytes: usize,
    newest: u64,
    spare: Vec<Vec<u8>>,
}

/// An event with its own bytes.
pub struct Held {
    key: (u64, u32),
    fixed: Fixed,
    payload: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Fixed {
    Open(OpenEvent),
    Data(DataEvent),
    Close(CloseEvent),
    Process(ProcessEvent),
}

impl Order {
    /// Events that wait.
    pub fn waiting(&self) -> usize {
        self.held.len()
    }

    /// Takes an event.
    pub fn put(&mut self, event: Event<'_>) {
        let mut payload = self.spare.pop().unwrap_or_default();
        let (time, tid, fixed) = match event {
            Event::Open(open) => (open.time, open.header.tid, Fixed::Open(open)),
            Event::Close(close) => (close.time, close.header.tid, Fixed::Close(close)),
            Event::Process(process) => (process.time, process.header.tid, Fixed::Process(process)),
            Event::Data { event, head, tail } => {
                payload.extend_from_slice(head);
                payload.extend_from_slice(tail);
                (event.ended, event.header.tid, Fixed::Data(event))
            }
        };
        self.newest = self.newest.max(time);
        self.bytes += size_of::<Held>() + payload.len();
        let key = (time, tid);
        // Nearly all come in order, so the place is looked for from the end.
        let after = self.held.iter().rev().take_while(|held| held.key > key).count();
        self.held
            .insert(self.held.len() - after, Held { key, fixed, payload });
    }

    /// When the latest event happened that was put.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// The next event, if nothing before it can come any more; `now` in monotonic nanoseconds: everything that
    /// happened before that was put already, unless it is newer than the window.
    pub fn next(&mut self, now: u64) -> Option<Held> {
        let until = self.newest.max(now).saturating_sub(WINDOW_NANOS);
        if self.held.front()?.key.0 > until && self.bytes <= BYTES_MOST {
            return None;
        }
        let held = self.held.pop_front()?;
        self.bytes -= size_of::<Held>() + held.payload.len();
        Some(held)
    }

    /// Takes back an event's buffer.
    pub fn give_back(&mut self, held: Held) {
        let mut buffer = held.payload;
        if self.spare.len() < SPARE_MOST && buffer.capacity() <= SPARE_BYTES {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

impl Held {
    /// The event.
    pub fn event(&self) -> Event<'_> {
        match self.fixed {
            Fixed::Open(open) => Event::Open(open),
            Fixed::Close(close) => Event::Close(close),
            Fixed::Process(process) => Event::Process(process),
            Fixed::Data(event) => {
                let (head, tail) = self.payload.split_at(event.head as usize);
                Event::Data { event, head, tail }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_common::{Header, kind};

    use super::*;

    fn close(time: u64, tid: u32, id: u64) -> Event<'static> {
        let header = Header {
            kind: kind::CLOSE,
            pid: 1,
            tid,
            flags: 0,
        };
        Event::Close(CloseEvent { header, id, time })
    }

    fn drain(order: &mut Order, now: u64) -> Vec<u64> {
        std::iter::from_fn(|| order.next(now).map(|held| held.key.0)).collect()
    }

    #[test]
    fn an_event_waits_for_the_window_and_no_longer() {
        let mut order = Order::default();
        order.put(close(20, 1, 1));
        order.put(close(10, 2, 2));
        assert!(drain(&mut order, WINDOW_NANOS + 9).is_empty());
        assert_eq!(drain(&mut order, WINDOW_NANOS + 10), [10]);
        order.put(close(30 + WINDOW_NANOS, 3, 3));
        assert_eq!(drain(&mut order, 0), [20], "a newer event tells the time as well");
        assert_eq!(drain(&mut order, u64::MAX), [30 + WINDOW_NANOS]);
        assert_eq!(order.bytes, 0);
    }

    #[test]
    fn events_of_one_thread_and_moment_stay_in_order() {
        let mut order = Order::default();
        for (tid, id) in [(2, 3), (1, 1), (2, 4), (1, 2)] {
            order.put(close(5, tid, id));
        }
        let ids = std::iter::from_fn(|| match order.next(u64::MAX)?.event() {
            Event::Close(close) => Some(close.id),
            _ => None,
        });
        assert_eq!(ids.collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut order = Order::default();
        for id in 0..(2 * BYTES_MOST / size_of::<Held>()) as u64 {
            order.put(close(5, 1, id));
            while let Some(held) = order.next(0) {
                order.give_back(held);
            }
        }
        assert!(order.bytes <= BYTES_MOST);
    }
}
