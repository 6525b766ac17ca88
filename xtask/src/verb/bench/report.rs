//! The table that a measurement ends with.

use super::usage::Usage;
use super::{Load, Row};

/// Both runs below each other, then what only the run with the agent has.
pub(super) fn table(load: Load, without: &Row, with: &Row) -> String {
    let Load {
        rate,
        seconds,
        connections,
    } = load;
    let mut lines = vec![
        format!(
            "{rate} requests/s over {connections} kept connections to a Go net/http server, {seconds} s each run"
        ),
        String::new(),
        format!(
            "{:<8} {:>11} {:>7} {:>10} {:>10} {:>15} {:>14}",
            "agent", "achieved/s", "errors", "p50", "p99", "server CPU/req", "agent CPU/req"
        ),
        row("without", without),
        row("with", with),
    ];
    if let Some(agent) = &with.agent {
        let mib = |kib: u64| kib as f64 / 1024.0;
        lines.extend([
            String::new(),
            format!(
                "agent memory: {:.1} MiB after the load, {:.1} MiB at most",
                mib(agent.steady_kib),
                mib(agent.peak_kib)
            ),
            format!("agent statistics: {}", agent.statistics),
        ]);
    }
    lines.push(String::new());
    lines.join("\n")
}

fn row(name: &str, row: &Row) -> String {
    let per_request = |usage: &Usage| format!("{:.2} us", usage.micros() / row.requests.max(1.0));
    format!(
        "{name:<8} {:>11.0} {:>7} {:>7.0} us {:>7.0} us {:>15} {:>14}",
        row.rate,
        row.errors,
        row.p50_us,
        row.p99_us,
        per_request(&row.server),
        row.agent
            .as_ref()
            .map(|agent| per_request(&agent.usage))
            .unwrap_or_default()
    )
}
