//! Events in, placed exchanges out.

use agent_common::{
    Header, ProcessEvent,
    event::UNIX_PATH_BYTES,
    role,
    unit::{UnitChain, unit_kind},
};
use agent_protocols::Limits;

use super::*;
use crate::{
    correlate::LeftOut,
    span::{SpanId, TraceId},
};

const SECOND: u64 = 1_000_000_000;
/// Of the connections' numbers: the one that is served, and one that is made.
const SERVED: u64 = 1;
const MADE: u64 = 2;
/// The thread that does everything.
const THREAD: u32 = 11;

struct NoIds;

impl Ids for NoIds {
    fn trace_id(&mut self) -> TraceId {
        TraceId::from(7_u128)
    }

    fn span_id(&mut self) -> SpanId {
        SpanId::from(7_u64)
    }
}

/// Events of one process, a microsecond apart.
struct Play {
    flow: Flow<(), NoIds>,
    now: u64,
    /// Positions by connection and direction.
    positions: [[u64; 2]; 3],
    placed: Vec<Placed>,
}

impl Play {
    fn new() -> Self {
        let settings = ConnectionSettings {
            limits: Limits::default(),
            report_noise: false,
        };
        let mut play = Self {
            flow: Flow::new(settings, LeaveOut::default(), (), NoIds, 0),
            now: SECOND,
            positions: [[0; 2]; 3],
            placed: Vec::new(),
        };
        play.open(SERVED, role::SERVER);
        play.open(MADE, role::CLIENT);
        play
    }

    fn header(&mut self, kind: u32, flags: u32) -> Header {
        self.now += 1_000;
        Header {
            kind,
            pid: 10,
            tid: THREAD,
            flags,
        }
    }

    fn open(&mut self, id: u64, role: u8) {
        let header = self.header(kind::OPEN, 0);
        let open = OpenEvent {
            header,
            id,
            time: self.now,
            socket: id,
            received: 0,
            sent: 0,
            netns: 1,
            family: 2,
            role,
            path_len: 0,
            own_end: 0,
            peer_end: 0,
            local_port: 1,
            peer_port: 2,
            relayed: 0,
            local: [0; 16],
            peer: [0; 16],
            path: [0; UNIX_PATH_BYTES],
            padding_end: 0,
        };
        self.flow.take(Event::Open(open));
    }

    fn data(&mut self, id: u64, flags: u32, bytes: &[u8]) {
        let header = self.header(kind::DATA, flags | flag::BLOCKING);
        let mut chain = UnitChain::default();
        chain.units[0].id = unit_kind::THREAD << unit_kind::SHIFT | u64::from(THREAD);
        let position = &mut self.positions[id as usize][flags as usize];
        let event = DataEvent {
            header,
            id,
            began: self.now,
            ended: self.now,
            offset: *position,
            skipped: 0,
            hole: 0,
            head: bytes.len() as u32,
            tail: 0,
            chain,
        };
        *position += bytes.len() as u64;
        self.flow.take(Event::Data {
            event,
            head: bytes,
            tail: &[],
        });
    }

    fn sent(&mut self, id: u64, bytes: &[u8]) {
        self.data(id, flag::SENT, bytes);
    }

    fn received(&mut self, id: u64, bytes: &[u8]) {
        self.data(id, 0, bytes);
    }

    /// A call with this head and body, and its answer.
    fn call(&mut self, line: &str, body: &[u8]) {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.sent(MADE, head.as_bytes());
        self.sent(MADE, body);
        self.received(MADE, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }

    fn process(&mut self, kind: u32) {
        let header = self.header(kind, 0);
        let process = ProcessEvent {
            header,
            time: self.now,
            detail: 0,
        };
        self.flow.take(Event::Process(process));
    }

    /// Looks after everything has settled: what was placed since the last time.
    fn look(&mut self) -> Vec<Option<LeftOut>> {
        self.now += SECOND;
        self.flow.turn(self.now, &mut self.placed);
        self.placed.drain(..).map(|placed| placed.left_out).collect()
    }
}

#[test]
fn a_connection_that_turns_out_to_have_no_exchanges_keeps_no_call_waiting() {
    for first in [&b"\x16\x03\x01\x02\x00"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut play = Play::new();
        play.received(SERVED, first);
        play.call("GET /", b"");
        assert_eq!(play.look(), [None], "{}", first.escape_ascii());
    }
}

/// An export of one span: of an HTTP request that was sent.
fn export() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let attribute = field(9, &field(1, b"http.request.method"));
    let span = [field(1, &[7; 16]), field(2, &[9; 8]), vec![6 << 3, 3], attribute].concat();
    field(1, &field(2, &field(2, &span)))
}

#[test]
fn what_is_exported_is_left_out_until_the_process_runs_another_program() {
    for end in [kind::EXEC, kind::EXIT] {
        let mut play = Play::new();
        play.call("GET /before", b"");
        play.call("POST /v1/traces", &export());
        play.call("GET /after", b"");
        let left_out = [None, Some(LeftOut::SdkExport), Some(LeftOut::ExportedBySdk)];
        assert_eq!(play.look(), left_out);
        play.process(end);
        play.call("GET /of/another", b"");
        assert_eq!(play.look(), [None]);
    }
}
