//! What each kind of dialogue gives when every byte is seen.

use super::script::*;
use crate::{
    chunk::Role,
    exchange::{Detail, Exchange},
    session::{Closing, Content, Counts, Desync, Flow, SessionContext},
};

fn sql(exchange: &Exchange) -> &crate::exchange::Sql {
    match &exchange.detail {
        Detail::Sql(sql) => sql,
        Detail::Http(_) => panic!("not SQL: {exchange:?}"),
    }
}

#[test]
fn a_simple_query() {
    let mut script = Script::ready();
    let asked = script.now + 10;
    script.client(&query("SELECT name FROM users WHERE id = 7"));
    script.server(&join(&[columns(), row(), row()]));
    script.server(&join(&[tag("SELECT 2"), ready()]));
    let exchange = script.out[0].clone();
    assert_eq!((exchange.started, exchange.ended), (asked, asked + 25));
    assert_eq!(
        (exchange.request_offset, exchange.response_offset),
        (32, Some(64))
    );
    assert_eq!(exchange.response_unit, Some(moment(0).unit));
    let sql = sql(&exchange);
    assert_eq!(sql.namespace.as_deref(), Some("shop"));
    assert_eq!(sql.user.as_deref(), Some("ann"));
    assert_eq!(sql.summary.as_deref(), Some("SELECT users"));
    assert_eq!(sql.table.as_deref(), Some("users"));
    assert_eq!(script.lines(), ["SELECT name FROM users WHERE id = ? | rows 2"]);
    assert_eq!(script.counts(), Counts::default());
}

#[test]
fn several_statements_in_one_query() {
    let mut script = Script::ready();
    script.client(&query("INSERT INTO a VALUES (1); SELECT 2;; SELECT 'x'"));
    script.server(&join(&[
        tag("INSERT 0 1"),
        columns(),
        row(),
        tag("SELECT 1"),
        columns(),
        tag("SELECT 0"),
        ready(),
    ]));
    let offsets: Vec<u64> = script
        .out
        .iter()
        .map(|exchange| exchange.request_offset)
        .collect();
    assert!(offsets.is_sorted() && offsets[0] < offsets[1], "{offsets:?}");
    assert_eq!(
        script.lines(),
        [
            "INSERT INTO a VALUES (?) | rows 1",
            "SELECT ? | rows 1",
            "SELECT ? | rows 0"
        ]
    );
}

#[test]
fn statements_behind_an_error_were_not_executed() {
    let mut script = Script::ready();
    script.client(&query("SELECT 1; SELECT 1/0; SELECT 3"));
    script.server(&join(&[
        tag("SELECT 1"),
        error("22012", "division by zero"),
        ready(),
    ]));
    script.client(&query("SELECT 4"));
    script.server(&join(&[tag("SELECT 1"), ready()]));
    assert_eq!(
        script.lines(),
        [
            "SELECT ? | rows 1",
            "SELECT ?/? | 22012 division by zero",
            "SELECT ? | rows 1"
        ]
    );
}

#[test]
fn a_syntax_error_belongs_to_the_statement_at_its_position() {
    let mut script = Script::ready();
    script.client(&query("SELECT 'é'; SELEC x"));
    script.server(&join(&[
        msg(
            b'E',
            b"SERROR\0C42601\0Msyntax error at or near \"SELEC\"\0P13\0\0",
        ),
        ready(),
    ]));
    assert_eq!(
        script.lines(),
        ["SELEC x | 42601 syntax error at or near \"SELEC\""]
    );
}

#[test]
fn bind_and_execute_of_the_unnamed_statement_in_one_batch() {
    let mut script = Script::ready();
    let asked = script.now + 10;
    script.client(&join(&[
        parse("", "UPDATE t SET a = $1"),
        bind("", ""),
        describe('P', ""),
        execute(""),
        sync(),
    ]));
    script.server(&join(&[
        plain('1'),
        plain('2'),
        plain('n'),
        tag("UPDATE 3"),
        ready(),
    ]));
    assert_eq!((script.out[0].started, script.out[0].ended), (asked, asked + 15));
    assert_eq!(script.lines(), ["UPDATE t SET a = $1 | rows 3"]);
}

#[test]
fn a_round_trip_to_prepare_the_unnamed_statement_is_part_of_the_call() {
    let mut script = Script::ready();
    let asked = script.now + 10;
    for _ in 0..2 {
        script.client(&join(&[parse("", "SELECT $1::int"), describe('S', ""), sync()]));
        script.server(&join(&[plain('1'), msg(b't', &[0, 0]), columns(), ready()]));
        script.client(&join(&[bind("", ""), execute(""), sync()]));
        script.server(&join(&[plain('2'), row(), tag("SELECT 1"), ready()]));
    }
    assert_eq!((script.out[0].started, script.out[0].ended), (asked, asked + 35));
    assert_eq!(script.out[1].started, asked + 40);
    assert_eq!(
        script.lines(),
        ["SELECT $1::int | rows 1", "SELECT $1::int | rows 1"]
    );
}

#[test]
fn a_named_statement_is_executed_again_and_again() {
    let mut script = Script::ready();
    script.client(&join(&[
        parse("s1", "SELECT $1"),
        describe('S', "s1"),
        plain('H'),
    ]));
    script.server(&join(&[plain('1'), msg(b't', &[0, 0]), columns()]));
    let asked = script.now + 10;
    for _ in 0..2 {
        script.client(&join(&[bind("", "s1"), execute(""), sync()]));
        script.server(&join(&[plain('2'), row(), tag("SELECT 1"), ready()]));
    }
    script.client(&join(&[close('S', "s1"), bind("", "s1"), execute(""), sync()]));
    script.server(&join(&[
        plain('3'),
        error("26000", "prepared statement \"s1\" does not exist"),
        ready(),
    ]));
    assert_eq!(script.out[1].started, asked + 20);
    assert_eq!(
        script.lines(),
        [
            "SELECT $1 | name s1 | rows 1",
            "SELECT $1 | name s1 | rows 1",
            "<unknown> | name s1 | 26000 prepared statement \"?\" does not exist"
        ]
    );
}

#[test]
fn a_statement_prepared_before_the_agent_came_is_not_invented() {
    let mut script = Script::new(context(false));
    script.client(&join(&[bind("", "s1"), execute(""), sync()]));
    script.server(&join(&[plain('2'), tag("SELECT 1"), ready()]));
    assert_eq!(script.lines(), ["<unknown> | name s1 | rows 1"]);
}

#[test]
fn a_pipeline_gives_one_exchange_for_each_statement() {
    let mut script = Script::ready();
    script.client(&parse("", "INSERT INTO t VALUES ($1)"));
    for _ in 0..3 {
        script.client(&join(&[bind("", ""), describe('P', ""), execute("")]));
    }
    script.client(&sync());
    script.server(&plain('1'));
    for _ in 0..3 {
        script.server(&join(&[plain('2'), plain('n'), tag("INSERT 0 1")]));
    }
    script.server(&ready());
    assert_eq!(script.lines(), ["INSERT INTO t VALUES ($1) | rows 1"; 3]);
}

#[test]
fn an_error_in_a_pipeline_skips_to_the_sync() {
    let mut script = Script::ready();
    let one = |name: &str, sql: &str| join(&[parse(name, sql), bind("", name), execute("")]);
    script.client(&join(&[
        one("a", "SELECT 1"),
        one("b", "SELECT b"),
        one("c", "SELECT 3"),
        sync(),
        one("", "SELECT 4"),
    ]));
    let fine = join(&[plain('1'), plain('2'), tag("SELECT 1")]);
    script.server(&join(&[
        fine.clone(),
        error("42703", "column \"b\" does not exist"),
        ready(),
        fine.clone(),
    ]));
    script.client(&join(&[sync(), bind("", "c"), execute(""), sync()]));
    script.server(&join(&[ready(), error("26000", "none"), ready()]));
    assert_eq!(
        script.lines(),
        [
            "SELECT ? | name a | rows 1",
            "SELECT b | name b | 42703 column \"b\" does not exist",
            "SELECT ? | rows 1",
            "<unknown> | name c | 26000 none"
        ]
    );
}

#[test]
fn what_is_sent_between_an_error_and_its_sync_is_skipped() {
    let mut script = Script::ready();
    script.client(&join(&[parse("", "SELEC"), plain('H')]));
    script.server(&error("42601", "syntax error at or near \"SELEC\""));
    script.client(&join(&[bind("", ""), execute(""), sync()]));
    script.server(&ready());
    script.client(&query("SELECT 1"));
    script.server(&join(&[tag("SELECT 1"), ready()]));
    assert_eq!(
        script.lines(),
        [
            "SELEC | 42601 syntax error at or near \"SELEC\"",
            "SELECT ? | rows 1"
        ]
    );
}

#[test]
fn portals_with_a_row_limit() {
    let mut script = Script::ready();
    script.client(&join(&[
        parse("", "SELECT * FROM t"),
        bind("p", ""),
        execute("p"),
        plain('H'),
    ]));
    script.server(&join(&[plain('1'), plain('2'), row(), row(), plain('s')]));
    script.client(&join(&[execute("p"), sync()]));
    script.server(&join(&[row(), tag("SELECT 1"), ready()]));
    assert_eq!(script.lines(), ["SELECT * FROM t | rows 3"]);
    script.client(&join(&[bind("p", ""), execute("p"), sync()]));
    script.server(&join(&[plain('2'), row(), plain('s'), ready()]));
    script.client(&join(&[execute("p"), sync()]));
    script.server(&join(&[row(), row(), tag("SELECT 2"), ready()]));
    assert_eq!(
        script.lines(),
        ["SELECT * FROM t | rows 1", "SELECT * FROM t | rows 2"]
    );
    script.client(&join(&[bind("p", ""), execute("p"), close('P', "p"), sync()]));
    script.server(&join(&[plain('2'), row(), plain('s'), plain('3'), ready()]));
    assert_eq!(script.lines(), ["SELECT * FROM t | rows 1"]);
}

#[test]
fn copy_in_and_out() {
    let mut script = Script::ready();
    script.client(&query("COPY t FROM STDIN"));
    script.server(&msg(b'G', &[0, 0, 0]));
    script.client(&join(&[
        msg(b'd', b"S\0\0\0\x041\tx\n"),
        msg(b'd', b"2\ty\n"),
        plain('c'),
    ]));
    script.server(&join(&[tag("COPY 2"), ready()]));
    script.client(&query("COPY t TO STDOUT (FORMAT binary)"));
    script.server(&join(&[
        msg(b'H', &[1, 0, 0]),
        msg(b'd', b"PGCOPY"),
        plain('c'),
        tag("COPY 2"),
        ready(),
    ]));
    script.client(&query("COPY t FROM STDIN"));
    script.server(&msg(b'G', &[0, 0, 0]));
    script.client(&msg(b'f', b"no more\0"));
    script.server(&join(&[
        error("57014", "COPY from stdin failed: no more"),
        ready(),
    ]));
    assert_eq!(
        script.lines(),
        [
            "COPY t FROM STDIN | rows 2",
            "COPY t TO STDOUT (FORMAT binary) | rows 2",
            "COPY t FROM STDIN | 57014 COPY from stdin failed: no more"
        ]
    );
}

/// libpq sends a Sync behind Execute before it knows that it is a COPY; the server ignores it.
#[test]
fn copy_in_by_execute() {
    let mut script = Script::ready();
    script.client(&join(&[
        parse("", "COPY t FROM STDIN"),
        bind("", ""),
        execute(""),
        sync(),
    ]));
    script.server(&join(&[plain('1'), plain('2'), msg(b'G', &[0, 0, 0])]));
    script.client(&join(&[msg(b'd', b"1\n"), plain('c'), sync()]));
    script.server(&join(&[tag("COPY 1"), ready()]));
    script.client(&query("SELECT 1"));
    script.server(&join(&[tag("SELECT 1"), ready()]));
    assert_eq!(
        script.lines(),
        ["COPY t FROM STDIN | rows 1", "SELECT ? | rows 1"]
    );
    assert_eq!(script.counts(), Counts::default());
}

#[test]
fn messages_that_come_at_any_time() {
    let mut script = Script::ready();
    let any = join(&[
        msg(b'N', b"SNOTICE\0\0"),
        msg(b'A', b"\0\0\0\x01channel\0payload\0"),
        msg(b'S', b"TimeZone\0UTC\0"),
    ]);
    script.server(&any);
    script.client(&query("SELECT 1"));
    script.server(&join(&[
        any.clone(),
        columns(),
        any.clone(),
        tag("SELECT 1"),
        any.clone(),
        ready(),
        any,
    ]));
    assert_eq!(script.lines(), ["SELECT ? | rows 1"]);
    assert_eq!(script.counts(), Counts::default());
}

#[test]
fn a_function_call() {
    let mut script = Script::ready();
    let call = msg(b'F', &[0; 10]);
    script.client(&call);
    script.server(&join(&[msg(b'V', &[0; 4]), ready()]));
    script.client(&call);
    script.server(&join(&[
        error("42883", "function with OID 0 does not exist"),
        ready(),
    ]));
    script.client(&query("SELECT 1"));
    script.server(&join(&[tag("SELECT 1"), ready()]));
    assert_eq!(
        script.lines(),
        [
            "<CALL>",
            "<CALL> | 42883 function with OID ? does not exist",
            "SELECT ? | rows 1"
        ]
    );
}

#[test]
fn encryption_refused_and_granted() {
    for code in [80_877_103_u32, 80_877_104] {
        let ask = [8_u32.to_be_bytes(), code.to_be_bytes()].concat();
        let mut script = Script::new(context(true));
        script
            .client(&ask)
            .server(b"N")
            .client(&startup(&["user", "ann"]));
        script.server(&join(&[msg(b'R', &[0; 4]), ready()]));
        script
            .client(&query("SELECT 1"))
            .server(&join(&[tag("SELECT 1"), ready()]));
        assert_eq!(sql(&script.out[0]).namespace.as_deref(), Some("ann"));
        assert_eq!(script.counts(), Counts::default());

        let mut script = Script::new(context(true));
        script.client(&ask);
        let granted: &[u8] = if code == 80_877_103 { b"S" } else { b"G" };
        assert_eq!(
            script.feed(Flow::Response, Content::Bytes(granted)),
            Err(Desync::Encrypted)
        );
    }
}

#[test]
fn cancel_requests_and_failed_logins_make_nothing() {
    let mut script = Script::new(context(true));
    script
        .client(&[0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 2])
        .close(Closing::ByPeer);
    assert!(script.lines().is_empty());
    let mut script = Script::new(context(true));
    script
        .client(&startup(&["user", "ann"]))
        .server(&error("28P01", "password authentication failed"))
        .close(Closing::ByPeer);
    assert!(script.lines().is_empty());
}

#[test]
fn noise_is_counted() {
    let mut script = Script::ready();
    for (text, tags) in [
        ("BEGIN", vec![tag("BEGIN")]),
        ("-- ping", vec![plain('I')]),
        (";", vec![plain('I')]),
        ("select pg_catalog.version()", vec![tag("SELECT 1")]),
        ("SET a = 1; SHOW b", vec![tag("SET"), tag("SHOW")]),
        ("COMMIT;", vec![tag("COMMIT")]),
    ] {
        script.client(&query(text)).server(&join(&[join(&tags), ready()]));
    }
    assert!(script.lines().is_empty());
    assert_eq!(
        script.counts(),
        Counts {
            noise: 7,
            ..Counts::default()
        }
    );
    script
        .client(&query("COMMIT"))
        .server(&join(&[error("40001", "could not serialize access"), ready()]));
    assert_eq!(script.lines(), ["COMMIT | 40001 could not serialize access"]);
}

#[test]
fn noise_is_reported_when_asked_for() {
    let mut script = Script::new(SessionContext {
        report_noise: true,
        ..context(false)
    });
    script
        .client(&query("BEGIN"))
        .server(&join(&[tag("BEGIN"), ready()]));
    script.client(&query("")).server(&join(&[plain('I'), ready()]));
    assert_eq!(script.lines(), ["BEGIN", "<empty>"]);
}

#[test]
fn statements_prepared_in_sql() {
    let mut script = Script::ready();
    let mut run = |text: &str, done: &str| {
        script.client(&query(text)).server(&join(&[tag(done), ready()]));
        script.lines().join("; ")
    };
    assert_eq!(
        run("PREPARE Plan (int) AS SELECT * FROM t WHERE a = $1", "PREPARE"),
        "PREPARE Plan (int) AS SELECT * FROM t WHERE a = $1"
    );
    assert_eq!(
        run("EXECUTE plan(5)", "SELECT 2"),
        "SELECT * FROM t WHERE a = $1 | name plan | rows 2"
    );
    assert_eq!(run("DEALLOCATE plan", "DEALLOCATE"), "");
    assert_eq!(
        run("EXECUTE plan(5)", "SELECT 2"),
        "EXECUTE plan(?) | name plan | rows 2"
    );
}

#[test]
fn the_server_role_is_the_same_from_the_other_side() {
    let mut script = Script::new(SessionContext {
        role: Role::Server,
        ..context(true)
    });
    script
        .client(&startup(&["user", "ann"]))
        .server(&join(&[msg(b'R', &[0; 4]), ready()]));
    script
        .client(&query("SELECT 1"))
        .server(&join(&[tag("SELECT 1"), ready()]));
    assert_eq!(script.out[0].role, Role::Server);
    assert_eq!(script.lines(), ["SELECT ? | rows 1"]);
}

#[test]
fn a_connection_that_ends_first() {
    let mut script = Script::ready();
    script.client(&query("SELECT pg_sleep(9)")).close(Closing::Here);
    assert_eq!(script.lines(), ["SELECT pg_sleep(?) | ClosedHere"]);
    let mut script = Script::ready();
    script
        .client(&join(&[parse("", "SELECT 1"), describe('S', ""), sync()]))
        .close(Closing::ByPeer);
    assert_eq!(script.lines(), ["SELECT ? | ClosedByPeer"]);
    let mut script = Script::ready();
    script
        .client(&query("SELECT 1"))
        .server(&error("57P01", "terminating connection"))
        .close(Closing::ByPeer);
    assert_eq!(script.lines(), ["SELECT ? | 57P01 terminating connection"]);
    let mut script = Script::ready();
    script.client(&plain('X')).close(Closing::Here);
    assert!(script.lines().is_empty());
}

#[test]
fn error_messages_keep_names_and_lose_values() {
    let mut script = Script::ready();
    script.client(&query("SELECT 'geheim'::int FROM users"));
    script.server(&join(&[
        error("22P02", "invalid input syntax for type integer: \"geheim\""),
        ready(),
    ]));
    assert_eq!(
        script.lines(),
        ["SELECT ?::int FROM users | 22P02 invalid input syntax for type integer: \"?\""]
    );
}

#[test]
fn bytes_one_by_one() {
    let mut script = Script::ready();
    for byte in join(&[parse("", "SELECT 1"), bind("", ""), execute(""), sync()]) {
        script.client(&[byte]);
    }
    for byte in join(&[plain('1'), plain('2'), row(), tag("SELECT 1"), ready()]) {
        script.server(&[byte]);
    }
    assert_eq!(script.lines(), ["SELECT ? | rows 1"]);
}

#[test]
fn a_response_is_expected_only_when_something_was_asked() {
    use crate::session::Session;
    let mut script = Script::new(context(true));
    assert!(!script.session.expects_response());
    script.client(&startup(&["user", "ann"]));
    assert!(script.session.expects_response());
    script.server(&join(&[msg(b'R', &[0; 4]), ready()]));
    assert!(!script.session.expects_response());
    script.client(&query("SELECT 1"));
    assert!(script.session.expects_response());
    script.server(&join(&[tag("SELECT 1"), ready()])[..9]);
    assert!(script.session.expects_response());
}
