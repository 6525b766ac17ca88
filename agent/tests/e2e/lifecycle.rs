//! The agent comes and goes; applications do not notice, and nothing of it stays.

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    Case,
    expect::{self, Request},
    harness::{
        agent::Agent,
        apps::{self, Sockets},
        client::Connection,
        lab::{Lab, Need},
        leftovers::{self, Held},
        load::Steady,
        note,
        span::Span,
    },
};

const PYTHON: &[Need] = &[Need::Root, Need::Python];
const PYTHON_SQL: &[Need] = &[Need::Root, Need::Python, Need::Postgres];
const GO_SQL: &[Need] = &[Need::Root, Need::Go, Need::Postgres];
const BPFTOOL: &[Need] = &[Need::Root, Need::Python, Need::Tool("bpftool")];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "lifecycle::served_connections_from_before_the_agent",
            PYTHON,
            served_before,
        ),
        Case::new(
            "lifecycle::client_connections_from_before_the_agent",
            PYTHON,
            sent_before,
        ),
        Case::new(
            "lifecycle::psycopg2_connection_from_before_the_agent",
            PYTHON_SQL,
            psycopg2_before,
        ),
        Case::new(
            "lifecycle::psycopg3_statement_prepared_before_the_agent",
            PYTHON_SQL,
            psycopg3_before,
        ),
        Case::new(
            "lifecycle::asyncpg_statement_prepared_before_the_agent",
            PYTHON_SQL,
            asyncpg_before,
        ),
        Case::new(
            "lifecycle::pgx_statement_prepared_before_the_agent",
            GO_SQL,
            pgx_before,
        ),
        Case::new(
            "lifecycle::stopped_killed_and_doubled_agents_change_no_answer",
            BPFTOOL,
            comes_and_goes,
        ),
    ]
}

fn served_before(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("served-before")?)?;
    let address = sockets.address("recv")?;
    let mut pooled = (0..4)
        .map(|_| Connection::open(&address))
        .collect::<Result<Vec<_>>>()?;
    // One has never been used, one has had one request, …
    for (requests, connection) in pooled.iter_mut().enumerate() {
        for number in 0..requests {
            connection.request("GET", &format!("/sendall/900/early-{number}"), b"")?;
        }
    }
    let agent = Agent::attach(&[sockets.process.pid()])?;
    let mut wanted = Vec::new();
    for round in 0..2 {
        for (number, connection) in pooled.iter_mut().enumerate() {
            let path = format!("/sendall/900/late-{number}-{round}");
            wanted.push(Request::new(
                "POST",
                &path,
                connection.request("POST", &path, b"with a body")?.status,
            ));
        }
    }
    expect::served(agent, &wanted).map(drop)
}

fn sent_before(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("sent-before")?)?;
    let base = format!("http://127.0.0.1:{}", sockets.port("recv")?);
    for library in ["http.client", "requests", "aiohttp"] {
        let mut client = apps::told("clients.py", &[library])?;
        client.ask(&format!("GET {base}/sendall/900/early"))?;
        let agent = Agent::attach(&[client.pid()])?;
        let urls: Vec<String> = (0..3)
            .map(|number| format!("{base}/sendall/900/late-{number}"))
            .collect();
        for url in &urls {
            ensure!(client.ask(&format!("GET {url}"))? == "200", "{url}");
        }
        agent.wait_for("client spans", urls.len(), Span::is_sent)?;
        let report = agent.stop()?;
        let found = report
            .only(Span::is_sent)
            .into_iter()
            .map(|span| span.text("url.full").to_owned());
        expect::each_once("client spans", found, &urls).with_context(|| library.to_owned())?;
    }
    Ok(())
}

fn psycopg2_before(lab: &Lab) -> Result<()> {
    let postgres = lab.postgres()?;
    let mut program = apps::told("drivers.py", &["psycopg2", &postgres.dsn()])?;
    program.ask("select 1")?;
    let agent = Agent::attach(&[program.pid()])?;
    ensure!(program.ask("select 2")? == "grace", "a wrong answer");
    ensure!(program.ask("select 1")? == "ada", "a wrong answer");
    expect::queried(agent, &["SELECT id, name FROM people WHERE id = ?"; 2]).map(drop)
}

fn psycopg3_before(lab: &Lab) -> Result<()> {
    prepared_before(lab, "psycopg3", "1")
}

fn asyncpg_before(lab: &Lab) -> Result<()> {
    prepared_before(lab, "asyncpg", "INSERT 0 1")
}

/// A statement whose text nobody but the server knows any more, then one that is prepared anew.
fn prepared_before(lab: &Lab, driver: &str, inserted: &str) -> Result<()> {
    let postgres = lab.postgres()?;
    let mut program = apps::told("drivers.py", &[driver, &postgres.dsn()])?;
    for _ in 0..8 {
        program.ask("select 1")?;
    }
    let agent = Agent::attach(&[program.pid()])?;
    for _ in 0..3 {
        ensure!(program.ask("select 2")? == "grace", "a wrong answer");
    }
    ensure!(program.ask("insert known")? == inserted, "a wrong answer");
    unknown_then(agent, 3, "INSERT INTO notes (person, body) VALUES ($1, $2)")
}

fn pgx_before(lab: &Lab) -> Result<()> {
    let postgres = lab.postgres()?;
    let server = apps::go_server(lab, &["-dsn", &postgres.dsn()])?;
    let mut connection = Connection::open(&server.address)?;
    let mut ask = |method: &str, target: &str| -> Result<()> {
        let status = connection.request(method, target, b"")?.status;
        ensure!(status == 200, "{target} is answered with {status}");
        Ok(())
    };
    ask("GET", "/pgx/people/1")?;
    let agent = Agent::attach(&[server.pid()])?;
    for _ in 0..3 {
        ask("GET", "/pgx/people/2")?;
    }
    ask("POST", "/pgx/notes/1")?;
    unknown_then(agent, 3, "INSERT INTO notes (person, body) VALUES ($1, $2)")
}

/// Demands so many spans without a text, none of them with an invented one, and one with `text`.
fn unknown_then(agent: Agent, unknown: usize, text: &str) -> Result<()> {
    let mut texts = vec![""; unknown];
    texts.push(text);
    let report = expect::queried(agent, &texts)?;
    for span in report
        .only(Span::is_query)
        .into_iter()
        .filter(|span| span.query().is_empty())
    {
        ensure!(
            span.text("db.operation.name").is_empty(),
            "an invented operation: {span:?}"
        );
        ensure!(!span.name.is_empty(), "a span without a name: {span:?}");
    }
    Ok(())
}

fn comes_and_goes(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("lifecycle")?)?;
    let (pid, address) = (sockets.process.pid(), sockets.address("recv")?);
    let pins = leftovers::pinned();
    let targets = [
        "/sendall/700/steady",
        "/sendmsg/20000/steady",
        "/chunked/5/steady",
    ]
    .map(str::to_owned);
    let load = Steady::start(&address, &targets)?;
    load.goes_on(50)?;

    let seen = |agent: &Agent, what: &str| agent.wait_for(what, 20, Span::is_served).map(drop);
    let first = Agent::attach(&[pid])?;
    seen(&first, "spans of the first agent")?;
    let second = Agent::attach(&[pid])?;
    seen(&second, "spans of a second agent beside the first")?;
    let held = [Held::by(first.pid())?, Held::by(second.pid())?];

    first.stop()?;
    held[0].gone().context("after an agent that was stopped")?;
    let before = second.spans()?.len();
    second.wait_for("spans of the second agent alone", before + 20, |_| true)?;
    second.kill()?;
    held[1].gone().context("after an agent that was killed")?;
    load.goes_on(50)?;

    let third = Agent::attach(&[pid])?;
    seen(&third, "spans of an agent after one that was killed")?;
    let held = Held::by(third.pid())?;
    third.signal(Signal::TERM)?;
    ensure!(third.ended()?.status.success(), "SIGTERM is not an error");
    held.gone().context("after an agent that was terminated")?;

    load.goes_on(50)?;
    let answered = load.stop()?;
    note(&format!(
        "{answered} answers, all the same, while agents came and went"
    ));
    ensure!(
        leftovers::pinned() == pins,
        "pinned files stay: {:?}",
        leftovers::pinned()
    );
    Ok(())
}
