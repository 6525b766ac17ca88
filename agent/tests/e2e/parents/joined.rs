//! Both ends of a connection are one request, wherever they are on this host and whatever addresses each of them sees.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::{ask, conclude, runtimes, ways};
use crate::{
    harness::{
        agent::Agent,
        client::Address,
        lab::Lab,
        load::Load,
        networks::{self, REAL, SEEN, Waiting},
        ports,
        process::Process,
        wire::{Talk, Wire},
    },
    namespaces::within_network,
};

/// Enough to see whether anything is added to a request or an answer.
const COMPARED: usize = 20;

/// A Flask application in one network calls the leaf in another through the translation of `rules`.
pub(super) fn check(lab: &Lab, title: &str, rules: &str) -> Result<()> {
    let (client, port, leaf) = start(lab, rules)?;
    let address = Address::from(ports::local(port));
    let before = within_network(client.pid(), || said(&address))?;
    let agent = Agent::attach(&[client.pid(), leaf.pid()])?;
    let after = within_network(client.pid(), || said(&address))?;
    ensure!(
        before == after,
        "other bytes are sent when the agent watches:\n{before:#?}\n{after:#?}"
    );
    let mut sent = within_network(client.pid(), || ask(ways::FETCHES, &address))?;
    sent.count("fetch", COMPARED)?;
    conclude(title, agent, &sent)
}

fn start(lab: &Lab, rules: &str) -> Result<(Process, u16, Process)> {
    let mut leaf = Command::new(lab.go_parents_app()?);
    leaf.args(["-listen", REAL]);
    let leaf = Waiting::in_own_network("the leaf", &leaf)?;
    let port = ports::free()?;
    let client = runtimes::flask_command(port, &format!("http://{SEEN}"))?;
    let client = Waiting::in_own_network("Flask", &client)?;
    networks::connect(&client, &leaf, rules)?;
    let leaf = leaf.start(REAL.parse()?)?;
    Ok((client.start(ports::local(port))?, port, leaf))
}

/// What the application and the leaf say to each other for some requests, one after the other.
fn said(address: &Address) -> Result<Texts> {
    let wire = Wire::tap()?;
    let load = Load {
        address: address.clone(),
        requests: COMPARED,
        concurrency: 1,
        keep_alive: true,
        request: &|number| ("GET", format!("/fetch/fetch_compared{number}")),
    };
    let answers = load.run()?;
    ensure!(
        answers.responses.iter().all(|response| response.status == 200),
        "a request failed"
    );
    let port = SEEN.rsplit(':').next().context("no port")?.parse()?;
    Texts::of(&wire.talk(port)?)
}

/// Both directions as text, without what differs from second to second.
#[derive(Debug, PartialEq, Eq)]
struct Texts {
    sent: String,
    received: String,
}

impl Texts {
    fn of(talk: &Talk) -> Result<Self> {
        let text = |bytes: &[u8]| -> Result<String> {
            let text = std::str::from_utf8(bytes).context("no text")?;
            let lines = text
                .split_inclusive('\n')
                .filter(|line| !line.starts_with("Date: "));
            Ok(lines.collect())
        };
        let texts = Self {
            sent: text(&talk.sent)?,
            received: text(&talk.received)?,
        };
        ensure!(
            texts.sent.matches("GET /leaf/").count() == COMPARED
                && texts.received.matches("HTTP/1.1 200 OK\r\n").count() == COMPARED,
            "not everything was seen on the wire: {texts:?}"
        );
        Ok(texts)
    }
}
