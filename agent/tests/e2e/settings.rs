//! Settings as users have them: what is selected, what holds for one service, and another agent's settings.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    expect::{self, Request},
    harness::{
        agent::{self, Agent, Report},
        apps::{self, Server, Sockets},
        client::{Connection, get},
        docker::Engine,
        lab::{Lab, Need},
        ports,
        span::Span,
        until,
    },
    namespaces::within_network,
};

const GO: &[Need] = &[Need::Root, Need::Go];
const PYTHON: &[Need] = &[Need::Root, Need::Python];
const DOCKER: &[Need] = &[Need::Root, Need::Go, Need::Docker];
/// Inside a container's own network, so that no other program can have it.
const PORT: u16 = 8080;
/// Requests of each kind.
const REQUESTS: usize = 5;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("settings::select_by_command_line", GO, by_command_line),
        Case::new("settings::exclude_what_is_selected", GO, excluded),
        Case::new("settings::select_by_port_and_executable_at_once", GO, by_rule),
        Case::new(
            "settings::observers_are_watched_where_they_are_meant",
            GO,
            observers,
        ),
        Case::new("settings::select_a_container_by_name_or_id", DOCKER, by_container),
        Case::new(
            "settings::a_service_has_its_own_name_and_ports",
            PYTHON,
            own_name_and_ports,
        ),
        Case::new(
            "settings::the_service_in_which_a_trace_begins_decides_about_the_whole",
            PYTHON,
            own_sampling,
        ),
        Case::new("settings::beyla_variables_as_they_are", GO, beyla_variables),
        Case::new("settings::beyla_file_as_it_is", GO, beyla_file),
        Case::new("settings::printed_settings_are_the_same_again", &[], printed),
    ]
}

/// A file of the test's own.
fn file(lab: &Lab, name: &str, text: &str) -> Result<PathBuf> {
    let path = lab.folder("settings")?.join(name);
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

fn items(server: &Server, name: &str) -> Result<Request> {
    let path = format!("/items/{name}");
    let status = get(&server.address, &path)?.status;
    Ok(Request::new("GET", &path, status))
}

/// What was asked of `other` must not be seen, though it was asked first.
fn only(agent: Agent, server: &Server, other: &Server) -> Result<Report> {
    items(other, "unseen")?;
    let seen = items(server, "seen")?;
    expect::served(agent, &[seen])
}

fn by_command_line(lab: &Lab) -> Result<()> {
    let (server, other) = (apps::go_server(lab, &[])?, apps::go_server(lab, &[])?);
    let listens = format!("*-listen {}*", server.url()?.trim_start_matches("http://"));
    only(Agent::run_with(&["--command-line", &listens])?, &server, &other)?;
    let expression = format!("re:-listen {}$", server.url()?.trim_start_matches("http://"));
    only(
        Agent::run_with(&["--command-line", &expression])?,
        &server,
        &other,
    )?;
    Ok(())
}

fn excluded(lab: &Lab) -> Result<()> {
    let (server, other) = (apps::go_server(lab, &[])?, apps::go_server(lab, &[])?);
    let both = format!("re:{}|{}", authority(&server)?, authority(&other)?);
    let unwanted = port(&other)?;
    let agent = Agent::run_with(&["--command-line", &both, "--exclude-port", &unwanted])?;
    only(agent, &server, &other)?;
    let agent = Agent::run_with(&["--command-line", &both, "--exclude-pid", &other.pid().to_string()])?;
    only(agent, &server, &other)?;
    Ok(())
}

fn by_rule(lab: &Lab) -> Result<()> {
    let (server, other) = (apps::go_server(lab, &[])?, apps::go_server(lab, &[])?);
    let executable = std::fs::read_link(format!("/proc/{}/exe", server.pid()))?;
    let text = format!(
        "select:\n  match:\n    - {{port: {}, exe: \"{}\"}}\n    - {{port: {}, exe: /nowhere/*}}\n",
        port(&server)?,
        executable.display(),
        port(&other)?
    );
    let path = file(lab, "rule.yaml", &text)?;
    only(Agent::run_with(&["--config", text_of(&path)?])?, &server, &other)?;
    Ok(())
}

/// A program with the name of a collector: a port does not mean it, its name does, and so does the setting.
fn observers(lab: &Lab) -> Result<()> {
    let program = lab.folder("settings-observers")?.join("otelcol-shop");
    std::fs::copy(lab.go_test_app()?, &program)?;
    let number = ports::free()?;
    let mut command = Command::new(&program);
    command.args(["-listen", &format!("127.0.0.1:{number}")]);
    let (observer, other) = (
        Server::on_port("the observer", command, number)?,
        apps::go_server(lab, &[])?,
    );
    let (unmeant, ordinary) = (port(&observer)?, port(&other)?);
    let both = ["--port", &unmeant, "--port", &ordinary];
    only(Agent::run_with(&both)?, &other, &observer)?;
    only(Agent::run_with(&["--exe", "otelcol-*"])?, &observer, &other)?;
    let mut command = agent::command(&["run", "--output", "json", "--port", &unmeant]);
    command.env("SIDELIGHT_EXCLUDE_OBSERVERS", "false");
    only(Agent::start(command)?, &observer, &other)?;
    // As whoever comes from Beyla says the same.
    let text = format!(
        "discovery:\n  default_exclude_instrument: []\n  instrument:\n    - open_ports: {unmeant}\ntrace_printer: json\n"
    );
    let path = file(lab, "observers.yml", &text)?;
    let command = agent::command(&["run", "--config", text_of(&path)?]);
    only(Agent::start(command)?, &observer, &other)?;
    Ok(())
}

fn by_container(lab: &Lab) -> Result<()> {
    let engine = Engine::start(&lab.folder("settings-docker")?)?;
    let container = engine.run(&lab.go_test_app()?, &["-listen", &format!("127.0.0.1:{PORT}")])?;
    let address = ports::local(PORT).into();
    within_network(container.pid, || {
        until("the container listens", || get(&address, "/items/early").ok())
    })?;
    for pattern in [engine.name_of(&container)?, container.id[..12].to_owned()] {
        let mut command = agent::command(&["run", "--output", "json", "--container", &pattern]);
        command.env("SIDELIGHT_CONTAINERS_DOCKER_SOCKET", engine.socket_path());
        let agent = Agent::start(command)?;
        ensure!(
            agent.stderr().contains("ready: watching 1 process(es)"),
            "{pattern}: {}",
            agent.stderr()
        );
        let status = within_network(container.pid, || Ok(get(&address, "/items/contained")?.status))?;
        let report = expect::served(agent, &[Request::new("GET", "/items/contained", status)])?;
        let name = engine.name_of(&container)?;
        for span in &report.spans {
            ensure!(
                span.resource["container.name"] == name.as_str(),
                "{name} is not in {:?}",
                span.resource
            );
        }
    }
    Ok(())
}

fn own_name_and_ports(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("settings-ports")?)?;
    let wanted = sockets.port("recv")?;
    let text = format!(
        "services:\n  - match: {{port: {wanted}}}\n    name: shop\n    namespace: prod\n    ports: {wanted}\n"
    );
    let path = file(lab, "ports.yaml", &text)?;
    let pid = sockets.process.pid();
    let agent = Agent::attach_with(&[pid], &["--config", text_of(&path)?])?;
    get(&sockets.address("read")?, "/sendall/9/unwanted")?;
    let status = get(&sockets.address("recv")?, "/sendall/9/wanted")?.status;
    let report = expect::served(agent, &[Request::new("GET", "/sendall/9/wanted", status)])?;
    ensure!(report.stderr.contains(" other_ports=1"), "{}", report.stderr);
    for span in &report.spans {
        ensure!(
            span.resource["service.name"] == "shop" && span.resource["service.namespace"] == "prod",
            "{span:?}"
        );
    }
    Ok(())
}

/// A client calls a server that keeps no trace that begins in it: what the client began is kept there, too. And the other
/// way round.
fn own_sampling(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("settings-sampling")?)?;
    let port = sockets.port("recv")?.to_string();
    let mut client = apps::told("family.py", &["127.0.0.1", &port])?;
    let pids = [sockets.process.pid(), client.pid()];
    for (round, silent) in pids.into_iter().enumerate() {
        let text =
            format!("services:\n  - match: {{pid: {silent}}}\n    sampling: {{sampler: always_off}}\n");
        let path = file(lab, &format!("sampling-{silent}.yaml"), &text)?;
        let agent = Agent::attach_with(&pids, &["--config", text_of(&path)?])?;
        for number in 0..REQUESTS {
            client.ask(&format!("thread /sendall/9/called-{round}-{number}"))?;
            get(
                &sockets.address("recv")?,
                &format!("/sendall/9/direct-{round}-{number}"),
            )?;
        }
        let kept = if silent == sockets.process.pid() {
            "called"
        } else {
            "direct"
        };
        agent.wait_for("kept spans", REQUESTS, Span::is_served)?;
        let report = agent.stop()?;
        let served = report.only(Span::is_served);
        ensure!(
            served.len() == REQUESTS && served.iter().all(|span| span.path().contains(kept)),
            "the kept ones are {kept}: {served:#?}"
        );
        let sent = report.only(Span::is_sent).len();
        let expected = if kept == "called" { REQUESTS } else { 0 };
        ensure!(sent == expected, "{sent} spans of calls instead of {expected}");
        ensure!(report.stderr.contains(" unsampled="), "{}", report.stderr);
    }
    Ok(())
}

fn beyla_variables(lab: &Lab) -> Result<()> {
    let (server, other) = (apps::go_server(lab, &[])?, apps::go_server(lab, &[])?);
    let metrics = ports::free()?;
    let mut command = agent::command(&["run"]);
    command.envs([
        ("BEYLA_OPEN_PORT", port(&server)?),
        ("BEYLA_SERVICE_NAME", "golang-app".to_owned()),
        ("BEYLA_TRACE_PRINTER", "json".to_owned()),
        ("BEYLA_PROMETHEUS_PORT", metrics.to_string()),
        ("BEYLA_KUBE_METADATA_ENABLE", "autodetect".to_owned()),
    ]);
    let agent = Agent::start(command)?;
    for line in [
        "BEYLA_OPEN_PORT is taken as select.port",
        "BEYLA_SERVICE_NAME is taken as resource.service_name: golang-app",
        "BEYLA_TRACE_PRINTER is taken as output: json",
        "BEYLA_PROMETHEUS_PORT is taken as prometheus",
        "BEYLA_KUBE_METADATA_ENABLE is ignored: ",
    ] {
        let lines = agent.stderr().lines().filter(|said| said.contains(line)).count();
        ensure!(lines == 1, "{lines} lines with {line:?}:\n{}", agent.stderr());
    }
    items(&other, "unseen")?;
    let seen = items(&server, "seen")?;
    until("the request is counted", || {
        let page = Connection::open(&ports::local(metrics).into())
            .and_then(|mut connection| connection.request("GET", "/metrics", b""))
            .ok()?;
        String::from_utf8(page.body)
            .ok()?
            .contains("http_server_request_duration_seconds_count")
            .then_some(())
    })?;
    let report = expect::served(agent, &[seen])?;
    ensure!(
        report
            .spans
            .iter()
            .all(|span| span.resource["service.name"] == "golang-app"),
        "{:#?}",
        report.spans
    );
    Ok(())
}

/// The file that Beyla had in the demo's original, with this test's ports.
fn beyla_file(lab: &Lab) -> Result<()> {
    let (server, other) = (apps::go_server(lab, &[])?, apps::go_server(lab, &[])?);
    let text = format!(
        "discovery:\n  instrument:\n    - open_ports: {}\nebpf:\n  context_propagation: headers\ntrace_printer: json\n\
         prometheus_export:\n  port: ${{METRICS}}\n  path: /metrics\ninternal_metrics:\n  prometheus:\n    port: 8998\n",
        port(&server)?
    );
    let path = file(lab, "beyla.yml", &text)?;
    let mut command = agent::command(&["run"]);
    command.envs([
        ("BEYLA_CONFIG_PATH", text_of(&path)?),
        ("METRICS", &ports::free()?.to_string()),
    ]);
    let agent = Agent::start(command)?;
    ensure!(
        agent
            .stderr()
            .contains("discovery.instrument[0] is taken as select.match: port"),
        "{}",
        agent.stderr()
    );
    only(agent, &server, &other)?;
    Ok(())
}

fn printed(lab: &Lab) -> Result<()> {
    let mut first = agent::command(&[
        "config",
        "--print",
        "--port",
        "8000-8010",
        "--exclude-exe",
        "*/otelcol",
    ]);
    first.envs([
        ("SIDELIGHT_TIER", "tracepoint"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret-word"),
    ]);
    let said = settings(first)?;
    for part in [
        "port: [8000-8010]  # flag --port",
        "tier: tracepoint  # variable SIDELIGHT_TIER",
        "endpoint: \"http://collector:4318\"  # variable OTEL_EXPORTER_OTLP_ENDPOINT",
        "authorization=REDACTED",
        "level: info  # default",
    ] {
        ensure!(said.contains(part), "{part:?} is not in\n{said}");
    }
    ensure!(!said.contains("secret-word"), "{said}");
    let path = file(lab, "printed.yaml", &said)?;
    let again = settings(agent::command(&[
        "config",
        "--print",
        "--config",
        text_of(&path)?,
    ]))?;
    ensure!(again.contains(&format!("# file {}:", path.display())), "{again}");
    let bare = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines
            .map(|line| line.split("  # ").next().unwrap_or_default().to_owned())
            .collect()
    };
    ensure!(bare(&said) == bare(&again), "{said}\n---\n{again}");
    Ok(())
}

fn settings(command: Command) -> Result<String> {
    let ended = agent::finish(command)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    Ok(ended.stdout)
}

fn text_of(path: &Path) -> Result<&str> {
    path.to_str().context("the path is no text")
}

fn authority(server: &Server) -> Result<String> {
    Ok(server.url()?.trim_start_matches("http://").to_owned())
}

fn port(server: &Server) -> Result<String> {
    let authority = authority(server)?;
    let (_, port) = authority.rsplit_once(':').context("no port")?;
    Ok(port.to_owned())
}
