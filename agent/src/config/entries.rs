//! Lists of mappings in the configuration file: the keys that an entry may have.

use super::{
    Kind, Pattern, Selector, ServiceSettings,
    choices::{self, names},
    layers::Entry,
    parse::{self, Invalid},
};

/// A list of mappings. It can be given in a file only.
pub struct EntryList {
    /// Its path in the file.
    pub key: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What an entry may have.
    pub fields: &'static [Field],
}

/// One key of an entry.
pub struct Field {
    /// Its path within the entry.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it takes several values.
    pub list: bool,
    /// What it means.
    pub about: &'static str,
    /// Puts one value in its place.
    pub apply: fn(&mut ServiceSettings, &str) -> Result<(), Invalid>,
}

/// All lists of mappings.
pub static LISTS: &[EntryList] = &[
    EntryList {
        key: "select.match",
        about: "Processes that fulfil every key of an entry",
        fields: MATCH,
    },
    EntryList {
        key: "exclude.match",
        about: "Processes that are not watched because they fulfil every key of an entry",
        fields: MATCH,
    },
    EntryList {
        key: "services",
        about: "What holds for some processes alone. Of each setting the first entry counts that matches and has it",
        fields: SERVICE,
    },
];

/// What an entry says.
pub fn build(fields: &[Field], entry: &Entry) -> ServiceSettings {
    let mut built = ServiceSettings::default();
    for field in fields {
        let values = entry.get(field.key).into_iter().flat_map(|given| &given.values);
        for value in values {
            // What does not fit was refused when it was given.
            let _ = (field.apply)(&mut built, value);
        }
    }
    built
}

const fn list(
    key: &'static str,
    kind: Kind,
    about: &'static str,
    apply: fn(&mut ServiceSettings, &str) -> Result<(), Invalid>,
) -> Field {
    Field {
        key,
        kind,
        list: true,
        about,
        apply,
    }
}

const fn one(
    key: &'static str,
    kind: Kind,
    about: &'static str,
    apply: fn(&mut ServiceSettings, &str) -> Result<(), Invalid>,
) -> Field {
    Field {
        key,
        kind,
        list: false,
        about,
        apply,
    }
}

const PID: &str = "Process ids; their children count too";
const PORT: &str = "TCP ports that they listen on";
const EXE: &str = "Patterns of their executable's name, or with a / of its path";
const SERVICE_NAME: &str = "Patterns of the service.name that they have without this entry";
const CONTAINER: &str = "Patterns of their container's id or name";
const COMMAND_LINE: &str = "Patterns of their command line";

static MATCH: &[Field] = &[
    list("pid", Kind::Pid, PID, pid),
    list("port", Kind::Ports, PORT, port),
    list("exe", Kind::Pattern, EXE, exe),
    list("service", Kind::Pattern, SERVICE_NAME, service),
    list("container", Kind::Pattern, CONTAINER, container),
    list("command_line", Kind::Pattern, COMMAND_LINE, command_line),
];

static SERVICE: &[Field] = &[
    list("match.pid", Kind::Pid, PID, pid),
    list("match.port", Kind::Ports, PORT, port),
    list("match.exe", Kind::Pattern, EXE, exe),
    list("match.service", Kind::Pattern, SERVICE_NAME, service),
    list("match.container", Kind::Pattern, CONTAINER, container),
    list("match.command_line", Kind::Pattern, COMMAND_LINE, command_line),
    one("name", Kind::Text, "Their service.name", |service, text| {
        service.name = Some(text.to_owned());
        Ok(())
    }),
    one(
        "namespace",
        Kind::Text,
        "Their service.namespace",
        |service, text| {
            service.namespace = Some(text.to_owned());
            Ok(())
        },
    ),
    one(
        "sampling.sampler",
        Kind::Choice(&names(choices::SAMPLERS)),
        "The sampler of traces that begin in them",
        |service, text| {
            service.sampling.sampler = Some(parse::choice(text, choices::SAMPLERS)?);
            Ok(())
        },
    ),
    one(
        "sampling.ratio",
        Kind::Ratio,
        "The share of the traces that begin in them which are kept",
        |service, text| {
            service.sampling.ratio = Some(parse::ratio(text)?);
            Ok(())
        },
    ),
    list(
        "routes.patterns",
        Kind::Route,
        "Patterns of their paths, such as /users/{id}; they go before those for all",
        |service, text| {
            service.routes.push(parse::route(text)?);
            Ok(())
        },
    ),
    list(
        "ports",
        Kind::Ports,
        "Make spans and metrics only of what they serve on these ports",
        |service, text| {
            service.ports.push(parse::ports(text)?);
            Ok(())
        },
    ),
];

fn ask(service: &mut ServiceSettings, selector: Result<Selector, Invalid>) -> Result<(), Invalid> {
    service.rule.ask(selector?);
    Ok(())
}

fn pid(service: &mut ServiceSettings, text: &str) -> Result<(), Invalid> {
    ask(service, parse::pid(text).map(Selector::Pid))
}

fn port(service: &mut ServiceSettings, text: &str) -> Result<(), Invalid> {
    ask(service, parse::ports(text).map(Selector::Ports))
}

fn exe(service: &mut ServiceSettings, text: &str) -> Result<(), Invalid> {
    ask(service, Pattern::new(text).map(Selector::Executable))
}

fn service(service: &mut ServiceSettings, text: &str) -> Result<(), Invalid> {
    ask(service, Pattern::new(text).map(Selector::Service))
}

fn container(service: &mut ServiceSettings, text: &str) -> Result<(), Invalid> {
    ask(service, Pattern::new(text).map(Selector::Container))
}

fn command_line(service: &mut ServiceSettings, text: &str) -> Result<(), Invalid> {
    ask(service, Pattern::new(text).map(Selector::CommandLine))
}
