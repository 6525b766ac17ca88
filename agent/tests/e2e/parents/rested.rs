//! A process that makes no calls is not followed closely after a while, and is again when it makes some.

use std::time::Duration;

use anyhow::Result;

use super::{
    Sent, ask, conclude,
    runtimes::{Runtime, leaf},
};
use crate::harness::{agent::Agent, apps, client::Address, lab::Lab, load::Load, until_within};

/// What the agent says when it begins to rest, and when it no longer does.
const RESTS: &str = "is not probed at present";
const FOLLOWS: &str = "is probed again";
/// The name of requests whose calls may lack parents, but have no wrong ones.
const WAKING: &str = "waking";
/// Five seconds without a call, and enough requests to be sure: with room for a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);
const AT_A_TIME: usize = 250;

pub(super) fn check(lab: &Lab, runtime: &Runtime) -> Result<()> {
    let leaf = leaf(lab)?;
    let server = (runtime.start)(lab, &leaf.url()?)?;
    apps::family(server.pid(), runtime.processes)?;
    let agent = Agent::attach_with(&[server.pid(), leaf.pid()], &["-v"])?;

    let nothing = |_| ("GET", "/nothing".to_owned());
    let mut sent = 0;
    until_within(PATIENCE, RESTS, || {
        // No faster than the agent prints: what it has no room for would be missed at the end.
        if agent.printed() >= sent {
            load(&server.address, AT_A_TIME, &nothing).ok()?;
            sent += AT_A_TIME;
        }
        agent.stderr().contains(RESTS).then_some(())
    })?;
    let waking = |number: usize| {
        let way = &runtime.ways[number % runtime.ways.len()];
        ("GET", format!("/{}/{WAKING}_{number}", way.name))
    };
    until_within(PATIENCE, FOLLOWS, || {
        load(&server.address, 4 * runtime.ways.len(), &waking).ok()?;
        agent.stderr().contains(FOLLOWS).then_some(())
    })?;
    let sent = Sent {
        besides: &[WAKING],
        ..ask(runtime.ways, &server.address)?
    };
    conclude(&format!("{}, after a rest", runtime.title), agent, &sent)
}

fn load(
    address: &Address,
    requests: usize,
    request: &(dyn Fn(usize) -> (&'static str, String) + Sync),
) -> Result<()> {
    let load = Load {
        address: address.clone(),
        requests,
        concurrency: 16,
        keep_alive: true,
        request,
    };
    load.run().map(drop)
}
