//! The commands of sidelight's repository: `cargo xtask help` lists them.

mod command;
mod demo;
mod ports;
mod process;
mod progress;
mod readme;
mod setup;
mod source_hash;
mod stack;
mod sys;
mod verb;
mod vm;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use progress::Progress;
use verb::bench::Load;
use verb::bench::units::{Kind, Plan};
use verb::build::Profile;
use verb::build_ebpf::Toolchain;
use workspace::Workspace;

/// Builds, runs and tests sidelight; installs what that needs
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Starts the demo, attaches the agent and prints traces until Ctrl-C; with ARGS, runs `sidelight ARGS` instead
    Run {
        /// End when the traces of the demo's two requests were printed; fail when they were not
        #[arg(long, conflicts_with = "args")]
        once: bool,
        /// The agent's own arguments
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Builds the agent
    Build {
        /// Quick to build instead of quick to run
        #[arg(long)]
        dev: bool,
    },
    /// Rebuilds the checked-in objects of the kernel side
    BuildEbpf {
        /// Only prove that they are what the sources give
        #[arg(long)]
        check: bool,
    },
    /// Everything that can be tested on this machine, unit to end-to-end
    Test {
        /// Only tests whose name contains this
        filter: Option<String>,
        /// The load tests in their long form
        #[arg(long)]
        soak: bool,
    },
    /// Formatting, lints, licences, and what no tool of a language looks for
    Lint,
    /// What has to pass before a change lands: lint and test
    Ci,
    /// Measures the agent beside a loaded server: latency, CPU time, memory, drops
    Bench {
        /// Requests a second, over all connections
        #[arg(long, default_value_t = 20_000)]
        rate: u32,
        /// Length of each run; 20, with --units 3
        #[arg(long, value_name = "SECONDS")]
        seconds: Option<u32>,
        /// Connections, all kept open
        #[arg(long, default_value_t = 64)]
        connections: u32,
        /// Instead: what telling units apart costs a saturated server, against threads alone
        #[arg(long, conflicts_with = "rate")]
        units: bool,
        /// Only these servers
        #[arg(long, requires = "units")]
        kind: Vec<Kind>,
        /// Runs of each of both, with the same processes
        #[arg(long, default_value_t = 5, requires = "units")]
        pairs: u32,
        /// Times that the processes are started anew
        #[arg(long, default_value_t = 4, requires = "units")]
        sessions: u32,
    },
    /// Other kernels, in virtual machines: a scenario with every tier, whose spans have to be the same everywhere
    Vm {
        /// Only kernels whose name contains one of these, such as 6.1 or arm64; without any the first of the list
        kernels: Vec<String>,
        /// Every kernel
        #[arg(long)]
        all: bool,
        /// Write down the spans that this machine's own kernel gives, as those that are expected
        #[arg(long)]
        update: bool,
        /// Write the README's table, of each kernel what came of its last run; runs only the kernels that are named
        #[arg(long)]
        table: bool,
        /// Only who calls whom, in programs of several versions of Go and Python
        #[arg(long)]
        versions: bool,
        /// A shell command to run there instead
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// What the verifier thinks of each program: instructions, states and stack, here or on other kernels
    Load {
        /// Only kernels whose name contains one of these; without any this machine's own
        kernels: Vec<String>,
        /// Every kernel
        #[arg(long)]
        all: bool,
    },
    /// The demo's containers and the agent's on a Docker engine, without a container registry; checks traces, objectives and alerts.
    /// Where a registry answers, it is docker-compose.yaml as it is, up to the traces in Jaeger
    Stack {
        /// Only the third scenario: load, objectives, alerts; without a registry
        #[arg(long)]
        objectives: bool,
        /// Only docker-compose.yaml as it is; fails where no registry answers
        #[arg(long, conflicts_with = "objectives")]
        real: bool,
    },
    /// Builds the agent's container image, as archives for `docker load` in target/image
    Image {
        /// For this architecture alone, by Docker's name of it: amd64 or arm64
        #[arg(long)]
        architecture: Option<String>,
    },
    /// Runs the fuzz targets of the protocols
    Fuzz {
        /// Only this one
        target: Option<String>,
        /// Time for each
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    if let Some(compiled) = verb::build_ebpf::wrapped_compiler() {
        return match compiled {
            Ok(code) => ExitCode::from(code as u8),
            Err(error) => fail(&error),
        };
    }
    match run(Arguments::parse().verb) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn run(verb: Verb) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let progress = Progress::new();
    match verb {
        Verb::Run { once, args } if args.is_empty() => verb::run::demo(&workspace, &progress, once),
        Verb::Run { args, .. } => verb::run::agent(&workspace, &progress, &args),
        Verb::Build { dev } => {
            let profile = if dev { Profile::Dev } else { Profile::Release };
            verb::build::build(&workspace, &progress, profile).map(|_| ExitCode::SUCCESS)
        }
        Verb::BuildEbpf { check } => {
            let toolchain = Toolchain::ensure(&workspace, &progress)?;
            let work = if check {
                verb::build_ebpf::check
            } else {
                verb::build_ebpf::rebuild
            };
            done(work(&workspace, &progress, &toolchain))
        }
        Verb::Test { filter, soak } => {
            verb::test::run(&workspace, &progress, &verb::test::Request { filter, soak })
        }
        Verb::Lint => done(verb::lint::run(&workspace, &progress)),
        Verb::Ci => verb::ci::run(&workspace, &progress),
        Verb::Bench {
            seconds,
            connections,
            units: true,
            kind,
            pairs,
            sessions,
            ..
        } => done(verb::bench::units::run(
            &workspace,
            &progress,
            &kind,
            Plan {
                sessions,
                pairs,
                seconds: seconds.unwrap_or(3),
                connections,
            },
        )),
        Verb::Bench {
            rate,
            seconds,
            connections,
            ..
        } => done(verb::bench::run(
            &workspace,
            &progress,
            Load {
                rate,
                seconds: seconds.unwrap_or(20),
                connections,
            },
        )),
        Verb::Vm {
            kernels,
            all,
            update,
            table,
            versions,
            command,
        } => {
            let what = match (update, versions) {
                (true, _) => verb::vm::What::Update,
                (false, true) => verb::vm::What::Versions,
                (false, false) if command.is_empty() => verb::vm::What::Scenario,
                (false, false) => verb::vm::What::Command(command.join(" ")),
            };
            let table = table || (all && !versions);
            let request = verb::vm::Request {
                kernels,
                all,
                what,
                table,
            };
            verb::vm::run(&workspace, &progress, &request)
        }
        Verb::Load { kernels, all } => done(verb::load::run(&workspace, &progress, &kernels, all)),
        Verb::Stack { objectives, real } => {
            let what = match (objectives, real) {
                (true, _) => verb::stack::What::Objectives,
                (false, true) => verb::stack::What::Real,
                (false, false) => verb::stack::What::All,
            };
            done(verb::stack::run(&workspace, &progress, what))
        }
        Verb::Image { architecture } => {
            done(verb::image::run(&workspace, &progress, architecture.as_deref()))
        }
        Verb::Fuzz { target, seconds } => done(verb::fuzz::run(
            &workspace,
            &progress,
            target.as_deref(),
            Duration::from_secs(seconds),
        )),
    }
}

fn done(result: Result<()>) -> Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    Progress::new().say(format!("error: {error:#}"));
    ExitCode::FAILURE
}
