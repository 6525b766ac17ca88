//! What the verifier of a kernel thinks of the programs.

use serde_json::Value;

/// The command that says it.
pub(crate) const COMMAND: &str = "./sidelight check --programs --output json";

/// What one program costs the verifier.
pub(crate) struct Budget {
    pub(crate) program: String,
    pub(crate) instructions: u64,
    pub(crate) states: u64,
    pub(crate) stack: u64,
    /// Why it is not loaded.
    pub(crate) refused: Option<String>,
}

/// Understands what the command says.
pub(crate) fn parse(text: &str) -> Vec<Budget> {
    let parsed: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let number = |program: &Value, key: &str| program[key].as_u64().unwrap_or(0);
    let budget = |program: &Value| Budget {
        program: program["program"].as_str().unwrap_or_default().to_owned(),
        instructions: number(program, "instructions"),
        states: number(program, "states"),
        stack: number(program, "stack"),
        refused: program["refused"].as_str().map(ToOwned::to_owned),
    };
    parsed.iter().map(budget).collect()
}

/// Instructions of a tier's largest program; 0 if the kernel did not say.
pub(crate) fn of_tier(programs: &[Budget], tier: &str) -> u64 {
    let prefixes: &[&str] = match tier {
        "fentry" => &["fentry_", "fexit_"],
        "kprobe" => &["kprobe_", "kretprobe_"],
        _ => &["enter_", "exit"],
    };
    let own = programs
        .iter()
        .filter(|one| prefixes.iter().any(|prefix| one.program.starts_with(prefix)));
    own.map(|one| one.instructions).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_a_tier_is_found() {
        let programs = parse(
            r#"[{"program":"exit","instructions":9,"states":1,"stack":8,"refused":null},
                {"program":"fexit_x","instructions":7,"states":1,"stack":8,"refused":"why"}]"#,
        );
        assert_eq!(of_tier(&programs, "tracepoint"), 9);
        assert_eq!(of_tier(&programs, "fentry"), 7);
        assert_eq!(of_tier(&programs, "kprobe"), 0);
        assert_eq!(programs[1].refused.as_deref(), Some("why"));
        assert!(parse("no JSON").is_empty());
    }
}
