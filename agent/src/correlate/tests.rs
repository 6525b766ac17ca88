use std::sync::Arc;

use agent_protocols::{
    Unit,
    exchange::{Ending, Http},
};

use super::*;
use crate::conventions::Endpoints;

/// Ids that count up.
struct Counting(u64);

impl Ids for Counting {
    fn trace_id(&mut self) -> TraceId {
        self.0 += 1;
        TraceId::from_bytes(u128::from(self.0).to_be_bytes())
    }

    fn span_id(&mut self) -> SpanId {
        self.0 += 1;
        SpanId::from_bytes(self.0.to_be_bytes())
    }
}

fn exchange(role: Role, tid: u32, blocking: bool, started: u64, ended: u64, connection: u64) -> Located {
    let unit = Unit {
        pid: 1,
        tid,
        blocking,
    };
    Located {
        exchange: Exchange {
            role,
            started,
            ended,
            request_unit: unit,
            response_unit: Some(unit),
            request_offset: 0,
            response_offset: Some(0),
            ending: Ending::Complete,
            detail: Detail::Http(Http::default()),
        },
        endpoints: Arc::new(Endpoints::default()),
        connection,
    }
}

fn correlator() -> Correlator<Counting> {
    Correlator::new(Counting(0))
}

#[test]
fn calls_of_a_thread_that_serves_a_blocking_socket_are_children_of_the_request() {
    let (mut correlator, mut out) = (correlator(), Vec::new());
    correlator.request_read(7, 1, 100, &mut out);
    correlator.handle(exchange(Role::Client, 7, true, 110, 120, 2), &mut out);
    correlator.handle(exchange(Role::Client, 7, false, 130, 140, 3), &mut out);
    assert!(out.is_empty(), "children wait for their parent");
    correlator.handle(exchange(Role::Server, 7, true, 100, 150, 1), &mut out);
    let [first, second, parent] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(
        (first.parent, second.parent),
        (Some(parent.span_id), Some(parent.span_id))
    );
    assert_eq!(
        (first.trace_id, second.trace_id),
        (parent.trace_id, parent.trace_id)
    );
    assert_eq!(parent.parent, None);
}

#[test]
fn a_thread_on_a_nonblocking_socket_gives_no_parent() {
    let (mut correlator, mut out) = (correlator(), Vec::new());
    correlator.handle(exchange(Role::Client, 7, true, 110, 120, 2), &mut out);
    correlator.handle(exchange(Role::Server, 7, false, 100, 150, 1), &mut out);
    assert_eq!(out.len(), 2);
    assert!(out.iter().all(|placed| placed.parent.is_none()));
    assert_ne!(out[0].trace_id, out[1].trace_id);
}

#[test]
fn a_response_written_by_another_thread_gives_no_parent() {
    let (mut correlator, mut out) = (correlator(), Vec::new());
    correlator.request_read(7, 1, 100, &mut out);
    correlator.handle(exchange(Role::Client, 7, true, 110, 120, 2), &mut out);
    let mut server = exchange(Role::Server, 7, true, 100, 150, 1);
    server.exchange.response_unit = Some(Unit {
        pid: 1,
        tid: 8,
        blocking: true,
    });
    correlator.handle(server, &mut out);
    assert!(out.iter().all(|placed| placed.parent.is_none()));
}

#[test]
fn a_call_before_the_request_or_of_another_thread_gets_no_parent() {
    let (mut correlator, mut out) = (correlator(), Vec::new());
    correlator.request_read(7, 1, 100, &mut out);
    correlator.handle(exchange(Role::Client, 7, true, 90, 120, 2), &mut out);
    correlator.handle(exchange(Role::Client, 8, true, 110, 120, 3), &mut out);
    correlator.handle(exchange(Role::Server, 7, true, 100, 150, 1), &mut out);
    assert_eq!(out.len(), 3);
    assert!(out.iter().all(|placed| placed.parent.is_none()));
}

#[test]
fn the_next_request_of_a_thread_does_not_inherit_calls_of_one_that_never_ended() {
    let (mut correlator, mut out) = (correlator(), Vec::new());
    correlator.request_read(7, 1, 100, &mut out);
    correlator.handle(exchange(Role::Client, 7, true, 110, 120, 2), &mut out);
    correlator.request_read(7, 5, 200, &mut out);
    assert_eq!(out.len(), 1);
    correlator.handle(exchange(Role::Client, 7, true, 210, 220, 2), &mut out);
    correlator.handle(exchange(Role::Server, 7, true, 200, 250, 5), &mut out);
    assert_eq!(out[0].parent, None);
    assert_eq!(out[1].parent, Some(out[2].span_id));
}

#[test]
fn what_waits_too_long_goes_without_a_parent_and_is_counted() {
    let (mut correlator, mut out) = (correlator(), Vec::new());
    correlator.request_read(7, 1, 100, &mut out);
    correlator.handle(exchange(Role::Client, 7, true, 110, 120, 2), &mut out);
    correlator.poll(100 + WAIT_NANOS, &mut out);
    assert!(out.is_empty());
    correlator.poll(101 + WAIT_NANOS, &mut out);
    assert_eq!((out.len(), out[0].parent), (1, None));
    assert_eq!(correlator.counts().expired, 1);
}

#[test]
fn waiting_is_bounded_and_what_cannot_wait_is_counted() {
    let (mut correlator, mut out) = (correlator(), Vec::new());
    correlator.request_read(7, 1, 100, &mut out);
    for _ in 0..=WAITING_PER_THREAD {
        correlator.handle(exchange(Role::Client, 7, true, 110, 120, 2), &mut out);
    }
    assert_eq!((out.len(), correlator.counts().over_limit), (1, 1));
    correlator.finish(&mut out);
    assert_eq!(out.len(), WAITING_PER_THREAD + 1);
}

#[test]
fn an_incoming_trace_is_adopted_by_the_server_and_its_calls() {
    let (mut correlator, mut out) = (correlator(), Vec::new());
    correlator.request_read(7, 1, 100, &mut out);
    correlator.handle(exchange(Role::Client, 7, true, 110, 120, 2), &mut out);
    let mut server = exchange(Role::Server, 7, true, 100, 150, 1);
    server.exchange.detail = Detail::Http(Http {
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        tracestate: Some("x=y".into()),
        ..Http::default()
    });
    correlator.handle(server, &mut out);
    let [call, server] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(server.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(server.parent.unwrap().to_string(), "00f067aa0ba902b7");
    assert_eq!(
        (call.trace_id, call.parent),
        (server.trace_id, Some(server.span_id))
    );
    assert_eq!(call.trace_state.as_deref(), Some("x=y"));
}

#[test]
fn the_end_of_the_connection_lets_its_calls_go_without_a_parent() {
    let (mut correlator, mut out) = (correlator(), Vec::new());
    correlator.request_read(7, 1, 100, &mut out);
    correlator.handle(exchange(Role::Client, 7, true, 110, 120, 2), &mut out);
    correlator.connection_ended(1, &mut out);
    assert_eq!((out.len(), out[0].parent), (1, None));
    correlator.handle(exchange(Role::Client, 7, true, 130, 140, 2), &mut out);
    assert_eq!(out.len(), 2, "nobody serves any more, so nothing waits");
}
