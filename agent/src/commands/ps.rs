//! `sidelight ps`: processes that could be watched.

use std::process::ExitCode;

use serde::Serialize;

use super::table::{self, Table};
use crate::{
    cli::Listing,
    config::Settings,
    discover::{Discovery, InspectError, Namespaces, Process},
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
}

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
        .map(|(pid, outcome)| row(pid, outcome));
    table::print(|out| match listing {
        Listing::Json => table::json(out, &rows.collect::<Vec<_>>()),
        Listing::Text => text(rows).write(out),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn is_telling(error: &InspectError) -> bool {
    matches!(error, InspectError::Permission { .. } | InspectError::Read { .. })
}

fn row(pid: u32, outcome: Result<Process, InspectError>) -> Row {
    let is_self = pid == std::process::id();
    let (process, reason) = match outcome {
        Ok(process) => (Some(process), is_self.then_some("sidelight itself")),
        Err(error) => (None, Some(error.reason())),
    };
    let process = process.unwrap_or_default();
    let named = !process.service_name.is_empty();
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
    }
}

fn text(rows: impl Iterator<Item = Row>) -> Table<5> {
    let mut table = Table::new(["PID", "LANGUAGE", "SERVICE", "PORTS", "WATCHABLE"]);
    for row in rows {
        let language = match (row.language, &row.language_version) {
            (Some(language), Some(version)) => format!("{language} {version}"),
            (language, _) => language.unwrap_or("-").to_owned(),
        };
        let ports: Vec<String> = row.ports.iter().map(u16::to_string).collect();
        table.push([
            row.pid.to_string(),
            language,
            row.service_name.unwrap_or_else(|| "-".to_owned()),
            if ports.is_empty() {
                "-".to_owned()
            } else {
                ports.join(",")
            },
            row.reason
                .map_or_else(|| "yes".to_owned(), |reason| format!("no: {reason}")),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_why_not() {
        let unreadable = row(7, Err(InspectError::Permission { pid: 7 }));
        assert!(!unreadable.watchable);
        assert_eq!(unreadable.service_name, None);
        let own = row(
            std::process::id(),
            Ok(Process {
                service_name: "sidelight".to_owned(),
                ..Process::default()
            }),
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
                row(1, Ok(process)),
                row(2, Err(InspectError::Permission { pid: 2 })),
            ]
            .into_iter(),
        )
        .write(&mut shown)
        .unwrap();
        assert_eq!(
            String::from_utf8(shown).unwrap(),
            "PID  LANGUAGE       SERVICE  PORTS    WATCHABLE\n\
             1    python 3.11.7  shop     80,8001  yes\n\
             2    -              -        -        no: not readable: needs CAP_SYS_PTRACE in its user namespace\n"
        );
    }
}
