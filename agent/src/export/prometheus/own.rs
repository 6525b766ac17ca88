//! What the agent says of itself.

use std::fmt;

use super::{
    lines::{Head, Set, number},
    text::Page,
};
use crate::metrics::OfAgent;

impl Page {
    pub(super) fn agent(&mut self, agent: &OfAgent) -> fmt::Result {
        self.head(&Head::info(
            "sidelight_build",
            "The agent's version, and the hooks that it uses.",
        ))?;
        let mut version = Set::default();
        version.add_text("version", env!("CARGO_PKG_VERSION"));
        version.add_text("tier", agent.tier);
        self.line("sidelight_build_info", &version, format_args!("1"))?;
        for (level, help, value) in &agent.levels {
            let name = format!("sidelight_{level}");
            self.head(&Head::gauge(&name, help))?;
            self.line(&name, &Set::default(), format_args!("{value}"))?;
        }
        for (counter, labels, count) in agent.counted() {
            let name = format!("sidelight_{counter}");
            self.head(&Head::counter(
                &name,
                "Of the agent's own counts; the same as in its last line on stderr.",
            ))?;
            let mut set = Set::default();
            for (label, value) in &labels {
                set.add(label, value);
            }
            self.line(&format!("{name}_total"), &set, format_args!("{}", count.value))?;
        }
        self.programs(agent)
    }

    fn programs(&mut self, agent: &OfAgent) -> fmt::Result {
        if agent.programs.is_empty() {
            return Ok(());
        }
        let name = "sidelight_program_runs";
        self.head(&Head::counter(
            name,
            "How often the kernel ran one of the agent's programs.",
        ))?;
        for program in &agent.programs {
            let labels = Set::of("program", &program.name);
            self.line(
                &format!("{name}_total"),
                &labels,
                format_args!("{}", program.count),
            )?;
        }
        let name = "sidelight_program_run_time_seconds";
        let head = Head::counter(name, "How long the runs took, as the kernel measures them.");
        self.head(&head.in_unit("seconds"))?;
        for program in &agent.programs {
            let labels = Set::of("program", &program.name);
            let seconds = number(program.time.as_secs_f64());
            self.line(&format!("{name}_total"), &labels, format_args!("{seconds}"))?;
        }
        Ok(())
    }
}
