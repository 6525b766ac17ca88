//! A real server of PostgreSQL and a real client of its own, in a folder that is their root: what the client asks has to become spans.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    child::{self, Program},
    scenario,
};

/// Where Debian has the server's programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// Whose they run as: the server refuses to be root's.
const USER: u32 = 65_534;
/// In the root, writable by that user.
const HOME: &str = "/tmp";
const PORT: &str = "5432";

/// What is asked, and the span that it becomes: name, statement and status, or rows.
const ASKED: &[(&str, &str)] = &[
    (
        "CREATE TABLE golden (id int PRIMARY KEY, name text);",
        "CREATE TABLE golden | CREATE TABLE golden (id int PRIMARY KEY, name text) | ",
    ),
    (
        "INSERT INTO golden SELECT n, 'name ' || n FROM generate_series(1, 3000) n;",
        "INSERT golden SELECT | INSERT INTO golden SELECT n, ? || n FROM generate_series(?, ?) n | ",
    ),
    (
        "SELECT id, name FROM golden WHERE id <= 3;",
        "SELECT golden | SELECT id, name FROM golden WHERE id <= ? | 3",
    ),
    (
        "SELECT id, name FROM golden;",
        "SELECT golden | SELECT id, name FROM golden | 3000",
    ),
    (
        "INSERT INTO golden VALUES (1, 'again');",
        "INSERT golden | INSERT INTO golden VALUES (?, ?) | 23505",
    ),
    (
        "SELECT name FROM missing;",
        "SELECT missing | SELECT name FROM missing | 42P01",
    ),
];

/// Starts server and client below `root`, watches the client, and says whether all spans are there.
///
/// # Errors
/// When a span is another one than expected.
pub(crate) fn run(agent: &str, tier: &str, root: &str) -> Result<()> {
    let inside = |program: &str| inside(root, program);
    let home = format!("{root}{HOME}");
    fs::create_dir_all(&home).with_context(|| format!("creating {home}"))?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o1777)).context("opening the folder")?;
    let made = inside(&format!("{PROGRAMS}/initdb"))?
        .args([
            "-D",
            "/tmp/data",
            "-U",
            "golden",
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
        ])
        .args(["--locale", "C"])
        .output()
        .context("running initdb")?;
    if !made.status.success() {
        bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
    }
    let mut server = Program::start(
        inside(&format!("{PROGRAMS}/postgres"))?
            .args(["-D", "/tmp/data", "-k", "/tmp", "-p", PORT, "-c", "fsync=off"])
            .args(["-c", "listen_addresses=127.0.0.1"]),
    )?;
    server.wait_until("the server", |lines| {
        let line = lines.last()?;
        line.contains("ready to accept connections").then_some(())
    })?;
    let mut client = Program::start(
        inside("/usr/lib/postgresql/15/bin/psql")?
            .args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", PORT])
            .args(["-U", "golden", "-d", "postgres"]),
    )?;
    client.tell("\\warn connected")?;
    client.wait_for("connected")?;

    let pid = client.pid().to_string();
    let arguments = ["attach", "--output", "json", "--tier", tier, "--pid", &pid];
    let mut agent = Program::start(Command::new(agent).args(arguments))?;
    agent.wait_for("ready: watching 1 process(es), tier ")?;
    for (statement, _) in ASKED {
        client.tell(statement)?;
    }
    client.tell("\\warn done")?;
    client.wait_for("done")?;
    let complete = agent.wait_until("a span for each statement", |lines| {
        (scenario::spans(lines).count() >= ASKED.len()).then_some(())
    });
    agent.interrupt()?;
    child::say(&agent.words());
    complete?;
    judge(scenario::spans(&agent.seen))
}

/// A program of the root, as an ordinary user, without encryption.
fn inside(root: &str, program: &str) -> Result<Command> {
    if !Path::new(&format!("{root}{program}")).exists() {
        bail!("there is no {program} below {root}");
    }
    let root = root.to_owned();
    let mut command = Command::new(program);
    command
        .env("PGSSLMODE", "disable")
        .env("PGGSSENCMODE", "disable")
        .env("HOME", HOME);
    // SAFETY: two system calls and nothing else, in a child that has the memory for their arguments already.
    unsafe {
        command.pre_exec(move || {
            std::os::unix::fs::chroot(&root)?;
            std::env::set_current_dir(HOME)?;
            // After the folder: an ordinary user may not change it.
            if libc::setgid(USER) < 0 || libc::setuid(USER) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    Ok(command)
}

fn judge<'a>(spans: impl Iterator<Item = &'a str>) -> Result<()> {
    let spans: Vec<Value> = spans.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let lines: Vec<String> = spans.iter().map(line).collect();
    let expected: Vec<&str> = ASKED.iter().map(|(_, span)| *span).collect();
    if lines != expected {
        bail!("expected:\n{}\nbut:\n{}", expected.join("\n"), lines.join("\n"));
    }
    child::print(&format!("all {} spans", lines.len()))
}

fn line(span: &Value) -> String {
    let attributes = &span["attributes"];
    let result = ["db.response.status_code", "db.response.returned_rows"]
        .iter()
        .map(|key| &attributes[*key])
        .find(|value| !value.is_null());
    let result = match result {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{} | {} | {result}",
        text(&span["name"]),
        text(&attributes["db.query.text"])
    )
}
