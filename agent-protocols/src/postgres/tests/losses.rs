//! What is made of streams of which bytes are missing, and of hostile ones.

use super::script::*;
use crate::{
    limits::Limits,
    session::{Closing, Content, Flow, Session, SessionContext},
};

/// The response to a query that the tests lose the middle of.
fn rows(count: usize) -> Vec<u8> {
    (0..count).flat_map(|_| row()).collect()
}

/// The next query works, whatever happened before.
fn goes_on(script: &mut Script) {
    script
        .client(&query("SELECT a FROM after"))
        .server(&join(&[columns(), row(), tag("SELECT 1"), ready()]));
    let lines = script.lines();
    assert_eq!(
        lines.last().map(String::as_str),
        Some("SELECT a FROM after | rows 1"),
        "{lines:?}"
    );
}

#[test]
fn the_middle_of_a_result_is_missing() {
    for tail in [6, 7, 20, 21, 30, 40] {
        let mut script = Script::ready();
        let response = join(&[columns(), rows(100), tag("SELECT 100"), ready()]);
        let hole = response.len() - 50 - tail;
        script.client(&query("SELECT a FROM b"));
        script
            .server(&response[..50])
            .gap(Flow::Response, hole as u64)
            .server(&response[50 + hole..]);
        let whole_tag = tail >= 22;
        let expected = if whole_tag {
            "SELECT a FROM b | rows 100"
        } else {
            "SELECT a FROM b | Unseen"
        };
        assert_eq!(script.lines(), [expected], "tail of {tail}");
        goes_on(&mut script);
        assert_eq!(script.counts().resyncs, 1);
    }
}

#[test]
fn the_end_of_a_result_is_missing() {
    let mut script = Script::ready();
    script.client(&query("SELECT a FROM b"));
    script
        .server(&join(&[columns(), row()]))
        .gap(Flow::Response, 1000);
    script
        .client(&query("SELECT c FROM d"))
        .server(&join(&[columns(), tag("SELECT 0"), ready()]));
    assert_eq!(
        script.lines(),
        ["SELECT a FROM b | Unseen", "SELECT c FROM d | rows 0"]
    );
    goes_on(&mut script);
}

#[test]
fn all_of_a_result_is_missing() {
    let mut script = Script::ready();
    script.client(&query("SELECT a FROM b")).gap(Flow::Response, 100);
    goes_on(&mut script);
}

#[test]
fn the_end_of_one_batch_among_several_is_given_to_none() {
    let mut script = Script::ready();
    script.client(&join(&[query("SELECT a FROM b"), query("SELECT c FROM d")]));
    script
        .server(&columns())
        .gap(Flow::Response, 100)
        .server(&join(&[tag("SELECT 7"), ready()]));
    assert_eq!(
        script.lines(),
        ["SELECT a FROM b | Unseen", "SELECT c FROM d | Unseen"]
    );
    goes_on(&mut script);
}

#[test]
fn in_a_batch_only_the_last_result_is_sure() {
    let mut script = Script::ready();
    let one = |table: &str| {
        join(&[
            parse("", &format!("SELECT a FROM {table}")),
            bind("", ""),
            execute(""),
        ])
    };
    script.client(&join(&[one("b"), one("c"), sync()]));
    script
        .server(&plain('1'))
        .gap(Flow::Response, 100)
        .server(&join(&[tag("SELECT 7"), ready()]));
    assert_eq!(
        script.lines(),
        ["SELECT a FROM b | Unseen", "SELECT a FROM c | rows 7"]
    );
    script.client(&join(&[one("b"), one("c"), sync()]));
    script
        .server(&plain('1'))
        .gap(Flow::Response, 100)
        .server(&join(&[error("22012", "division by zero"), ready()]));
    assert_eq!(
        script.lines(),
        ["SELECT a FROM b | Unseen", "SELECT a FROM c | Unseen"]
    );
    goes_on(&mut script);
}

#[test]
fn an_error_behind_missing_rows() {
    let mut script = Script::ready();
    script.client(&query("SELECT 1/a FROM b"));
    script
        .server(&columns())
        .gap(Flow::Response, 5000)
        .server(&join(&[row(), error("22012", "division by zero"), ready()]));
    assert_eq!(script.lines(), ["SELECT ?/a FROM b | 22012 division by zero"]);
}

#[test]
fn a_gap_inside_a_body_is_passed_exactly() {
    let mut script = Script::ready();
    let bytes = query(&format!("SELECT a FROM b WHERE c = '{}'", "x".repeat(1000)));
    script
        .client(&bytes[..40])
        .gap(Flow::Request, 900)
        .client(&bytes[940..]);
    let long_row = msg(b'D', &[7; 500]);
    script
        .server(&long_row[..100])
        .gap(Flow::Response, 405)
        .server(&join(&[tag("SELECT 1"), ready()]));
    assert_eq!(script.lines(), ["SELECT a FROM b WHERE c = ? | rows 1"]);
    assert_eq!(script.counts().resyncs, 0);
    let mut script = Script::ready();
    script
        .client(&bind("", "x")[..5])
        .gap(Flow::Request, 9)
        .client(&sync());
    script.server(&join(&[plain('2'), ready()]));
    goes_on(&mut script);
}

#[test]
fn copy_data_with_holes() {
    let mut script = Script::ready();
    let data: Vec<u8> = (0..100).flat_map(|_| msg(b'd', b"1\tabc\n")).collect();
    script
        .client(&query("COPY t FROM STDIN"))
        .server(&msg(b'G', &[0, 0, 0]));
    script
        .client(&data[..30])
        .gap(Flow::Request, 900)
        .client(&join(&[data[930..].to_vec(), plain('c')]));
    script.server(&join(&[tag("COPY 100"), ready()]));
    assert_eq!(script.lines(), ["COPY t FROM STDIN | rows 100"]);
    goes_on(&mut script);
    script.client(&join(&[
        parse("", "COPY t FROM STDIN"),
        bind("", ""),
        execute(""),
        sync(),
    ]));
    script.server(&join(&[plain('1'), plain('2'), msg(b'G', &[0, 0, 0])]));
    script.client(&data[..30]).gap(Flow::Request, 900).client(&join(&[
        data[930..].to_vec(),
        plain('c'),
        sync(),
    ]));
    script.server(&join(&[tag("COPY 100"), ready()]));
    goes_on(&mut script);
}

#[test]
fn a_lost_request() {
    let mut script = Script::ready();
    script
        .gap(Flow::Request, 30)
        .server(&join(&[columns(), row(), tag("SELECT 1"), ready()]));
    assert!(script.lines().is_empty());
    assert!(script.counts().orphan_responses > 0);
    goes_on(&mut script);
    script
        .client(&join(&[parse("", "SELECT a FROM b"), bind("", "")]))
        .gap(Flow::Request, 15);
    script.server(&join(&[plain('1'), plain('2'), row(), tag("SELECT 1"), ready()]));
    goes_on(&mut script);
}

#[test]
fn attached_in_the_middle_of_a_result() {
    let mut script = Script::new(context(false));
    let response = join(&[rows(10), tag("SELECT 10"), ready()]);
    script.server(&response[7..]);
    goes_on(&mut script);
    let mut script = Script::new(context(false));
    script.server(&response[7..100]);
    goes_on(&mut script);
}

/// A client's write may be reported after the read of its answer.
#[test]
fn an_answer_before_its_request_does_not_shift_the_next_ones() {
    let mut script = Script::ready();
    let request = script.now + 5;
    script.server(&join(&[columns(), tag("SELECT 5"), ready()]));
    let piece = crate::session::Piece {
        flow: Flow::Request,
        offset: 32,
        content: Content::Bytes(&query("SELECT early FROM x")),
        moment: moment(request),
    };
    script.session.feed(piece, &mut script.out).unwrap();
    assert_eq!(script.lines(), ["SELECT early FROM x | Unseen"]);
    goes_on(&mut script);
    script.server(&join(&[columns(), tag("SELECT 5")]));
    goes_on(&mut script);
}

#[test]
fn endless_and_enormous_messages_cost_nothing() {
    let mut script = Script::ready();
    script.client(&[b'Q', 0x3f, 0xff, 0xff, 0xff]);
    script.server(&[b'D', 0x3f, 0xff, 0xff, 0xff]);
    let block = vec![b'x'; 64 * 1024];
    for _ in 0..1000 {
        script.client(&block).server(&block);
        assert!(
            script.session.held_bytes() < 128 * 1024,
            "{}",
            script.session.held_bytes()
        );
    }
    let verdict = script.session.verdict();
    assert!(
        verdict.skip_sent_until > 1 << 29 && verdict.skip_received_until > 1 << 29,
        "{verdict:?}"
    );
    let mut script = Script::ready();
    let _ = script.feed(Flow::Request, Content::Bytes(&[b'Q', 0xff, 0xff, 0xff, 0xff]));
    let _ = script.feed(Flow::Response, Content::Bytes(&[b'D', 0x80, 0, 0, 0]));
    goes_on(&mut script);
}

#[test]
fn a_hundred_thousand_pipelined_statements_stay_within_bounds_and_recover() {
    let one = join(&[parse("", "SELECT a FROM b"), bind("", ""), execute(""), sync()]);
    let answer = join(&[plain('1'), plain('2'), tag("SELECT 1"), ready()]);
    let mut script = Script::ready();
    for _ in 0..100_000 {
        script.client(&one);
    }
    assert!(
        script.session.held_bytes() < 4 << 20,
        "{}",
        script.session.held_bytes()
    );
    for _ in 0..100_000 {
        script.server(&answer);
    }
    let (reported, counts) = (script.lines().len() as u64, script.counts());
    assert!(reported >= 1024, "{reported}");
    assert_eq!(reported + counts.over_limit, 100_000);
    assert_eq!(counts.orphan_responses, 0);
    goes_on(&mut script);
}

#[test]
fn long_texts_and_many_names_stay_within_bounds() {
    let limits = Limits {
        query_bytes: 1000,
        statements: 10,
        pending_requests: 10,
        ..Limits::default()
    };
    let mut script = Script::new(SessionContext {
        limits,
        ..context(false)
    });
    let long = format!("SELECT a, {}", "b, ".repeat(10_000));
    for number in 0..1000 {
        script.client(&join(&[
            parse(&number.to_string(), &long),
            bind(&number.to_string(), "x"),
            query(&long),
        ]));
        assert!(
            script.session.held_bytes() < 100_000,
            "{}",
            script.session.held_bytes()
        );
    }
    assert!(script.counts().over_limit > 0);
    script.close(Closing::Both);
    let held: usize = script.lines().iter().map(String::len).sum();
    assert!(held < 100_000);
    // Many statements in one text are taken one by one.
    let mut script = Script::ready();
    script.client(&query(&"1;".repeat(8000)));
    assert!(script.session.held_bytes() < 100_000);
    script.server(&tag("SELECT 1").repeat(8000));
    assert_eq!(script.lines().len(), 8000);
}
