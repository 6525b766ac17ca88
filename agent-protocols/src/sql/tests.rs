use super::*;

fn text(sql: &str) -> String {
    describe(sql, 16 * 1024, Backslash::Plain).text.clone()
}

#[track_caller]
fn is(sql: &str, expected: &str) {
    assert_eq!(text(sql), expected, "of {sql}");
}

/// Operation, table and summary, joined for brevity.
#[track_caller]
fn does(sql: &str, operation: &str, table: &str, summary: &str) {
    let described = describe(sql, 16 * 1024, Backslash::Plain);
    let found = |value: &Option<String>| value.clone().unwrap_or_default();
    assert_eq!(
        (
            found(&described.operation),
            found(&described.table),
            found(&described.summary)
        ),
        (operation.to_owned(), table.to_owned(), summary.to_owned()),
        "of {sql}"
    );
}

#[test]
fn strings_of_every_quoting_style() {
    is("SELECT 'a', 'it''s', ''", "SELECT ?, ?, ?");
    is(r"SELECT E'a\'b\\', 'c'", "SELECT ?, ?");
    is(r"SELECT e'\\', 1", "SELECT ?, ?");
    is(
        "SELECT B'101', x'ff', N'n', U&'d\\0061t', u&'x' UESCAPE '!'",
        "SELECT ?, ?, ?, ?, ? UESCAPE ?",
    );
    is("SELECT $$a'b$$, $t$ $$ $x$ $t$, $_1$y$_1$", "SELECT ?, ?, ?");
    is("SELECT 'a'\n  'b' -- c\n 'd'", "SELECT ?");
    is("SELECT E'a' \n 'b\\' secret'", "SELECT ?");
    is("SELECT 'a' 'b'", "SELECT ? ?");
    is(
        "SELECT date '2020-01-01', 'x'::text, interval '1 day'",
        "SELECT date ?, ?::text, interval ?",
    );
    is("SELECT foo'bar'", "SELECT foo?");
}

#[test]
fn numbers() {
    is(
        "SELECT 1, 1.5, .5, 1., 1e10, 1E-5, 1.5e+3",
        "SELECT ?, ?, ?, ?, ?, ?, ?",
    );
    is("SELECT 0xFF, 0o17, 0b11, 1_000, 123abc", "SELECT ?, ?, ?, ?, ?");
    is(
        "SELECT -1, - 1, +2, a-1, a -1, (1)-1, 2 - -3",
        "SELECT ?, ?, ?, a-?, a -?, (?)-?, ? - ?",
    );
    is("WHERE a=-5 AND b<-1 LIMIT -1", "WHERE a=? AND b<? LIMIT ?");
    is("SELECT - - 7, -x", "SELECT ?, -x");
    is(
        "SELECT t1.c2, _3, a$4, é5 FROM t6",
        "SELECT t1.c2, _3, a$4, é5 FROM t6",
    );
}

#[test]
fn what_is_no_literal_is_kept() {
    is(
        "SELECT TRUE, false, NULL, \"Na'me\", U&\"d\\0061\"",
        "SELECT TRUE, false, NULL, \"Na'me\", U&\"d\\0061\"",
    );
    is(
        "SELECT $1::int, $2, a->>$3, CAST($4 AS text)",
        "SELECT $1::int, $2, a->>$3, CAST($4 AS text)",
    );
    is(
        "SELECT a[1:2] @> b, c <> d || e",
        "SELECT a[?:?] @> b, c <> d || e",
    );
    is("x := y => z ::w", "x := y => z ::w");
}

#[test]
fn comments_and_white_space() {
    is(" SELECT\t1 -- 'x\n , 2 /* a /* 'b' */ 'c' */ ;; ", "SELECT ? , ?");
    is("a--b\rc", "a c");
    is("a /* never ends 'x'", "a");
    is("SELECT 1;", "SELECT ?");
    is("-- ping", "");
    is("", "");
}

#[test]
fn lists_collapse() {
    is("WHERE a IN (1, 2, 3) AND b in('x')", "WHERE a IN (?) AND b in(?)");
    is("WHERE a IN (-1, NULL, TRUE)", "WHERE a IN (?)");
    is("WHERE a IN ($1, $2)", "WHERE a IN ($1, $2)");
    is("WHERE a IN (1, b)", "WHERE a IN (?, b)");
    is("WHERE a IN (SELECT 1)", "WHERE a IN (SELECT ?)");
    is(
        "WHERE (a, b) IN ((1, 2), (3, 4))",
        "WHERE (a, b) IN ((?, ?), (?, ?))",
    );
    is("WHERE a = ANY(ARRAY[1,2,3])", "WHERE a = ANY(ARRAY[?])");
    is("SELECT f(1, 2)", "SELECT f(?, ?)");
    is("WHERE a IN (1, 2, 3", "WHERE a IN (?");
    is("WHERE a IN (1, 2,", "WHERE a IN (?");
    is("WHERE a IN (+;;", "WHERE a IN (+");
    is("WHERE a IN ()", "WHERE a IN ()");
}

#[test]
fn rows_collapse() {
    is(
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'),\n (3, f(4)) RETURNING id",
        "INSERT INTO t VALUES (?, ?) RETURNING id",
    );
    is(
        "INSERT INTO t VALUES ($1, $2), ($3, $4)",
        "INSERT INTO t VALUES ($1, $2)",
    );
    is(
        "INSERT INTO t VALUES (f(1), 2), (3",
        "INSERT INTO t VALUES (f(?), ?)",
    );
    is(
        "INSERT INTO t VALUES (1), (2) ON CONFLICT DO NOTHING",
        "INSERT INTO t VALUES (?) ON CONFLICT DO NOTHING",
    );
    is(
        "SELECT * FROM (VALUES (1, 2), (3, 4)) AS v, w",
        "SELECT * FROM (VALUES (?, ?)) AS v, w",
    );
    is("UPDATE t SET a = VALUES (1), b", "UPDATE t SET a = VALUES (?), b");
}

#[test]
fn text_that_is_cut_off_shows_nothing_of_the_literal() {
    for (sql, expected) in [
        ("SELECT 'secr", "SELECT ?"),
        ("SELECT 'it''", "SELECT ?"),
        (r"SELECT E'a\", "SELECT ?"),
        ("SELECT $tag$ secr", "SELECT ?"),
        ("SELECT $tag$ secret $ta", "SELECT ?"),
        ("SELECT \"name", "SELECT ?"),
        ("SELECT 123e", "SELECT ?"),
        ("SELECT U&'x", "SELECT ?"),
        ("SELECT X'", "SELECT ?"),
        ("SELECT -", "SELECT -"),
    ] {
        is(sql, expected);
    }
    assert_eq!(describe("SELECT 'é'", 9, Backslash::Plain).text, "SELECT ?");
    assert_eq!(describe("SELECT é", 8, Backslash::Plain).text, "SELECT");
}

#[test]
fn what_a_backslash_means_is_the_servers_setting() {
    let sql = r"SELECT 'it\'s secret', 'x'";
    assert_eq!(describe(sql, 100, Backslash::Escapes).text, "SELECT ?, ?");
    assert_eq!(describe(sql, 100, Backslash::Unknown).text, "SELECT ?");
    let sql = r"SELECT 'C:\', a, 'x\\', b";
    assert_eq!(describe(sql, 100, Backslash::Plain).text, "SELECT ?, a, ?, b");
    assert_eq!(
        describe(r"SELECT 'x\\', b", 100, Backslash::Unknown).text,
        "SELECT ?, b"
    );
}

#[test]
fn statements_are_split_where_postgresql_does() {
    let split = |sql: &str| -> Vec<String> {
        statements(sql, Backslash::Plain)
            .map(|statement| statement.text.trim().to_owned())
            .collect()
    };
    assert_eq!(split("a; b ;;c -- ; \n;"), ["a", "b", "c -- ;"]);
    assert_eq!(
        split("a ';' $$;$$ \";\" /* ; */ b"),
        ["a ';' $$;$$ \";\" /* ; */ b"]
    );
    assert_eq!(split(" ; -- x\n"), Vec::<String>::new());
    assert_eq!(split("CREATE RULE r AS ON INSERT TO t DO (a; b); c").len(), 2);
    let body = "BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a THEN b END; END";
    assert_eq!(
        split(&format!("CREATE OR REPLACE FUNCTION f() RETURNS int {body}; x")).len(),
        2
    );
    assert_eq!(split("BEGIN; SELECT 1; END; x").len(), 4);
    let starts: Vec<usize> = statements("a; b", Backslash::Plain)
        .map(|statement| statement.start)
        .collect();
    assert_eq!(starts, [0, 2]);
}

#[test]
fn what_rows_are_read_or_changed() {
    does(
        "select * from users where id = 1",
        "SELECT",
        "users",
        "SELECT users",
    );
    does(
        "SELECT * FROM public.users u",
        "SELECT",
        "public.users",
        "SELECT public.users",
    );
    does(
        "SELECT * FROM \"song list\", artists",
        "SELECT",
        "",
        "SELECT \"song list\" artists",
    );
    does("SELECT 1", "SELECT", "", "SELECT");
    does(
        "SELECT a FROM o JOIN c ON o.i = c.i LEFT JOIN o o2 ON 1=1",
        "SELECT",
        "",
        "SELECT o c o",
    );
    does(
        "SELECT d FROM (SELECT * FROM orders o JOIN customers c ON 1=1) x",
        "SELECT",
        "",
        "SELECT SELECT orders customers",
    );
    does(
        "INSERT INTO shipping_details (a, b) SELECT a, b FROM orders WHERE c = 1",
        "INSERT",
        "",
        "INSERT shipping_details SELECT orders",
    );
    does(
        "INSERT INTO users (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2",
        "INSERT",
        "users",
        "INSERT users",
    );
    does(
        "UPDATE users SET name = 'x' WHERE id = 1",
        "UPDATE",
        "users",
        "UPDATE users",
    );
    does(
        "DELETE FROM ONLY users WHERE id = 1",
        "DELETE",
        "users",
        "DELETE users",
    );
    does(
        "SELECT 1 UNION ALL (SELECT a FROM b)",
        "SELECT",
        "b",
        "SELECT SELECT b",
    );
    does(
        "WITH x AS (SELECT * FROM a) SELECT * FROM x JOIN b ON true",
        "SELECT",
        "",
        "SELECT a SELECT b",
    );
    does(
        "WITH x AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM x",
        "INSERT",
        "",
        "DELETE a INSERT b SELECT",
    );
    does(
        "SELECT * FROM users FOR UPDATE",
        "SELECT",
        "users",
        "SELECT users",
    );
    does("SELECT * FROM generate_series(1, 10) g", "SELECT", "", "SELECT");
    does("SELECT EXTRACT(year FROM ts) FROM t", "SELECT", "t", "SELECT t");
}

#[test]
fn queries_within_queries() {
    does(
        "SELECT a FROM t WHERE b IN (SELECT c FROM u)",
        "SELECT",
        "",
        "SELECT t SELECT u",
    );
    does(
        "SELECT a FROM t WHERE v LIKE 'x' AND c = ANY($1) LIMIT 5",
        "SELECT",
        "t",
        "SELECT t",
    );
    does(
        "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
        "MERGE",
        "",
        "MERGE t s",
    );
    does("VALUES (1)", "VALUES", "", "VALUES");
    does("(SELECT 1)", "SELECT", "", "SELECT");
}

#[test]
fn what_the_parser_does_not_take() {
    does(
        "SELECT a FROM t WHERE b ==> ~~~ 'x' GROUPING BY",
        "SELECT",
        "t",
        "SELECT t",
    );
    does(
        "SELECT a FROM t, u v, f(1), w x WHERE b ? ?? ('y', )",
        "SELECT",
        "",
        "SELECT t u w",
    );
    does(
        "UPDATE ONLY t SET a = DEFAULT FROM u WHERE (((",
        "UPDATE",
        "",
        "UPDATE t u",
    );
    does("INSERT INTO s.t (a) VALUES ((", "INSERT", "s.t", "INSERT s.t");
    does(
        "WITH x AS (SELECT 1), y (a) AS NOT MATERIALIZED (SELECT 2 FROM z) SELECT ??? FROM x, y, r",
        "SELECT",
        "",
        "SELECT SELECT z SELECT r",
    );
    does("DELETE FROM a USING b, c WHERE ???", "DELETE", "", "DELETE a b c");
    does(
        "SELECT trim(both FROM x) FROM t WHERE a IS DISTINCT FROM b ???",
        "SELECT",
        "t",
        "SELECT t",
    );
}

#[test]
fn other_commands() {
    does(
        "CREATE TABLE IF NOT EXISTS t (id int)",
        "CREATE",
        "t",
        "CREATE TABLE t",
    );
    does(
        "create unique index concurrently i on t (a)",
        "CREATE",
        "",
        "CREATE INDEX i",
    );
    does("DROP TABLE a, b", "DROP", "", "DROP TABLE a b");
    does(
        "CREATE TABLE x AS SELECT * FROM y",
        "CREATE",
        "",
        "CREATE TABLE x SELECT y",
    );
    does(
        "CREATE MATERIALIZED VIEW v AS SELECT 1 FROM y",
        "CREATE",
        "y",
        "CREATE MATERIALIZED VIEW v SELECT y",
    );
    does(
        "ALTER TABLE s.t ADD COLUMN c int",
        "ALTER",
        "s.t",
        "ALTER TABLE s.t",
    );
    does("TRUNCATE TABLE t", "TRUNCATE", "t", "TRUNCATE t");
    does("COPY t (a) FROM STDIN", "COPY", "t", "COPY t");
    does("COPY (SELECT * FROM u) TO STDOUT", "COPY", "u", "COPY SELECT u");
    does(
        "EXPLAIN ANALYZE SELECT * FROM t",
        "EXPLAIN",
        "t",
        "EXPLAIN SELECT t",
    );
    does(
        "DECLARE c CURSOR FOR SELECT * FROM t",
        "DECLARE",
        "t",
        "DECLARE SELECT t",
    );
    does(
        "PREPARE p AS UPDATE t SET a = $1",
        "PREPARE",
        "t",
        "PREPARE UPDATE t",
    );
    does("CALL do_it(1)", "CALL", "", "CALL do_it");
    does("BEGIN", "BEGIN", "", "BEGIN");
    does("VACUUM (FULL) t", "VACUUM", "", "VACUUM");
    does("", "", "", "");
    does("123 'x'", "", "", "");
    does("?", "", "", "");
    does("SELEC x FROM y", "", "", "");
}

#[test]
fn a_summary_ends_between_two_names() {
    let tables: Vec<String> = (0..60).map(|number| format!("table_{number:02}")).collect();
    let described = describe(
        &format!("SELECT * FROM {}", tables.join(", ")),
        16 * 1024,
        Backslash::Plain,
    );
    let summary = described.summary.as_deref().unwrap();
    assert!(summary.len() < 255 && summary.len() > 240, "{}", summary.len());
    assert!(
        summary
            .rsplit(' ')
            .next()
            .is_some_and(|last| last.len() == "table_00".len())
    );
    let long = "x".repeat(300);
    does(&format!("SELECT * FROM {long}"), "SELECT", &long, "SELECT");
}

#[test]
fn statements_that_differ_in_literals_share_a_description() {
    let first = describe("SELECT a FROM b WHERE c = 1", 100, Backslash::Plain);
    let second = describe("SELECT a FROM b WHERE c = 'x'", 100, Backslash::Plain);
    assert!(Arc::ptr_eq(&first, &second));
}

/// The statements that would cost a careless parser its stack or its time.
#[test]
fn hostile_statements_are_cheap() {
    let repeated =
        |start: &str, part: &str, end: &str| format!("{start}{}{end}", part.repeat(16 * 1024 / part.len()));
    let hostile = [
        repeated("SELECT ", "(", ""),
        repeated("SELECT * FROM ", "(", ""),
        repeated("SELECT 1", "+1", ""),
        repeated("SELECT ", "- ", "1"),
        repeated("SELECT ", "NOT ", "a"),
        repeated("SELECT ", "f(", ""),
        repeated("SELECT ", "CASE ", ""),
        repeated("SELECT ", "CASE WHEN ", ""),
        repeated("SELECT 1", " UNION SELECT 1", ""),
        repeated("SELECT a", "::int", ""),
        repeated("SELECT a", "[1]", ""),
        repeated("SELECT a FROM t", " JOIN t ON a", ""),
        repeated("SELECT a FROM t", ", t", ""),
        repeated("", "WITH a AS (", ""),
        repeated("SELECT ", "EXTRACT(year FROM ", ""),
        repeated("", "/*", ""),
        repeated("", "$a$ $b$ ", ""),
        repeated("SELECT ", "$a", ""),
        repeated("SELECT 1 ", "- ", ""),
        repeated("VALUES ", "(1), ", ""),
        repeated("SELECT a IN (", "1, ", "1)"),
        repeated("SELECT ", "=-", ""),
        repeated("SELECT '", "'\n'", ""),
        repeated("SELECT ", "'' -- \n", ""),
        repeated("SELECT a", ".a", ""),
        repeated("SELECT a", " AND a", ""),
        repeated("SELECT ", "INTERVAL ", "1"),
        repeated("", "CREATE TABLE ", ""),
        repeated("", "EXPLAIN ", ""),
        repeated("SELECT x FROM y WHERE ", "EXISTS (SELECT ", ""),
        repeated("SELECT ", "ARRAY[", ""),
        repeated("SELECT ", "CAST(", ""),
        repeated("SELECT ", "{", ""),
        repeated("SELECT ", "LAMBDA ", ""),
        repeated("SELECT ", "(a)", ""),
        repeated("SELECT * FROM a ", "JOIN (", ""),
        repeated("SELECT * FROM a ", "JOIN LATERAL ", ""),
        repeated("SELECT ", "a BETWEEN ", ""),
        repeated("SELECT ", "PRIOR ", "a"),
        repeated("SELECT a ", "COLLATE b ", ""),
        repeated("SELECT a ", "AT TIME ZONE 'x' ", ""),
        repeated("SELECT a ", "IS NULL ", ""),
        repeated("", "INSERT INTO a ", ""),
        repeated("SELECT a FROM b ", "PIVOT (", ""),
    ];
    for whole in &hostile {
        for bytes in [100, 200, 400, 1000, 2000, 4000, 16 * 1024] {
            let started = std::time::Instant::now();
            describe(whole, bytes, Backslash::Plain);
            let took = started.elapsed();
            assert!(
                took.as_millis() < 100,
                "{took:?} for {bytes} bytes of {}",
                &whole[..40]
            );
        }
    }
}

#[test]
fn server_messages_keep_names_and_lose_values() {
    let check = |message: &str, names: [&str; 5], statement: Option<&str>, expected: &str| {
        let error = ServerError {
            code: "22P02",
            message,
            names,
            file: "x.c",
        };
        assert_eq!(error.sanitized_message(statement), expected);
    };
    let none = [""; 5];
    check(
        "invalid input syntax for type integer: \"abc\"",
        none,
        None,
        "invalid input syntax for type integer: \"?\"",
    );
    check("bad: \"a\" secret \"b\" x 7", none, None, "bad: \"?\" x ?");
    check("bad: \"never closed", none, None, "bad: \"?\"");
    check(
        "relation \"users\" does not exist",
        none,
        Some("SELECT * FROM users"),
        "relation \"users\" does not exist",
    );
    check(
        "relation \"s.users\" does not exist",
        none,
        Some("SELECT * FROM s.\"users\""),
        "relation \"s.users\" does not exist",
    );
    check(
        "relation \"abc\" does not exist",
        none,
        Some("SELECT ?::regclass"),
        "relation \"?\" does not exist",
    );
    let constraint = ["public", "users", "", "", "users_pkey"];
    check(
        "violates unique constraint \"users_pkey\"",
        constraint,
        None,
        "violates unique constraint \"users_pkey\"",
    );
    check(
        "column \"a\" of \"users\": \"x\"",
        constraint,
        Some("SELECT a"),
        "column \"a\" of \"users\": \"?\"",
    );
    check(
        "supplies 1 parameters, $2 of int4 0xff 1.5",
        none,
        None,
        "supplies ? parameters, $2 of int4 ? ?",
    );
    check(
        "Relation »geheim« existiert nicht",
        none,
        None,
        "Relation \"?\" existiert nicht",
    );
    check("", none, None, "");
    let raised = ServerError {
        code: "P0001",
        message: "bob is poor",
        ..ServerError::default()
    };
    assert!(!raised.sanitized_message(None).contains("bob"));
    let raised = ServerError {
        code: "23505",
        message: "bob is poor",
        file: "pl_exec.c",
        ..ServerError::default()
    };
    assert!(!raised.sanitized_message(None).contains("bob"));
}
