//! Which processes are watched.

use super::{Setting, list, one, set};
use crate::config::{Pattern, Selector, parse};

/// The key that selects all.
pub const ALL: &str = "select.all";

/// The settings that select and exclude.
pub(super) static ROWS: &[Setting] = &[
    list("select.pid", Some("pid"), "SIDELIGHT_PID", "", |draft, text| {
        draft.select(parse::pid(text).map(Selector::Pid))
    }),
    list(
        "select.port",
        Some("port"),
        "SIDELIGHT_PORT",
        "",
        |draft, text| draft.select(parse::ports(text).map(Selector::Ports)),
    ),
    list("select.exe", Some("exe"), "SIDELIGHT_EXE", "", |draft, text| {
        draft.select(Pattern::new(text).map(Selector::Executable))
    }),
    list(
        "select.service",
        Some("service"),
        "SIDELIGHT_SERVICE",
        "",
        |draft, text| draft.select(Pattern::new(text).map(Selector::Service)),
    ),
    list(
        "select.container",
        Some("container"),
        "SIDELIGHT_CONTAINER",
        "",
        |draft, text| draft.select(Pattern::new(text).map(Selector::Container)),
    ),
    list(
        "select.command_line",
        Some("command-line"),
        "SIDELIGHT_COMMAND_LINE",
        "",
        |draft, text| draft.select(Pattern::new(text).map(Selector::CommandLine)),
    ),
    one(
        ALL,
        Some("all"),
        "SIDELIGHT_ALL",
        "true if nothing else selects",
        |draft, text| {
            if parse::boolean(text)? {
                draft.select(Ok(Selector::All))
            } else {
                Ok(())
            }
        },
    ),
    one(
        "exclude.observers",
        None,
        "SIDELIGHT_EXCLUDE_OBSERVERS",
        "true",
        |draft, text| {
            set(
                &mut draft.settings.watch_observers,
                parse::boolean(text).map(|exclude| !exclude),
            )
        },
    ),
    list(
        "exclude.pid",
        Some("exclude-pid"),
        "SIDELIGHT_EXCLUDE_PID",
        "",
        |draft, text| draft.exclude(parse::pid(text).map(Selector::Pid)),
    ),
    list(
        "exclude.port",
        Some("exclude-port"),
        "SIDELIGHT_EXCLUDE_PORT",
        "",
        |draft, text| draft.exclude(parse::ports(text).map(Selector::Ports)),
    ),
    list(
        "exclude.exe",
        Some("exclude-exe"),
        "SIDELIGHT_EXCLUDE_EXE",
        "",
        |draft, text| draft.exclude(Pattern::new(text).map(Selector::Executable)),
    ),
    list(
        "exclude.service",
        Some("exclude-service"),
        "SIDELIGHT_EXCLUDE_SERVICE",
        "",
        |draft, text| draft.exclude(Pattern::new(text).map(Selector::Service)),
    ),
    list(
        "exclude.container",
        Some("exclude-container"),
        "SIDELIGHT_EXCLUDE_CONTAINER",
        "",
        |draft, text| draft.exclude(Pattern::new(text).map(Selector::Container)),
    ),
    list(
        "exclude.command_line",
        Some("exclude-command-line"),
        "SIDELIGHT_EXCLUDE_COMMAND_LINE",
        "",
        |draft, text| draft.exclude(Pattern::new(text).map(Selector::CommandLine)),
    ),
];
