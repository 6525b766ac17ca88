//! End to end: the real agent, real programs, real sockets, the running kernel.
//!
//! Each test is one whole scenario. What a machine lacks is said as the reason of a skip. `SIDELIGHT_TEST_FULL=1` runs the load
//! tests in their long form; with `SIDELIGHT_TEST_VERBOSE=1` a failed test shows all that the agent saw.

mod backends;
mod capabilities;
mod children;
mod dashboards;
mod databases;
mod docker;
mod errors;
mod expect;
mod harness;
mod http;
mod lifecycle;
mod load;
mod metrics;
mod namespaces;
mod otlp;
mod otlp_metrics;
mod output;
mod own_sdk;
mod parents;
mod routes;
mod servers;
mod settings;
mod times;

use std::{
    process::ExitCode,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use harness::lab::{Lab, Need};

/// How many scenarios run at once: most of them wait most of the time.
const THREADS: usize = 4;

/// One scenario.
pub(crate) struct Case {
    name: &'static str,
    needs: &'static [Need],
    /// Runs while nothing else does: it loads the machine, or measures it.
    alone: bool,
    run: fn(&Lab) -> Result<()>,
}

impl Case {
    /// A scenario that others may run beside.
    pub(crate) const fn new(name: &'static str, needs: &'static [Need], run: fn(&Lab) -> Result<()>) -> Self {
        Self {
            name,
            needs,
            alone: false,
            run,
        }
    }

    /// The same, with the machine for itself.
    pub(crate) const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    fn trial(self, lab: Arc<Lab>, turns: Arc<RwLock<()>>) -> Trial {
        Trial::ignorable_test(self.name, move || {
            if let Some(reason) = self.needs.iter().find_map(|need| Lab::missing(*need)) {
                return Ok(Completion::ignored_with(reason));
            }
            // Held to the end: a lock that a failed test poisoned protects nothing but the turn.
            let (_with_others, _alone);
            if self.alone {
                _alone = turns.write().unwrap_or_else(PoisonError::into_inner);
            } else {
                _with_others = turns.read().unwrap_or_else(PoisonError::into_inner);
            }
            (self.run)(&lab).map_err(|error| Failed::from(format!("{error:#}")))?;
            Ok(Completion::Completed)
        })
    }
}

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let (lab, turns) = (Arc::new(Lab::new()?), Arc::new(RwLock::new(())));
    let cases = [
        output::cases(),
        errors::cases(),
        http::cases(),
        routes::cases(),
        servers::cases(),
        databases::cases(),
        children::cases(),
        lifecycle::cases(),
        namespaces::cases(),
        docker::cases(),
        capabilities::cases(),
        otlp::cases(),
        otlp_metrics::cases(),
        metrics::cases(),
        backends::cases(),
        own_sdk::cases(),
        times::cases(),
        load::cases(),
        parents::cases(),
        settings::cases(),
        dashboards::cases(),
    ];
    let trials = cases
        .into_iter()
        .flatten()
        .map(|case| case.trial(Arc::clone(&lab), Arc::clone(&turns)))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    parents::publish_versions()?;
    Ok(conclusion.exit_code())
}
