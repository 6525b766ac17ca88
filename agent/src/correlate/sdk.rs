//! Programs with an OpenTelemetry SDK of their own: which calls each of them exports itself, as its exports showed.

use agent_protocols::{Detail, Exchange, Exported, Role};
use foldhash::HashMap;

use super::WAIT_NANOS;
use crate::config::LeaveOut;

/// What is known of the SDKs of watched programs.
#[derive(Debug)]
pub(super) struct Sdks {
    leave_out: LeaveOut,
    programs: HashMap<u32, Program>,
}

/// Why an exchange makes no span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// The program's own SDK exports the same call.
    ExportedBySdk,
    /// It is a call by which an SDK exports.
    SdkExport,
    /// It is a request on a port that the settings do not want for this process.
    OtherPort,
}

/// What the exports of one program told. Times are of the kernel's monotonic clock, in nanoseconds.
#[derive(Debug, Default)]
struct Program {
    /// Since when it is known to export spans at all.
    spans: Option<u64>,
    server: Option<u64>,
    client: Option<u64>,
    database: Option<u64>,
    /// Its SDK puts a `traceparent` into the calls that it exports.
    propagates: bool,
    /// It is sent exports of others, so what it exports need not be its own.
    collects: bool,
    /// When the program ended; what it said before is still looked at.
    ended: Option<u64>,
}

impl Sdks {
    /// Nothing known yet. `leave_out`: what is left out if an SDK exports it.
    pub(super) fn new(leave_out: LeaveOut) -> Self {
        Self {
            leave_out,
            programs: HashMap::default(),
        }
    }

    /// A program exported spans (as a client), or was sent some (as a server).
    pub(super) fn exported(&mut self, pid: u32, role: Role, at: u64, exported: Exported) {
        let program = self.running(pid);
        if role == Role::Server {
            program.collects = true;
            return;
        }
        let known = [
            (&mut program.spans, exported.spans),
            (&mut program.server, exported.server),
            (&mut program.client, exported.client),
            (&mut program.database, exported.database),
        ];
        for (since, told) in known {
            if told {
                since.get_or_insert(at);
            }
        }
    }

    /// A program sent a `traceparent` of its own.
    pub(super) fn propagated(&mut self, pid: u32) {
        self.running(pid).propagates = true;
    }

    /// A program ended. Its process id may be another's from now on.
    pub(super) fn ended(&mut self, pid: u32, at: u64) {
        if let Some(program) = self.programs.get_mut(&pid) {
            program.ended.get_or_insert(at);
        }
    }

    /// Forgets programs that ended before anything that still waits.
    pub(super) fn forget(&mut self, now: u64) {
        let old = now.saturating_sub(2 * WAIT_NANOS);
        self.programs
            .retain(|_, program| program.ended.is_none_or(|ended| ended >= old));
    }

    /// Why an exchange makes no span, if it makes none. It depends on what was known at its end, so that it does not matter
    /// when it is asked.
    pub(super) fn leaves_out(&self, exchange: &Exchange) -> Option<LeftOut> {
        let program = self.programs.get(&exchange.request_unit.pid)?;
        if program.collects || program.ended.is_some_and(|ended| ended < exchange.ended) {
            return None;
        }
        let known = |since: Option<u64>| since.is_some_and(|since| since <= exchange.ended);
        let LeaveOut {
            server,
            client,
            database,
        } = self.leave_out;
        let left_out = match (&exchange.detail, exchange.role) {
            (Detail::Http(_), Role::Server) => server && known(program.server),
            (Detail::Http(http), Role::Client) => {
                if self.leave_out.is_something()
                    && known(program.spans)
                    && is_export(&http.method, &http.target)
                {
                    return Some(LeftOut::SdkExport);
                }
                // A call without the header that its SDK sends was made by a library that the SDK knows nothing of.
                let its_own = http.traceparent.is_some() || !program.propagates;
                client && known(program.client) && its_own
            }
            (Detail::Sql(_), Role::Client) => database && known(program.database),
            _ => false,
        };
        left_out.then_some(LeftOut::ExportedBySdk)
    }

    /// What is known of the program that has this process id now.
    fn running(&mut self, pid: u32) -> &mut Program {
        let program = self.programs.entry(pid).or_default();
        if program.ended.is_some() {
            *program = Program::default();
        }
        program
    }
}

/// Whether a request exports a signal: the paths that each has by default, after any prefix
/// (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>).
fn is_export(method: &str, target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let paths = ["/v1/traces", "/v1/metrics", "/v1/logs"];
    method == "POST" && paths.iter().any(|end| path.ends_with(end))
}
