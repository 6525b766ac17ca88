//! Programs with an SDK of their own: whose spans are left out, and what hangs where.

use agent_protocols::exchange::Sql;

use super::*;

/// A trace that somebody else began, and spans of it.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER_TRACE: &str = "5b8efff798038103d269b633813fc60c";
const EDGE: &str = "00f067aa0ba902b7";
const SDK_CALL: &str = "eee19b7ec3c1b174";

const ALL: Exported = Exported {
    spans: true,
    server: true,
    client: true,
    database: false,
};
const SPANS_ALONE: Exported = Exported {
    spans: true,
    server: false,
    client: false,
    database: false,
};

fn context(trace: &str, span: &str) -> String {
    format!("00-{trace}-{span}-01")
}

fn trace(hex: &str) -> TraceId {
    TraceId::from_hex(hex).unwrap()
}

fn span(hex: &str) -> SpanId {
    SpanId::from_hex(hex).unwrap()
}

/// The same exchange with a `traceparent`.
fn carrying(mut located: Located, context: &str) -> Located {
    if let Detail::Http(http) = &mut located.exchange.detail {
        http.traceparent = Some(context.to_owned());
    }
    located
}

/// The same exchange of another process.
fn of(pid: u32, mut located: Located) -> Located {
    located.exchange.request_unit.pid = pid;
    if let Some(unit) = &mut located.exchange.response_unit {
        unit.pid = pid;
    }
    located
}

/// A call of the thread that serves requests in these tests.
fn call(name: u64, started: u64, ended: u64) -> Located {
    located(Role::Client, name, unit(thread(7), &[]), started, ended)
}

fn statement(name: u64, started: u64, ended: u64) -> Located {
    let mut statement = call(name, started, ended);
    statement.exchange.detail = Detail::Sql(Sql::default());
    statement
}

fn request(name: u64, started: u64, ended: u64) -> Located {
    located(Role::Server, name, unit(thread(7), &[]), started, ended)
}

impl Play {
    fn exported(&mut self, role: Role, at: u64, exported: Exported) {
        self.correlator.exported(1, role, at, exported);
    }

    fn take(&mut self, located: Located) {
        self.correlator.handle(located);
    }

    /// A request that process 1 serves with these calls.
    fn serves(&mut self, request: Located, calls: Vec<Located>) {
        let at = request.exchange.started;
        self.read(request.connection, at);
        for call in calls {
            self.correlator
                .call_made(&call.exchange.request_unit, call.exchange.started);
            self.take(call);
        }
        self.correlator
            .response_written(request.connection, &unit(thread(7), &[]));
        self.take(request);
    }

    /// Trace, parent, and why it is no span.
    fn place(&self, connection: u64) -> (TraceId, Result<SpanId, Absence>, Option<LeftOut>) {
        let placed = self.find(connection).expect("it has no place yet");
        (placed.trace_id, placed.parent, placed.left_out)
    }
}

const LEFT_OUT: Option<LeftOut> = Some(LeftOut::ExportedBySdk);

#[test]
fn what_an_sdk_traces_is_joined_as_long_as_its_exports_are_not_known() {
    let mut play = Play::new();
    let traced = carrying(call(2, 110, 120), &context(TRACE, SDK_CALL));
    play.serves(request(1, 100, 150), vec![traced, statement(3, 130, 140)]);
    play.poll(SECOND);
    assert_eq!(play.place(2), (trace(TRACE), Ok(span(SDK_CALL)), None));
    assert_eq!(
        play.place(1),
        (trace(TRACE), Err(Absence::SenderNotWatched), None)
    );
    assert_eq!(play.place(3), (trace(TRACE), Ok(play.id(1)), None));
    assert_eq!(play.find(1).unwrap().sampled, Some(true));
}

#[test]
fn what_an_sdk_exports_is_left_out_and_what_hung_on_it_begins_in_its_trace() {
    let mut play = Play::new();
    play.exported(Role::Client, 50, ALL);
    let traced = carrying(call(2, 110, 120), &context(TRACE, SDK_CALL));
    play.serves(request(1, 100, 150), vec![statement(3, 105, 108), traced]);
    play.poll(SECOND);
    assert_eq!(play.place(1).2, LEFT_OUT);
    assert_eq!(play.place(2).2, LEFT_OUT);
    assert_eq!(play.place(3), (trace(TRACE), Err(Absence::ExportedBySdk), None));
}

#[test]
fn what_hung_on_a_request_that_is_left_out_hangs_on_what_that_came_with() {
    let mut play = Play::new();
    play.exported(Role::Client, 50, ALL);
    let came = carrying(request(1, 100, 150), &context(TRACE, EDGE));
    let traced = carrying(call(2, 110, 120), &context(TRACE, SDK_CALL));
    play.serves(came, vec![traced, statement(3, 130, 140)]);
    // Late: its request has its place already.
    play.poll(SECOND);
    play.take(statement(4, 145, SECOND));
    play.poll(3 * SECOND);
    for statement in [3, 4] {
        assert_eq!(play.place(statement), (trace(TRACE), Ok(span(EDGE)), None));
    }
}

#[test]
fn without_any_context_what_hung_on_a_request_that_is_left_out_begins_a_trace() {
    let mut play = Play::new();
    play.exported(Role::Client, 50, ALL);
    play.serves(
        request(1, 100, 150),
        vec![statement(2, 110, 120), statement(3, 130, 140)],
    );
    play.poll(SECOND);
    assert_eq!(play.parent(2), Err(Absence::ExportedBySdk));
    assert_eq!(play.place(2), play.place(3));
}

#[test]
fn only_kinds_that_are_exported_and_wanted_are_left_out() {
    let left_out = |exported: Exported, leave_out: LeaveOut| {
        let mut play = Play::new();
        play.correlator = Correlator::new(Counting(0), leave_out);
        play.exported(Role::Client, 50, exported);
        play.serves(
            request(1, 100, 150),
            vec![call(2, 110, 120), statement(3, 130, 140)],
        );
        play.poll(SECOND);
        [1, 2, 3].map(|name| play.place(name).2.is_some())
    };
    let all = LeaveOut::default();
    assert_eq!(left_out(SPANS_ALONE, all), [false; 3]);
    assert_eq!(left_out(ALL, all), [true, true, false]);
    let database = Exported {
        database: true,
        ..SPANS_ALONE
    };
    assert_eq!(left_out(database, all), [false, false, true]);
    let server = LeaveOut {
        server: true,
        ..LeaveOut::NOTHING
    };
    assert_eq!(left_out(ALL, server), [true, false, false]);
    assert_eq!(left_out(ALL, LeaveOut::NOTHING), [false; 3]);
}

#[test]
fn exports_themselves_are_left_out_once_an_sdk_is_known() {
    let export = |at: u64| {
        let mut export = call(at, at, at + 10);
        if let Detail::Http(http) = &mut export.exchange.detail {
            http.method = "POST".to_owned();
            http.target = "/otlp/v1/metrics?key=a".to_owned();
        }
        export
    };
    let places = |leave_out: LeaveOut| {
        let mut play = Play::new();
        play.correlator = Correlator::new(Counting(0), leave_out);
        play.exported(Role::Client, 200, SPANS_ALONE);
        play.take(export(100));
        play.take(export(300));
        play.poll(SECOND);
        [100, 300].map(|name| play.place(name).2)
    };
    assert_eq!(places(LeaveOut::default()), [None, Some(LeftOut::SdkExport)]);
    assert_eq!(places(LeaveOut::NOTHING), [None; 2]);
}

#[test]
fn a_call_that_the_sdk_knows_nothing_of_stays() {
    let mut play = Play::new();
    play.exported(Role::Client, 50, ALL);
    let traced = carrying(call(2, 110, 120), &context(TRACE, SDK_CALL));
    play.serves(request(1, 100, 150), vec![traced, call(3, 130, 140)]);
    play.poll(SECOND);
    assert_eq!(play.place(3), (trace(TRACE), Err(Absence::ExportedBySdk), None));
}

#[test]
fn the_end_of_a_program_is_the_end_of_what_is_known_of_it() {
    let mut play = Play::new();
    play.exported(Role::Client, 50, ALL);
    play.take(request(1, 100, 150));
    play.correlator.program_ended(1, 200);
    play.take(request(2, 210, 250));
    play.exported(Role::Client, 300, ALL);
    play.take(request(3, 260, 290));
    play.take(request(4, 310, 350));
    play.poll(SECOND);
    assert_eq!(
        [1, 2, 3, 4].map(|name| play.place(name).2.is_some()),
        [false, false, false, true]
    );
}

#[test]
fn what_ended_with_its_program_is_left_out() {
    let mut play = Play::new();
    play.exported(Role::Client, 50, ALL);
    play.take(request(1, 100, 150));
    play.correlator.program_ended(1, 200);
    play.poll(SECOND);
    assert_eq!(play.place(1).2, LEFT_OUT);
    play.poll(1_000 * SECOND);
    play.take(request(2, 1_000 * SECOND, 1_001 * SECOND));
    play.poll(1_002 * SECOND);
    assert_eq!(play.place(2).2, None);
}

#[test]
fn what_a_collector_passes_on_says_nothing_of_it() {
    let mut play = Play::new();
    play.exported(Role::Client, 50, ALL);
    play.exported(Role::Server, 60, ALL);
    play.exported(Role::Client, 70, ALL);
    play.take(request(1, 100, 150));
    play.poll(SECOND);
    assert_eq!(play.place(1).2, None);
}

/// Both ends of a call, the request at the other end being of process 2.
fn both_ends(call: Located, request: Located) -> [Located; 2] {
    let ends = Ends::sample(call.connection, request.connection);
    let call = Located {
        ends: Some(ends),
        ..call
    };
    let request = Located {
        ends: Some(ends.other()),
        ..of(2, request)
    };
    [call, request]
}

#[test]
fn a_proxy_that_passes_the_header_on_stands_between() {
    let mut play = Play::new();
    let header = context(TRACE, EDGE);
    let [call, at_the_peer] = both_ends(
        carrying(call(2, 110, 140), &header),
        carrying(request(3, 115, 135), &header),
    );
    play.correlator.opened(call.ends.unwrap(), Role::Client);
    play.take(at_the_peer);
    play.serves(carrying(request(1, 100, 150), &header), vec![call]);
    play.poll(SECOND);
    assert_eq!(play.place(1), (trace(TRACE), Ok(span(EDGE)), None));
    assert_eq!(play.place(2), (trace(TRACE), Ok(play.id(1)), None));
    assert_eq!(play.place(3), (trace(TRACE), Ok(play.id(2)), None));
}

#[test]
fn a_request_hangs_on_the_call_at_the_other_end_or_where_that_is_left_out_on_the_sdk_s() {
    for (exported, parent_is_ours) in [(SPANS_ALONE, true), (ALL, false)] {
        let mut play = Play::new();
        play.exported(Role::Client, 50, exported);
        let header = context(TRACE, SDK_CALL);
        let [call, at_the_peer] = both_ends(
            carrying(call(2, 110, 140), &header),
            carrying(request(3, 115, 135), &header),
        );
        play.correlator.opened(call.ends.unwrap(), Role::Client);
        play.take(at_the_peer);
        play.serves(request(1, 100, 150), vec![call]);
        play.poll(SECOND);
        let parent = if parent_is_ours {
            play.id(2)
        } else {
            span(SDK_CALL)
        };
        assert_eq!(play.place(3), (trace(TRACE), Ok(parent), None));
    }
}

#[test]
fn a_request_that_carries_a_header_waits_a_while_for_the_call_and_then_has_that_parent() {
    let mut play = Play::new();
    let ends = Ends::sample(1, 2);
    play.correlator.opened(ends, Role::Client);
    let request = Located {
        ends: Some(ends.other()),
        ..request(2, 110, 120)
    };
    play.take(carrying(request, &context(TRACE, EDGE)));
    play.poll(SECOND);
    assert!(play.find(2).is_none());
    play.poll(11 * SECOND);
    assert_eq!(play.place(2), (trace(TRACE), Ok(span(EDGE)), None));
}

/// A program without an SDK calls one with an SDK, which begins a trace.
#[test]
fn what_called_a_program_with_an_sdk_is_of_the_trace_that_this_began() {
    for exported in [SPANS_ALONE, ALL] {
        let mut play = Play::new();
        play.exported(Role::Client, 50, exported);
        // Process 2 calls process 1.
        let [asks, asked] = both_ends(call(4, 80, 170), of(1, request(1, 100, 150)));
        let (asks, asked) = (of(2, asks), of(1, asked));
        play.correlator.opened(asks.ends.unwrap(), Role::Client);
        let traced = carrying(call(2, 110, 120), &context(TRACE, SDK_CALL));
        play.serves(asked, vec![traced, statement(3, 130, 140)]);
        play.take(asks);
        play.poll(SECOND);
        assert_eq!(play.place(4), (trace(TRACE), Err(Absence::NothingServed), None));
        assert_eq!((play.place(1).0, play.parent(1)), (trace(TRACE), Ok(play.id(4))));
        let parent = if exported == ALL { play.id(4) } else { play.id(1) };
        assert_eq!(play.place(3), (trace(TRACE), Ok(parent), None));
    }
}

#[test]
fn what_an_sdk_begins_within_a_trace_of_ours_that_went_stays_of_its_own() {
    let mut play = Play::new();
    play.exported(Role::Client, 50, ALL);
    let [asks, asked] = both_ends(call(4, 80, 170), request(1, 100, 150));
    let (asks, asked) = (of(2, asks), of(1, asked));
    play.correlator.opened(asks.ends.unwrap(), Role::Client);
    play.take(asks);
    play.poll(SECOND);
    let traced = carrying(call(2, 110, 120), &context(OTHER_TRACE, SDK_CALL));
    play.serves(asked, vec![traced, statement(3, 130, 140)]);
    play.poll(2 * SECOND);
    assert_eq!(play.parent(1), Ok(play.id(4)));
    assert_eq!(
        play.place(3),
        (trace(OTHER_TRACE), Err(Absence::ExportedBySdk), None)
    );
}

#[test]
fn an_unsampled_trace_of_an_sdk_is_unsampled_as_a_whole() {
    let mut play = Play::new();
    let unsampled = format!("00-{TRACE}-{SDK_CALL}-00");
    let traced = carrying(call(2, 110, 120), &unsampled);
    play.serves(request(1, 100, 150), vec![traced, statement(3, 130, 140)]);
    play.poll(SECOND);
    for name in [1, 2, 3] {
        assert_eq!(play.find(name).unwrap().sampled, Some(false));
    }
}

#[test]
fn a_call_for_which_nobody_is_known_hangs_on_what_it_carries() {
    let mut play = Play::new();
    play.take(carrying(call(2, 110, 120), &context(TRACE, SDK_CALL)));
    play.poll(SECOND);
    assert_eq!(play.place(2), (trace(TRACE), Ok(span(SDK_CALL)), None));
}
