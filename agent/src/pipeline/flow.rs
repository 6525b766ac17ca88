//! The order of the stages that need nothing but events and the present: a recorded run goes the same way.

#[cfg(test)]
mod tests;

use agent_common::{CloseEvent, DataEvent, OpenEvent, flag, kind};

use crate::{
    capture::{self, ConnectionSettings, Connections, Event, KernelTable, Located, Order},
    config::LeaveOut,
    correlate::{Correlator, Ids, Moved, Placed},
};

/// How often what is old is looked for.
const TIDY_EVERY_NANOS: u64 = 1_000_000_000;

/// What an event flows through, up to an exchange that has its place.
pub struct Flow<K, I> {
    order: Order,
    /// What all connections say and said.
    pub connections: Connections<K>,
    /// What belongs to what.
    pub correlator: Correlator<I>,
    tidied_at: u64,
    /// Taken and given back with every event, so that no room is allocated for each.
    located: Vec<Located>,
}

impl<K: KernelTable, I: Ids> Flow<K, I> {
    /// Nothing seen yet at `now`, in monotonic nanoseconds as all times here.
    pub fn new(settings: ConnectionSettings, leave_out: LeaveOut, kernel: K, ids: I, now: u64) -> Self {
        Self {
            order: Order::default(),
            connections: Connections::new(settings, kernel),
            correlator: Correlator::new(ids, leave_out),
            tidied_at: now,
            located: Vec::new(),
        }
    }

    /// Takes an event.
    pub fn take(&mut self, event: Event<'_>) {
        self.order.put(event);
        self.go_on(0);
    }

    /// Events that wait for those before them.
    pub fn waiting(&self) -> usize {
        self.order.waiting()
    }

    /// When the latest event happened that was taken.
    pub fn newest(&self) -> u64 {
        self.order.newest()
    }

    /// Gives what has waited long enough its place. All events before `now` have been taken.
    pub fn turn(&mut self, now: u64, placed: &mut Vec<Placed>) {
        self.go_on(now);
        self.correlator.poll(now, placed);
        if now.saturating_sub(self.tidied_at) >= TIDY_EVERY_NANOS {
            self.tidied_at = now;
            let Self {
                connections, located, ..
            } = self;
            connections.forget_lingering(now, |exchange| located.push(exchange));
            self.correlate();
        }
    }

    /// Lets everything go.
    pub fn finish(&mut self, placed: &mut Vec<Placed>) {
        self.go_on(u64::MAX);
        self.correlator.finish(placed);
    }

    /// Lets events go on before which nothing can come any more.
    fn go_on(&mut self, now: u64) {
        while let Some(held) = self.order.next(now) {
            self.handle(held.event());
            self.order.give_back(held);
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        match event {
            Event::Open(open) => self.open(&open),
            Event::Data { event, head, tail } => self.data(&event, head, tail),
            Event::Close(close) => self.close(&close),
            Event::Process(process) if process.header.kind == kind::EXIT => {
                let Self {
                    connections, located, ..
                } = self;
                connections.process_ended(process.header.pid, process.time, |exchange| {
                    located.push(exchange);
                });
                self.correlate();
                self.correlator.program_ended(process.header.pid, process.time);
            }
            Event::Process(process) if process.header.kind == kind::EXEC => {
                self.correlator.program_ended(process.header.pid, process.time);
            }
            Event::Process(process) if process.header.kind == kind::FORK => {
                self.correlator.forked(process.header.pid, process.detail as u32);
            }
            Event::Process(_) => {}
        }
    }

    fn open(&mut self, event: &OpenEvent) {
        self.connections.open(event);
        if let Some((ends, role)) = self.connections.ends(event.id)
            && !self.connections.is_relayed(event.id)
        {
            self.correlator.opened(ends, role);
        }
    }

    /// Bytes that a process received to pass them on, or passed on.
    fn relay(&mut self, event: &DataEvent) {
        let Some((ends, role)) = self.connections.ends(event.id) else {
            return;
        };
        let moved = Moved {
            connection: event.id,
            ends,
            role,
            sent: event.header.flags & flag::SENT != 0,
            offset: event.offset,
        };
        for known in self.correlator.relayed(&capture::unit(event), moved) {
            self.connections.leave_alone(known);
        }
    }

    fn data(&mut self, event: &DataEvent, head: &[u8], tail: &[u8]) {
        if self.connections.is_relayed(event.id) {
            self.relay(event);
            return;
        }
        self.tell_correlator(event);
        let served = self.connections.serves(event.id);
        let Self {
            connections, located, ..
        } = self;
        let exported = connections.data(event, head, tail, |exchange| located.push(exchange));
        let pid = event.header.pid;
        if let Some((role, exported)) = exported {
            self.correlator.exported(pid, role, event.ended, exported);
        }
        self.correlate();
        if served && !self.connections.serves(event.id) {
            self.correlator.connection_ended(pid, event.id, None);
        }
    }

    fn close(&mut self, event: &CloseEvent) {
        let Self {
            connections, located, ..
        } = self;
        let (pid, ends) = (connections.pid(event.id), connections.ends(event.id));
        connections.close(event, |exchange| located.push(exchange));
        self.correlate();
        if !self.connections.is_followed(event.id) {
            let ends = ends.map(|(ends, _)| ends);
            self.correlator
                .connection_ended(pid.unwrap_or_default(), event.id, ends);
        }
    }

    /// What the correlator must know before an exchange is over.
    fn tell_correlator(&mut self, event: &DataEvent) {
        let sent = event.header.flags & flag::SENT != 0;
        match (sent, self.connections.serves(event.id)) {
            (false, true) => self
                .correlator
                .request_read(event.id, event.ended, &capture::unit(event)),
            (true, true) => self.correlator.response_written(event.id, &capture::unit(event)),
            (true, false) => self.correlator.call_made(&capture::unit(event), event.began),
            (false, false) => {}
        }
    }

    /// Hands over what is finished.
    fn correlate(&mut self) {
        let Self {
            correlator, located, ..
        } = self;
        for exchange in located.drain(..) {
            correlator.handle(exchange);
        }
    }
}
