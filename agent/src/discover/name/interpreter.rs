//! The application that an interpreter or a virtual machine runs.

use std::path::Path;

use super::{super::facts::Facts, generic};

/// The application of a process of this language, if it is one whose executable says nothing.
pub fn of(facts: &Facts, language: Option<&str>) -> Option<String> {
    let arguments = facts.arguments.get(1..).unwrap_or_default();
    match language? {
        "nodejs" => script(
            facts,
            arguments,
            &["-r", "--require", "--import", "--loader", "-C"],
        ),
        "ruby" => puma(facts).or_else(|| script(facts, arguments, &["-I", "-r", "-C"])),
        "java" => java(facts, arguments),
        "dotnet" => arguments
            .iter()
            .find_map(|argument| argument.strip_suffix(".dll"))
            .and_then(|path| path.rsplit('/').next().map(str::to_owned)),
        _ => None,
    }
}

/// The first argument that is not an option; what says nothing (`index.js`) or is a tool's gives way to its folder.
fn script(facts: &Facts, arguments: &[String], with_value: &[&str]) -> Option<String> {
    let mut skip = false;
    let script = arguments.iter().find(|argument| {
        let is_value = std::mem::replace(&mut skip, with_value.contains(&argument.as_str()));
        !is_value && !argument.starts_with('-')
    });
    let working = facts.working_directory.as_deref();
    let Some(script) = script.map(Path::new) else {
        return generic::folder(working?);
    };
    let is_tool = script
        .components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("node_modules" | "bin" | "gems")));
    if is_tool {
        return generic::folder(working?);
    }
    let stem = script.file_stem()?.to_str()?;
    if !generic::is_generic(stem) {
        return Some(stem.to_owned());
    }
    let absolute = working.map_or_else(|| script.to_owned(), |working| working.join(script));
    generic::folder(absolute.parent()?).or_else(|| Some(stem.to_owned()))
}

/// `puma 6.4.2 (tcp://0.0.0.0:3000) [shop]`, `puma: cluster worker 0: 17 [shop]`.
fn puma(facts: &Facts) -> Option<String> {
    let title = facts
        .arguments
        .first()
        .filter(|title| title.starts_with("puma"))?;
    let name = title.rsplit_once('[')?.1.strip_suffix(']')?;
    Some(name.to_owned()).filter(|name| !generic::is_generic(name))
}

fn java(facts: &Facts, arguments: &[String]) -> Option<String> {
    let spring = arguments
        .iter()
        .find_map(|argument| {
            argument
                .strip_prefix("-Dspring.application.name=")
                .or_else(|| argument.strip_prefix("--spring.application.name="))
        })
        .or_else(|| facts.variable("SPRING_APPLICATION_NAME"));
    if let Some(name) = spring {
        return Some(name.to_owned());
    }
    let mut skip = false;
    let program = arguments.iter().find(|argument| {
        let takes_value = matches!(
            argument.as_str(),
            "-cp"
                | "-classpath"
                | "--class-path"
                | "-p"
                | "--module-path"
                | "--add-modules"
                | "--add-opens"
                | "--add-exports"
        );
        let is_value = std::mem::replace(&mut skip, takes_value);
        !is_value && !argument.starts_with('-') && !argument.starts_with('@')
    })?;
    let Some(jar) = program.strip_suffix(".jar") else {
        return class(program);
    };
    let name = without_version(jar.rsplit('/').next()?);
    if generic::is_generic(name) {
        generic::folder(facts.working_directory.as_deref()?)
    } else {
        Some(name.to_owned())
    }
}

/// The name from a main class, perhaps after its module: `com.acme/com.acme.shop.Main`.
fn class(program: &str) -> Option<String> {
    let class = program.rsplit('/').next()?;
    class
        .rsplit('.')
        .find(|part| !generic::is_generic(part))
        .map(str::to_owned)
}

/// `shop-1.4.2-SNAPSHOT` is `shop`.
fn without_version(stem: &str) -> &str {
    let is_version = |index: &usize| stem[index + 1..].starts_with(|first: char| first.is_ascii_digit());
    stem.match_indices('-')
        .map(|(index, _)| index)
        .find(is_version)
        .map_or(stem, |index| &stem[..index])
}
