//! A connection whose chunks come in any order, with holes, overlaps, gaps and closes.
#![no_main]

use agent_protocols::{
    Chunk, Connection, Direction, Exchange, Limits, Moment, Role, Unit, connection::ConnectionContext,
    session::Closing, session::Flow,
};
use agent_protocols_fuzz::{Event, events};
use libfuzzer_sys::fuzz_target;

/// What the controls change about the next chunk.
#[derive(Default)]
struct Fate {
    skipped: u64,
    back: u64,
    hole: u64,
    tail: usize,
    overtaken: bool,
}

impl Fate {
    fn of(control: u8) -> Self {
        let amount = u64::from(control >> 4);
        match control & 3 {
            0 => Self {
                skipped: amount * 7,
                ..Self::default()
            },
            1 => Self {
                back: amount * 3,
                ..Self::default()
            },
            2 => Self {
                hole: amount,
                tail: usize::from(control >> 6),
                ..Self::default()
            },
            _ => Self {
                overtaken: true,
                ..Self::default()
            },
        }
    }
}

/// A chunk that comes later: direction, position, bytes, time.
type Late = (Direction, u64, Vec<u8>, u64);

struct Feeder {
    connection: Connection,
    out: Vec<Exchange>,
    late: Option<Late>,
}

impl Feeder {
    fn push(&mut self, direction: Direction, offset: u64, bytes: &[u8], time: u64, fate: &Fate) {
        let tail = fate.tail.min(bytes.len());
        let (head, tail) = bytes.split_at(bytes.len() - tail);
        let moment = Moment {
            began: time,
            ended: time + 5,
            unit: Unit::default(),
        };
        let chunk = Chunk {
            direction,
            offset,
            skipped: fate.skipped,
            head,
            hole: fate.hole,
            tail,
            moment,
        };
        self.connection.push(chunk, &mut self.out);
        assert!(
            self.connection.held_bytes() < 3 << 20,
            "holds {} bytes",
            self.connection.held_bytes()
        );
    }
}

fuzz_target!(|data: &[u8]| {
    let first = data.first().copied().unwrap_or(0);
    let role = [Role::Client, Role::Server, Role::Unknown][usize::from(first >> 5) % 3];
    let context = ConnectionContext {
        role,
        limits: Limits::default(),
        report_noise: false,
    };
    let mut feeder = Feeder {
        connection: Connection::new(context),
        out: Vec::new(),
        late: None,
    };
    if first & 0x10 != 0 {
        feeder.connection.start_at(0, 0);
    }
    let sent = |flow| Flow::of(role, Direction::Sent) == flow;
    let direction = |flow| {
        if sent(flow) {
            Direction::Sent
        } else {
            Direction::Received
        }
    };
    let mut offsets = [0_u64; 2];
    let mut fate = Fate::default();
    let mut now = 1_000_000_000;
    for event in events(data) {
        now += 10;
        match event {
            Event::Call(flow, bytes) => {
                let fate = std::mem::take(&mut fate);
                let offset = (offsets[flow as usize] + fate.skipped).saturating_sub(fate.back);
                offsets[flow as usize] = offset + bytes.len() as u64 + fate.hole;
                if fate.overtaken && feeder.late.is_none() {
                    feeder.late = Some((direction(flow), offset, bytes, now));
                    continue;
                }
                feeder.push(direction(flow), offset, &bytes, now, &fate);
            }
            Event::Gap(flow, count) => offsets[flow as usize] += count,
            Event::Control(control) => {
                if control & 0x20 != 0 {
                    now += 100_000_000;
                }
                fate = Fate::of(control);
            }
            Event::Close(flow) => {
                let moment = Moment {
                    began: now,
                    ended: now,
                    unit: Unit::default(),
                };
                let closing = if sent(flow) {
                    Closing::Here
                } else {
                    Closing::ByPeer
                };
                feeder.connection.close(closing, moment, &mut feeder.out);
            }
        }
        if let Some((direction, offset, bytes, time)) = feeder.late.take() {
            feeder.push(direction, offset, &bytes, time, &Fate::default());
        }
    }
    feeder.connection.close(
        Closing::Both,
        Moment {
            began: now,
            ended: now,
            unit: Unit::default(),
        },
        &mut feeder.out,
    );
    assert!(
        feeder
            .out
            .iter()
            .all(|exchange| exchange.ended >= exchange.started)
    );
});
