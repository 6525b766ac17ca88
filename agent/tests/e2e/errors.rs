//! Errors as a user meets them: one clear line, the right exit code, no backtrace.

use std::{
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Case,
    expect::{self, Request},
    harness::{
        agent::{self, Agent, Ended},
        apps::Sockets,
        client::get,
        lab::{Lab, Need},
        ports,
        postgres::NOBODY,
        process::Process,
    },
};

const NONE: &[Need] = &[];
const ROOT: &[Need] = &[Need::Root];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("errors::a_pid_that_does_not_exist", ROOT, no_such_pid),
        Case::new("errors::no_privileges", ROOT, no_privileges),
        Case::new("errors::no_btf", ROOT, no_btf),
        Case::new("errors::types_of_the_kernel_in_a_file", ROOT, types_in_a_file),
        Case::new("errors::unknown_option", NONE, unknown_option),
        Case::new("errors::bad_value_of_an_option", NONE, bad_value),
        Case::new("errors::unknown_variable", NONE, unknown_variable),
        Case::new("errors::malformed_yaml", NONE, malformed_yaml),
        Case::new("errors::unknown_key_in_yaml", NONE, unknown_key),
        Case::new("errors::missing_configuration_file", NONE, missing_file),
        Case::new(
            "errors::unreachable_collector",
            &[Need::Root, Need::Python],
            unreachable_collector,
        ),
    ]
}

/// Runs to its end; demands the exit code, and one line on standard error that has every one of `words`.
fn one_line(command: Command, code: i32, words: &[&str]) -> Result<()> {
    let Ended {
        status,
        stdout,
        stderr,
    } = agent::finish(command)?;
    ensure!(
        status.code() == Some(code),
        "{status} instead of exit code {code}:\n{stderr}"
    );
    ensure!(stdout.is_empty(), "standard output is for spans: {stdout}");
    let lines = stderr.lines().filter(|line| !line.trim().is_empty()).count();
    ensure!(lines == 1, "{lines} lines instead of one:\n{stderr}");
    for word in words {
        ensure!(stderr.contains(word), "{word:?} is not in the message:\n{stderr}");
    }
    Ok(())
}

fn no_such_pid(_lab: &Lab) -> Result<()> {
    // Above the largest pid that Linux ever gives (PID_MAX_LIMIT, include/linux/threads.h: 4 * 1024 * 1024).
    one_line(
        agent::command(&["attach", "--pid", "4194305"]),
        1,
        &["4194305", "sidelight ps"],
    )
}

fn no_privileges(lab: &Lab) -> Result<()> {
    // The build's folder may be closed to others.
    let binary = lab.folder("unprivileged")?.join("sidelight");
    std::fs::copy(agent::BINARY, &binary).context("the agent cannot be copied")?;
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755))?;
    let own = Process::spawn("sleep", nobody("sleep", &["60"]))?;
    let mut command = nobody(&binary.to_string_lossy(), &["attach", "--output", "json"]);
    command.args(["--pid", &own.pid().to_string()]);
    one_line(command, 1, &["root"])
}

fn nobody(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    command
}

/// In a mount namespace where /sys/kernel/btf is an empty folder.
fn no_btf(_lab: &Lab) -> Result<()> {
    let own = Process::spawn("sleep", nobody("sleep", &["60"]))?;
    let script = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
    let command = agent::command_within(
        &["unshare", "--mount", "sh"],
        script,
        &["attach", "--output", "json", "--pid", &own.pid().to_string()],
    );
    one_line(
        command,
        1,
        &[
            "/sys/kernel/btf/vmlinux",
            "CONFIG_DEBUG_INFO_BTF",
            "SIDELIGHT_BTF",
            "`sidelight ps` does",
        ],
    )
}

/// What still works there: listing processes, and everything but one tier with the kernel's types in a file.
fn types_in_a_file(lab: &Lab) -> Result<()> {
    let types = lab.folder("types")?.join("vmlinux");
    std::fs::copy("/sys/kernel/btf/vmlinux", &types).context("the kernel's types cannot be copied")?;
    let script = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
    let within = |arguments: &[&str]| agent::command_within(&["unshare", "--mount", "sh"], script, arguments);
    let code = |command: Command| Ok::<_, anyhow::Error>(agent::finish(command)?.status.code());

    ensure!(
        code(within(&["ps"]))? == Some(0),
        "processes are not listed without the types"
    );
    let checked = agent::finish(within(&["check"]))?;
    ensure!(
        checked.status.code() == Some(1) && checked.stdout.contains("SIDELIGHT_BTF=FILE"),
        "{} without the types:\n{}",
        checked.status,
        checked.stdout
    );
    let mut check = within(&["check"]);
    check.env("SIDELIGHT_BTF", &types);
    let checked = agent::finish(check)?;
    ensure!(
        checked.status.success() && checked.stdout.contains(&types.display().to_string()),
        "{} with the types in a file:\n{}",
        checked.status,
        checked.stdout
    );
    let own = Process::spawn("sleep", nobody("sleep", &["60"]))?;
    let mut attach = within(&["attach", "--duration", "100ms", "--pid", &own.pid().to_string()]);
    attach.env("SIDELIGHT_BTF", &types);
    ensure!(
        code(attach)? == Some(0),
        "nothing is watched with the types in a file"
    );
    Ok(())
}

fn unknown_option(_lab: &Lab) -> Result<()> {
    one_line(
        agent::command(&["attach", "--pid", "1", "--outputt", "json"]),
        2,
        &["--outputt", "--output"],
    )
}

fn bad_value(_lab: &Lab) -> Result<()> {
    one_line(
        agent::command(&["attach", "--pid", "1", "--output", "xml"]),
        2,
        &["--output", "xml", "json"],
    )
}

fn unknown_variable(_lab: &Lab) -> Result<()> {
    let mut command = agent::command(&["attach", "--pid", "1"]);
    command.env("SIDELIGHT_OUPUT", "json");
    one_line(command, 2, &["SIDELIGHT_OUPUT", "SIDELIGHT_OUTPUT"])
}

fn configured(lab: &Lab, name: &str, text: &str, words: &[&str]) -> Result<()> {
    let path = lab.folder("configurations")?.join(name);
    std::fs::write(&path, text).context("the configuration cannot be written")?;
    let path = path.to_string_lossy();
    let words = [&[&*path], words].concat();
    one_line(
        agent::command(&["attach", "--pid", "1", "--config", &path]),
        2,
        &words,
    )
}

fn malformed_yaml(lab: &Lab) -> Result<()> {
    configured(lab, "malformed.yaml", "output: [json\nlog: {\n", &["line"])
}

fn unknown_key(lab: &Lab) -> Result<()> {
    configured(lab, "unknown.yaml", "ouput: json\n", &["ouput", "output"])
}

fn missing_file(_lab: &Lab) -> Result<()> {
    let command = agent::command(&["attach", "--pid", "1", "--config", "/nowhere/sidelight.yaml"]);
    one_line(command, 2, &["/nowhere/sidelight.yaml", "--config"])
}

/// Spans go on to standard output; the collector is complained of once.
fn unreachable_collector(lab: &Lab) -> Result<()> {
    let sockets = Sockets::start(&lab.folder("unreachable")?)?;
    let endpoint = format!("http://127.0.0.1:{}", ports::free()?);
    let pid = sockets.process.pid().to_string();
    let mut command = agent::command(&[
        "attach",
        "--pid",
        &pid,
        "--output",
        "json",
        "--otlp-endpoint",
        &endpoint,
    ]);
    // Batches leave often, so that several fail while the test runs.
    command.env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let agent = Agent::start(command)?;
    let mut wanted = Vec::new();
    for number in 0..20 {
        let path = format!("/sendall/3/{number}");
        wanted.push(Request::new(
            "GET",
            &path,
            get(&sockets.address("recv")?, &path)?.status,
        ));
        agent.wait_for("the span of this request", number + 1, |_| true)?;
    }
    crate::harness::until("a complaint about the collector", || {
        agent.stderr().contains(&endpoint).then_some(())
    })?;
    let while_running = complaints(&agent.stderr());
    ensure!(
        while_running == 1,
        "{while_running} complaints instead of one:\n{}",
        agent.stderr()
    );
    let report = expect::served(agent, &wanted)?;
    // The end is the moment to say what never arrived.
    let lost = format!("{} spans", wanted.len());
    let mut complaining = report.stderr.lines().filter(|line| is_complaint(line));
    let farewell = complaining.find(|line| line.contains(&lost));
    ensure!(
        complaints(&report.stderr) == 3 && report.stderr.contains("points of metrics were not sent"),
        "complaints after the end:\n{}",
        report.stderr
    );
    ensure!(farewell.is_some(), "the loss is not told:\n{}", report.stderr);
    Ok(())
}

fn complaints(stderr: &str) -> usize {
    stderr.lines().filter(|line| is_complaint(line)).count()
}

fn is_complaint(line: &str) -> bool {
    line.contains("WARN") || line.contains("ERROR")
}
