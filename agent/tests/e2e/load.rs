//! The demo's applications under load: nothing missing, nothing twice.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    expect::{self, Request},
    harness::{
        agent::{Agent, Report},
        apps::Server,
        client::Response,
        lab::{Lab, Need, source},
        load::Load,
        note, ports,
        span::Span,
    },
};

const CONCURRENCY: usize = 32;
const PYTHON: &[Need] = &[Need::Root, Need::Python, Need::Postgres];
const GO: &[Need] = &[Need::Root, Need::Go, Need::Postgres];
const ALL: &[Need] = &[Need::Root, Need::Python, Need::Go, Need::Postgres];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("load::golang_app_over_keep_alive", GO, |lab| golang(lab, true)).alone(),
        Case::new("load::golang_app_over_fresh_connections", GO, |lab| {
            golang(lab, false)
        })
        .alone(),
        Case::new("load::fastapi_app_over_keep_alive", PYTHON, |lab| {
            fastapi(lab, true)
        })
        .alone(),
        Case::new("load::fastapi_app_over_fresh_connections", PYTHON, |lab| {
            fastapi(lab, false)
        })
        .alone(),
        Case::new("load::flask_app_over_keep_alive", ALL, |lab| flask(lab, true)).alone(),
        Case::new("load::flask_app_over_fresh_connections", ALL, |lab| {
            flask(lab, false)
        })
        .alone(),
    ]
}

fn requests() -> usize {
    if std::env::var_os("SIDELIGHT_TEST_FULL").is_some() {
        10_000
    } else {
        2_000
    }
}

/// One application, its load, and what its spans must say of it.
struct Trial<'a> {
    server: &'a Server,
    keep_alive: bool,
    /// The target of request number n, and the statement or upstream path that it sent.
    request: &'a (dyn Fn(usize) -> (String, String) + Sync),
    /// What a CLIENT span says of what a request sent; nothing for spans of no interest.
    caused: &'a dyn Fn(&Span) -> Option<String>,
}

impl Trial<'_> {
    fn run(&self) -> Result<()> {
        let agent = Agent::attach(&[self.server.pid()])?;
        let request = |number| ("GET", (self.request)(number).0);
        let load = Load {
            address: self.server.address.clone(),
            requests: requests(),
            concurrency: CONCURRENCY,
            keep_alive: self.keep_alive,
            request: &request,
        };
        let answers = load
            .run()
            .with_context(|| format!("the agent:\n{}", agent.stderr()))?;
        let rate = requests() as f64 / answers.took.as_secs_f64();
        let report = agent.settled(0)?;
        let stats = report.stats;
        note(&format!(
            "{} requests at concurrency {CONCURRENCY}, keep-alive {}: {rate:.0} requests/s, {} events, {} drops, {} spans",
            requests(),
            self.keep_alive,
            stats.events,
            stats.drops,
            stats.spans
        ));
        self.judge(&report, &answers.responses)
    }

    fn judge(&self, report: &Report, responses: &[Response]) -> Result<()> {
        let wanted: Vec<Request> = responses
            .iter()
            .enumerate()
            .map(|(number, response)| {
                let target = (self.request)(number).0;
                Request::new(
                    "GET",
                    target.split('?').next().unwrap_or_default(),
                    response.status,
                )
            })
            .collect();
        let expected: Vec<String> = (0..responses.len())
            .map(|number| (self.request)(number).1)
            .collect();
        let served = report.only(Span::is_served);
        let sent: Vec<String> = report.spans.iter().filter_map(self.caused).collect();
        let missing = (wanted.len() + expected.len()).saturating_sub(served.len() + sent.len());
        if report.stats.drops > 0 {
            let drops = report.stats.drops;
            ensure!(
                missing as u64 <= drops,
                "{missing} spans are missing, only {drops} drops were counted"
            );
            return Ok(());
        }
        expect::each_once("server spans", served.into_iter().map(Request::of), &wanted)?;
        expect::each_once("client spans", sent.into_iter(), &expected)
    }
}

fn query_text(span: &Span) -> Option<String> {
    span.is_query()
        .then(|| span.query().split_whitespace().collect::<Vec<_>>().join(" "))
}

fn demo(lab: &Lab, mut command: Command, name: &str) -> Result<Server> {
    let port = ports::free()?;
    command
        .env("PORT", port.to_string())
        .env("DATABASE_URL", lab.postgres()?.dsn())
        .env("FAULTS", "off");
    Server::on_port(name, command, port)
}

fn golang_app(lab: &Lab) -> Result<Server> {
    demo(lab, Command::new(lab.go_demo_app()?), "golang-app")
}

fn python_app(lab: &Lab, name: &str, environment: &[(&str, &str)]) -> Result<Server> {
    let mut command = Command::new(Lab::python()?);
    command
        .arg(source("../demo-apps").join(name).join("app.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command.envs(environment.iter().copied());
    demo(lab, command, name)
}

fn golang(lab: &Lab, keep_alive: bool) -> Result<()> {
    let server = golang_app(lab)?;
    let request = |number: usize| match number % 4 {
        0 => (
            "/albums".to_owned(),
            "SELECT id, title, artist, price FROM albums ORDER BY id".to_owned(),
        ),
        _ => (
            format!("/albums/{number}"),
            "SELECT id, title, artist, price FROM albums WHERE id = $1".to_owned(),
        ),
    };
    Trial {
        server: &server,
        keep_alive,
        request: &request,
        caused: &query_text,
    }
    .run()
}

fn fastapi(lab: &Lab, keep_alive: bool) -> Result<()> {
    let server = python_app(lab, "fastapi-app", &[])?;
    let by_name = "SELECT users.id, users.name, users.age FROM users WHERE users.name = ? ORDER BY users.id";
    let request = |number: usize| match number % 4 {
        0 => (format!("/users?name=nobody{number}"), by_name.to_owned()),
        _ => (
            format!("/users/{number}"),
            "SELECT id, name, age FROM users WHERE id = $1".to_owned(),
        ),
    };
    // What SQLAlchemy asks a server once, on its first connection, belongs to no request.
    let caused = |span: &Span| query_text(span).filter(|text| text.contains(" FROM users "));
    Trial {
        server: &server,
        keep_alive,
        request: &request,
        caused: &caused,
    }
    .run()
}

fn flask(lab: &Lab, keep_alive: bool) -> Result<()> {
    let (golang, fastapi) = (golang_app(lab)?, python_app(lab, "fastapi-app", &[])?);
    let (albums, users) = (golang.url()?, fastapi.url()?);
    let server = python_app(
        lab,
        "flask-app",
        &[("FASTAPI_URL", &users), ("GOLANG_URL", &albums)],
    )?;
    let request = |number: usize| match number % 4 {
        0 => ("/albums".to_owned(), format!("{albums}/albums")),
        _ => (format!("/user/nobody{number}"), format!("{users}/users")),
    };
    let caused = |span: &Span| {
        span.is_sent().then(|| {
            span.text("url.full")
                .split('?')
                .next()
                .unwrap_or_default()
                .to_owned()
        })
    };
    Trial {
        server: &server,
        keep_alive,
        request: &request,
        caused: &caused,
    }
    .run()
}
