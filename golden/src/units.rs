//! Whether calls have their parents where a program serves many requests at once: every call names its request.

use std::{
    collections::BTreeMap,
    env,
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    child::{self, Program},
    client, scenario,
};

const CONNECTIONS: usize = 8;
const TURNS: usize = 3;
/// How long the program may take until it listens.
const PATIENCE: Duration = Duration::from_mins(1);

/// A way in which the program makes calls, and how many each time: `group=5`.
struct Way<'a> {
    name: &'a str,
    calls: usize,
}

/// Starts a program, in whose arguments `LISTEN` and `LEAF` stand for where it is to listen and whom it is to call (`PORT` is the
/// former's port, `LEAF_URL` in its environment the latter); it answers `GET /WAY/NAME` after calls of `/leaf/NAME/NUMBER`. Asks it
/// in all `ways` at once, and counts parents.
///
/// # Errors
/// When the parent of a call is another request or none.
pub(crate) fn run(agent: &str, tier: &str, ways: &str, program: &[&str]) -> Result<()> {
    let ways: Vec<Way<'_>> = ways.split(',').map(Way::parse).collect::<Result<_>>()?;
    let folder = scenario::Folder::create()?;
    let own = env::current_exe().context("asking for this program's own path")?;
    let mut leaf = Program::start(Command::new(&own).arg("serve").arg(&folder.0))?;
    leaf.wait_for("ready")?;
    let places = scenario::places(&leaf);
    let (_, called) = places
        .iter()
        .find(|(name, _)| name == "read")
        .context("the leaf does not listen")?;
    let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let leaf_url = format!("http://{called}");
    let port = listen.rsplit(':').next().unwrap_or_default().to_owned();
    let mut arguments = program.iter().map(|argument| match *argument {
        "LISTEN" => listen.clone(),
        "LEAF" => leaf_url.clone(),
        "PORT" => port.clone(),
        other => other.to_owned(),
    });
    let mut command = Command::new(arguments.next().context("no program")?);
    let program = Program::start(command.args(arguments).env("LEAF_URL", &leaf_url))?;
    wait_for(&listen)?;

    let pids = [program.pid(), leaf.pid()].map(|pid| pid.to_string());
    let mut agent = Program::start(Command::new(agent).args([
        "attach", "--output", "json", "--tier", tier, "--pid", &pids[0], "--pid", &pids[1],
    ]))?;
    agent.wait_for("ready: watching 2 process(es), tier ")?;
    ask(&listen, &ways)?;
    let requests = CONNECTIONS * TURNS * ways.len();
    let calls = CONNECTIONS * TURNS * ways.iter().map(|way| way.calls).sum::<usize>();
    let complete = agent.wait_until("all spans", |lines| {
        (scenario::spans(lines).count() >= requests + 2 * calls).then_some(())
    });
    agent.interrupt()?;
    child::say(&agent.words());
    complete?;
    judge(scenario::spans(&agent.seen), calls)
}

impl<'a> Way<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let (name, calls) = text.split_once('=').unwrap_or((text, "1"));
        let calls = calls.parse().with_context(|| format!("calls of {name}"))?;
        Ok(Self { name, calls })
    }
}

fn wait_for(address: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            bail!("nobody listens on {address}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// All connections at once, each in its own order of ways.
fn ask(address: &str, ways: &[Way<'_>]) -> Result<()> {
    thread::scope(|scope| {
        let asking: Vec<_> = (0..CONNECTIONS)
            .map(|number| scope.spawn(move || ask_all(address, ways, number)))
            .collect();
        asking.into_iter().try_for_each(|one| {
            one.join()
                .map_err(|_panic| anyhow::anyhow!("a connection's thread panicked"))?
        })
    })
}

fn ask_all(address: &str, ways: &[Way<'_>], number: usize) -> Result<()> {
    let connection = TcpStream::connect(address)?;
    for turn in 0..TURNS {
        for index in 0..ways.len() {
            let way = ways[(index + number) % ways.len()].name;
            let path = format!("/{way}/{way}-{number}-{turn}");
            client::exchange(&connection, ("write", "read"), "GET", &path, b"")?;
        }
    }
    Ok(())
}

fn judge<'a>(spans: impl Iterator<Item = &'a str>, calls: usize) -> Result<()> {
    let spans: Vec<Value> = spans.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let requests: BTreeMap<String, String> = spans
        .iter()
        .filter(|span| span["kind"] == "SERVER")
        .map(|span| (text(&span["spanId"]), text(&span["attributes"]["url.path"])))
        .collect();
    let (mut right, mut absent, mut wrong) = (0, 0, Vec::new());
    for span in spans.iter().filter(|span| span["kind"] == "CLIENT") {
        let url = text(&span["attributes"]["url.full"]);
        let Some(name) = url
            .rsplit_once("/leaf/")
            .and_then(|(_, rest)| rest.split('/').next())
        else {
            continue;
        };
        match requests.get(&text(&span["parentSpanId"])) {
            Some(path) if path.rsplit('/').next() == Some(name) => right += 1,
            Some(path) => wrong.push(format!("{url} is not a call of {path}")),
            None => absent += 1,
        }
    }
    if right != calls {
        bail!("{right} of {calls} calls have their parent, {absent} none; wrong: {wrong:?}");
    }
    child::print(&format!("all {right} calls have their parent"))
}
