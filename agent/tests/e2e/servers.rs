//! The servers that people run: one scenario each, started before the agent, and some after it.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    expect::{self, Request},
    harness::{
        agent::{Agent, Report},
        apps::{self, Server},
        client::{Connection, get},
        lab::{Lab, Need},
        load::Load,
        ports,
        span::Span,
        until,
    },
};

const PYTHON: &[Need] = &[Need::Root, Need::Python];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "servers::go_static_and_stripped",
            &[Need::Root, Need::Go],
            go_static,
        ),
        Case::new("servers::flask_development_server", PYTHON, flask_development),
        Case::new("servers::gunicorn_sync_with_4_workers", PYTHON, gunicorn_sync),
        Case::new(
            "servers::gunicorn_gthread_with_4_workers",
            PYTHON,
            gunicorn_gthread,
        ),
        Case::new(
            "servers::gunicorn_workers_that_restart",
            PYTHON,
            gunicorn_restarts,
        ),
        Case::new("servers::gunicorn_on_a_unix_socket", PYTHON, gunicorn_unix),
        Case::new("servers::uvicorn_with_asyncio", PYTHON, uvicorn_asyncio),
        Case::new("servers::uvicorn_with_uvloop", PYTHON, uvicorn_uvloop),
        Case::new("servers::uvicorn_with_workers", PYTHON, uvicorn_workers),
        Case::new("servers::uvicorn_on_a_unix_socket", PYTHON, uvicorn_unix),
        Case::new(
            "servers::started_later_and_selected_by_service",
            PYTHON,
            selected_by_service,
        ),
        Case::new(
            "servers::started_later_and_selected_by_port",
            PYTHON,
            selected_by_port,
        ),
        Case::new("servers::started_by_a_watched_shell", PYTHON, started_by_shell),
    ]
}

/// What every server is asked, and what it answers.
const REQUESTS: [(&str, &str, &[u8], u16); 7] = [
    ("GET", "/items/first", b"", 200),
    ("POST", "/items/posted", b"a body of some bytes", 200),
    ("HEAD", "/items/head", b"", 200),
    ("GET", "/status/404/lost", b"", 404),
    ("GET", "/status/503/broken", b"", 503),
    ("GET", "/stream/4/pieces", b"", 200),
    ("GET", "/nowhere", b"", 404),
];

/// Attaches, asks everything twice on one connection and twice on fresh ones, and demands a span for each.
fn check(mut server: Server, processes: usize) -> Result<Report> {
    let mut watched = apps::family(server.pid(), processes)?;
    let agent = Agent::attach(&[server.pid()])?;
    let wanted = ask(&server)?;
    // Workers may have come after the agent.
    watched.extend(apps::family(server.pid(), 1)?);
    let report = expect::served(agent, &wanted)
        .with_context(|| format!("the server's standard error:\n{}", server.process.stderr.text()))?;
    ensure!(
        server.process.runs(),
        "the server ended: {}",
        server.process.stderr.text()
    );
    for span in report.only(Span::is_served) {
        let pid = span.pid().context("a span without process.pid")?;
        ensure!(
            watched.contains(&pid),
            "process.pid {pid} is not one of the server's: {watched:?}"
        );
        let (start, end) = span.times()?;
        ensure!(start <= end, "a span that ends before it starts: {span:?}");
    }
    Ok(report)
}

fn ask(server: &Server) -> Result<Vec<Request>> {
    let mut wanted = Vec::new();
    let mut kept: Option<Connection> = None;
    for round in 0..4 {
        for (method, path, body, status) in REQUESTS {
            let path = format!("{path}-{round}");
            let mut connection = match kept.take() {
                Some(connection) if round < 2 => connection,
                _ => Connection::open(&server.address)?,
            };
            let response = connection
                .request(method, &path, body)
                .with_context(|| format!("{method} {path}"))?;
            ensure!(
                response.status == status,
                "{method} {path} is answered with {}",
                response.status
            );
            wanted.push(Request::new(method, &path, status));
            kept = (!response.closes).then_some(connection);
        }
    }
    Ok(wanted)
}

fn gunicorn(arguments: &[&str]) -> Result<Server> {
    let port = ports::free()?;
    Server::on_port(
        "gunicorn",
        gunicorn_command(&format!("127.0.0.1:{port}"), arguments)?,
        port,
    )
}

fn gunicorn_command(bind: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = apps::module("gunicorn", &["--bind", bind, "--no-control-socket"])?;
    command.args(arguments).arg("web_flask:app");
    Ok(command)
}

fn uvicorn_command(arguments: &[&str]) -> Result<Command> {
    let mut command = apps::module("uvicorn", &["--no-access-log"])?;
    command.args(arguments).arg("web_asgi:app");
    Ok(command)
}

fn uvicorn(arguments: &[&str]) -> Result<Server> {
    let port = ports::free()?;
    let mut command = uvicorn_command(arguments)?;
    command.args(["--port", &port.to_string()]);
    Server::on_port("uvicorn", command, port)
}

fn flask(port: u16) -> Result<Command> {
    apps::module(
        "flask",
        &["--app", "web_flask", "run", "--port", &port.to_string()],
    )
}

fn go_static(lab: &Lab) -> Result<()> {
    let server = apps::go_server(lab, &[])?;
    let address = server.address.clone();
    let agent = Agent::attach(&[server.pid()])?;
    let mut connection = Connection::open(&address)?;
    let mut wanted = Vec::new();
    for (method, path, body, status) in REQUESTS.map(|(m, p, b, s)| (m, p.to_owned(), b, s)) {
        let response = connection.request(method, &path, body)?;
        // net/http refuses status codes of handlers only below 100; HEAD is routed like GET.
        ensure!(
            response.status == status,
            "{method} {path} is answered with {}",
            response.status
        );
        wanted.push(Request::new(method, &path, status));
    }
    let report = expect::served(agent, &wanted)?;
    for span in report.only(Span::is_served) {
        ensure!(span.pid() == Some(server.pid()), "process.pid: {span:?}");
        ensure!(
            span.resource
                .get("service.name")
                .is_some_and(|name| name == "testapp"),
            "service.name: {span:?}"
        );
    }
    Ok(())
}

fn flask_development(_lab: &Lab) -> Result<()> {
    let port = ports::free()?;
    check(Server::on_port("flask", flask(port)?, port)?, 1).map(drop)
}

fn gunicorn_sync(_lab: &Lab) -> Result<()> {
    check(gunicorn(&["--workers", "4", "--worker-class", "sync"])?, 5).map(drop)
}

fn gunicorn_gthread(_lab: &Lab) -> Result<()> {
    check(
        gunicorn(&["--workers", "4", "--worker-class", "gthread", "--threads", "4"])?,
        5,
    )
    .map(drop)
}

/// Every worker answers a few requests and is replaced: what the agent attached to is soon gone.
fn gunicorn_restarts(_lab: &Lab) -> Result<()> {
    const REQUESTS: usize = 120;
    let server = gunicorn(&[
        "--workers",
        "2",
        "--max-requests",
        "12",
        "--max-requests-jitter",
        "3",
    ])?;
    apps::family(server.pid(), 3)?;
    let agent = Agent::attach(&[server.pid()])?;
    let request = |number| ("GET", format!("/pid/{number}"));
    let load = Load {
        address: server.address.clone(),
        requests: REQUESTS,
        concurrency: 2,
        keep_alive: false,
        request: &request,
    };
    let answers = load.run()?;
    let wanted: Vec<_> = (0..REQUESTS)
        .map(|number| Request::new("GET", &request(number).1, 200))
        .collect();
    let report = expect::served(agent, &wanted)?;

    // The answer names the process that gave it; so must the span.
    let mut pids = BTreeSet::new();
    for (number, response) in answers.responses.iter().enumerate() {
        let body: serde_json::Value = serde_json::from_slice(&response.body)?;
        let pid = body["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let path = request(number).1;
        let span = report
            .spans
            .iter()
            .find(|span| span.path() == path)
            .context("no such span")?;
        ensure!(span.pid() == pid, "{path} was answered by {pid:?}: {span:?}");
        pids.insert(pid);
    }
    ensure!(pids.len() > 4, "the workers did not restart: {pids:?}");
    Ok(())
}

fn gunicorn_unix(lab: &Lab) -> Result<()> {
    let path = lab.folder("gunicorn")?.join("socket");
    let command = gunicorn_command(&format!("unix:{}", path.display()), &["--workers", "2"])?;
    check(Server::on_path("gunicorn", command, &path)?, 3).map(drop)
}

fn uvicorn_asyncio(_lab: &Lab) -> Result<()> {
    check(uvicorn(&["--loop", "asyncio", "--http", "h11"])?, 1).map(drop)
}

fn uvicorn_uvloop(_lab: &Lab) -> Result<()> {
    check(uvicorn(&["--loop", "uvloop", "--http", "httptools"])?, 1).map(drop)
}

fn uvicorn_workers(_lab: &Lab) -> Result<()> {
    // The parent and two workers at least; multiprocessing's own helper may come and go.
    check(uvicorn(&["--workers", "2"])?, 3).map(drop)
}

fn uvicorn_unix(lab: &Lab) -> Result<()> {
    let path = lab.folder("uvicorn")?.join("socket");
    let command = uvicorn_command(&["--uds", &path.to_string_lossy()])?;
    check(Server::on_path("uvicorn", command, &path)?, 1).map(drop)
}

/// The agent is there first; what it is told to watch comes later, and its first request counts.
fn selected_by_service(_lab: &Lab) -> Result<()> {
    let service = format!("shop-{}", std::process::id());
    let agent = Agent::run_with(&["--service", &service])?;
    let port = ports::free()?;
    let mut command = flask(port)?;
    command.env("OTEL_SERVICE_NAME", &service);
    let server = Server::on_port("flask", command, port)?;
    let report = expect::served(agent, &ask(&server)?)?;
    let foreign = report.only(|span| {
        span.resource
            .get("service.name")
            .is_none_or(|name| *name != service)
    });
    ensure!(foreign.is_empty(), "spans of other services: {foreign:?}");
    Ok(())
}

/// A process is selected by its port only once it listens there: what counts is every request after the first span.
fn selected_by_port(_lab: &Lab) -> Result<()> {
    let port = ports::free()?;
    let agent = Agent::run_with(&["--port", &port.to_string()])?;
    let server = Server::on_port("flask", flask(port)?, port)?;
    until("a span of the selected process", || {
        get(&server.address, "/items/early").ok()?;
        agent.spans().ok()?.first().map(drop)
    })?;
    let wanted = ask(&server)?;
    let counts = |span: &Span| span.is_served() && span.path() != "/items/early";
    agent.wait_for("HTTP server spans", wanted.len(), counts)?;
    let report = agent.stop()?;
    expect::each_once(
        "HTTP server spans",
        report.only(counts).into_iter().map(Request::of),
        &wanted,
    )
}

/// A shell is watched; it becomes a server only after that.
fn started_by_shell(lab: &Lab) -> Result<()> {
    let folder = lab.folder("shell")?;
    let mut shell = apps::told_later("sockets.py", &[&folder.to_string_lossy()])?;
    let agent = Agent::attach(&[shell.pid()])?;
    shell.tell("go")?;
    let line = shell.line("listening socket", |_, line| line.starts_with("recv "))?;
    let port = line.trim_start_matches("recv ").parse().context("no port")?;
    shell.line("readiness", |_, line| line.starts_with("ready "))?;

    let status = Connection::open(&ports::local(port).into())?
        .request("GET", "/sendall/3/first", b"")?
        .status;
    let report = expect::served(agent, &[Request::new("GET", "/sendall/3/first", status)])?;
    let service = report
        .spans
        .first()
        .and_then(|span| span.resource.get("service.name"))
        .cloned();
    ensure!(
        service.as_ref().is_some_and(|name| name == "sockets"),
        "the shell's name outlived its exec: {service:?}"
    );
    Ok(())
}
