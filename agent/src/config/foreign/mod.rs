//! Settings of Grafana Beyla and of OpenTelemetry eBPF instrumentation (OBI), under their names.
//!
//! Whoever comes from there changes the name of the image and nothing else. Each of their settings that is there is said
//! to have become one of ours, or to have no counterpart. They are the lowest layers: what is set by a name of ours goes
//! before.
//!
//! Names and meanings: grafana/beyla at b21b6afa (2026-08-21), `pkg/beyla/config.go`, `pkg/services/criteria.go`,
//! `docs/config-schema.json`, `docs/sources/configure`, and of the vendored OBI `pkg/appolly/discover/matcher.go`,
//! `pkg/appolly/services`, `pkg/export/otel/otelcfg`; open-telemetry/opentelemetry-ebpf-instrumentation at 6955b658
//! (2025-05-23), `pkg/beyla/config.go`.

mod discovery;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::{collections::BTreeMap, path::Path};

use regex::{Captures, Regex};

use super::{
    Environment, Notice,
    entries::LISTS,
    layers::{Entry, Given, Layers, Origin},
    table::{by_key, settings},
    yaml::{Node, Value},
};
use discovery::Discovery;
use table::{Becomes, ROWS, Row};

/// How their variables begin. `BEYLA_OTEL_X` and `OTEL_EBPF_OTEL_X` are older names of `OTEL_EBPF_X`
/// (`OverrideOBIGlobalConfig` in Beyla's `pkg/beyla/config_obi.go`).
const PREFIXES: [&str; 4] = ["OTEL_EBPF_OTEL_", "OTEL_EBPF_", "BEYLA_OTEL_", "BEYLA_"];
/// What OpenTelemetry's Go instrumentation calls `AUTO_TARGET_EXE`.
const GO_TARGET: &str = "OTEL_GO_AUTO_TARGET_EXE";
const CONFIG_PATH: &str = "CONFIG_PATH";
/// Sections of their files whose names ours has as well.
const SHARED: [&str; 2] = ["routes", "metrics"];
/// Sections of their files.
const SECTIONS: &[&str] = &[
    "attributes",
    "auto_target_exe",
    "channel_buffer_len",
    "discovery",
    "ebpf",
    "enforce_sys_caps",
    "executable_name",
    "executable_path",
    "filter",
    "grafana",
    "health_check",
    "injector",
    "internal_metrics",
    "javaagent",
    "jvm_runtime_metrics",
    "log_config",
    "log_format",
    "log_level",
    "name_resolver",
    "network",
    "nodejs",
    "open_port",
    "otel_metrics_export",
    "otel_traces_export",
    "processes",
    "profile_port",
    "prometheus_export",
    "service_name",
    "service_namespace",
    "shutdown_timeout",
    "stats",
    "target_pids",
    "topology",
    "trace_printer",
];

/// One of their settings.
#[derive(Debug)]
struct Item {
    /// Its name, as it was given.
    name: String,
    /// What was given.
    values: Vec<String>,
    origin: Origin,
}

/// What became of their settings.
#[derive(Debug, Default)]
pub struct Translated {
    notices: Vec<Notice>,
    /// Their name, our key, and where it came from.
    taken: Vec<(String, &'static str, Origin)>,
}

/// The name of the file that their variable names, if it is there.
pub fn config_variable(environment: &Environment) -> Option<&str> {
    PREFIXES
        .iter()
        .find_map(|prefix| environment.get(&format!("{prefix}{CONFIG_PATH}")))
        .map(String::as_str)
        .filter(|path| !path.is_empty())
}

/// Whether a file is one of theirs: it has a section that only theirs have, and none that only ours have.
pub fn is_foreign(document: &Node) -> bool {
    let Value::Mapping(pairs) = &document.value else {
        return false;
    };
    let is_ours = |name: &str| {
        let section = format!("{name}.");
        let keys = settings()
            .map(|setting| setting.key)
            .chain(LISTS.iter().map(|list| list.key));
        keys.into_iter()
            .any(|key| key == name || key.starts_with(&section))
    };
    let names = || {
        pairs
            .iter()
            .map(|(key, _)| key.name.as_str())
            .filter(|name| !SHARED.contains(name))
    };
    names().any(|name| SECTIONS.contains(&name)) && !names().any(is_ours)
}

/// Puts values of the environment in place of `${NAME}`, `${env:NAME}` and `${NAME:-default}`, as they do
/// (Beyla's `pkg/config/env_replacer.go`).
pub fn expand(text: &str, environment: &Environment) -> String {
    const VARIABLE: &str = r"\$?\$\{(?:env:)?([a-zA-Z_][a-zA-Z0-9_]*)(?::-([^}]*))?\}";
    let Ok(variable) = Regex::new(VARIABLE) else {
        return text.to_owned();
    };
    let replaced = variable.replace_all(text, |found: &Captures<'_>| {
        if found[0].starts_with("$$") {
            return found[0].replacen("$$", "$", 1);
        }
        let value = environment
            .get(&found[1])
            .filter(|value| !value.is_empty())
            .cloned();
        value.unwrap_or_else(|| {
            found
                .get(2)
                .map_or_else(String::new, |default| default.as_str().to_owned())
        })
    });
    replaced.into_owned()
}

/// Puts what is theirs in the lowest layers.
pub fn apply(layers: &mut Layers, file: Option<(&Path, &Node)>, environment: &Environment) -> Translated {
    let mut translated = Translated::default();
    let mut items = BTreeMap::new();
    let mut discovery = Discovery::default();
    if let Some((path, document)) = file {
        flatten(document, "", path, &mut items);
        discovery.read(path, document, &mut translated);
    }
    variables(environment, &mut items);
    discovery.select(&mut items);
    for (name, item) in &items {
        translated.item(layers, name, item);
    }
    discovery.give(layers, &mut translated);
    translated
}

fn row_of(path: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| !path.is_empty() && row.path == path)
}

/// Their settings in a file, by the name that the variable has, or by their path if there is none.
fn flatten(node: &Node, path: &str, file: &Path, items: &mut BTreeMap<String, Item>) {
    if discovery::LISTS.iter().any(|(list, ..)| *list == path) {
        return;
    }
    if let Value::Mapping(pairs) = &node.value
        && row_of(path).is_none()
    {
        for (key, value) in pairs {
            let below = if path.is_empty() {
                key.name.clone()
            } else {
                format!("{path}.{}", key.name)
            };
            flatten(value, &below, file, items);
        }
        return;
    }
    let values = match &node.value {
        Value::Text(text) => vec![text.clone()],
        Value::List(nodes) => nodes
            .iter()
            .filter_map(|node| match &node.value {
                Value::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect(),
        Value::Nothing => return,
        Value::Mapping(_) => Vec::new(),
    };
    let name = row_of(path).map_or(path, |row| row.name);
    let origin = Origin::File {
        path: file.to_owned(),
        line: node.place.line,
    };
    let name_shown = path.to_owned();
    items.insert(
        name.to_owned(),
        Item {
            name: name_shown,
            values,
            origin,
        },
    );
}

/// Adds their variables; of two that mean the same, OBI's name counts.
fn variables(environment: &Environment, items: &mut BTreeMap<String, Item>) {
    let mut found: BTreeMap<String, Item> = BTreeMap::new();
    for (variable, value) in environment.iter().filter(|(_, value)| !value.is_empty()) {
        let name = match PREFIXES.iter().find_map(|prefix| variable.strip_prefix(prefix)) {
            Some(CONFIG_PATH) => continue,
            Some(name) => name,
            None if variable == GO_TARGET => "AUTO_TARGET_EXE",
            None => continue,
        };
        let preferred = variable.starts_with("OTEL_EBPF_");
        if !preferred && found.contains_key(name) {
            continue;
        }
        let item = Item {
            name: variable.clone(),
            values: vec![value.clone()],
            origin: Origin::Variable(variable.clone()),
        };
        found.insert(name.to_owned(), item);
    }
    items.extend(found);
}

impl Translated {
    fn item(&mut self, layers: &mut Layers, name: &str, item: &Item) {
        let Some(row) = ROWS.iter().find(|row| row.name == name) else {
            self.ignored(&item.name, table::why_not(name));
            return;
        };
        match row.becomes {
            Becomes::Nothing(reason) => self.ignored(&item.name, reason),
            Becomes::Setting(key, translate) => {
                let values: Result<Vec<Vec<String>>, _> =
                    item.values.iter().map(|value| translate(value)).collect();
                match values {
                    Ok(values) => self.give(layers, row, key, item, &values.concat()),
                    Err(why) => self.ignored(&item.name, &why),
                }
            }
        }
    }

    fn give(&mut self, layers: &mut Layers, row: &Row, key: &'static str, item: &Item, values: &[String]) {
        let Some(setting) = by_key(key) else {
            self.ignored(&item.name, table::why_not(row.name));
            return;
        };
        if values.is_empty() {
            self.told(format!("{} changes nothing here", item.name));
            return;
        }
        for value in values {
            if let Err(invalid) = layers.give(setting, value, item.origin.clone()) {
                let Item { name, .. } = item;
                self.notices.push(Notice::Warning(format!(
                    "{name}: {value:?} is not {}: ignored; {}",
                    invalid.expected, invalid.remedy
                )));
                return;
            }
        }
        self.took(&item.name, key, &item.origin, &values.join(", "));
    }

    /// Notes that a setting of theirs became one of ours.
    fn took(&mut self, name: &str, key: &'static str, origin: &Origin, value: &str) {
        self.told(format!("{name} is taken as {key}: {value}"));
        self.taken.push((name.to_owned(), key, origin.clone()));
    }

    fn told(&mut self, line: String) {
        self.notices.push(Notice::Told(line));
    }

    fn ignored(&mut self, name: &str, reason: &str) {
        self.notices
            .push(Notice::Warning(format!("{name} is ignored: {reason}")));
    }

    /// What there is to say when all layers are there.
    pub fn finish(mut self, layers: &mut Layers) -> Vec<Notice> {
        if self.notices.is_empty() {
            return self.notices;
        }
        for (name, key, origin) in std::mem::take(&mut self.taken) {
            let winner = match layers.given(key) {
                Some(given) if given.origin == origin => None,
                Some(given) => Some(format!("{key} is set by {}, which goes before", given.origin)),
                None if layers
                    .entries(key)
                    .iter()
                    .any(|entry| began(entry) == Some(&origin)) =>
                {
                    None
                }
                None => Some("other settings select, which go before".to_owned()),
            };
            if let Some(winner) = winner {
                let line = format!("{name} is not used: {winner}");
                self.notices.push(Notice::Warning(line));
            }
        }
        self.guess_protocol(layers);
        self.notices
    }

    /// They take the protocol from the port of the endpoint where nothing says it (`GuessProtocol` in
    /// `pkg/export/otel/otelcfg`): gRPC for 4317, 14317, ….
    fn guess_protocol(&mut self, layers: &mut Layers) {
        for (endpoint, protocol) in [
            ("otlp.endpoint", "otlp.traces.protocol"),
            ("otlp.endpoint", "otlp.metrics.protocol"),
            ("otlp.traces.endpoint", "otlp.traces.protocol"),
            ("otlp.metrics.endpoint", "otlp.metrics.protocol"),
        ] {
            let said = layers.given(protocol).is_some() || layers.given("otlp.protocol").is_some();
            let Some(Given { origin, values }) = layers.given(endpoint).cloned() else {
                continue;
            };
            let grpc = values
                .last()
                .is_some_and(|url| values::port(url).ends_with("4317"));
            if let Some(setting) = by_key(protocol)
                && grpc
                && !said
                && layers.give(setting, "grpc", origin.clone()).is_ok()
            {
                self.told(format!(
                    "{protocol} is grpc because of the port that {origin} names, as with Beyla"
                ));
            }
        }
    }
}

/// Where the first key of an entry was given.
fn began(entry: &Entry) -> Option<&Origin> {
    entry.values().next().map(|given| &given.origin)
}
