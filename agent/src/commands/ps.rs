//! `sidelight ps`: processes that could be watched.

use std::process::ExitCode;

use agent_common::unit::runtime_kind;
use serde::Serialize;

use super::table::{self, Table};
use crate::{
    cli::Listing,
    config::Settings,
    discover::{Discovery, InspectError, Namespaces, Process},
    inspect::units::{self, UnitPlan},
};

/// One process as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    pid: u32,
    language: Option<&'static str>,
    language_version: Option<String>,
    service_name: Option<String>,
    ports: Vec<u16>,
    container_id: Option<String>,
    executable: Option<String>,
    command_line: Vec<String>,
    namespaces: Option<Namespaces>,
    /// Whether it can be watched.
    watchable: bool,
    /// Why it cannot.
    reason: Option<&'static str>,
    /// What is told apart in it when its work is put in relation.
    units: Option<&'static str>,
    /// What of that is missing, and why.
    #[serde(rename = "units_missing")]
    units_missing: Vec<String>,
}

/// Finds out about the units of a process by its id.
type Plan = fn(u32) -> UnitPlan;

/// Lists the processes of this host. As text, kernel threads and ended processes are left out: they are many, and
/// nobody asks for them.
///
/// # Errors
///
/// Fails when `/proc` or stdout cannot be used.
pub fn execute(listing: Listing, settings: &Settings) -> anyhow::Result<ExitCode> {
    let rows = Discovery::new(settings)
        .look_at_all()?
        .into_iter()
        .filter(|(_, outcome)| listing == Listing::Json || outcome.as_ref().err().is_none_or(is_telling))
        .map(|(pid, outcome)| row(pid, outcome, units::plan));
    table::print(|out| match listing {
        Listing::Json => table::json(out, &rows.collect::<Vec<_>>()),
        Listing::Text => text(rows).write(out),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn is_telling(error: &InspectError) -> bool {
    matches!(error, InspectError::Permission { .. } | InspectError::Read { .. })
}

fn row(pid: u32, outcome: Result<Process, InspectError>, plan: Plan) -> Row {
    let is_self = pid == std::process::id();
    let (process, reason) = match outcome {
        Ok(process) => (Some(process), is_self.then_some("sidelight itself")),
        Err(error) => (None, Some(error.reason())),
    };
    let process = process.unwrap_or_default();
    let named = !process.service_name.is_empty();
    let (units, units_missing) = match reason {
        None => units_of(&process, plan),
        Some(_) => (None, Vec::new()),
    };
    Row {
        pid,
        language: process.language,
        language_version: process.language_version,
        service_name: named.then_some(process.service_name),
        ports: process.ports,
        container_id: process.container_id,
        executable: named.then(|| process.executable.to_string_lossy().into_owned()),
        command_line: process.command_line,
        namespaces: named.then_some(process.namespaces),
        watchable: reason.is_none(),
        reason,
        units,
        units_missing,
    }
}

/// What is told apart in a process, and what of it is missing. Only those that could have more than threads are looked
/// at: it takes milliseconds each.
fn units_of(process: &Process, plan: Plan) -> (Option<&'static str>, Vec<String>) {
    let none = match process.language {
        Some("python") => "tasks are not told apart: it runs no CPython",
        Some("go") => "goroutines are not told apart: no Go was found in it",
        _ => return (Some("threads"), Vec::new()),
    };
    let UnitPlan {
        runtime, mut missing, ..
    } = plan(process.pid);
    let units = match runtime.map(|runtime| runtime.kind) {
        Some(runtime_kind::PYTHON) => "tasks",
        Some(runtime_kind::GO) => "goroutines",
        _ => "threads",
    };
    if runtime.is_none() && missing.is_empty() {
        missing.push(none.to_owned());
    }
    (Some(units), missing)
}

fn text(rows: impl Iterator<Item = Row>) -> Table<6> {
    let mut table = Table::new(["PID", "LANGUAGE", "SERVICE", "PORTS", "UNITS", "WATCHABLE"]);
    for row in rows {
        let language = match (row.language, &row.language_version) {
            (Some(language), Some(version)) => format!("{language} {version}"),
            (language, _) => language.unwrap_or("-").to_owned(),
        };
        let ports: Vec<String> = row.ports.iter().map(u16::to_string).collect();
        table.push([
            row.pid.to_string(),
            language,
            row.service_name.clone().unwrap_or_else(|| "-".to_owned()),
            if ports.is_empty() {
                "-".to_owned()
            } else {
                ports.join(",")
            },
            row.units.unwrap_or("-").to_owned(),
            note(&row),
        ]);
    }
    table
}

/// Whether it can be watched, and why not, or not as well as others of its language.
fn note(row: &Row) -> String {
    match (row.reason, &row.units_missing[..]) {
        (Some(reason), _) => format!("no: {reason}"),
        (None, []) => "yes".to_owned(),
        (None, missing) => format!("yes, but {}", missing.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use agent_common::Runtime;

    use super::*;

    fn unasked(pid: u32) -> UnitPlan {
        panic!("the units of {pid} are not to be looked at")
    }

    fn of_kind(kind: u32, missing: &[&str]) -> UnitPlan {
        UnitPlan {
            runtime: Some(Runtime {
                kind,
                ..Runtime::default()
            }),
            missing: missing.iter().map(|reason| (*reason).to_owned()).collect(),
            ..UnitPlan::default()
        }
    }

    fn python(_pid: u32) -> UnitPlan {
        of_kind(runtime_kind::PYTHON, &[])
    }

    fn go(_pid: u32) -> UnitPlan {
        of_kind(runtime_kind::GO, &["one thing is missing", "another too"])
    }

    fn unreadable(_pid: u32) -> UnitPlan {
        UnitPlan {
            missing: vec!["the file cannot be read".to_owned()],
            ..UnitPlan::default()
        }
    }

    fn nothing(_pid: u32) -> UnitPlan {
        UnitPlan::default()
    }

    #[test]
    fn units_are_told_and_what_is_missing() {
        let told = |language, plan: Plan| {
            let process = Process {
                language,
                ..Process::default()
            };
            let row = row(1, Ok(process), plan);
            (row.units.unwrap(), note(&row))
        };
        for (language, plan, units, expected) in [
            (None, unasked as Plan, "threads", "yes"),
            (Some("java"), unasked, "threads", "yes"),
            (Some("python"), python, "tasks", "yes"),
            (
                Some("go"),
                go,
                "goroutines",
                "yes, but one thing is missing; another too",
            ),
            (
                Some("go"),
                unreadable,
                "threads",
                "yes, but the file cannot be read",
            ),
            (
                Some("python"),
                nothing,
                "threads",
                "yes, but tasks are not told apart: it runs no CPython",
            ),
        ] {
            assert_eq!(told(language, plan), (units, expected.to_owned()), "{language:?}");
        }
    }

    #[test]
    fn programs_find_units_in_json() {
        let process = Process {
            language: Some("go"),
            ..Process::default()
        };
        let value = serde_json::to_value(row(1, Ok(process), go)).unwrap();
        assert_eq!(value["units"], "goroutines");
        assert_eq!(
            value["units_missing"],
            serde_json::json!(["one thing is missing", "another too"])
        );
    }

    #[test]
    fn a_row_says_why_not() {
        let unreadable = row(7, Err(InspectError::Permission { pid: 7 }), unasked);
        assert!(!unreadable.watchable);
        assert_eq!(unreadable.service_name, None);
        assert_eq!(unreadable.units, None);
        let own = row(
            std::process::id(),
            Ok(Process {
                service_name: "sidelight".to_owned(),
                ..Process::default()
            }),
            unasked,
        );
        assert_eq!(own.reason, Some("sidelight itself"));
    }

    #[test]
    fn columns_of_a_process() {
        let process = Process {
            service_name: "shop".to_owned(),
            language: Some("python"),
            language_version: Some("3.11.7".to_owned()),
            ports: vec![80, 8001],
            ..Process::default()
        };
        let mut shown = Vec::new();
        text(
            [
                row(1, Ok(process), python),
                row(2, Err(InspectError::Permission { pid: 2 }), unasked),
            ]
            .into_iter(),
        )
        .write(&mut shown)
        .unwrap();
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            "PID  LANGUAGE       SERVICE  PORTS    UNITS  WATCHABLE\n\
             1    python 3.11.7  shop     80,8001  tasks  yes\n\
             2    -              -        -        -      no: not readable: needs CAP_SYS_PTRACE in its user namespace\n"
        );
    }
}
