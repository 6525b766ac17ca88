//! Every PostgreSQL driver: exactly one span for each statement, with its text and without its values.

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case, expect,
    harness::{
        agent::{Agent, Report},
        apps,
        client::Connection,
        lab::{Lab, Need},
        postgres::Postgres,
        span::Span,
    },
};

const PYTHON: &[Need] = &[Need::Root, Need::Python, Need::Postgres];
const GO: &[Need] = &[Need::Root, Need::Go, Need::Postgres];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("databases::psycopg2", PYTHON, psycopg2),
        Case::new("databases::psycopg3_server_side_binding", PYTHON, psycopg3),
        Case::new("databases::psycopg3_pipeline", PYTHON, psycopg3_pipeline),
        Case::new("databases::asyncpg", PYTHON, asyncpg),
        Case::new("databases::go_lib_pq", GO, |lab| go_driver(lab, "pq")),
        Case::new("databases::go_pgx", GO, |lab| go_driver(lab, "pgx")),
    ]
}

const FAILED: &str = "SELECT secret FROM no_such_table WHERE word = ?";
const SELECT_BOUND: &str = "SELECT id, name FROM people WHERE id = $1";
const INSERT_BOUND: &str = "INSERT INTO notes (person, body) VALUES ($1, $2)";

/// Runs the verbs through a driver that starts after the agent knows its process, and compares texts.
fn python_driver(lab: &Lab, driver: &str, verbs: &[(&str, &str)], texts: &[&str]) -> Result<Report> {
    let postgres = lab.postgres()?;
    // A process of its own watches from before the connection is made: the driver is exec'ed by a shell that is watched.
    let mut program = apps::told_later("drivers.py", &[driver, &postgres.dsn()])?;
    let agent = Agent::attach(&[program.pid()])?;
    program.tell("go")?;
    program.line("line \"ready\"", |_, line| line == "ready")?;
    for (verb, answer) in verbs {
        let given = program.ask(verb)?;
        ensure!(given == *answer, "{driver}: {verb} is answered with {given:?}");
    }
    let report = expect::queried(agent, texts).with_context(|| driver.to_owned())?;
    conventions(&report, &postgres)?;
    Ok(report)
}

/// What holds for the spans of every driver.
fn conventions(report: &Report, postgres: &Postgres) -> Result<()> {
    for span in report.only(Span::is_query) {
        let operation = span.query().split(' ').next().unwrap_or_default();
        ensure!(
            span.text("db.system.name") == "postgresql",
            "db.system.name: {span:?}"
        );
        ensure!(
            span.text("db.operation.name") == operation,
            "db.operation.name: {span:?}"
        );
        ensure!(span.text("db.namespace") == "db", "db.namespace: {span:?}");
        ensure!(
            span.text("server.address") == "127.0.0.1",
            "server.address: {span:?}"
        );
        ensure!(
            span.number("server.port") == Some(i64::from(postgres.port())),
            "server.port: {span:?}"
        );
        let (start, end) = span.times()?;
        ensure!(start <= end, "a span that ends before it starts: {span:?}");
        let failed = span.query() == FAILED;
        ensure!(
            span.status.code == if failed { "ERROR" } else { "UNSET" },
            "status: {span:?}"
        );
        if failed {
            let message = &span.status.message;
            ensure!(
                message.contains("no_such_table"),
                "the status does not say what failed: {span:?}"
            );
            ensure!(
                span.text("db.response.status_code") == "42P01",
                "db.response.status_code: {span:?}"
            );
            ensure!(span.text("error.type") == "42P01", "error.type: {span:?}");
        }
        if span.query().contains("people") {
            ensure!(
                span.text("db.collection.name") == "people",
                "db.collection.name: {span:?}"
            );
            ensure!(
                span.text("db.query.summary") == "SELECT people",
                "db.query.summary: {span:?}"
            );
        }
        ensure!(
            !format!("{span:?}").contains("hunter2"),
            "a value of a statement is shown: {span:?}"
        );
    }
    Ok(())
}

fn psycopg2(lab: &Lab) -> Result<()> {
    let select = "SELECT id, name FROM people WHERE id = ?";
    let insert = "INSERT INTO notes (person, body) VALUES (?, ?)";
    let rows = "SELECT n, repeat(?, ?) FROM generate_series(?, ?) AS n";
    let verbs = [
        ("select 1", "ada"),
        ("insert hunter2", "1"),
        ("many 3", "3"),
        ("transaction 2", "grace"),
        ("rows 20000", "20000"),
        ("fail now", "42P01"),
        ("select 2", "grace"),
    ];
    let texts = [
        select, insert, insert, insert, insert, select, rows, FAILED, select,
    ];
    python_driver(lab, "psycopg2", &verbs, &texts).map(drop)
}

fn psycopg3(lab: &Lab) -> Result<()> {
    let mut verbs = vec![
        ("insert hunter2", "1"),
        ("many 4", "4"),
        ("transaction 2", "grace"),
        ("fail now", "42P01"),
    ];
    // The driver prepares a statement when it runs for the sixth time.
    verbs.extend([("select 1", "ada"); 9]);
    let mut texts = vec![INSERT_BOUND; 5];
    texts.push(FAILED);
    texts.extend([SELECT_BOUND; 10]);
    python_driver(lab, "psycopg3", &verbs, &texts).map(drop)
}

fn psycopg3_pipeline(lab: &Lab) -> Result<()> {
    let verbs = [
        ("pipeline 8", "ada,grace,ada,grace,ada,grace,ada,grace"),
        ("select 2", "grace"),
    ];
    python_driver(lab, "psycopg3", &verbs, &[SELECT_BOUND; 9]).map(drop)
}

fn asyncpg(lab: &Lab) -> Result<()> {
    let verbs = [
        ("select 1", "ada"),
        ("select 2", "grace"),
        ("insert hunter2", "INSERT 0 1"),
        ("many 3", "3"),
        ("transaction 2", "grace"),
        ("fail now", "42P01"),
        ("select 1", "ada"),
    ];
    let insert = INSERT_BOUND;
    let texts = [
        SELECT_BOUND,
        SELECT_BOUND,
        insert,
        insert,
        insert,
        insert,
        SELECT_BOUND,
        FAILED,
        SELECT_BOUND,
    ];
    python_driver(lab, "asyncpg", &verbs, &texts).map(drop)
}

fn go_driver(lab: &Lab, driver: &str) -> Result<()> {
    let postgres = lab.postgres()?;
    let server = apps::go_server(lab, &["-dsn", &postgres.dsn()])?;
    let agent = Agent::attach(&[server.pid()])?;
    let mut connection = Connection::open(&server.address)?;
    for (method, path, status) in [
        ("GET", "people/1", 200),
        ("GET", "people/2", 200),
        ("GET", "people/1", 200),
        ("POST", "notes/1", 200),
        ("GET", "transaction/2", 200),
        ("GET", "literal/0", 200),
        ("GET", "missing/0", 500),
        ("GET", "people/2", 200),
    ] {
        let target = format!("/{driver}/{path}");
        let response = connection.request(method, &target, b"")?;
        ensure!(
            response.status == status,
            "{target} is answered with {}",
            response.status
        );
    }
    let person = "SELECT name FROM people WHERE id = $1";
    let literal = "SELECT name FROM people WHERE name <> ? LIMIT ?";
    let texts = [
        person,
        person,
        person,
        INSERT_BOUND,
        person,
        literal,
        FAILED,
        person,
    ];
    // Both pools were filled before the agent came: the name of the database went by unseen.
    let report = expect::queried(agent, &texts)?;
    for span in report.only(Span::is_query) {
        ensure!(
            span.text("db.system.name") == "postgresql",
            "db.system.name: {span:?}"
        );
        ensure!(
            !format!("{span:?}").contains("hunter2"),
            "a value of a statement is shown: {span:?}"
        );
        if span.query() == FAILED {
            ensure!(span.text("error.type") == "42P01", "error.type: {span:?}");
        }
    }
    Ok(())
}
