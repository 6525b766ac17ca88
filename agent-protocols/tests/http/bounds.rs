//! Hostile input: memory stays bounded and time is linear in the bytes.

use std::time::{Duration, Instant};

use agent_protocols::{Chunk, Connection, Direction, Exchange, Role, session::Flow};

use crate::calls::{connection, direction, moment};

/// What one connection may hold, whatever it is fed; the sum of the bounds in [`agent_protocols::Limits`] and the
/// 512 KiB for waiting requests, with room for how vectors grow.
const MOST: usize = 1536 * 1024;

struct Feeder {
    connection: Connection,
    role: Role,
    out: Vec<Exchange>,
    offsets: [u64; 2],
    time: u64,
    most: usize,
}

impl Feeder {
    fn new(role: Role) -> Self {
        Self {
            connection: connection(role),
            role,
            out: Vec::new(),
            offsets: [0; 2],
            time: 0,
            most: 0,
        }
    }

    fn feed(&mut self, flow: Flow, head: &[u8]) {
        let offset = self.offsets[flow as usize];
        self.offsets[flow as usize] += head.len() as u64;
        self.push(direction(self.role, flow), offset, head);
    }

    fn push(&mut self, direction: Direction, offset: u64, head: &[u8]) {
        self.time += 1_000;
        let chunk = Chunk {
            direction,
            offset,
            skipped: 0,
            head,
            hole: 0,
            tail: &[],
            moment: moment(self.time),
        };
        self.connection.push(chunk, &mut self.out);
        self.most = self.most.max(self.connection.held_bytes());
    }

    fn is_bounded(&self) {
        assert!(self.most <= MOST, "held {} bytes", self.most);
    }
}

/// Feeds the same bytes again and again, both roles.
fn endless(start: &[u8], flow: Flow, bytes: &[u8], count: usize) {
    for role in [Role::Server, Role::Client] {
        let mut feeder = Feeder::new(role);
        if flow == Flow::Response {
            feeder.feed(Flow::Request, b"GET / HTTP/1.1\r\n\r\n");
        }
        feeder.feed(flow, start);
        (0..count).for_each(|_| feeder.feed(flow, bytes));
        feeder.is_bounded();
    }
}

/// Pseudo-random bytes that are the same in each run (xorshift64).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn endless_heads() {
    endless(b"GET / HTTP/1.1\r\n", Flow::Request, b"X: y\r\n", 100_000);
    endless(b"GET /", Flow::Request, &[b'a'; 1_000], 1_000);
    endless(
        b"HTTP/1.1 200 OK\r\n",
        Flow::Response,
        b"Set-Cookie: y\r\n",
        100_000,
    );
    endless(b"", Flow::Request, b"\r\n", 100_000);
    endless(b"POST / HTTP/1.1\r\nX: ", Flow::Request, b"\t", 200_000);
}

#[test]
fn endless_chunks() {
    let request = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (start, flow) in [(&request[..], Flow::Request), (response, Flow::Response)] {
        // A size line without an end, with an extension without an end, endless chunks, endless trailers.
        endless(start, flow, b"0", 100_000);
        endless(&[start, b"5;"].concat(), flow, &[b'x'; 1_000], 1_000);
        endless(start, flow, b"1\r\nx\r\n", 100_000);
        endless(&[start, b"0\r\n"].concat(), flow, b"Trailer: x\r\n", 100_000);
        endless(
            &[start, b"ffffffffffffffff\r\n"].concat(),
            flow,
            &[b'x'; 10_000],
            1_000,
        );
    }
}

#[test]
fn a_hundred_thousand_requests_without_a_response() {
    for role in [Role::Server, Role::Client] {
        let mut feeder = Feeder::new(role);
        for number in 0..100_000 {
            feeder.feed(
                Flow::Request,
                format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
            );
        }
        feeder.is_bounded();
        let waiting = agent_protocols::Limits::default().pending_requests as u64;
        assert_eq!(
            feeder.connection.take_counts().session.over_limit,
            100_000 - waiting
        );
    }
}

#[test]
fn long_requests_without_a_response() {
    let mut feeder = Feeder::new(Role::Server);
    for _ in 0..2_000 {
        feeder.feed(
            Flow::Request,
            format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(60_000)).as_bytes(),
        );
    }
    feeder.is_bounded();
}

#[test]
fn responses_nobody_asked_for() {
    for size in [10, 1_000, 100_000] {
        let mut feeder = Feeder::new(Role::Client);
        (0..1_000).for_each(|_| feeder.feed(Flow::Response, &vec![b'x'; size]));
        feeder.is_bounded();
    }
}

#[test]
fn chunks_with_holes_between_them() {
    let mut feeder = Feeder::new(Role::Server);
    for index in 0..2_000 {
        feeder.push(Direction::Received, index * 100_000, &vec![b'x'; 50_000]);
    }
    feeder.is_bounded();
}

#[test]
fn random_bytes() {
    for (seed, size) in [(1, 1), (2, 100), (3, 10_000)] {
        for role in [Role::Client, Role::Server, Role::Unknown] {
            let mut feeder = Feeder::new(role);
            for (index, bytes) in noise(seed, 500_000).chunks(size).enumerate() {
                feeder.feed(
                    if index % 3 == 0 {
                        Flow::Response
                    } else {
                        Flow::Request
                    },
                    bytes,
                );
            }
            feeder.is_bounded();
        }
    }
}

/// Time for a head of so many bytes, one byte a call; the best of several tries.
fn time_for(bytes: usize) -> Duration {
    let head = [
        b"GET / HTTP/1.1\r\n".to_vec(),
        b"A: b\r\n".repeat(bytes / 6),
        b"\r\n".to_vec(),
    ]
    .concat();
    let once = || {
        let mut feeder = Feeder::new(Role::Server);
        let start = Instant::now();
        head.chunks(1).for_each(|byte| feeder.feed(Flow::Request, byte));
        start.elapsed()
    };
    (0..5).map(|_| once()).min().unwrap_or_default()
}

#[test]
fn time_is_linear_however_small_the_pieces() {
    let (short, long) = (time_for(8_000), time_for(64_000));
    assert!(
        long < short * 8 * 4,
        "8 times the bytes took {long:?} instead of {short:?}"
    );
}
