//! The applications of `tests/apps/parents`, each as it is run in earnest.

use std::process::Command;

use anyhow::Result;

use super::ways::{self, Way};
use crate::harness::{
    apps::{self, Server},
    lab::{Lab, source},
    ports,
};

/// A server, and what it is asked.
pub(super) struct Runtime {
    pub(super) title: &'static str,
    pub(super) ways: &'static [Way],
    /// So many processes it has before it is asked.
    pub(super) processes: usize,
    /// Gets the leaf's address.
    pub(super) start: fn(&Lab, &str) -> Result<Server>,
}

pub(super) const GO: Runtime = Runtime {
    title: "Go, net/http",
    ways: ways::GO,
    processes: 1,
    start: go,
};

pub(super) const UVICORN_ASYNCIO: Runtime = Runtime {
    title: "Python, FastAPI, uvicorn, asyncio",
    ways: ways::ASGI,
    processes: 1,
    start: |lab, leaf| uvicorn(lab, leaf, &["--loop", "asyncio", "--http", "h11"]),
};

pub(super) const UVICORN_UVLOOP: Runtime = Runtime {
    title: "Python, FastAPI, uvicorn, uvloop",
    ways: ways::ASGI,
    processes: 1,
    start: |lab, leaf| uvicorn(lab, leaf, UVLOOP),
};

pub(super) const UVICORN_OLD_UVLOOP: Runtime = Runtime {
    title: "Python, FastAPI, uvicorn, uvloop before 0.23",
    ways: ways::ASGI,
    processes: 1,
    start: old_uvloop,
};

pub(super) const AIOHTTP_ASYNCIO: Runtime = Runtime {
    title: "Python, aiohttp, asyncio",
    ways: ways::AIOHTTP,
    processes: 1,
    start: |lab, leaf| aiohttp(lab, leaf, "asyncio"),
};

pub(super) const AIOHTTP_UVLOOP: Runtime = Runtime {
    title: "Python, aiohttp, uvloop",
    ways: ways::AIOHTTP,
    processes: 1,
    start: |lab, leaf| aiohttp(lab, leaf, "uvloop"),
};

pub(super) const FLASK: Runtime = Runtime {
    title: "Python, Flask's development server",
    ways: ways::THREADS,
    processes: 1,
    start: flask,
};

pub(super) const GUNICORN_SYNC: Runtime = Runtime {
    title: "Python, Flask, gunicorn sync",
    ways: ways::THREADS,
    processes: 4,
    start: |lab, leaf| gunicorn(lab, leaf, &["--worker-class", "sync", "--workers", "3"]),
};

pub(super) const GUNICORN_GTHREAD: Runtime = Runtime {
    title: "Python, Flask, gunicorn gthread",
    ways: ways::THREADS,
    processes: 3,
    start: |lab, leaf| {
        gunicorn(
            lab,
            leaf,
            &["--worker-class", "gthread", "--workers", "2", "--threads", "16"],
        )
    },
};

pub(super) const GUNICORN_GEVENT: Runtime = Runtime {
    title: "Python, Flask, gunicorn gevent",
    ways: ways::GREENLETS,
    processes: 2,
    start: |lab, leaf| {
        gunicorn(
            lab,
            leaf,
            &["--worker-class", "gevent", "--config", "gevent_psycopg2.py"],
        )
    },
};

const UVLOOP: &[&str] = &["--loop", "uvloop", "--http", "httptools"];
const APPS: &str = "tests/apps/parents";

/// What all calls over HTTP reach.
pub(super) fn leaf(lab: &Lab) -> Result<Server> {
    let port = ports::free()?;
    let mut command = Command::new(lab.go_parents_app()?);
    command.args(["-listen", &format!("127.0.0.1:{port}")]);
    Server::on_port("the leaf", command, port)
}

fn go(lab: &Lab, leaf: &str) -> Result<Server> {
    let port = ports::free()?;
    let mut command = Command::new(lab.go_parents_app()?);
    command.args(["-listen", &format!("127.0.0.1:{port}"), "-leaf", leaf]);
    command.args(["-dsn", &lab.postgres()?.dsn()]);
    Server::on_port("the Go server", command, port)
}

/// A Python program that finds the applications, the leaf and the database.
fn python(lab: &Lab, leaf: &str, mut command: Command) -> Result<Command> {
    command
        .current_dir(source(APPS))
        .env("LEAF_URL", leaf)
        .env("DATABASE_URL", lab.postgres()?.dsn());
    Ok(command)
}

fn uvicorn_command(lab: &Lab, leaf: &str, port: u16, arguments: &[&str]) -> Result<Command> {
    let mut command = apps::module("uvicorn", &["--no-access-log", "--port", &port.to_string()])?;
    command.args(arguments).arg("asgi:app");
    python(lab, leaf, command)
}

fn uvicorn(lab: &Lab, leaf: &str, arguments: &[&str]) -> Result<Server> {
    let port = ports::free()?;
    Server::on_port("uvicorn", uvicorn_command(lab, leaf, port, arguments)?, port)
}

fn old_uvloop(lab: &Lab, leaf: &str) -> Result<Server> {
    let port = ports::free()?;
    let mut command = uvicorn_command(lab, leaf, port, UVLOOP)?;
    // Found before the one of the environment.
    command.env("PYTHONPATH", Lab::old_uvloop()?);
    Server::on_port("uvicorn", command, port)
}

fn aiohttp(lab: &Lab, leaf: &str, event_loop: &str) -> Result<Server> {
    let port = ports::free()?;
    let command = apps::script("parents/aiohttp_server.py", &[&port.to_string(), event_loop])?;
    Server::on_port("aiohttp", python(lab, leaf, command)?, port)
}

fn flask(lab: &Lab, leaf: &str) -> Result<Server> {
    let port = ports::free()?;
    Server::on_port("Flask", python(lab, leaf, flask_command(port, leaf)?)?, port)
}

/// The development server, which needs a database only for some ways.
pub(super) fn flask_command(port: u16, leaf: &str) -> Result<Command> {
    let mut command = apps::script("parents/wsgi.py", &[&port.to_string()])?;
    command.env("LEAF_URL", leaf);
    Ok(command)
}

fn gunicorn(lab: &Lab, leaf: &str, arguments: &[&str]) -> Result<Server> {
    let port = ports::free()?;
    let bind = format!("127.0.0.1:{port}");
    let mut command = apps::module("gunicorn", &["--bind", &bind, "--no-control-socket"])?;
    command.args(arguments).arg("wsgi:app");
    Server::on_port("gunicorn", python(lab, leaf, command)?, port)
}
