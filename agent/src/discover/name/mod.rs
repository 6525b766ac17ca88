//! `service.name`: what the owner of a process would call it.

mod generic;
mod interpreter;
pub(super) mod kubernetes;
mod python;

#[cfg(test)]
mod tests;

use super::facts::Facts;
use crate::inspect::Runtime;

/// What a name can be taken from.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What `/proc` says of the process.
    pub facts: &'a Facts,
    /// What its executable says, if that could be read.
    pub runtime: Option<&'a Runtime>,
    /// `service.name` of its `OTEL_RESOURCE_ATTRIBUTES`.
    pub attribute: Option<&'a str>,
    /// `OTEL_SERVICE_NAME` of the agent.
    pub given: Option<&'a str>,
    /// The name of its container, if it runs in another one than the agent.
    pub container: Option<&'a str>,
}

/// The name of a process: what it says itself, what the agent was told, its container or pod, its application, its
/// executable. Never an interpreter's name with its version.
pub fn of(evidence: Evidence<'_>) -> String {
    let Evidence { facts, .. } = evidence;
    let said = [
        facts.variable("OTEL_SERVICE_NAME"),
        evidence.attribute,
        evidence.given,
        evidence.container,
    ];
    said.into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .map(str::to_owned)
        .or_else(|| kubernetes::of(facts))
        .or_else(|| application(facts, evidence.runtime))
        .unwrap_or_else(|| executable(facts))
}

/// Whether the command line is that of a helper that Python's multiprocessing starts (uvicorn's workers and reloader):
/// it says nothing of the application, its parent's does.
pub fn is_the_parents(facts: &Facts) -> bool {
    facts
        .arguments
        .iter()
        .any(|argument| argument == "--multiprocessing-fork" || argument.starts_with("from multiprocessing."))
}

fn application(facts: &Facts, runtime: Option<&Runtime>) -> Option<String> {
    let language = runtime.and_then(|runtime| runtime.language);
    match language {
        Some("go") => go(runtime?.go_module.as_deref()?),
        Some("python") => python::of(facts),
        _ => python::of_server(facts).or_else(|| interpreter::of(facts, language)),
    }
}

/// The last part of a module's path that says something: not the major version, not a folder such as `cmd`.
fn go(module: &str) -> Option<String> {
    let is_version = |part: &str| {
        part.strip_prefix('v')
            .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    module
        .rsplit('/')
        .find(|part| !part.is_empty() && !is_version(part) && !generic::is_generic(part))
        .map(|part| match part.rsplit_once(".v") {
            // gopkg.in's form of the major version.
            Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name.to_owned(),
            _ => part.to_owned(),
        })
}

/// The executable's name; an interpreter's without its version, since its script could not be found.
fn executable(facts: &Facts) -> String {
    let name = match facts.executable_name() {
        // A file in memory alone (memfd_create) has a name that nobody chose for this.
        name if name.starts_with("memfd:") => facts
            .arguments
            .first()
            .map_or(name, |shown| shown.rsplit('/').next().unwrap_or_default()),
        name => name,
    };
    let bare =
        name.trim_end_matches(|character: char| character.is_ascii_digit() || matches!(character, '.' | '-'));
    let interpreters = ["python", "node", "ruby", "php", "php-fpm", "perl", "java"];
    if interpreters.contains(&bare) {
        bare.to_owned()
    } else {
        name.to_owned()
    }
}
