//! Every call names the request that it is for: its parent is that one, or none where nothing proves which it is.

mod joined;
mod judge;
mod proxied;
mod rested;
mod runtimes;
mod self_test;
mod table;
mod versions;
mod ways;

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    harness::{
        agent::{Agent, Report},
        apps,
        client::Address,
        lab::{Lab, Need},
        load::Load,
        networks, note,
    },
};
use judge::{Judge, named, named_by_path};
use runtimes::{Runtime, leaf};
use table::{Table, publish};
pub(crate) use versions::publish as publish_versions;
use ways::Way;

const GO: &[Need] = &[Need::Root, Need::Go, Need::Postgres];
const PYTHON: &[Need] = &[Need::Root, Need::Go, Need::Postgres, Need::Python];
const OLD_UVLOOP: &[Need] = &[
    Need::Root,
    Need::Go,
    Need::Postgres,
    Need::Python,
    Need::OldUvloop,
];

const DOCKER: &[Need] = &[Need::Root, Need::Go, Need::Postgres, Need::Docker];
const NETWORKS: &[Need] = &[Need::Root, Need::Go, Need::Python, Need::Networks];

/// The lines of a table that are no way: the requests of the clients, and the requests that the leaf got.
const OUTER: &str = "(requests from outside)";
const JOINED: &str = "(both ends of a call)";

pub(crate) fn cases() -> Vec<Case> {
    let cases = [
        Case::new("parents::go_net_http", GO, |lab| check(lab, &runtimes::GO)),
        Case::new("parents::uvicorn_asyncio", PYTHON, |lab| {
            check(lab, &runtimes::UVICORN_ASYNCIO)
        }),
        Case::new("parents::uvicorn_uvloop", PYTHON, |lab| {
            check(lab, &runtimes::UVICORN_UVLOOP)
        }),
        Case::new("parents::uvicorn_uvloop_before_0_23", OLD_UVLOOP, |lab| {
            check(lab, &runtimes::UVICORN_OLD_UVLOOP)
        }),
        Case::new("parents::aiohttp_asyncio", PYTHON, |lab| {
            check(lab, &runtimes::AIOHTTP_ASYNCIO)
        }),
        Case::new("parents::aiohttp_uvloop", PYTHON, |lab| {
            check(lab, &runtimes::AIOHTTP_UVLOOP)
        }),
        Case::new("parents::flask_development_server", PYTHON, |lab| {
            check(lab, &runtimes::FLASK)
        }),
        Case::new("parents::gunicorn_sync", PYTHON, |lab| {
            check(lab, &runtimes::GUNICORN_SYNC)
        }),
        Case::new("parents::gunicorn_gthread", PYTHON, |lab| {
            check(lab, &runtimes::GUNICORN_GTHREAD)
        }),
        Case::new("parents::gunicorn_gevent", PYTHON, |lab| {
            check(lab, &runtimes::GUNICORN_GEVENT)
        }),
        Case::new("parents::after_a_rest_in_go", GO, |lab| {
            rested::check(lab, &runtimes::GO)
        }),
        Case::new("parents::after_a_rest_in_python", PYTHON, |lab| {
            rested::check(lab, &runtimes::UVICORN_ASYNCIO)
        }),
        Case::new("parents::of_another_network", NETWORKS, |lab| {
            joined::check(lab, "Destination translated", networks::DESTINATION)
        }),
        Case::new(
            "parents::of_another_network_that_sees_no_client",
            NETWORKS,
            |lab| {
                let rules = format!("{}{}", networks::DESTINATION, networks::SOURCE);
                joined::check(lab, "Destination and source translated", &rules)
            },
        ),
        Case::new("parents::through_a_userland_proxy", DOCKER, proxied::check),
        Case::new("parents::wrong_ones_are_found", &[], self_test::check),
    ];
    cases
        .into_iter()
        .chain(versions::cases())
        .map(|case| if is_long() { case.alone() } else { case })
        .collect()
}

fn is_long() -> bool {
    std::env::var_os("SIDELIGHT_TEST_FULL").is_some()
}

/// Concurrency and number of requests.
type Phases = [(usize, usize); 3];

/// One after the other on one server, watched by one agent.
fn phases() -> Phases {
    if is_long() {
        [(1, 600), (16, 6_000), (64, 4_400)]
    } else {
        [(1, 30), (16, 240), (64, 160)]
    }
}

fn check(lab: &Lab, runtime: &Runtime) -> Result<()> {
    let leaf = leaf(lab)?;
    let server = (runtime.start)(lab, &leaf.url()?)?;
    apps::family(server.pid(), runtime.processes)?;
    let agent = Agent::attach(&[server.pid(), leaf.pid()])?;
    let sent = ask(runtime.ways, &server.address).with_context(|| {
        format!(
            "the server's standard error:\n{}\nthe agent's:\n{}",
            server.process.stderr.text(),
            agent.stderr()
        )
    })?;
    conclude(runtime.title, agent, &sent)
}

/// Waits for the spans, shows what their parents are, and judges it.
fn conclude(title: &str, agent: Agent, sent: &Sent) -> Result<()> {
    let report = agent.settled(sent.spans())?;
    let table = sent.table(&report)?;
    let text = format!("{}\n{}\n", table.text(title), report.stats.line());
    note(&text);
    publish(&text)?;
    table.judge(&text, report.stats.lost())
}

/// How often each way was asked for.
struct Sent {
    ways: &'static [Way],
    requests: Vec<usize>,
    /// Ways of which it does not matter how many spans have their parent, but none may have a wrong one.
    besides: &'static [&'static str],
}

/// All ways take turns, in an order that is not the same in each round.
fn ask(ways: &'static [Way], address: &Address) -> Result<Sent> {
    ask_in(phases(), ways, address)
}

fn ask_in(phases: Phases, ways: &'static [Way], address: &Address) -> Result<Sent> {
    let count = ways.len();
    let place = |number: usize| (number + number / count * 5) % count;
    let mut requests = vec![0; count];
    let mut before = 0;
    for (concurrency, number_of_requests) in phases {
        let request = |number: usize| {
            let (number, way) = (before + number, &ways[place(before + number)]);
            ("GET", format!("/{0}/{0}_{number}", way.name))
        };
        let load = Load {
            address: address.clone(),
            requests: number_of_requests,
            concurrency,
            keep_alive: true,
            request: &request,
        };
        for (number, response) in load.run()?.responses.iter().enumerate() {
            let target = request(number).1;
            ensure!(
                response.status == 200,
                "{target} is answered with {}",
                response.status
            );
            requests[place(before + number)] += 1;
        }
        before += number_of_requests;
    }
    Ok(Sent {
        ways,
        requests,
        besides: &[],
    })
}

impl Sent {
    /// Adds requests that were sent otherwise.
    fn count(&mut self, name: &str, more: usize) -> Result<()> {
        let place = self.ways.iter().position(|way| way.name == name);
        self.requests[place.context("no such way")?] += more;
        Ok(())
    }

    /// The sum of `each` over all requests.
    fn sum(&self, each: impl Fn(&Way) -> usize) -> usize {
        let pairs = self.ways.iter().zip(&self.requests);
        pairs.map(|(way, requests)| each(way) * requests).sum()
    }

    /// How many spans there are at least: each request, each call, and each call's other end at the leaf.
    fn spans(&self) -> usize {
        self.sum(|way| 1 + way.calls() + way.fetches)
    }

    fn table(&self, report: &Report) -> Result<Table> {
        let mut table = Table::default();
        for (way, requests) in self.ways.iter().zip(&self.requests) {
            table.expect(way.name, way.provable, requests * way.calls());
        }
        for name in self.besides {
            table.expect(name, false, 0);
        }
        table.expect(OUTER, true, self.sum(|_| 1));
        table.expect(JOINED, true, self.sum(|way| way.fetches));
        let judge = Judge::new(&report.spans, report.stats.lost() > 0);
        for span in &report.spans {
            let describe = || format!("{span:?}");
            if let Some(request) = named(span) {
                let way = request.rsplit_once('_').map_or(request, |(way, _)| way);
                table.count(way, judge.call(span, request), describe)?;
            } else if span.path().starts_with("/leaf/") {
                table.count(JOINED, judge.joined(span), describe)?;
            } else if span.is_served() && named_by_path(span.path()).is_some() {
                table.count(OUTER, judge.outer(span), describe)?;
            }
        }
        Ok(table)
    }
}
