//! What the agent says of itself.

use super::{
    lines::{Head, Kind, Set},
    page::Format,
};
use crate::metrics::{Number, OfAgent};

pub(super) fn write(agent: &OfAgent, out: &mut dyn Format) {
    let help = "The agent's version, and the hooks that it uses.";
    out.head(Head::new(Kind::Info, "sidelight_build", help));
    let mut version = Set::default();
    version.add_text("version", env!("CARGO_PKG_VERSION"));
    version.add_text("tier", agent.tier);
    out.whole(&version, 1, None);
    for (level, help, value) in &agent.levels {
        out.head(Head::new(Kind::Gauge, format!("sidelight_{level}"), help));
        out.whole(&Set::default(), *value, None);
    }
    let help = "Of the agent's own counts; the same as in its last line on stderr.";
    for (counter, labels, count) in agent.counted() {
        out.head(Head::new(Kind::Counter, format!("sidelight_{counter}"), help));
        let mut set = Set::default();
        for (label, value) in &labels {
            set.add(label, value);
        }
        out.whole(&set, count.value, Some(count.since_unix_nanos));
    }
    programs(agent, out);
}

fn programs(agent: &OfAgent, out: &mut dyn Format) {
    if agent.programs.is_empty() {
        return;
    }
    let help = "How often the kernel ran one of the agent's programs.";
    out.head(Head::new(Kind::Counter, "sidelight_program_runs", help));
    for program in &agent.programs {
        out.whole(&Set::of("program", &program.name), program.count, None);
    }
    let help = "How long the runs took, as the kernel measures them.";
    let head = Head::new(Kind::Counter, "sidelight_program_run_time_seconds", help);
    out.head(head.in_unit("seconds"));
    for program in &agent.programs {
        let seconds = Number::Float(program.time.as_secs_f64());
        out.number(&Set::of("program", &program.name), seconds, None);
    }
}
