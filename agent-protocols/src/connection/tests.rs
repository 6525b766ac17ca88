//! The whole way, with HTTP as the protocol.

use super::*;
use crate::{
    chunk::Unit,
    exchange::{Detail, Ending, Http},
};

/// One connection and what it found, with a clock that ticks by one microsecond a call.
struct Wire {
    connection: Connection,
    out: Vec<Exchange>,
    now: u64,
    sent: u64,
    received: u64,
}

impl Wire {
    fn new(role: Role) -> Self {
        let context = ConnectionContext {
            role,
            limits: Limits::default(),
            report_noise: false,
        };
        Self {
            connection: Connection::new(context),
            out: Vec::new(),
            now: 1_000,
            sent: 0,
            received: 0,
        }
    }

    fn moment(&mut self) -> Moment {
        self.now += 1_000;
        Moment {
            began: self.now,
            ended: self.now,
            unit: Unit::default(),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> &mut Self {
        let moment = self.moment();
        self.send_at(bytes, moment)
    }

    fn send_at(&mut self, bytes: &[u8], moment: Moment) -> &mut Self {
        let chunk = chunk(Direction::Sent, self.sent, bytes, moment);
        self.sent += bytes.len() as u64;
        self.connection.push(chunk, &mut self.out);
        self
    }

    fn receive(&mut self, bytes: &[u8]) -> &mut Self {
        let moment = self.moment();
        let chunk = chunk(Direction::Received, self.received, bytes, moment);
        self.received += bytes.len() as u64;
        self.connection.push(chunk, &mut self.out);
        self
    }

    fn close(&mut self, closing: Closing) -> &mut Self {
        let moment = self.moment();
        self.connection.close(closing, moment, &mut self.out);
        self
    }

    /// What was found: method and target, status, ending.
    fn found(&self) -> Vec<(String, Option<u16>, Ending)> {
        self.out
            .iter()
            .map(|exchange| {
                let http = http(exchange);
                (
                    format!("{} {}", http.method, http.target),
                    http.status,
                    exchange.ending,
                )
            })
            .collect()
    }
}

fn chunk(direction: Direction, offset: u64, head: &[u8], moment: Moment) -> Chunk<'_> {
    Chunk {
        direction,
        offset,
        skipped: 0,
        head,
        hole: 0,
        tail: &[],
        moment,
    }
}

fn http(exchange: &Exchange) -> &Http {
    match &exchange.detail {
        Detail::Http(http) => http,
        Detail::Sql(sql) => panic!("no HTTP: {sql:?}"),
    }
}

fn complete(line: &str, status: u16) -> (String, Option<u16>, Ending) {
    (line.to_owned(), Some(status), Ending::Complete)
}

const GET: &[u8] = b"GET /users HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn both_roles_see_the_same_exchange() {
    let mut client = Wire::new(Role::Client);
    let mut server = Wire::new(Role::Server);
    client.send(GET).receive(OK);
    server.receive(GET).send(OK);
    assert_eq!(client.found(), [complete("GET /users", 200)]);
    assert_eq!(server.found(), client.found());
    assert_eq!(client.connection.protocol(), Some("http"));
    assert_eq!(
        (client.out[0].role, server.out[0].role),
        (Role::Client, Role::Server)
    );
}

#[test]
fn a_role_that_is_unknown_follows_from_who_asks() {
    let mut wire = Wire::new(Role::Unknown);
    wire.send(GET).receive(OK);
    assert_eq!(wire.out[0].role, Role::Client);
    let mut wire = Wire::new(Role::Unknown);
    wire.receive(GET).send(OK);
    assert_eq!(wire.out[0].role, Role::Server);
}

#[test]
fn a_response_read_before_its_request_was_seen_is_paired() {
    let mut wire = Wire::new(Role::Client);
    let began = wire.moment().began;
    wire.receive(OK);
    assert!(wire.out.is_empty());
    let ended = wire.moment().ended;
    wire.send_at(
        GET,
        Moment {
            began,
            ended,
            unit: Unit::default(),
        },
    );
    assert_eq!(wire.found(), [complete("GET /users", 200)]);
    assert!(wire.out[0].started < wire.out[0].ended);
    assert_eq!(wire.connection.take_counts().session.orphan_responses, 0);
}

#[test]
fn a_response_read_before_its_request_began_is_an_orphan() {
    let mut wire = Wire::new(Role::Client);
    wire.send(GET).receive(OK).receive(OK).send(GET).receive(OK);
    assert_eq!(
        wire.found(),
        [complete("GET /users", 200), complete("GET /users", 200)]
    );
    assert_eq!(wire.connection.take_counts().session.orphan_responses, 1);
}

#[test]
fn the_peer_s_close_waits_for_the_late_request_too() {
    let mut wire = Wire::new(Role::Client);
    let began = wire.moment().began;
    wire.receive(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall")
        .close(Closing::ByPeer);
    let ended = wire.moment().ended;
    wire.send_at(
        GET,
        Moment {
            began,
            ended,
            unit: Unit::default(),
        },
    );
    assert_eq!(wire.found(), [complete("GET /users", 200)]);
    assert_eq!(http(&wire.out[0]).response_body, Some(3));
}

#[test]
fn an_orphan_does_not_wait_for_ever() {
    let mut wire = Wire::new(Role::Client);
    wire.send(GET).receive(OK);
    for _ in 0..200 {
        wire.receive(OK);
    }
    assert!(
        wire.connection.held_bytes() < 64 * 1024,
        "{}",
        wire.connection.held_bytes()
    );
    wire.close(Closing::Both);
    assert_eq!(wire.connection.take_counts().session.orphan_responses, 200);
    assert_eq!(wire.found(), [complete("GET /users", 200)]);
}

#[test]
fn tls_is_left_alone() {
    let mut wire = Wire::new(Role::Client);
    wire.send(b"\x16\x03\x01\x02\x00");
    assert!(wire.connection.verdict().ignore);
    assert_eq!(wire.connection.protocol(), Some("tls"));
    assert_eq!(wire.connection.take_counts().encrypted, 1);
}

#[test]
fn http2_has_no_exchanges_and_is_left_alone_when_it_tells_nothing() {
    for role in [Role::Client, Role::Server] {
        let mut wire = Wire::new(role);
        let ask = |wire: &mut Wire, bytes: &[u8]| {
            if role == Role::Client {
                wire.send(bytes)
            } else {
                wire.receive(bytes)
            };
        };
        assert!(wire.connection.has_exchanges());
        ask(&mut wire, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(wire.connection.protocol(), Some("http2"));
        assert!(!wire.connection.has_exchanges() && !wire.connection.verdict().ignore);
        for _ in 0..40 {
            ask(&mut wire, b"\0\0\x06\0\x01\0\0\0\x01\0\0\0\0\x01x");
        }
        assert!(wire.connection.verdict().ignore);
        assert_eq!(wire.connection.protocol(), Some("http2"));
        assert_eq!(wire.connection.take_exported(), None);
    }
}

#[test]
fn a_stream_nobody_knows_is_given_up() {
    let mut wire = Wire::new(Role::Server);
    for _ in 0..10 {
        wire.receive(b"hello there\n").send(b"and hello to you\n");
    }
    assert!(wire.connection.verdict().ignore);
    assert_eq!(wire.connection.protocol(), Some("unknown"));
    assert_eq!(wire.connection.take_counts().unknown, 1);
}

#[test]
fn a_wrong_guess_is_followed_by_a_better_one() {
    let mut wire = Wire::new(Role::Server);
    wire.receive(b"DESCRIBE http://a/ RTSP/1.0\r\n\r\n")
        .send(b"RTSP/1.0 200 OK\r\n\r\n")
        .receive(GET)
        .send(OK);
    assert_eq!(wire.found(), [complete("GET /users", 200)]);
    assert_eq!(wire.connection.take_counts().wrong_guesses, 1);
}

#[test]
fn attached_in_the_middle_of_an_upload() {
    let mut wire = Wire::new(Role::Server);
    (wire.received, wire.sent) = (70_000, 9_000);
    wire.receive(b"}, {\"a\": 1}]").send(OK).receive(GET).send(OK);
    assert_eq!(wire.found(), [complete("GET /users", 200)]);
}

#[test]
fn attached_in_the_middle_of_a_download() {
    let mut wire = Wire::new(Role::Client);
    (wire.received, wire.sent) = (70_000, 9_000);
    for _ in 0..100 {
        wire.receive(&[b'x'; 4096]);
    }
    wire.send(GET).receive(OK);
    assert_eq!(wire.found(), [complete("GET /users", 200)]);
}

#[test]
fn one_byte_a_call() {
    let mut wire = Wire::new(Role::Server);
    for _ in 0..3 {
        for byte in GET.chunks(1) {
            wire.receive(byte);
        }
        for byte in OK.chunks(1) {
            wire.send(byte);
        }
    }
    assert_eq!(wire.found(), vec![complete("GET /users", 200); 3]);
    let first = &wire.out[0];
    assert_eq!(first.started, 2_000);
    assert_eq!(
        first.ended,
        first.started + 1_000 * (GET.len() + OK.len() - 1) as u64
    );
}

#[test]
fn a_switch_of_protocols_ends_the_watch() {
    let mut wire = Wire::new(Role::Server);
    wire.receive(b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        .send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        .receive(b"\x81\x05hello");
    assert_eq!(wire.found(), [complete("GET /ws", 101)]);
    assert!(wire.connection.verdict().ignore);
    assert_eq!(wire.connection.protocol(), Some("upgraded"));
}

#[test]
fn a_lost_event_that_is_told_is_a_gap_at_once() {
    let mut wire = Wire::new(Role::Server);
    wire.receive(GET).send(OK);
    wire.received += GET.len() as u64;
    wire.send(OK);
    let moment = wire.moment();
    let told = Chunk {
        skipped: GET.len() as u64,
        ..chunk(Direction::Received, wire.received, GET, moment)
    };
    wire.connection.push(told, &mut wire.out);
    wire.received += GET.len() as u64;
    wire.send(OK);
    assert_eq!(wire.found(), vec![complete("GET /users", 200); 2]);
    let counts = wire.connection.take_counts();
    assert_eq!((counts.gaps, counts.gap_bytes), (1, GET.len() as u64));
    assert_eq!(counts.session.orphan_responses, 1);
}

#[test]
fn a_lost_event_that_nobody_tells_of_costs_one_more_exchange() {
    let mut wire = Wire::new(Role::Server);
    wire.receive(GET).send(OK);
    wire.received += GET.len() as u64;
    wire.send(OK);
    for _ in 0..10 {
        wire.receive(GET).send(OK);
        wire.now += 1_000_000_000;
    }
    let mut expected = vec![complete("GET /users", 200); 11];
    expected[1] = ("GET /users".to_owned(), None, Ending::Unseen);
    assert_eq!(wire.found(), expected);
    let counts = wire.connection.take_counts();
    assert_eq!((counts.gaps, counts.gap_bytes), (1, GET.len() as u64));
    assert_eq!(counts.session.orphan_responses, 2);
}
