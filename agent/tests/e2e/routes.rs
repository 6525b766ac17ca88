//! `http.route`: what a framework has, what the operator named, and what paths look like.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    harness::{
        agent::{self, Agent, Report},
        apps::{self, Server},
        client::{Address, Connection},
        lab::{Lab, Need, source},
        load::Load,
        note, ports,
        process::resident,
        span::Span,
        until,
    },
};

const PYTHON: &[Need] = &[Need::Root, Need::Python];
const GO: &[Need] = &[Need::Root, Need::Go];
const DEMO: &[Need] = &[Need::Root, Need::Python, Need::Go, Need::Postgres];

/// Method, path, and the route that it takes.
type Taken = (&'static str, &'static str, Option<&'static str>);

macro_rules! go_version {
    ($name:literal, $version:literal, $route:literal) => {
        Case::new(
            concat!("routes::", $name),
            &[Need::Root, Need::Version(concat!("go-", $version, "/go/bin/go"))],
            |lab| {
                let go = Lab::version(concat!("go-", $version, "/go/bin/go"))?;
                plain_of(lab, &go, $version, Some($route))
            },
        )
    };
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("routes::of_the_demo", DEMO, demo),
        Case::new("routes::flask_behind_gunicorn", PYTHON, flask),
        Case::new("routes::fastapi_and_starlette", PYTHON, fastapi),
        Case::new("routes::go_serve_mux", GO, |lab| {
            plain_of(lab, &go()?, "1.25", Some("/albums/{id}"))
        }),
        Case::new("routes::go_chi", GO, |lab| routers(lab, "chi", CHI)),
        Case::new("routes::go_gin", GO, |lab| routers(lab, "gin", GIN)),
        Case::new("routes::go_echo", GO, |lab| routers(lab, "echo", ECHO)),
        Case::new("routes::go_routers_in_routers", GO, |lab| {
            routers(lab, "nested", NESTED)
        }),
        Case::new("routes::named_and_guessed", GO, named),
        Case::new("routes::many_paths_give_few_series", GO, many_paths),
        go_version!("go_1_21", "1.21", "/albums/"),
        go_version!("go_1_27", "1.27", "/albums/{id}"),
    ];
    if std::env::var_os("SIDELIGHT_TEST_FULL").is_some() {
        cases.extend([
            go_version!("go_1_22", "1.22", "/albums/{id}"),
            go_version!("go_1_23", "1.23", "/albums/{id}"),
            go_version!("go_1_24", "1.24", "/albums/{id}"),
        ]);
    }
    cases
}

/// Asks for each path and demands a span with its route, and a name that says it.
fn check(server: &Server, taken: &[Taken], options: &[&str]) -> Result<Report> {
    let agent = Agent::attach_with(&[server.pid()], options)?;
    ask(&agent, &server.address, taken)?;
    agent.stop()
}

fn ask(agent: &Agent, address: &Address, taken: &[Taken]) -> Result<()> {
    let served = |spans: &[Span]| spans.iter().filter(|span| span.is_served()).count();
    let seen = served(&agent.spans()?);
    for (method, path, _) in taken {
        Connection::open(address)?.request(method, path, b"")?;
    }
    agent.wait_for("HTTP server spans", seen + taken.len(), Span::is_served)?;
    let spans = agent.spans()?;
    for (method, path, route) in taken {
        let span = spans
            .iter()
            .rev()
            .find(|span| span.is_served() && span.method() == *method && span.path() == *path)
            .with_context(|| format!("no span of {method} {path}"))?;
        let found = Some(span.text("http.route")).filter(|route| !route.is_empty());
        ensure!(
            found == *route,
            "{method} {path}: the route is {found:?} and not {route:?}"
        );
        let name = route.map_or_else(|| (*method).to_owned(), |route| format!("{method} {route}"));
        ensure!(span.name == name, "{} is not called {name}", span.name);
    }
    Ok(())
}

fn demo(lab: &Lab) -> Result<()> {
    let start = |mut command: Command, name: &str| -> Result<Server> {
        let port = ports::free()?;
        command
            .env("PORT", port.to_string())
            .env("DATABASE_URL", lab.postgres()?.dsn());
        Server::on_port(name, command, port)
    };
    let python = |name: &str| -> Result<Command> {
        let mut command = Command::new(Lab::python()?);
        command
            .arg(source("../demo-apps").join(name).join("app.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    };
    let golang = start(Command::new(lab.go_demo_app()?), "golang-app")?;
    let fastapi = start(python("fastapi-app")?, "fastapi-app")?;
    let mut command = python("flask-app")?;
    command
        .env("FASTAPI_URL", fastapi.url()?)
        .env("GOLANG_URL", golang.url()?);
    let flask = start(command, "flask-app")?;
    let named = |server: &Server, service: &str, taken: &[Taken]| {
        for span in check(server, taken, &[])?.only(Span::is_served) {
            let name = span.resource.get("service.name").and_then(|name| name.as_str());
            ensure!(name == Some(service), "{name:?} and not {service}");
        }
        anyhow::Ok(())
    };
    named(
        &flask,
        "flask-app",
        &[
            ("GET", "/users", Some("/users")),
            ("GET", "/user/alice", Some("/user/<username>")),
            ("GET", "/nowhere", None),
        ],
    )?;
    named(
        &fastapi,
        "fastapi-app",
        &[("GET", "/users/1", Some("/users/{user_id}"))],
    )?;
    named(
        &golang,
        "golang-app",
        &[
            ("GET", "/albums", Some("/albums")),
            ("GET", "/albums/1", Some("/albums/{id}")),
        ],
    )
}

/// An application of the tests, by a server's module.
fn python(module: &str, port: u16, arguments: &[&str]) -> Result<Server> {
    let mut command = apps::module(module, arguments)?;
    command.current_dir(source("tests/apps/routes"));
    Server::on_port(module, command, port)
}

fn flask(_lab: &Lab) -> Result<()> {
    let port = ports::free()?;
    let bind = format!("127.0.0.1:{port}");
    let arguments = [
        "--bind",
        &bind,
        "--no-control-socket",
        "--preload",
        "flask_shop:create_app()",
    ];
    let server = python("gunicorn", port, &arguments)?;
    apps::family(server.pid(), 2)?;
    let agent = Agent::attach(&[server.pid()])?;
    let taken = [
        ("GET", "/user/alice", Some("/user/<name>")),
        ("PUT", "/user/al%20ice", Some("/user/<name>")),
        ("DELETE", "/user/alice", None),
        ("GET", "/shop/items/7", Some("/shop/items/<int:number>")),
        ("GET", "/shop/items/seven", None),
        ("GET", "/shop/files/a/b.txt", Some("/shop/files/<path:path>")),
        ("GET", "/static/none.css", Some("/static/<path:filename>")),
        ("GET", "/wp-login.php", None),
    ];
    ask(&agent, &server.address, &taken)?;
    let late = [
        ("GET", "/late/add", Some("/late/add")),
        ("GET", "/late/comer/there", Some("/late/<name>/there")),
    ];
    ask(&agent, &server.address, &late[..1])?;
    // Looking again has to be allowed again.
    until("the route that came later", || {
        ask(&agent, &server.address, &late[1..]).ok()
    })?;
    agent.stop().map(drop)
}

fn fastapi(_lab: &Lab) -> Result<()> {
    let port = ports::free()?;
    let number = port.to_string();
    let arguments = [
        "--factory",
        "fastapi_shop:create_app",
        "--port",
        &number,
        "--no-access-log",
    ];
    let server = python("uvicorn", port, &arguments)?;
    check(
        &server,
        &[
            ("GET", "/users/7", Some("/users/{user_id}")),
            ("POST", "/users/7", Some("/users/{user_id}")),
            ("GET", "/v1/shop/orders/7", Some("/v1/shop/orders/{number}")),
            ("GET", "/shop/orders/7", None),
            ("GET", "/admin/users/alice", Some("/admin/users/{name}")),
            ("GET", "/pages/a/b/c", Some("/pages/a/{name:path}")),
            ("GET", "/files/a/b", Some("/files/{path:path}")),
            ("GET", "/openapi.json", Some("/openapi.json")),
            ("GET", "/nowhere", None),
        ],
        &[],
    )
    .map(drop)
}

const CHI: &[Taken] = &[
    ("GET", "/albums/7", Some("/albums/{id}")),
    ("POST", "/albums/7", Some("/albums/{id}")),
    ("GET", "/numbers/7", Some("/numbers/{number:[0-9]+}")),
    ("GET", "/files/a/b", Some("/files/*")),
    ("GET", "/api/users/alice", Some("/api/users/{user}")),
    (
        "GET",
        "/api/v2/users/alice/orders/3",
        Some("/api/v2/users/{user}/orders/{order}"),
    ),
    ("GET", "/nowhere", None),
];
const GIN: &[Taken] = &[
    ("GET", "/albums/7", Some("/albums/:id")),
    ("POST", "/albums/7", Some("/albums/:id")),
    ("GET", "/albums/latest", Some("/albums/latest")),
    ("GET", "/files/a/b", Some("/files/*path")),
    ("GET", "/api/users/alice", Some("/api/users/:user")),
    ("GET", "/nowhere", None),
];
const ECHO: &[Taken] = &[
    ("GET", "/albums/7", Some("/albums/:id")),
    ("POST", "/albums/7", Some("/albums/:id")),
    ("GET", "/albums/latest", Some("/albums/latest")),
    ("GET", "/files/a/b", Some("/files/*")),
    ("GET", "/api/users/alice", Some("/api/users/:user")),
    ("GET", "/nowhere", None),
];
const NESTED: &[Taken] = &[
    ("GET", "/albums/7", Some("/albums/{id}")),
    ("GET", "/api/users/alice", Some("/api/users/{user}")),
    ("GET", "/chi/api/users/alice", Some("/chi/api/users/{user}")),
    ("GET", "/nowhere", None),
];

fn go() -> Result<PathBuf> {
    std::env::var_os("SIDELIGHT_TEST_GO")
        .map(PathBuf::from)
        .context("SIDELIGHT_TEST_GO is not set")
}

/// Builds a program as it is shipped: static and stripped.
fn build(go: &Path, folder: &Path, program: &Path) -> Result<()> {
    let output = Command::new(go)
        .args(["build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(program)
        .arg(".")
        .current_dir(folder)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .output()
        .context("the Go toolchain cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} says:\n{said}", go.display());
    Ok(())
}

fn serve(program: &Path, arguments: &[&str]) -> Result<Server> {
    let port = ports::free()?;
    let mut command = Command::new(program);
    command
        .args(["-listen", &format!("127.0.0.1:{port}")])
        .args(arguments);
    Server::on_port("the Go server", command, port)
}

fn plain(lab: &Lab, go: &Path, version: &str) -> Result<PathBuf> {
    let folder = lab.folder(&format!("routes-go-{version}"))?;
    std::fs::copy(
        source("tests/apps/routes/plain_go/main.go"),
        folder.join("main.go"),
    )?;
    std::fs::write(folder.join("go.mod"), format!("module plain\n\ngo {version}\n"))?;
    let program = folder.join("plain");
    build(go, &folder, &program)?;
    Ok(program)
}

fn plain_of(lab: &Lab, go: &Path, version: &str, route: Option<&'static str>) -> Result<()> {
    let program = plain(lab, go, version)?;
    let taken = [
        ("GET", "/albums/7", route),
        ("GET", "/albums/7/songs", Some("/albums/")),
        ("GET", "/exact", Some("/exact")),
        ("POST", "/shelf77/a/b", Some("/shelf77/")),
        ("GET", "/nowhere", None),
    ];
    for arguments in [&[][..], &["-default"]] {
        check(&serve(&program, arguments)?, &taken, &[])?;
    }
    Ok(())
}

fn routers(lab: &Lab, router: &str, taken: &[Taken]) -> Result<()> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.is_none() {
        let program = lab.folder("routes-go")?.join("routers");
        build(&go()?, &source("tests/apps/routes/go"), &program)?;
        *built = Some(program);
    }
    let program = built.clone().unwrap_or_default();
    drop(built);
    check(&serve(&program, &["-router", router])?, taken, &[]).map(drop)
}

/// Without a framework that is known: what the operator named, and what the path looks like.
fn named(lab: &Lab) -> Result<()> {
    let server = serve(&plain(lab, &go()?, "1.25")?, &["-bare"])?;
    let settings = lab.folder("routes-settings")?.join("settings.yaml");
    std::fs::write(
        &settings,
        "routes:\n  patterns: [\"/user/{name}\", \"/files/*\"]\n",
    )?;
    let settings = settings.to_string_lossy();
    let taken = [
        ("GET", "/user/alice", Some("/user/{name}")),
        ("GET", "/files/a/b", Some("/files/*")),
        ("GET", "/orders/42/items/7", Some("/orders/{id}/items/{id}")),
        ("GET", "/t/123e4567-e89b-12d3-a456-426614174000", Some("/t/{id}")),
        ("GET", "/about", Some("/about")),
    ];
    check(&server, &taken, &["--config", &settings])?;
    std::fs::write(&*settings, "routes:\n  heuristic: false\n")?;
    check(&server, &[("GET", "/orders/42", None)], &["--config", &settings]).map(drop)
}

fn many_paths(lab: &Lab) -> Result<()> {
    const MOST: usize = 500;
    let requests = if std::env::var_os("SIDELIGHT_TEST_FULL").is_some() {
        100_000
    } else {
        10_000
    };
    let server = serve(&plain(lab, &go()?, "1.25")?, &["-bare"])?;
    let prometheus = ports::local(ports::free()?);
    let pid = server.pid().to_string();
    let mut command = agent::command(&["run", "--pid", &pid, "--prometheus", &prometheus.to_string()]);
    command.args(["--output", "none"]);
    let agent = Agent::start(command)?;
    let before = resident(agent.pid())?;
    // Words, so that no two look alike: digits as letters.
    let word = |number: usize| -> String {
        let letter = |digit: u8| char::from(digit - b'0' + b'a');
        format!("{number:06}").bytes().map(letter).collect()
    };
    let load = Load {
        address: server.address.clone(),
        requests,
        // As many at once as an agent that was not optimised keeps up with.
        concurrency: 2,
        keep_alive: true,
        request: &|number| ("GET", format!("/page/{}", word(number))),
    };
    load.run()?;
    let counted = "http_server_request_duration_seconds_count";
    let page = until("all requests in the metrics", || {
        let page = scrape(prometheus).ok()?;
        (sum(&page, counted) as usize >= requests).then_some(page)
    })?;
    let series = page.lines().filter(|line| line.starts_with(counted)).count();
    ensure!(sum(&page, counted) as usize == requests, "more than were sent");
    // Of a request whose response was dropped nobody knows whether the server has its path.
    let dropped = sum(&page, "sidelight_drops_total") as usize;
    ensure!(
        dropped == 0,
        "{dropped} events were dropped: the agent had too little of the CPU"
    );
    ensure!(series == MOST + 1, "{series} series for {requests} paths");
    let over_limit = sum(&page, "sidelight_routes_over_limit_total") as usize;
    ensure!(
        over_limit == requests - MOST,
        "{over_limit} requests were counted as those with one route too many"
    );
    let grown = resident(agent.pid())?.saturating_sub(before);
    note(&format!(
        "{requests} paths: {series} series, {over_limit} requests without a route, {before} KiB at the beginning and {grown} more"
    ));
    ensure!(grown < 96 * 1024, "the agent grew by {grown} KiB");
    agent.stop().map(drop)
}

fn scrape(address: SocketAddr) -> Result<String> {
    let response = Connection::open(&address.into())?.request("GET", "/metrics", b"")?;
    Ok(String::from_utf8(response.body)?)
}

/// The sum of the samples of a name.
fn sum(page: &str, name: &str) -> f64 {
    let samples = page.lines().filter_map(|line| line.strip_prefix(name));
    let values = samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}
