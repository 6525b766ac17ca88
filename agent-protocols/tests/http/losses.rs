//! Chunks that are lost, cut, doubled or overtaken: never a panic, never an exchange that was not, never a response
//! paired with another's request, and right again soon after.

use std::ops::Range;

use agent_protocols::{Chunk, Connection, Exchange, Role, exchange::Ending, session::Flow};
use proptest::prelude::*;

use crate::calls::{connection, direction, http, moment};

/// How a message's body is framed.
#[derive(Clone, Copy, Debug)]
enum Body {
    None,
    Length(u16),
    Chunked(u16),
}

/// An exchange to be sent; it stands for itself in its path and its status.
#[derive(Clone, Copy, Debug)]
struct Plan {
    head_method: bool,
    request: Body,
    response: Body,
}

/// A plain exchange.
const CALM: Plan = Plan {
    head_method: false,
    request: Body::Length(3),
    response: Body::Chunked(3),
};

/// What happens to a chunk on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    /// Lost, and the next chunk tells.
    Lost,
    /// Lost, and nobody tells.
    LostSilently,
    /// Only so many first and last bytes were copied.
    Cut(usize, usize),
    Doubled,
    /// Comes after the next one of its direction.
    Overtaken,
}

/// A run: pipelined exchanges, with where their bytes are cut into calls.
type Batch = (Vec<Plan>, Vec<prop::sample::Index>);

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        Just(Body::None),
        (0_u16..300).prop_map(Body::Length),
        (0_u16..300).prop_map(Body::Chunked)
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    (prop::bool::weighted(0.1), body(), body()).prop_map(|(head_method, request, response)| Plan {
        head_method,
        request,
        response,
    })
}

/// Capture tells of what it loses; that it cannot tell (`silent` above 0) is tried where no client pipelines, because
/// pipelined responses cannot be counted off when bytes may be missing anywhere.
fn fate(silent: u32) -> impl Strategy<Value = Fate> {
    prop_oneof![
        16 => Just(Fate::Arrives),
        2 => Just(Fate::Lost),
        silent => Just(Fate::LostSilently),
        1 => (0_usize..60, 0_usize..20).prop_map(|(head, tail)| Fate::Cut(head, tail)),
        1 => Just(Fate::Doubled),
        1 => Just(Fate::Overtaken),
    ]
}

fn batches(most_pipelined: usize) -> impl Strategy<Value = Vec<Batch>> {
    let plans = prop::collection::vec(plan(), 1..=most_pipelined);
    prop::collection::vec(
        (plans, prop::collection::vec(any::<prop::sample::Index>(), 0..4)),
        1..20,
    )
}

impl Body {
    fn write(self, bytes: &mut Vec<u8>) {
        match self {
            Self::None => bytes.extend(b"Content-Length: 0\r\n\r\n"),
            Self::Length(length) => {
                bytes.extend(format!("Content-Length: {length}\r\n\r\n").bytes());
                bytes.extend(vec![b'x'; usize::from(length)]);
            }
            Self::Chunked(length) => {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                for part in vec![b'y'; usize::from(length)].chunks(100) {
                    bytes.extend(
                        format!("{:x}\r\n", part.len())
                            .bytes()
                            .chain(part.iter().copied())
                            .chain(*b"\r\n"),
                    );
                }
                bytes.extend(b"0\r\n\r\n");
            }
        }
    }

    fn length(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Length(length) | Self::Chunked(length) => u64::from(length),
        }
    }
}

/// What was sent, to compare with what is found.
struct Sent {
    path: String,
    plan: Plan,
    status: u16,
    request_offset: u64,
    response_offset: u64,
}

/// A process at one end of a connection, watched through a lossy capture.
struct Watched {
    role: Role,
    connection: Connection,
    found: Vec<Exchange>,
    sent: Vec<Sent>,
    time: u64,
    offsets: [u64; 2],
    skipped: [u64; 2],
    overtaken: [Option<(u64, Vec<u8>, u64)>; 2],
    fates: Vec<Fate>,
    next_fate: usize,
}

impl Watched {
    fn new(role: Role, fates: Vec<Fate>) -> Self {
        let mut connection = connection(role);
        connection.start_at(0, 0);
        Self {
            role,
            connection,
            found: Vec::new(),
            sent: Vec::new(),
            time: 1_000,
            offsets: [0; 2],
            skipped: [0; 2],
            overtaken: [const { None }; 2],
            fates,
            next_fate: 0,
        }
    }

    fn fate(&mut self) -> Fate {
        self.next_fate += 1;
        self.fates
            .get(self.next_fate % (self.fates.len() + 1))
            .copied()
            .unwrap_or(Fate::Arrives)
    }

    fn batch(&mut self, plans: &[Plan], cuts: &[prop::sample::Index]) {
        let (mut requests, mut responses) = (Vec::new(), Vec::new());
        for plan in plans {
            let number = self.sent.len();
            let status = 400 + (number % 500) as u16;
            self.sent.push(Sent {
                path: format!("/r{number}"),
                plan: *plan,
                status,
                request_offset: self.offsets[0] + requests.len() as u64,
                response_offset: self.offsets[1] + responses.len() as u64,
            });
            let method = if plan.head_method { "HEAD" } else { "POST" };
            requests.extend(format!("{method} /r{number} HTTP/1.1\r\nHost: a\r\n").bytes());
            plan.request.write(&mut requests);
            responses.extend(format!("HTTP/1.1 {status} Some Reason\r\nServer: s\r\n").bytes());
            let body_at = responses.len();
            plan.response.write(&mut responses);
            if plan.head_method {
                let head = responses[body_at..]
                    .windows(4)
                    .position(|four| four == b"\r\n\r\n")
                    .unwrap();
                responses.truncate(body_at + head + 4);
            }
        }
        for (flow, bytes) in [(Flow::Request, requests), (Flow::Response, responses)] {
            for range in ranges(bytes.len(), cuts) {
                let fate = self.fate();
                self.call(flow, &bytes[range], fate);
            }
            self.overtaken_arrives(flow);
        }
    }

    fn call(&mut self, flow: Flow, bytes: &[u8], fate: Fate) {
        self.time += 10;
        let side = flow as usize;
        let offset = self.offsets[side];
        self.offsets[side] += bytes.len() as u64;
        let time = self.time;
        match fate {
            Fate::Lost => self.skipped[side] += bytes.len() as u64,
            // A client's request that is lost in silence cannot be told from one whose write has not returned yet.
            Fate::LostSilently if self.role == Role::Client => self.skipped[side] += bytes.len() as u64,
            Fate::LostSilently => {}
            Fate::Overtaken if self.overtaken[side].is_none() && self.skipped[side] == 0 => {
                self.overtaken[side] = Some((offset, bytes.to_vec(), time));
                return;
            }
            Fate::Arrives | Fate::Overtaken => self.push(flow, offset, bytes, 0, &[], time),
            Fate::Doubled => {
                self.push(flow, offset, bytes, 0, &[], time);
                self.push(flow, offset, bytes, 0, &[], time);
            }
            Fate::Cut(head, tail) => {
                let head = head.min(bytes.len());
                let tail = tail.min(bytes.len() - head);
                let hole = bytes.len() - head - tail;
                self.push(
                    flow,
                    offset,
                    &bytes[..head],
                    hole as u64,
                    &bytes[bytes.len() - tail..],
                    time,
                );
            }
        }
        self.overtaken_arrives(flow);
    }

    fn overtaken_arrives(&mut self, flow: Flow) {
        if let Some((offset, bytes, time)) = self.overtaken[flow as usize].take() {
            // What was lost meanwhile stood after it.
            let skipped = std::mem::take(&mut self.skipped[flow as usize]);
            self.push(flow, offset, &bytes, 0, &[], time);
            self.skipped[flow as usize] = skipped;
        }
    }

    fn push(&mut self, flow: Flow, offset: u64, head: &[u8], hole: u64, tail: &[u8], time: u64) {
        let skipped = std::mem::take(&mut self.skipped[flow as usize]);
        let direction = direction(self.role, flow);
        let chunk = Chunk {
            direction,
            offset,
            skipped,
            head,
            hole,
            tail,
            moment: moment(time),
        };
        self.connection.push(chunk, &mut self.found);
    }

    /// Everything found was sent just so.
    fn check(&self) {
        let mut seen = vec![false; self.sent.len()];
        for exchange in &self.found {
            let http = http(exchange);
            let index = self.sent.iter().position(|sent| sent.path == http.target);
            let index = index.unwrap_or_else(|| panic!("{} was never sent", http.target));
            let sent = &self.sent[index];
            assert!(
                !std::mem::replace(&mut seen[index], true),
                "{} was found twice",
                sent.path
            );
            assert_eq!(http.method, if sent.plan.head_method { "HEAD" } else { "POST" });
            assert_eq!(exchange.request_offset, sent.request_offset, "{}", sent.path);
            assert_eq!(
                exchange.response_offset.unwrap_or(sent.response_offset),
                sent.response_offset,
                "{}",
                sent.path
            );
            assert_eq!(http.status.unwrap_or(sent.status), sent.status, "{}", sent.path);
            let request = sent.plan.request.length();
            assert_eq!(http.request_body.unwrap_or(request), request, "{}", sent.path);
            let response = if sent.plan.head_method {
                0
            } else {
                sent.plan.response.length()
            };
            assert_eq!(http.response_body.unwrap_or(response), response, "{}", sent.path);
            assert!(exchange.ended >= exchange.started);
        }
    }
}

fn ranges(length: usize, cuts: &[prop::sample::Index]) -> Vec<Range<usize>> {
    let mut at: Vec<usize> = cuts
        .iter()
        .map(|cut| cut.index(length))
        .chain([0, length])
        .collect();
    at.sort_unstable();
    at.dedup();
    at.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// Plays it with losses, then some exchanges without.
fn survives(role: Role, batches: &[Batch], fates: Vec<Fate>) {
    let mut watched = Watched::new(role, Vec::new());
    if batches.iter().any(|(plans, _)| plans.len() > 1) {
        // Who pipelines was seen to: before that, a response without a request explains what is missing.
        watched.batch(&[CALM, CALM], &[]);
    }
    watched.fates = fates;
    for (plans, cuts) in batches {
        watched.batch(plans, cuts);
    }
    watched.fates.clear();
    let first_calm = watched.sent.len();
    for _ in 0..6 {
        watched.time += 1_000_000_000;
        watched.batch(&[CALM], &[]);
    }
    watched.check();
    if watched.connection.protocol() == Some("unknown") {
        return;
    }
    let calm = &watched.sent[first_calm + 3..];
    let complete = |path: &str| {
        watched
            .found
            .iter()
            .any(|exchange| http(exchange).target == path && exchange.ending == Ending::Complete)
    };
    for sent in calm {
        assert!(complete(&sent.path), "{} was not found", sent.path);
    }
}

/// Cases a test: `CASES=1000000` for a long run.
fn cases() -> u32 {
    std::env::var("CASES").map_or(2_000, |cases| cases.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn one_request_at_a_time(
        batches in batches(1),
        fates in prop::collection::vec(fate(1), 0..60),
        client in any::<bool>(),
    ) {
        survives(if client { Role::Client } else { Role::Server }, &batches, fates);
    }

    #[test]
    fn pipelined(
        batches in batches(4),
        fates in prop::collection::vec(fate(0), 0..60),
        client in any::<bool>(),
    ) {
        survives(if client { Role::Client } else { Role::Server }, &batches, fates);
    }

    #[test]
    fn without_losses_all_is_found(batches in batches(4), client in any::<bool>(), overtaken in prop::collection::vec(any::<bool>(), 1..50)) {
        let fates = overtaken.into_iter().map(|overtaken| if overtaken { Fate::Overtaken } else { Fate::Doubled }).collect();
        let mut watched = Watched::new(if client { Role::Client } else { Role::Server }, fates);
        for (plans, cuts) in &batches {
            watched.batch(plans, cuts);
        }
        watched.fates.clear();
        watched.batch(&[Plan { head_method: false, request: Body::None, response: Body::None }], &[]);
        watched.check();
        prop_assert_eq!(watched.found.len(), watched.sent.len());
        prop_assert!(watched.found.iter().all(|exchange| exchange.ending == Ending::Complete));
    }
}
