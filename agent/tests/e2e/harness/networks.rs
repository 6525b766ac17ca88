//! Two networks with a cable between them, and address translation at one end. They are gone with their last process.

use std::{
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use super::{lab::find, process::Process, until};
use crate::namespaces::within_network;

/// Where clients believe the server to be.
pub(crate) const SEEN: &str = "10.77.0.2:80";
/// Where it really listens.
pub(crate) const REAL: &str = "10.77.1.2:8080";

/// The server gets what is sent to [`SEEN`].
pub(crate) const DESTINATION: &str = "\
    add table ip joined
    add chain ip joined before { type nat hook prerouting priority -100; }
    add rule ip joined before ip daddr 10.77.0.2 tcp dport 80 dnat to 10.77.1.2:8080
";
/// And from an address and ports that are not the client's.
pub(crate) const SOURCE: &str = "\
    add chain ip joined inside { type nat hook input priority 100; }
    add rule ip joined inside ip saddr 10.77.0.1 meta l4proto tcp snat to 10.77.9.9:20000-30000
";

/// Why there are no such networks here; nothing when there are.
pub(crate) fn missing() -> Option<String> {
    let mut command = Command::new("unshare");
    command.args(["--net", "nft", "-f", "-"]);
    if let Some(tool) = ["unshare", "nft", "ip"].iter().find(|tool| find(tool).is_none()) {
        return Some(format!("needs {tool}, which is not in PATH"));
    }
    let error = run(command, &format!("{DESTINATION}{SOURCE}")).err()?;
    Some(format!("no address translation on this kernel: {error:#}"))
}

/// A program that waits in a network of its own until it is told to start.
pub(crate) struct Waiting(Process);

impl Waiting {
    /// Makes the network.
    pub(crate) fn in_own_network(name: &str, program: &Command) -> Result<Self> {
        let mut command = Command::new("unshare");
        command
            .args(["--net", "sh", "-c"])
            .arg("ip link set lo up && echo alone && read -r go && exec \"$0\" \"$@\"")
            .arg(program.get_program())
            .args(program.get_args());
        command.envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        if let Some(folder) = program.get_current_dir() {
            command.current_dir(folder);
        }
        let process = Process::spawn(name, command)?;
        process.line("network", |_, line| line == "alone")?;
        Ok(Self(process))
    }

    /// Starts the program, which listens on `address` of its network when this returns.
    pub(crate) fn start(mut self, address: SocketAddr) -> Result<Process> {
        self.0.tell("go")?;
        let mut process = self.0;
        let pid = process.pid();
        until(&format!("something listens on {address} of {pid}"), || {
            let connect = || Ok(std::net::TcpStream::connect(address)?);
            (within_network(pid, connect).is_ok() || !process.runs()).then_some(())
        })?;
        ensure!(process.runs(), "it ended:\n{}", process.stderr.text());
        Ok(process)
    }
}

/// Lays the cable; `rules` is what nft shall do at the server's end.
pub(crate) fn connect(client: &Waiting, server: &Waiting, rules: &str) -> Result<()> {
    let (client, server) = (client.0.pid(), server.0.pid());
    ip(&format!(
        "link add cable netns {client} type veth peer name cable netns {server}"
    ))?;
    within_network(client, || {
        ip("address add 10.77.0.1/24 dev cable")?;
        ip("link set cable up")
    })?;
    within_network(server, || {
        ip("address add 10.77.0.2/24 dev cable")?;
        ip("address add 10.77.1.2/32 dev lo")?;
        ip("link set cable up")?;
        // Answers to translated clients are routed before they are translated back.
        ip("route add default via 10.77.0.1")?;
        let mut nft = Command::new(find("nft").context("nft is not in PATH")?);
        nft.args(["-f", "-"]);
        run(nft, rules)
    })
}

fn ip(arguments: &str) -> Result<()> {
    let mut command = Command::new(find("ip").context("ip is not in PATH")?);
    command.args(arguments.split_whitespace());
    run(command, "")
}

fn run(mut command: Command, input: &str) -> Result<()> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("{command:?} cannot be started"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // Whoever does not read it says why on standard error.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}
