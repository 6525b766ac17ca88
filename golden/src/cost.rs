//! What a call costs with each tier: the processor time of a thread that sends to itself, so that the agent's own is left out.

use std::{
    env,
    io::{BufRead as _, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

use crate::child::{self, Program};

/// Without the agent first and last, so that it is seen how much figures differ by themselves.
const WAYS: [&str; 5] = ["none", "fentry", "kprobe", "tracepoint", "none"];
const BATCHES: usize = 15;
const EXCHANGES: u32 = 400;
const REQUEST: &[u8] = b"GET /cost HTTP/1.1\r\nHost: golden\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Prints for each tier what one send and its receive cost in a watched process, and in another one.
pub(crate) fn run(agent: &str) -> Result<()> {
    child::print("| tier | send and receive, watched | another process |\n|---|--:|--:|")?;
    for tier in WAYS {
        let own = env::current_exe().context("asking for this program's own path")?;
        let start = || Program::start(Command::new(&own).arg("loop"));
        let (mut watched, mut other) = (start()?, start()?);
        let pid = watched.pid().to_string();
        let agent = if tier == "none" {
            None
        } else {
            let arguments = ["attach", "--output", "none", "--tier", tier, "--pid", &pid];
            Some(Program::start(Command::new(agent).args(arguments))?)
        };
        let agent = agent.map(|mut agent| agent.wait_for("ready:").map(|_| agent));
        let Ok(agent) = agent.transpose() else {
            child::print(&format!("| {tier} | not on this kernel | |"))?;
            continue;
        };
        let cost = |program: &mut Program| {
            program.tell("begin")?;
            program.wait_for("nanoseconds")
        };
        let (watched, other) = (cost(&mut watched)?, cost(&mut other)?);
        child::print(&format!("| {tier} | {watched} ns | {other} ns |"))?;
        drop(agent);
    }
    Ok(())
}

/// Sends to itself when it is told to, and says what that cost: the least of several batches.
pub(crate) fn send_to_itself() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let mut server = listener.accept()?.0;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
    }
    for line in std::io::stdin().lock().lines() {
        line?;
        let mut least = Duration::MAX;
        for _ in 0..BATCHES {
            let before = used();
            for _ in 0..EXCHANGES {
                pass(&mut client, &mut server, REQUEST)?;
                pass(&mut server, &mut client, RESPONSE)?;
            }
            least = least.min(used().saturating_sub(before));
        }
        child::print(&format!("nanoseconds {}", (least / (2 * EXCHANGES)).as_nanos()))?;
    }
    Ok(())
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    from.write_all(bytes)?;
    let mut received = [0; 64];
    to.read_exact(&mut received[..bytes.len()]).context("receiving")
}

/// The thread's own time on the processor.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
