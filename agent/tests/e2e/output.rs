//! What the agent prints, and how it ends.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    Case,
    expect::{self, Request},
    harness::{
        PATIENCE,
        agent::{self, Agent},
        apps::{self, Server, Sockets},
        client::get,
        lab::{Lab, Need},
        ports,
        process::Process,
        span::Span,
    },
};

const NEEDS: &[Need] = &[Need::Root, Need::Python];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("output::json_has_the_documented_shape", NEEDS, json_shape),
        Case::new("output::signals_end_it_with_exit_code_0", NEEDS, signals),
        Case::new("output::duration_ends_it_by_itself", NEEDS, duration),
        Case::new("output::tree_shows_method_path_and_status", NEEDS, tree),
        Case::new(
            "output::survives_a_reader_that_goes_away",
            NEEDS,
            reader_goes_away,
        ),
        Case::new("output::explain_says_why_there_is_no_parent", NEEDS, explain),
        Case::new("output::ps_lists_what_could_be_watched", &[Need::Python], ps),
        Case::new("output::check_says_what_works", &[Need::Root], check),
    ]
}

fn json_shape(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("shape")?)?;
    let agent = Agent::attach(&[sockets.process.pid()])?;
    let address = sockets.address("recv")?;
    let wanted = [
        Request::new("GET", "/sendall/3/good", get(&address, "/sendall/3/good")?.status),
        Request::new("GET", "/status/500/bad", get(&address, "/status/500/bad")?.status),
    ];
    // Parsing alone has refused unknown fields, missing fields and lines that are no spans.
    let report = expect::served(agent, &wanted)?;
    for span in &report.spans {
        ensure!(is_hex(&span.trace_id, 32), "traceId: {span:?}");
        ensure!(is_hex(&span.span_id, 16), "spanId: {span:?}");
        ensure!(span.parent_span_id.is_empty(), "a parent from nowhere: {span:?}");
        let guessed: Vec<&str> = span
            .path()
            .split('/')
            .map(|segment| segment.parse::<u32>().map_or(segment, |_| "{id}"))
            .collect();
        ensure!(
            span.name == format!("GET {}", guessed.join("/")),
            "the name is not the method and the route: {span:?}"
        );
        ensure!(
            span.resource
                .get("process.pid")
                .is_some_and(|pid| pid == sockets.process.pid()),
            "pid: {span:?}"
        );
        ensure!(
            span.resource
                .get("service.name")
                .is_some_and(|name| name == "sockets"),
            "service.name: {span:?}"
        );
        let (start, end) = span.times()?;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_nanos()
            .cast_signed();
        ensure!(
            start <= end && end <= now && now - start < 60_000_000_000,
            "times against {now}: {span:?}"
        );
    }
    let spans = u64::try_from(report.spans.len())?;
    ensure!(
        report.stats.spans == spans,
        "{} spans were printed, the counters say {:?}",
        spans,
        report.stats
    );
    ensure!(
        report.stats.events > 0 && report.stats.drops == 0,
        "counters: {:?}",
        report.stats
    );
    Ok(())
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn signals(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("signals")?)?;
    for signal in [Signal::INT, Signal::TERM] {
        let agent = Agent::attach(&[sockets.process.pid()])?;
        get(&sockets.address("recv")?, "/sendall/3/last-words")?;
        // At once: what was seen before the signal must still come out.
        agent.signal(signal)?;
        let report = agent.ended()?;
        ensure!(
            report.status.code() == Some(0),
            "{signal:?}: {}\n{}",
            report.status,
            report.stderr
        );
        ensure!(
            report.only(Span::is_served).len() == 1,
            "{signal:?}: {} spans",
            report.spans.len()
        );
    }
    Ok(())
}

fn duration(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("duration")?)?;
    let started = Instant::now();
    let agent = Agent::attach_with(&[sockets.process.pid()], &["--duration", "1s"])?;
    get(&sockets.address("recv")?, "/sendall/3/in-time")?;
    let report = agent.ended()?;
    ensure!(
        report.status.code() == Some(0),
        "{}\n{}",
        report.status,
        report.stderr
    );
    ensure!(
        started.elapsed().as_millis() >= 1000,
        "it ended after {:?}",
        started.elapsed()
    );
    ensure!(
        report.only(Span::is_served).len() == 1,
        "{} spans",
        report.spans.len()
    );
    Ok(())
}

fn tree(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("tree")?)?;
    let command = agent::command(&[
        "attach",
        "--output",
        "tree",
        "--pid",
        &sockets.process.pid().to_string(),
    ]);
    let mut process = Process::spawn("sidelight", command)?;
    process
        .stderr
        .wait(PATIENCE, |_, line| line.contains("ready: watching "))?;
    get(&sockets.address("recv")?, "/status/404/lost-in-a-tree")?;
    let line = process.line("line for the request", |_, line| line.contains("GET"))?;
    ensure!(line.contains("404"), "the status is not shown: {line:?}");
    ensure!(
        process.stdout.text().contains("/status/404/lost-in-a-tree"),
        "the path is not shown: {line:?}"
    );
    process.signal(Signal::INT)?;
    ensure!(process.wait(PATIENCE)?.success(), "{}", process.stderr.text());
    Ok(())
}

/// `sidelight attach … | head -1`: the agent ends, quietly.
fn reader_goes_away(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("reader")?)?;
    let pid = sockets.process.pid().to_string();
    let script = "{ \"$0\" \"$@\"; echo \"exit $?\" >&2; } | head -n 1";
    let shell = agent::command_within(&["sh"], script, &["attach", "--output", "json", "--pid", &pid]);
    let mut shell = Process::spawn("sidelight into head", shell)?;
    shell
        .stderr
        .wait(PATIENCE, |_, line| line.contains("ready: watching "))?;
    let address = sockets.address("recv")?;
    let end = crate::harness::until("the agent notices that nobody reads", || {
        get(&address, "/sendall/3/again").ok()?;
        shell
            .stderr
            .since(0)
            .into_iter()
            .find(|line| line.starts_with("exit "))
    })?;
    shell.wait(PATIENCE)?;
    ensure!(end == "exit 0", "{end}:\n{}", shell.stderr.text());
    ensure!(
        !shell.stderr.text().contains("panicked"),
        "{}",
        shell.stderr.text()
    );
    Ok(())
}

fn explain(_lab: &Lab) -> Result<()> {
    let port = ports::free()?;
    let flask = apps::module(
        "flask",
        &["--app", "web_flask", "run", "--port", &port.to_string()],
    )?;
    let server = Server::on_port("flask", flask, port)?;
    let reason = "the request's sender is not a watched process of this host, and sent no traceparent";
    for (options, wanted) in [(&["--explain"][..], Some(reason)), (&[], None)] {
        let agent = Agent::attach_with(&[server.pid()], options)?;
        get(&server.address, "/items/root")?;
        let report = expect::served(agent, &[Request::new("GET", "/items/root", 200)])?;
        for span in report.only(Span::is_served) {
            ensure!(span.parent_span_id.is_empty(), "a parent from nowhere: {span:?}");
            ensure!(span.no_parent.as_deref() == wanted, "{options:?}: {span:?}");
        }
    }
    Ok(())
}

fn ps(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("ps")?)?;
    let output = agent::finish(agent::command(&["ps", "--output", "json"]))?;
    ensure!(output.status.success(), "{}", output.stderr);
    let text = output.stdout;
    let listed: Vec<serde_json::Value> =
        serde_json::from_str(&text).or_else(|_| text.lines().map(serde_json::from_str).collect())?;
    let ours = listed
        .iter()
        .find(|process| process["pid"] == sockets.process.pid())
        .context("it is not listed")?;
    ensure!(ours["units"] == "tasks", "units: {ours}");
    let ours = ours.to_string().to_lowercase();
    for wanted in ["python", "\"sockets\"", &sockets.port("recv")?.to_string()] {
        ensure!(ours.contains(wanted), "{wanted} is not in {ours}");
    }
    Ok(())
}

fn check(_lab: &Lab) -> Result<()> {
    let output = agent::finish(agent::command(&["check", "--output", "json"]))?;
    ensure!(output.status.success(), "{}", output.stderr);
    let found: serde_json::Value = serde_json::from_str(&output.stdout).context("no JSON")?;
    ensure!(
        found.to_string().contains("tracepoint"),
        "nothing is said of tracepoints: {found}"
    );
    let text = agent::finish(agent::command(&["check"]))?;
    ensure!(
        text.status.success() && !text.stdout.is_empty(),
        "nothing is said"
    );
    Ok(())
}
