//! Any bytes, gaps and turns for a PostgreSQL session: it never fails, and holds no more than its bounds.
#![no_main]

use agent_protocols::{
    Limits, Moment, Role,
    detect::Detection,
    postgres::{PostgresSession, detect},
    session::{Closing, Content, Flow, Piece, Session, SessionContext},
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    from_start: bool,
    server: bool,
    pieces: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Request(&'a [u8]),
    Response(&'a [u8]),
    /// A well-formed message, so that the fuzzer need not guess lengths.
    Ask(u8, &'a [u8]),
    Answer(u8, &'a [u8]),
    LostRequest(u16),
    LostResponse(u16),
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u32 + 4;
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fuzz_target!(|input: Input<'_>| {
    let limits = Limits {
        query_bytes: 256,
        pending_requests: 16,
        statements: 8,
        ..Limits::default()
    };
    let role = if input.server { Role::Server } else { Role::Client };
    let context = SessionContext {
        role,
        from_start: input.from_start,
        limits,
        report_noise: true,
    };
    let mut session = PostgresSession::new(context);
    let mut out = Vec::new();
    let mut offsets = [0; 2];
    for (number, step) in input.pieces.iter().enumerate() {
        let (flow, bytes, gap) = match *step {
            Step::Request(bytes) => (Flow::Request, bytes.to_vec(), None),
            Step::Response(bytes) => (Flow::Response, bytes.to_vec(), None),
            Step::Ask(kind, body) => (Flow::Request, message(kind, body), None),
            Step::Answer(kind, body) => (Flow::Response, message(kind, body), None),
            Step::LostRequest(length) => (Flow::Request, Vec::new(), Some(u64::from(length))),
            Step::LostResponse(length) => (Flow::Response, Vec::new(), Some(u64::from(length))),
        };
        let first = detect(&bytes, context);
        assert!(bytes.len() < 64 || first != Detection::NeedMore);
        let began = number as u64 * 10;
        let moment = Moment {
            began,
            ended: began + 5,
            ..Moment::default()
        };
        let offset = &mut offsets[usize::from(flow == Flow::Response)];
        let content = gap.map_or(Content::Bytes(&bytes), Content::Gap);
        let piece = Piece {
            flow,
            offset: *offset,
            content,
            moment,
        };
        *offset += gap.unwrap_or(bytes.len() as u64);
        if session.feed(piece, &mut out).is_err() {
            return;
        }
        let _ = (
            session.verdict(),
            session.expects_response(),
            session.take_counts(),
        );
        assert!(session.held_bytes() < 1 << 20);
    }
    session.close(
        Closing::Both,
        Moment {
            began: u64::MAX,
            ended: u64::MAX,
            ..Moment::default()
        },
        &mut out,
    );
    for exchange in &out {
        assert!(exchange.ended >= exchange.started);
    }
});
