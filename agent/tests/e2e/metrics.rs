//! Metrics, as Prometheus scrapes them.

use std::{collections::HashSet, net::SocketAddr, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    harness::{
        agent::{self, Agent},
        apps::Server,
        client::{Connection, get},
        lab::{Lab, Need},
        load::Load,
        ports, until,
    },
};

const REQUESTS: usize = 2_000;
const STATUSES: [u16; 4] = [200, 200, 404, 500];
const COUNT: &str = "http_server_request_duration_seconds_count";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "metrics::counts_are_exact_where_one_trace_in_a_hundred_is_kept",
            &[Need::Root, Need::Go],
            exact,
        ),
        Case::new(
            "metrics::active_requests_go_back_to_none_also_when_their_server_is_killed",
            &[Need::Root, Need::Go],
            active,
        ),
        Case::new(
            "metrics::active_requests_by_the_server_that_they_name",
            &[Need::Root, Need::Go],
            active_by_server,
        ),
        Case::new(
            "metrics::an_address_that_is_taken",
            &[Need::Root, Need::Go],
            taken,
        ),
    ]
}

fn server(lab: &Lab) -> Result<Server> {
    let port = ports::free()?;
    let mut command = Command::new(lab.go_test_app()?);
    command.args(["-listen", &format!("127.0.0.1:{port}")]);
    Server::on_port("the Go server", command, port)
}

fn command(server: &Server, prometheus: SocketAddr) -> Command {
    let pid = server.pid().to_string();
    let mut command = agent::command(&["attach", "--output", "json", "--pid", &pid]);
    command.args(["--prometheus", &prometheus.to_string()]);
    command
}

fn exact(lab: &Lab) -> Result<()> {
    let server = server(lab)?;
    let prometheus = ports::local(ports::free()?);
    let mut command = command(&server, prometheus);
    command.envs([
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
    ]);
    let agent = Agent::start(command)?;
    ensure!(
        get(&prometheus.into(), "/readyz")?.status == 200
            && get(&prometheus.into(), "/healthz")?.status == 200,
        "the agent is not ready and well"
    );

    let target = |number: usize| {
        let status = STATUSES[number % STATUSES.len()];
        ("GET", format!("/status/{status}/{number}"))
    };
    let load = Load {
        address: server.address.clone(),
        requests: REQUESTS,
        concurrency: 16,
        keep_alive: true,
        request: &target,
    };
    let answers = load.run()?;
    let page = until("all requests in the metrics", || {
        let page = scrape(prometheus).ok()?;
        (page.sum(COUNT, "") as usize >= REQUESTS).then_some(page)
    })?;
    for status in STATUSES {
        let answered = answers
            .responses
            .iter()
            .filter(|response| response.status == status)
            .count();
        let label = format!("http_response_status_code=\"{status}\"");
        let counted = page.sum(COUNT, &label) as usize;
        ensure!(
            counted == answered && answered > 0,
            "{answered} answers with {status}, {counted} in the metrics"
        );
    }
    ensure!(page.sum(COUNT, "") as usize == REQUESTS, "more than were sent");
    let kept = page.sum("sidelight_spans_total", "") as usize;
    let left_out = page.sum("sidelight_unsampled_total", "") as usize;
    ensure!(
        kept > 0 && kept < REQUESTS / 10 && kept + left_out == REQUESTS,
        "{kept} spans kept, {left_out} left out"
    );

    let report = agent.settled(kept)?;
    let spans: HashSet<(String, String)> = report
        .spans
        .into_iter()
        .map(|span| (span.trace_id, span.span_id))
        .collect();
    let exemplars = page.exemplars()?;
    ensure!(
        !exemplars.is_empty() && exemplars.is_subset(&spans),
        "exemplars {exemplars:?} that are none of the spans {spans:?}"
    );
    Ok(())
}

const ACTIVE: &str = "http_server_active_requests";

fn active(lab: &Lab) -> Result<()> {
    const AT_ONCE: usize = 3;
    let server = server(lab)?;
    let prometheus = ports::local(ports::free()?);
    let mut command = command(&server, prometheus);
    command.envs([
        ("SIDELIGHT_METRICS_TEMPO", "true"),
        ("SIDELIGHT_METRICS_PROGRAM_RUNS", "true"),
    ]);
    let agent = Agent::start(command)?;
    let wait = |count: usize| {
        until(&format!("{count} active requests"), || {
            let page = scrape(prometheus).ok()?;
            (page.sum(ACTIVE, "") as usize == count).then_some(page)
        })
    };
    let ask = |millis: u64| -> Result<Vec<Connection>> {
        (0..AT_ONCE)
            .map(|number| {
                let mut connection = Connection::open(&server.address)?;
                let head = format!("GET /sleep/{millis}/{number} HTTP/1.1\r\nHost: a\r\n\r\n");
                connection.send(head.as_bytes())?;
                Ok(connection)
            })
            .collect()
    };
    let mut short = ask(1_000)?;
    wait(AT_ONCE)?;
    for connection in &mut short {
        ensure!(connection.response("GET")?.status == 200, "not answered");
    }
    let page = wait(0)?;
    ensure!(
        page.sum(ACTIVE, "http_request_method=\"GET\",url_scheme=\"http\"")
            .abs()
            < 0.5
            && page.0.contains(&format!("# TYPE {ACTIVE} gauge")),
        "no series of active requests"
    );
    // A request is over before its place in a trace is known, and only then counted.
    let latencies = "traces_spanmetrics_latency_count";
    let page = until("the spans of all requests", || {
        let page = scrape(prometheus).ok()?;
        (page.sum(latencies, "") as usize >= AT_ONCE).then_some(page)
    })?;
    also_shown(&page, AT_ONCE)?;
    let _long = ask(60_000)?;
    wait(AT_ONCE)?;
    server.process.signal(rustix::process::Signal::KILL)?;
    wait(0)?;
    agent.stop()?;
    Ok(())
}

/// By the operator's choice active requests have the address that their `Host` names.
fn active_by_server(lab: &Lab) -> Result<()> {
    const HOSTS: [(&str, &str, usize); 2] = [("a.test:81", "81", 2), ("b.test", "80", 1)];
    let server = server(lab)?;
    let prometheus = ports::local(ports::free()?);
    let mut command = command(&server, prometheus);
    command.env("SIDELIGHT_METRICS_ACTIVE_BY_SERVER", "true");
    let agent = Agent::start(command)?;
    let mut open = Vec::new();
    for (host, _, count) in HOSTS {
        for number in 0..count {
            let mut connection = Connection::open(&server.address)?;
            let head = format!("GET /sleep/2000/{number} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            connection.send(head.as_bytes())?;
            open.push(connection);
        }
    }
    let wait = |counts: &dyn Fn(usize) -> usize| {
        until("the active requests of each server", || {
            let page = scrape(prometheus).ok()?;
            let is_so = HOSTS.iter().all(|(host, port, count)| {
                let name = host.split(':').next().unwrap_or_default();
                let labels = format!(
                    "http_request_method=\"GET\",server_address=\"{name}\",server_port=\"{port}\",url_scheme=\"http\""
                );
                page.0.contains(&labels) && page.sum(ACTIVE, &labels) as usize == counts(*count)
            });
            is_so.then_some(())
        })
        .with_context(|| scrape(prometheus).map(|page| page.0).unwrap_or_default())
    };
    wait(&|count| count)?;
    for connection in &mut open {
        ensure!(connection.response("GET")?.status == 200, "not answered");
    }
    wait(&|_| 0)?;
    agent.stop().map(drop)
}

/// What the page has besides: the process, its spans in Tempo's names, and the agent itself.
fn also_shown(page: &Page, requests: usize) -> Result<()> {
    for name in [
        "process_cpu_time_seconds_total",
        "process_memory_usage_bytes",
        "process_memory_virtual_bytes",
        "process_threads",
        "process_unix_file_descriptors",
        "process_uptime_seconds",
        "sidelight_program_runs_total",
        "sidelight_program_run_time_seconds_total",
        "sidelight_loaded_programs",
        "sidelight_followed_connections",
    ] {
        // A process that has done little has used no CPU time that the kernel would say.
        let is_there = page.0.lines().any(|line| line.starts_with(name));
        ensure!(is_there, "no {name}");
    }
    let calls = page.sum(
        "traces_spanmetrics_calls_total",
        "span_kind=\"SPAN_KIND_SERVER\",status_code=\"STATUS_CODE_UNSET\"",
    );
    let latencies = page.sum("traces_spanmetrics_latency_count", "");
    ensure!(
        calls as usize == requests && latencies as usize == requests,
        "{calls} calls and {latencies} latencies of {requests} requests"
    );
    Ok(())
}

fn taken(lab: &Lab) -> Result<()> {
    let server = server(lab)?;
    let url = server.url()?;
    let address: SocketAddr = url.trim_start_matches("http://").parse()?;
    let ended = agent::finish(command(&server, address))?;
    ensure!(
        ended.status.code() == Some(1)
            && ended.stderr.trim().lines().count() == 1
            && ended.stderr.contains(&address.to_string())
            && ended.stderr.contains("--prometheus"),
        "{}: {}",
        ended.status,
        ended.stderr
    );
    Ok(())
}

/// A page of metrics.
struct Page(String);

fn scrape(address: SocketAddr) -> Result<Page> {
    let mut connection = Connection::open(&address.into())?;
    let accept = "Accept: application/openmetrics-text;version=1.0.0";
    connection.send(format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{accept}\r\n\r\n").as_bytes())?;
    let response = connection.response("GET")?;
    ensure!(response.status == 200, "{}", response.status);
    Ok(Page(String::from_utf8(response.body)?))
}

impl Page {
    /// The sum of the samples of one name that have `label`.
    fn sum(&self, name: &str, label: &str) -> f64 {
        let samples = self.0.lines().filter_map(|line| line.strip_prefix(name));
        let samples = samples.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
        let values = samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// Trace and span of each exemplar.
    fn exemplars(&self) -> Result<HashSet<(String, String)>> {
        let exemplars = self.0.lines().filter_map(|line| line.split_once(" # {"));
        exemplars
            .map(|(_, exemplar)| {
                let value = |name: &str| -> Result<String> {
                    let (_, rest) = exemplar.split_once(&format!("{name}=\"")).context("no id")?;
                    Ok(rest.split('"').next().unwrap_or_default().to_owned())
                };
                Ok((value("trace_id")?, value("span_id")?))
            })
            .collect()
    }
}
