//! The recorded streams through a whole connection: detected, in order, and with writes that are reported late.

use agent_protocols::{
    Chunk, Connection, Direction, Exchange, Limits, Role,
    connection::ConnectionContext,
    session::{Closing, Flow},
};

use crate::{
    captures,
    play::{Call, context, moment, play, whole},
};

/// Pushes the calls in the order in which `order` lists them.
fn through_connection(
    calls: &[Call],
    order: impl Iterator<Item = usize>,
) -> (Vec<Exchange>, Option<&'static str>) {
    let context = ConnectionContext {
        role: Role::Client,
        limits: Limits::default(),
        report_noise: false,
    };
    let mut connection = Connection::new(context);
    let mut out = Vec::new();
    for number in order {
        let call = &calls[number];
        let before = calls[..number].iter().filter(|other| other.flow == call.flow);
        let chunk = Chunk {
            direction: if call.flow == Flow::Request {
                Direction::Sent
            } else {
                Direction::Received
            },
            offset: before.map(|other| other.bytes.len() as u64).sum(),
            skipped: 0,
            head: &call.bytes,
            hole: 0,
            tail: &[],
            moment: moment(number),
        };
        connection.push(chunk, &mut out);
    }
    connection.close(Closing::Both, moment(calls.len()), &mut out);
    (out, connection.protocol())
}

#[test]
fn a_connection_finds_what_a_session_finds() {
    for capture in captures::all() {
        let (expected, _) = play(context(Role::Client), &capture.calls, whole);
        let (found, protocol) = through_connection(&capture.calls, 0..capture.calls.len());
        assert_eq!(protocol, Some("postgresql"), "{}", capture.name);
        assert_eq!(found, expected, "{}", capture.name);
    }
}

#[test]
fn writes_that_are_reported_after_the_answer_was_read() {
    for capture in captures::all() {
        let (expected, _) = play(context(Role::Client), &capture.calls, whole);
        let mut order: Vec<usize> = (0..capture.calls.len()).collect();
        let flow = |number: usize| capture.calls[number].flow;
        let mut at = 2;
        while at + 1 < order.len() {
            // Each single write changes places with the first read of its answer. Behind another write (a pipeline)
            // the order of observation is that of the calls: there the same thread writes and reads.
            let alone = flow(at - 1) == Flow::Response && flow(at) == Flow::Request;
            if alone && flow(at + 1) == Flow::Response {
                order.swap(at, at + 1);
                at += 1;
            }
            at += 1;
        }
        let (found, _) = through_connection(&capture.calls, order.into_iter());
        assert_eq!(found.len(), expected.len(), "{}", capture.name);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.detail, expected.detail, "{}", capture.name);
        }
    }
}
