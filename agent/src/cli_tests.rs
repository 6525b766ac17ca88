use clap::CommandFactory as _;

use super::*;
use crate::config::{Level, Pattern, Selector, Tier};

fn invoke(line: &str) -> Result<Invocation, String> {
    let arguments =
        Arguments::try_parse_from(line.split_whitespace()).map_err(|error| misused(&error).to_string())?;
    resolve(arguments, &Environment::new()).map_err(|error| error.to_string())
}

#[test]
fn clap_finds_no_contradiction() {
    Arguments::command().debug_assert();
}

#[test]
fn attach_takes_several_pids_and_prints_a_tree() {
    let invocation = invoke("sidelight attach --pid 1 2 --pid 3,4 --tier tracepoint -vv").unwrap();
    assert_eq!(invocation.command, Command::Attach);
    assert_eq!(invocation.settings.select, [1, 2, 3, 4].map(Selector::Pid));
    assert_eq!(invocation.settings.export.output, Output::Tree);
    assert_eq!(invocation.settings.tier, Tier::Tracepoint);
    assert_eq!(invocation.settings.log.level, Level::Trace);
}

#[test]
fn explaining_is_asked_for() {
    let explains = |line| invoke(line).unwrap().settings.export.explain;
    assert!(!explains("sidelight attach --pid 1"));
    assert!(explains("sidelight attach --pid 1 --explain"));
    assert!(explains("sidelight run --explain"));
}

#[test]
fn attach_needs_a_pid() {
    assert!(invoke("sidelight attach").unwrap_err().contains("--pid <PID>"));
}

#[test]
fn run_watches_all_and_prints_nothing() {
    let invocation = invoke("sidelight run").unwrap();
    assert_eq!(invocation.settings.select, [Selector::All]);
    assert_eq!(invocation.settings.export.output, Output::None);
    let narrowed = invoke("sidelight run --service shop --port 80 --port 8000-8010").unwrap();
    let expected = [
        Selector::Ports(80..=80),
        Selector::Ports(8000..=8010),
        Selector::Service(Pattern::new("shop").unwrap()),
    ];
    assert_eq!(narrowed.settings.select, expected);
}

#[test]
fn a_mistyped_option_is_answered_with_the_nearest_in_one_line() {
    assert_eq!(
        invoke("sidelight run --otlp-endpiont http://x").unwrap_err(),
        "unexpected argument '--otlp-endpiont' found; a similar argument exists: '--otlp-endpoint'; `sidelight --help` \
         shows what there is"
    );
    assert_eq!(
        invoke("sidelight runn").unwrap_err(),
        "unrecognized subcommand 'runn'; a similar subcommand exists: 'run'; `sidelight --help` shows what there is"
    );
}

#[test]
fn a_bad_value_names_its_flag() {
    let error = invoke("sidelight run --duration 30").unwrap_err();
    assert_eq!(
        error,
        "--duration: \"30\" is not a duration; write it like 500ms, 30s or 5m"
    );
}

#[test]
fn lists_have_their_own_output() {
    assert_eq!(
        invoke("sidelight ps --output json").unwrap().command,
        Command::Ps(Listing::Json)
    );
    assert_eq!(
        invoke("sidelight check").unwrap().command,
        Command::Check(Listing::Text)
    );
}

#[test]
fn help_names_every_setting() {
    let help = settings_help();
    for setting in config::settings() {
        assert!(help.contains(setting.variable) && help.contains(setting.key));
    }
}
