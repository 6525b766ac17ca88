//! The application that a Python process runs.

use std::path::{Path, PathBuf};

use super::{super::facts::Facts, generic};

/// Options of servers and of the interpreter that take no value; what follows one of them is not its value.
const SWITCHES: [&str; 29] = [
    "-D",
    "--daemon",
    "--reload",
    "--preload",
    "--preload-app",
    "--factory",
    "--proxy-headers",
    "--no-proxy-headers",
    "--no-access-log",
    "--access-log",
    "--use-colors",
    "--no-use-colors",
    "--no-server-header",
    "--no-date-header",
    "--debug",
    "--no-debug",
    "--spew",
    "--no-sendfile",
    "--reuse-port",
    "--capture-output",
    "--check-config",
    "--enable-stdio-inheritance",
    "--master",
    "--enable-threads",
    "--lazy-apps",
    "--http-keepalive",
    "--noreload",
    "--verbose",
    "--quiet",
];
/// Interpreter options that take the next argument as their value.
const INTERPRETER_VALUES: [&str; 2] = ["-W", "-X"];

/// The application of a Python process.
pub fn of(facts: &Facts) -> Option<String> {
    if let Some(name) = of_server(facts) {
        return Some(name);
    }
    match target(&facts.arguments)? {
        Target::Module(module, rest) => server(&module, rest, facts).or_else(|| named(&module, facts, None)),
        Target::Script(script, rest) => {
            let tool = Path::new(script).file_name()?.to_str()?;
            server(tool, rest, facts).or_else(|| from_script(script, facts))
        }
        Target::Inline => None,
    }
    .or_else(|| generic::folder(facts.working_directory.as_deref()?))
}

/// The application of a server that is its own executable, or that has rewritten its title.
pub fn of_server(facts: &Facts) -> Option<String> {
    let first = facts.arguments.first()?;
    if let Some(title) = first.strip_prefix("gunicorn: ") {
        let shown = title.split_once('[')?.1.split_once(']')?.0;
        return if is_application(shown) || is_module(shown) {
            named(shown, facts, None)
        } else {
            Some(shown.to_owned())
        };
    }
    server(
        Path::new(first).file_name()?.to_str()?,
        facts.arguments.get(1..)?,
        facts,
    )
}

/// What the interpreter runs, and the arguments after it.
enum Target<'a> {
    Module(String, &'a [String]),
    Script(&'a str, &'a [String]),
    Inline,
}

fn target(arguments: &[String]) -> Option<Target<'_>> {
    let mut index = 1;
    while let Some(argument) = arguments.get(index) {
        let rest = |from: usize| arguments.get(from..).unwrap_or_default();
        match argument.as_str() {
            "-m" => return Some(Target::Module(arguments.get(index + 1)?.clone(), rest(index + 2))),
            "-c" | "-" => return Some(Target::Inline),
            value if INTERPRETER_VALUES.contains(&value) => index += 2,
            option if option.starts_with('-') => {
                // Switches can be written together, the last of them may be m: -Im module, -Immodule.
                if let Some((switches, module)) = option.split_once('m')
                    && !option.starts_with("--")
                    && switches[1..]
                        .chars()
                        .all(|switch| "bBdEiIOPqsSuvx".contains(switch))
                {
                    let attached = (!module.is_empty()).then(|| module.to_owned());
                    let taken = index + 1 + usize::from(attached.is_none());
                    let module = attached.or_else(|| arguments.get(index + 1).cloned())?;
                    return Some(Target::Module(module, rest(taken)));
                }
                index += 1;
            }
            script => return Some(Target::Script(script, rest(index + 1))),
        }
    }
    None
}

/// The application that an application server was started with, if `tool` is one.
fn server(tool: &str, arguments: &[String], facts: &Facts) -> Option<String> {
    let option = |names: &[&str]| option(arguments, names);
    match tool.trim_end_matches(".__main__") {
        "gunicorn" | "uvicorn" | "hypercorn" | "granian" | "daphne" | "waitress-serve" | "waitress" => {
            if let Some(name) = option(&["--name", "-n"]).filter(|_| tool == "gunicorn") {
                return Some(name.to_owned());
            }
            let folder = option(&["--app-dir", "--chdir"]);
            named(served(arguments)?, facts, folder)
        }
        "uwsgi" => {
            let module = option(&["--module", "-w", "--wsgi", "--wsgi-file", "--file"])?;
            named(module, facts, option(&["--chdir"]))
        }
        "flask" => {
            let application = option(&["--app", "-A"]).or_else(|| facts.variable("FLASK_APP"));
            // Without either, Flask looks for app.py or wsgi.py in the working directory.
            named(application.unwrap_or("app"), facts, None)
        }
        "fastapi" => {
            let file = arguments.iter().find(|argument| is_file(argument));
            named(file.map_or("main", String::as_str), facts, None)
        }
        "celery" => named(option(&["--app", "-A"])?, facts, None),
        "django-admin" => named(
            option(&["--settings"])?.trim_end_matches(".settings"),
            facts,
            None,
        ),
        _ => None,
    }
}

/// The value of the first of these options that is given, as `--option value` or `--option=value`.
fn option<'a>(arguments: &'a [String], names: &[&str]) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(index, argument)| {
        if names.contains(&argument.as_str()) {
            return arguments.get(index + 1).map(String::as_str);
        }
        let (name, value) = argument.split_once('=')?;
        names.contains(&name).then_some(value)
    })
}

/// What an application server serves: `module:application` wherever it stands, else the last bare module that is not an
/// option's value.
fn served(arguments: &[String]) -> Option<&str> {
    let all = || arguments.iter().map(String::as_str);
    all().find(|argument| is_application(argument)).or_else(|| {
        let before = std::iter::once("").chain(all());
        before
            .zip(all())
            .filter(|(before, argument)| {
                let is_value = before.starts_with('-') && !before.contains('=') && !SWITCHES.contains(before);
                !is_value && is_module(argument)
            })
            .map(|(_, argument)| argument)
            .last()
    })
}

/// Whether this is `module:application` or `module:factory()`.
fn is_application(text: &str) -> bool {
    // Options of gunicorn have values of the same form: --bind unix:app.sock, --config python:settings.
    !["unix:", "fd:", "python:", "file:", "egg:"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
        && text.split_once(':').is_some_and(|(module, object)| {
            let object = object.split_once('(').map_or(object, |(name, _)| name);
            is_module(module) && is_module(object)
        })
}

fn is_module(text: &str) -> bool {
    text.split('.').all(|part| {
        part.chars()
            .next()
            .is_some_and(|first| first.is_alphabetic() || first == '_')
            && part
                .chars()
                .all(|character| character.is_alphanumeric() || character == '_')
    })
}

fn is_file(text: &str) -> bool {
    Path::new(text)
        .extension()
        .is_some_and(|extension| extension == "py")
}

/// The name of an application given as module, `module:object` or file, which was started in `folder` (taken from the
/// working directory).
fn named(application: &str, facts: &Facts, folder: Option<&str>) -> Option<String> {
    let module = application
        .split_once(':')
        .map_or(application, |(module, _)| module);
    let folder = match (folder, &facts.working_directory) {
        (Some(folder), Some(working)) => Some(working.join(folder)),
        (Some(folder), None) => Some(PathBuf::from(folder)),
        (None, working) => working.clone(),
    };
    if module.contains('/') || is_file(module) {
        return from_script(module, facts);
    }
    generic::module(module)
        .or_else(|| generic::folder(&folder?))
        .or_else(|| module.split('.').next().map(str::to_owned))
}

/// A script's name; if that says nothing, its folder's.
fn from_script(script: &str, facts: &Facts) -> Option<String> {
    let path = Path::new(script);
    let stem = path.file_stem()?.to_str()?;
    if !generic::is_generic(stem) {
        return Some(stem.to_owned());
    }
    let absolute = match &facts.working_directory {
        Some(working) => working.join(path),
        None => path.to_owned(),
    };
    generic::folder(absolute.parent()?).or_else(|| Some(stem.to_owned()))
}
