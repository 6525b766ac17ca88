//! The command line.

use std::{env, fmt::Write as _, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, error::ErrorKind};

use crate::config::{self, CONFIG_VARIABLE, Defaults, Environment, Flags, Notice, Output, Settings};

/// What the user asks for.
#[derive(Debug)]
pub struct Invocation {
    /// The command.
    pub command: Command,
    /// All settings, resolved.
    pub settings: Settings,
    /// What the log should say of the settings.
    pub notices: Vec<Notice>,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Prints this: the settings, or the schema of their file.
    Print(String),
    /// The daemon.
    Run,
    /// The daemon for running processes.
    Attach,
    /// The processes of this host.
    Ps(Listing),
    /// What this host allows.
    Check(Listing),
    /// What its verifier thinks of each program.
    CheckPrograms(Listing),
}

/// How a list is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// Columns for people
    #[default]
    Text,
    /// JSON for programs
    Json,
}

/// Reads the command line, the environment and the configuration file. Help and version end the program here.
///
/// # Errors
///
/// Returns a [`config::Error`] for what cannot be understood.
pub fn parse() -> Result<Invocation, config::Error> {
    let environment = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    resolve(
        Arguments::try_parse().map_err(|error| misused(&error))?,
        &environment,
    )
}

/// One line of what clap says in several.
fn misused(error: &clap::Error) -> config::Error {
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_help {
        error.exit();
    }
    let text = error.render().to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"));
    let mut what = String::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with("For more information")) {
        if !what.is_empty() {
            what.push_str(if what.ends_with(':') { " " } else { "; " });
        }
        what.push_str(line.trim_start_matches("error: ").trim_start_matches("tip: "));
    }
    config::Error::CommandLine { what }
}

fn resolve(arguments: Arguments, environment: &Environment) -> Result<Invocation, config::Error> {
    let mut flags = Flags::new();
    let mut file = None;
    let mut output = Output::None;
    let command = match arguments.command {
        Verb::Run { select, export } => {
            select.collect(&mut flags);
            file = export.collect(&mut flags);
            Command::Run
        }
        Verb::Attach { pid, export } => {
            flags.extend(pid.into_iter().map(|pid| ("select.pid", pid)));
            file = export.collect(&mut flags);
            output = Output::Tree;
            Command::Attach
        }
        Verb::Config { what, select, export } => {
            select.collect(&mut flags);
            file = export.collect(&mut flags);
            Command::Print(if what.schema {
                config::schema()
            } else {
                String::new()
            })
        }
        Verb::Ps { output } => Command::Ps(output),
        Verb::Check { output, programs } if programs => Command::CheckPrograms(output),
        Verb::Check { output, .. } => Command::Check(output),
    };
    arguments.log.collect(&mut flags);
    let variable = environment.get(CONFIG_VARIABLE).map(String::as_str);
    let file = file.or_else(|| {
        let path = variable.or_else(|| config::config_variable(environment));
        path.map(PathBuf::from)
    });
    let resolved = config::resolve(&flags, environment, file.as_deref(), Defaults { output })?;
    Ok(Invocation {
        command: match command {
            Command::Print(text) if text.is_empty() => Command::Print(resolved.print()),
            command => command,
        },
        settings: resolved.settings,
        notices: resolved.notices,
    })
}

/// HTTP and SQL spans of untouched programs, seen from the kernel.
#[derive(Debug, Parser)]
#[command(name = "sidelight", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
    #[command(flatten)]
    log: LogFlags,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The daemon: watches what the selection names, now and in future
    #[command(after_long_help = settings_help())]
    Run {
        #[command(flatten)]
        select: SelectFlags,
        #[command(flatten)]
        export: ExportFlags,
    },
    /// Watches running processes and their children; prints spans by default
    #[command(after_long_help = settings_help())]
    Attach {
        /// Process ids, as this host sees them
        #[arg(long, value_name = "PID", required = true, num_args = 1.., value_delimiter = ',')]
        pid: Vec<String>,
        #[command(flatten)]
        export: ExportFlags,
    },
    /// Shows the settings that `run` would have with these options, or the schema of their file
    #[command(after_long_help = settings_help())]
    Config {
        #[command(flatten)]
        what: Shown,
        #[command(flatten)]
        select: SelectFlags,
        #[command(flatten)]
        export: ExportFlags,
    },
    /// Lists the processes that could be watched
    Ps {
        /// How the list is shown
        #[arg(long, value_enum, default_value_t)]
        output: Listing,
    },
    /// Says what this kernel and these privileges allow
    Check {
        /// How the list is shown
        #[arg(long, value_enum, default_value_t)]
        output: Listing,
        /// Says what the verifier thinks of each program instead
        #[arg(long)]
        programs: bool,
    },
}

/// What `config` shows.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Shown {
    /// The settings in effect as a configuration file, each with where it came from
    #[arg(long)]
    print: bool,
    /// The JSON schema of the configuration file
    #[arg(long)]
    schema: bool,
}

/// What is watched. Each can be repeated; any match selects.
#[derive(Args, Debug)]
#[command(next_help_heading = "Selection (each can be repeated; any match selects)")]
struct SelectFlags {
    /// The process with this id and its children
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',')]
    pid: Vec<String>,
    /// Processes that listen on this TCP port, or on one of a range
    #[arg(long, value_name = "PORT|FIRST-LAST", value_delimiter = ',')]
    port: Vec<String>,
    /// Processes whose executable's name (with a / in it: path) matches a shell pattern
    #[arg(long, value_name = "GLOB")]
    exe: Vec<String>,
    /// Processes whose service.name matches
    #[arg(long, value_name = "GLOB")]
    service: Vec<String>,
    /// Processes in a container whose id or name matches
    #[arg(long, value_name = "GLOB")]
    container: Vec<String>,
    /// Processes whose command line matches: its arguments put together with blanks
    #[arg(long, value_name = "GLOB")]
    command_line: Vec<String>,
    /// All processes (the default)
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    exclude: ExcludeFlags,
}

/// What is not watched, though it is selected.
#[derive(Args, Debug)]
#[command(next_help_heading = "Exclusion (each can be repeated; any match excludes)")]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
struct ExcludeFlags {
    /// Never the process with this id, nor its children
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',')]
    exclude_pid: Vec<String>,
    /// Never processes that listen on this TCP port, or on one of a range
    #[arg(long, value_name = "PORT|FIRST-LAST", value_delimiter = ',')]
    exclude_port: Vec<String>,
    /// Never processes whose executable's name (with a / in it: path) matches
    #[arg(long, value_name = "GLOB")]
    exclude_exe: Vec<String>,
    /// Never processes whose service.name matches
    #[arg(long, value_name = "GLOB")]
    exclude_service: Vec<String>,
    /// Never processes in a container whose id or name matches
    #[arg(long, value_name = "GLOB")]
    exclude_container: Vec<String>,
    /// Never processes whose command line matches
    #[arg(long, value_name = "GLOB")]
    exclude_command_line: Vec<String>,
}

impl SelectFlags {
    fn collect(self, flags: &mut Flags) {
        let exclude = self.exclude;
        let given = [
            ("select.pid", self.pid),
            ("select.port", self.port),
            ("select.exe", self.exe),
            ("select.service", self.service),
            ("select.container", self.container),
            ("select.command_line", self.command_line),
            ("exclude.pid", exclude.exclude_pid),
            ("exclude.port", exclude.exclude_port),
            ("exclude.exe", exclude.exclude_exe),
            ("exclude.service", exclude.exclude_service),
            ("exclude.container", exclude.exclude_container),
            ("exclude.command_line", exclude.exclude_command_line),
        ];
        for (key, values) in given {
            flags.extend(values.into_iter().map(|value| (key, value)));
        }
        if self.all {
            flags.push(("select.all", "true".to_owned()));
        }
    }
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Export")]
struct ExportFlags {
    /// Where spans are sent over OTLP
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// How they are encoded
    #[arg(long, value_name = "grpc|http/protobuf")]
    otlp_protocol: Option<String>,
    /// Where Prometheus may scrape metrics
    #[arg(long, value_name = "ADDR:PORT")]
    prometheus: Option<String>,
    /// Spans on stdout
    #[arg(long, value_name = "tree|text|json|none")]
    output: Option<String>,
    /// Say there why a span has no parent
    #[arg(long)]
    explain: bool,
    /// Stop by itself, after flushing (500ms, 30s, 5m)
    #[arg(long, value_name = "TIME")]
    duration: Option<String>,
    /// Which hooks see the I/O
    #[arg(long, value_name = "auto|fentry|kprobe|tracepoint")]
    tier: Option<String>,
    /// Configuration file (YAML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ExportFlags {
    fn collect(self, flags: &mut Flags) -> Option<PathBuf> {
        let given = [
            ("otlp.endpoint", self.otlp_endpoint),
            ("otlp.protocol", self.otlp_protocol),
            ("prometheus", self.prometheus),
            ("output", self.output),
            ("duration", self.duration),
            ("tier", self.tier),
        ];
        flags.extend(given.into_iter().filter_map(|(key, value)| Some((key, value?))));
        if self.explain {
            flags.push(("explain", "true".to_owned()));
        }
        self.config
    }
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Log (on stderr)")]
struct LogFlags {
    /// Say more; twice also shows what the kernel side says
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Say less; twice only errors
    #[arg(short, long, global = true, action = ArgAction::Count)]
    quiet: u8,
    /// The form of the log
    #[arg(long, global = true, value_name = "text|json")]
    log_format: Option<String>,
}

impl LogFlags {
    fn collect(self, flags: &mut Flags) {
        let level = match (self.verbose, self.quiet) {
            (0, 0) => None,
            (1, _) => Some("debug"),
            (2.., _) => Some("trace"),
            (0, 1) => Some("warn"),
            (0, _) => Some("error"),
        };
        flags.extend(level.map(|level| ("log.level", level.to_owned())));
        flags.extend(self.log_format.map(|format| ("log.format", format)));
    }
}

/// The settings by their other two names.
fn settings_help() -> String {
    let mut help = String::from(
        "Settings by environment variable and by key of the configuration file (a flag wins over a variable, a variable \
         over the file). The standard OTEL_* variables count too.\n",
    );
    for setting in config::settings() {
        let default = if setting.default.is_empty() {
            ""
        } else {
            "  default: "
        };
        // Writing to a String does not fail.
        let _ = write!(
            help,
            "\n  {:<40} {:<30}{default}{}",
            setting.variable, setting.key, setting.default
        );
    }
    help
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
