//! What stdout shows, and when.

use std::{
    io::{Read as _, pipe},
    sync::{Arc, Mutex, mpsc},
};

use serde_json::json;

use super::{tree::Trace, *};
use crate::{
    correlate::Absence,
    span::{SpanKind, Status, Value},
};

const WIDTH: usize = 100;

fn query(trace: u128, id: u64, parent: Option<u64>) -> Span {
    Span {
        name: "SELECT users".to_owned(),
        kind: SpanKind::Client,
        attributes: vec![
            ("db.query.text", "SELECT * FROM users WHERE id = ?".into()),
            ("db.response.returned_rows", Value::Int(3)),
        ],
        ..Span::sample(trace, id, parent)
    }
}

fn failure(trace: u128, id: u64, parent: Option<u64>) -> Span {
    Span {
        name: "INSERT users".to_owned(),
        kind: SpanKind::Client,
        status: Status::Error("duplicate key".to_owned()),
        attributes: vec![("error.type", "23505".into())],
        ..Span::sample(trace, id, parent)
    }
}

fn drawn(spans: Vec<Span>) -> String {
    let mut out = Vec::new();
    draw::write(&Trace { spans }, Look::plain(WIDTH), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn line(span: &Span) -> String {
    let mut out = Vec::new();
    text::write(span, Look::plain(WIDTH), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn explaining() -> Look {
    Look::plain(WIDTH).explaining(true)
}

#[test]
fn json_is_what_the_contract_says() {
    let mut span = failure(0xabc, 0xdef, Some(1));
    span.attributes
        .extend([("a.number", Value::Int(7)), ("a.flag", Value::Bool(true))]);
    let mut out = Vec::new();
    json::write(&span, true, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches('\n').count(), 1);
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let resource = value["resource"].take();
    assert_eq!(resource["service.name"], json!("shop"));
    assert_eq!(resource["process.pid"], json!(4711));
    assert_eq!(
        value,
        json!({
            "traceId": "00000000000000000000000000000abc",
            "spanId": "0000000000000def",
            "parentSpanId": "0000000000000001",
            "name": "INSERT users",
            "kind": "CLIENT",
            "startTimeUnixNano": "1700000000000000000",
            "endTimeUnixNano": "1700000000010000000",
            "status": {"code": "ERROR", "message": "duplicate key"},
            "attributes": {"error.type": "23505", "a.number": 7, "a.flag": true},
            "resource": null,
        })
    );
}

#[test]
fn json_of_a_root_has_an_empty_parent() {
    let written = |explain| -> serde_json::Value {
        let mut out = Vec::new();
        json::write(&Span::sample(1, 2, None), explain, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    };
    let value = written(false);
    assert_eq!(value["parentSpanId"], json!(""));
    assert_eq!(value["status"], json!({"code": "UNSET", "message": ""}));
    assert_eq!(value.get("noParent"), None);
    assert_eq!(
        written(true)["noParent"],
        json!(Absence::SenderNotWatched.to_string())
    );
}

#[test]
fn text_says_it_in_one_line() {
    assert_eq!(
        line(&Span::sample(1, 2, None)),
        "2023-11-14T22:13:20.000000Z SERVER shop GET /users 200 10.00ms \
         trace=00000000000000000000000000000001 span=0000000000000002\n"
    );
    assert_eq!(
        line(&failure(1, 3, Some(2))),
        "2023-11-14T22:13:20.000000Z CLIENT shop INSERT users ERROR 23505 10.00ms \"duplicate key\" \
         trace=00000000000000000000000000000001 span=0000000000000003 parent=0000000000000002\n"
    );
}

#[test]
fn text_says_why_there_is_no_parent_if_asked() {
    let mut out = Vec::new();
    text::write(&Span::sample(1, 2, None), explaining(), &mut out).unwrap();
    text::write(&Span::sample(1, 3, Some(2)), explaining(), &mut out).unwrap();
    let shown = String::from_utf8(out).unwrap();
    let ends: Vec<_> = shown
        .lines()
        .map(|line| line.split_once(" span=").unwrap().1)
        .collect();
    let expected = format!("0000000000000002 no-parent=\"{}\"", Absence::SenderNotWatched);
    assert_eq!(ends, [&expected, "0000000000000003 parent=0000000000000002"]);
}

#[test]
fn text_from_the_network_cannot_steer_the_terminal() {
    let mut span = Span::sample(1, 2, None).of("sh\x1b[2Jop");
    span.attributes[1].1 = "/a\x1b]0;b\x07\nc".into();
    for shown in [line(&span), drawn(vec![span])] {
        assert!(
            !shown.trim_end().replace('\n', "").chars().any(char::is_control),
            "{shown:?}"
        );
    }
}

#[test]
fn a_trace_is_a_tree_on_a_time_line() {
    let spans = vec![
        query(1, 5, Some(4)).at(25, 50).of("users"),
        Span::sample(1, 4, Some(3)).at(20, 60).of("users"),
        failure(1, 6, Some(2)).at(80, 90),
        Span::sample(1, 3, Some(2)).at(10, 70),
        Span::sample(1, 2, None).at(0, 100),
    ];
    let expected = "\
trace 00000000000000000000000000000001  5 spans, 2 services, 100.00 ms
GET /users             shop   200           100.00 ms  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
├─ GET /users          shop   200            60.00 ms      ━━━━━━━━━━━━━━━━━━━━━━━━
│  └─ GET /users       users  200            40.00 ms          ━━━━━━━━━━━━━━━━
│     └─ SELECT users  users  3 rows         25.00 ms            ━━━━━━━━━━
└─ INSERT users        shop   ERROR 23505    10.00 ms                                  ━━━━

";
    assert_eq!(drawn(spans), expected);
}

#[test]
fn lines_fit_the_terminal() {
    let mut long = Span::sample(1, 3, Some(2))
        .at(40, 41)
        .of("a-service-with-a-very-long-name-indeed");
    long.attributes[1].1 = "/path".repeat(50).into();
    let spans = vec![Span::sample(1, 2, None).at(0, 100), long];
    for width in [60, 80, 200] {
        let mut out = Vec::new();
        draw::write(&Trace { spans: spans.clone() }, Look::plain(width), &mut out).unwrap();
        let drawn = String::from_utf8(out).unwrap();
        for line in drawn.lines().skip(1) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        assert!(drawn.contains('…') && drawn.contains('━'), "{drawn}");
    }
}

#[test]
fn a_span_whose_parent_is_missing_is_marked() {
    let drawn = drawn(vec![
        Span::sample(1, 2, None),
        query(1, 3, Some(99)),
        query(1, 4, Some(3)),
    ]);
    let starts: Vec<_> = drawn
        .lines()
        .skip(1)
        .take(3)
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    assert_eq!(starts, ["GET /users", "┄ SELECT users", "└─ SELECT users"]);
}

#[test]
fn a_tree_says_below_its_roots_why_they_have_no_parent_if_asked() {
    let mut lone = query(1, 5, None);
    lone.no_parent = Some(Absence::OutlivedRequest);
    let spans = vec![
        Span::sample(1, 2, None),
        query(1, 3, Some(2)),
        query(1, 4, Some(0x99)),
        lone,
    ];
    let mut out = Vec::new();
    draw::write(&Trace { spans }, explaining(), &mut out).unwrap();
    let drawn = String::from_utf8(out).unwrap();
    let shown: Vec<_> = drawn
        .lines()
        .skip(1)
        .map(|line| line.split("  shop").next().unwrap().trim_end())
        .collect();
    let expected = [
        "GET /users",
        "│  no parent: the request's sender is not a watched process of this host, and sent no traceparent",
        "└─ SELECT users",
        "┄ SELECT users",
        "   no parent: span 0000000000000099 was not seen before this was shown",
        "SELECT users",
        "   no parent: the task, thread or goroutine that made the call was started by a request but works on",
        "   after it, as those of pools do",
        "",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn circles_and_depth_do_no_harm() {
    let circle = vec![query(1, 2, Some(3)), query(1, 3, Some(2)), query(1, 4, Some(4))];
    assert_eq!(
        drawn(circle)
            .lines()
            .filter(|line| line.contains("SELECT"))
            .count(),
        3
    );
    let chain = (1..=3000)
        .map(|id| query(1, id, (id > 1).then(|| id - 1)))
        .collect();
    assert_eq!(
        drawn(chain).lines().filter(|line| line.contains("ms")).count(),
        3001
    );
}

#[test]
fn a_complete_trace_is_shown_when_it_has_settled() {
    let now = Instant::now();
    let mut buffer = TreeBuffer::default();
    buffer.push(query(1, 3, Some(2)), now);
    assert_eq!(buffer.next_due(), Some(now + tree::QUIET));
    buffer.push(Span::sample(1, 2, None), now);
    assert_eq!(buffer.next_due(), Some(now + tree::SETTLE));
    assert!(buffer.poll(now + tree::SETTLE / 2).is_empty());
    let traces = buffer.poll(now + tree::SETTLE);
    assert_eq!(
        traces.iter().map(|trace| trace.spans.len()).collect::<Vec<_>>(),
        [2]
    );
    assert_eq!(buffer.next_due(), None);
}

#[test]
fn an_incomplete_trace_is_shown_two_seconds_after_its_last_span() {
    let now = Instant::now();
    let later = now + Duration::from_millis(1900);
    let mut buffer = TreeBuffer::default();
    buffer.push(Span::sample(1, 2, Some(99)), now);
    assert!(buffer.poll(later).is_empty());
    buffer.push(query(1, 3, Some(2)), later);
    assert!(buffer.poll(now + tree::QUIET).is_empty());
    assert_eq!(buffer.poll(later + tree::QUIET).len(), 1);
}

#[test]
fn traces_come_in_the_order_of_their_start() {
    let now = Instant::now();
    let mut buffer = TreeBuffer::default();
    for (trace, from) in [(3, 30), (1, 10), (2, 20)] {
        buffer.push(Span::sample(trace, 2, None).at(from, 99), now);
    }
    let order = |traces: Vec<Trace>| {
        traces
            .iter()
            .map(|trace| trace.spans[0].trace_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        order(buffer.poll(now + tree::SETTLE)),
        [1_u128, 2, 3].map(Into::into)
    );
    assert!(buffer.drain().is_empty());
}

#[test]
fn the_buffer_is_bounded_and_loses_nothing() {
    let now = Instant::now();
    let mut buffer = TreeBuffer::with_room_for(3);
    for trace in 1..=4 {
        buffer.push(Span::sample(trace, 2, None), now);
    }
    assert_eq!(buffer.poll(now).len(), 3);
    assert_eq!(buffer.drain().len(), 1);
}

/// A writer that keeps what it is given.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_shutdown_prints_what_is_left() {
    let out = Shared::default();
    let tree = Form::Tree(TreeBuffer::default(), Look::plain(WIDTH));
    let printer = Printer::start_with(tree, out.clone()).unwrap();
    printer.submit(Span::sample(1, 2, Some(99)));
    assert_eq!(printer.shutdown(Duration::from_secs(10)).await, 0);
    let shown = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    assert!(shown.contains("GET /users"), "{shown}");
}

#[tokio::test]
async fn a_closed_stdout_is_noticed() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let printer = Printer::start_with(Form::Json { explain: false }, writer).unwrap();
    printer.submit(Span::sample(1, 2, None));
    tokio::time::timeout(Duration::from_secs(10), printer.closed())
        .await
        .unwrap();
}

#[tokio::test]
async fn lines_are_there_at_once() {
    let (mut reader, writer) = pipe().unwrap();
    let printer = Printer::start_with(Form::Json { explain: false }, BufWriter::new(writer)).unwrap();
    printer.submit(Span::sample(1, 2, None));
    let first = tokio::task::spawn_blocking(move || {
        let mut byte = [0];
        reader.read_exact(&mut byte).map(|()| byte[0])
    });
    assert_eq!(first.await.unwrap().unwrap(), b'{');
    printer.shutdown(Duration::from_secs(10)).await;
}

/// A writer that waits until it is let go.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_stuck_reader_costs_counted_spans_and_no_time() {
    let (release, stuck) = mpsc::channel();
    let printer = Printer::start_with(Form::Json { explain: false }, Stuck(stuck)).unwrap();
    let sent = 2 * QUEUE as u64 + 10;
    for id in 1..=sent {
        printer.submit(Span::sample(1, id, None));
    }
    let dropped = printer.dropped();
    // One more than the queue may be in the printer's hands.
    assert!(
        (sent - QUEUE as u64 - 1..=sent - QUEUE as u64).contains(&dropped),
        "{dropped}"
    );
    assert_eq!(printer.shutdown(Duration::from_millis(1)).await, dropped);
    drop(release);
}
