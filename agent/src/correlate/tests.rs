use std::sync::Arc;

use agent_common::unit::unit_kind::{CONTEXT, FOUND, GOROUTINE, JOB, SHIFT, THREAD};
use agent_protocols::{
    Detail, Exchange, Line, Step,
    exchange::{Ending, Http},
};

use super::*;
use crate::conventions::Endpoints;

mod own_sdk;
mod relays;
mod services;

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

const SECOND: u64 = 1_000_000_000;

fn thread(tid: u64) -> u64 {
    (THREAD << SHIFT) | tid
}

fn goroutine(id: u64) -> u64 {
    (GOROUTINE << SHIFT) | id
}

/// A context that was seen to be made then.
fn made(at: u64) -> u64 {
    (CONTEXT << SHIFT) | (at & !FOUND)
}

/// A context that was found in use.
fn found(number: u64) -> u64 {
    (CONTEXT << SHIFT) | number | FOUND
}

fn job(at: u64) -> u64 {
    (JOB << SHIFT) | at
}

/// A unit that comes from others: each with the moment at which it started the one before.
fn unit(first: u64, from: &[(u64, u64)]) -> Unit {
    let mut steps = [Step::default(); agent_protocols::chunk::LINE_STEPS];
    steps[0].id = first;
    for (step, &(id, until)) in steps[1..].iter_mut().zip(from) {
        *step = Step { id, until };
    }
    Unit {
        pid: 1,
        tid: 7,
        blocking: first >> SHIFT == THREAD,
        line: Line { steps },
    }
}

/// A process whose exchanges are played to a correlator.
struct Play {
    correlator: Correlator<Counting>,
    placed: Vec<Placed>,
}

impl Play {
    fn new() -> Self {
        Self {
            correlator: Correlator::new(Counting(0), LeaveOut::default()),
            placed: Vec::new(),
        }
    }

    fn read(&mut self, connection: u64, at: u64) {
        self.read_by(connection, at, &unit(thread(99), &[]));
    }

    fn read_by(&mut self, connection: u64, at: u64, unit: &Unit) {
        self.correlator.request_read(connection, at, unit);
    }

    /// A request that was read and answered.
    fn served(&mut self, connection: u64, unit: Unit, started: u64, ended: u64) {
        self.read(connection, started);
        self.answered(connection, unit, started, ended);
    }

    fn answered(&mut self, connection: u64, unit: Unit, started: u64, ended: u64) {
        self.correlator.response_written(connection, &unit);
        self.correlator
            .handle(located(Role::Server, connection, unit, started, ended));
    }

    fn called(&mut self, name: u64, unit: Unit, started: u64, ended: u64) {
        self.correlator.call_made(&unit, started);
        self.correlator
            .handle(located(Role::Client, name, unit, started, ended));
    }

    fn poll(&mut self, now: u64) {
        self.correlator.poll(now, &mut self.placed);
    }

    fn find(&self, connection: u64) -> Option<&Placed> {
        self.placed
            .iter()
            .find(|placed| placed.located.connection == connection)
    }

    fn parent(&self, connection: u64) -> Result<SpanId, Absence> {
        self.find(connection).expect("it has no place yet").parent
    }

    fn id(&self, connection: u64) -> SpanId {
        self.find(connection).expect("it has no place yet").span_id
    }
}

fn located(role: Role, connection: u64, unit: Unit, started: u64, ended: u64) -> Located {
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
        ends: None,
    }
}

#[test]
fn calls_of_a_thread_that_serves_a_blocking_socket_are_children_of_the_request() {
    let mut play = Play::new();
    play.called(2, unit(thread(7), &[]), 110, 120);
    play.read(1, 100);
    play.called(3, unit(thread(7), &[]), 130, 140);
    play.poll(SECOND);
    assert!(play.find(3).is_none(), "a call waits for its request");
    play.answered(1, unit(thread(7), &[]), 100, 150);
    play.poll(SECOND);
    assert_eq!(play.parent(3), Ok(play.id(1)));
    assert_eq!(play.parent(1), Err(Absence::SenderNotWatched));
    assert_eq!(play.find(3).unwrap().trace_id, play.find(1).unwrap().trace_id);
}

#[test]
fn a_thread_on_a_nonblocking_socket_owns_nothing() {
    let mut play = Play::new();
    let loops = Unit {
        blocking: false,
        ..unit(thread(7), &[])
    };
    play.read(3, 105);
    play.served(1, loops, 100, 150);
    play.called(2, loops, 110, 120);
    play.answered(3, loops, 105, 160);
    play.poll(SECOND);
    assert_eq!(play.parent(2), Err(Absence::NotServing));
}

#[test]
fn a_task_answers_for_the_tasks_and_jobs_that_it_started() {
    let mut play = Play::new();
    let task = made(105);
    play.read(1, 100);
    play.called(2, unit(made(120), &[(task, 120)]), 125, 130);
    play.called(3, unit(job(121), &[(made(120), 121), (task, 120)]), 140, 145);
    play.called(4, unit(task, &[]), 146, 147);
    play.answered(1, unit(task, &[(found(1), 105)]), 100, 150);
    play.poll(SECOND);
    for call in [2, 3, 4] {
        assert_eq!(play.parent(call), Ok(play.id(1)), "call {call}");
    }
}

#[test]
fn a_task_that_works_on_after_the_response_works_for_its_own_request() {
    let mut play = Play::new();
    let (first, second) = (made(105), made(305));
    play.served(1, unit(first, &[]), 100, 200);
    play.served(1, unit(second, &[(first, 305)]), 300, 400);
    play.called(2, unit(first, &[]), 350, 360);
    // Such as Starlette's background tasks in threads.
    play.called(3, unit(made(220), &[(first, 220)]), 370, 380);
    // Started before the response, it may as well be a helper that serves everybody.
    play.called(4, unit(made(190), &[(first, 190)]), 370, 380);
    play.poll(SECOND);
    let spans: Vec<SpanId> = play
        .placed
        .iter()
        .filter(|placed| placed.located.connection == 1)
        .map(|placed| placed.span_id)
        .collect();
    assert_eq!(play.parent(2), Ok(spans[0]));
    assert_eq!(play.parent(3), Ok(spans[0]));
    assert_eq!(play.parent(4), Err(Absence::OutlivedRequest));
}

#[test]
fn a_goroutine_works_for_the_next_request_from_its_own_first_read_on() {
    let mut play = Play::new();
    let serve = unit(goroutine(5), &[]);
    play.read_by(1, 100, &serve);
    play.answered(1, serve, 100, 200);
    // Another goroutine reads the first byte of the next request, while the handler of the first goes on.
    play.read_by(1, 210, &unit(goroutine(6), &[(goroutine(5), 101)]));
    play.called(2, serve, 220, 230);
    play.read_by(1, 240, &serve);
    play.called(3, serve, 250, 260);
    play.answered(1, serve, 210, 300);
    play.poll(SECOND);
    let second = play
        .placed
        .iter()
        .rfind(|placed| placed.located.connection == 1)
        .unwrap();
    assert_eq!(play.parent(3), Ok(second.span_id));
    assert!(play.parent(2).is_err());
}

#[test]
fn a_nearer_request_that_is_not_answered_yet_is_waited_for() {
    let mut play = Play::new();
    let (first, second) = (made(105), made(155));
    // As uvicorn does with pipelined requests: the task of the second is started by that of the first.
    play.served(1, unit(first, &[]), 100, 160);
    play.read(2, 150);
    play.called(3, unit(made(156), &[(second, 156), (first, 155)]), 157, 158);
    play.poll(SECOND);
    assert!(play.find(3).is_none());
    play.answered(2, unit(second, &[(first, 155)]), 150, 170);
    play.poll(SECOND);
    assert_eq!(play.parent(3), Ok(play.id(2)));
}

#[test]
fn a_context_that_answers_several_requests_at_once_owns_none() {
    let mut play = Play::new();
    let all = found(9);
    play.served(1, unit(all, &[]), 100, 200);
    play.served(2, unit(all, &[]), 150, 250);
    play.called(3, unit(all, &[]), 110, 120);
    play.poll(SECOND);
    assert_eq!(play.parent(3), Err(Absence::SeveralRequests));
}

#[test]
fn a_goroutine_counts_for_its_request_only_while_that_is_open() {
    let mut play = Play::new();
    let serve = goroutine(5);
    play.served(1, unit(serve, &[]), 100, 200);
    play.called(2, unit(goroutine(6), &[(serve, 110)]), 120, 130);
    play.called(3, unit(goroutine(7), &[(serve, 110)]), 220, 230);
    // One of a pool that the request was the first to need.
    play.called(4, unit(goroutine(8), &[(serve, 110)]), 150, 160);
    play.called(5, unit(goroutine(8), &[(serve, 110)]), 300, 310);
    play.poll(SECOND);
    assert_eq!(play.parent(2), Ok(play.id(1)));
    for call in [3, 4, 5] {
        assert_eq!(play.parent(call), Err(Absence::OutlivedRequest), "call {call}");
    }
}

#[test]
fn a_stream_that_never_ends_does_not_keep_others_waiting() {
    let mut play = Play::new();
    play.read(1, 50);
    play.correlator.response_written(1, &unit(made(60), &[]));
    play.served(2, unit(made(105), &[]), 100, 200);
    play.called(3, unit(made(110), &[(made(105), 110)]), 120, 130);
    play.poll(SECOND);
    assert_eq!(play.parent(3), Ok(play.id(2)));
}

#[test]
fn a_call_waits_for_a_bounded_time() {
    let mut play = Play::new();
    play.read(1, 50);
    play.called(2, unit(made(110), &[]), 120, 130);
    play.poll(SECOND);
    assert!(play.find(2).is_none());
    play.poll(200 * SECOND);
    play.poll(400 * SECOND);
    assert!(play.parent(2).is_err());
}

fn joined(role: Role, connection: u64, ends: Ends, started: u64, ended: u64) -> Located {
    Located {
        ends: Some(ends),
        ..located(role, connection, unit(thread(connection), &[]), started, ended)
    }
}

#[test]
fn a_request_is_the_child_of_the_call_at_the_other_end() {
    let mut play = Play::new();
    let ends = Ends::sample(1, 2);
    play.correlator.opened(ends, Role::Client);
    play.correlator
        .handle(joined(Role::Server, 2, ends.other(), 110, 120));
    play.poll(SECOND);
    assert!(play.find(2).is_none(), "its sender is watched and not done");
    play.correlator.handle(joined(Role::Client, 1, ends, 100, 130));
    play.poll(2 * SECOND);
    assert_eq!(play.parent(2), Ok(play.id(1)));
    assert_eq!(play.find(1).unwrap().trace_id, play.find(2).unwrap().trace_id);
}

#[test]
fn ends_that_are_the_same_at_another_time_are_not_joined() {
    let mut play = Play::new();
    let ends = Ends::sample(1, 2);
    play.correlator.handle(joined(Role::Client, 1, ends, 100, 130));
    play.correlator
        .handle(joined(Role::Server, 2, ends.other(), 5_000_000, 6_000_000));
    play.poll(SECOND);
    assert_eq!(play.parent(2), Err(Absence::SenderNotWatched));
}

#[test]
fn a_traceparent_is_adopted() {
    let mut play = Play::new();
    let mut request = located(Role::Server, 1, unit(thread(7), &[]), 100, 150);
    if let Detail::Http(http) = &mut request.exchange.detail {
        http.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".to_owned());
        http.tracestate = Some("a=1".to_owned());
    }
    play.read(1, 100);
    play.called(2, unit(thread(7), &[]), 110, 120);
    play.correlator.handle(request);
    play.poll(SECOND);
    let (parent, child) = (play.find(1).unwrap(), play.find(2).unwrap());
    assert_eq!(parent.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(parent.parent.unwrap().to_string(), "00f067aa0ba902b7");
    assert_eq!(
        (child.trace_id, child.parent),
        (parent.trace_id, Ok(parent.span_id))
    );
    assert_eq!(
        (child.sampled, child.trace_state.as_deref()),
        (Some(false), Some("a=1"))
    );
}

#[test]
fn everything_is_let_go_at_the_end() {
    let mut play = Play::new();
    play.read(1, 50);
    play.called(2, unit(made(110), &[]), 120, 130);
    let ends = Ends::sample(1, 2);
    play.correlator.opened(ends, Role::Client);
    play.correlator
        .handle(joined(Role::Server, 3, ends.other(), 110, 120));
    play.correlator.finish(&mut play.placed);
    assert_eq!(play.placed.len(), 2);
}

/// The same run in several orders of arrival, as CPUs that report at different times give them.
#[test]
fn the_order_of_arrival_does_not_matter() {
    let parents = |order: &[usize]| {
        let mut play = Play::new();
        let task = made(105);
        play.read(1, 100);
        for step in order {
            match step {
                0 => play.called(2, unit(made(120), &[(task, 120)]), 125, 130),
                1 => play.answered(1, unit(task, &[]), 100, 150),
                2 => play.called(3, unit(task, &[]), 140, 145),
                _ => play.called(4, unit(found(77), &[]), 141, 149),
            }
        }
        play.poll(SECOND);
        let named = |call| play.parent(call).map(|parent| parent == play.id(1));
        [named(2), named(3), named(4)]
    };
    let expected = [Ok(true), Ok(true), Err(Absence::NotServing)];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        assert_eq!(parents(&order), expected, "{order:?}");
    }
}

#[test]
fn a_request_may_be_answered_by_a_task_of_its_task() {
    let mut play = Play::new();
    let (first, second) = (made(105), made(120));
    play.read(1, 100);
    play.called(2, unit(first, &[(found(1), 105)]), 110, 115);
    play.called(3, unit(first, &[(found(1), 105)]), 130, 135);
    play.answered(1, unit(second, &[(first, 120), (found(1), 105)]), 100, 150);
    play.poll(SECOND);
    assert_eq!((play.parent(2), play.parent(3)), (Ok(play.id(1)), Ok(play.id(1))));
}
