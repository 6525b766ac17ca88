//! Which processes they watch.

use std::{collections::BTreeMap, path::Path};

use super::{Item, Translated, values};
use crate::config::{
    entries,
    layers::{Entry, Given, Layers, Origin},
    table::by_key,
    yaml::{Node, Place, Value},
};

/// Their lists of processes, whether their patterns are regular expressions, and ours that they become.
pub(super) const LISTS: [(&str, bool, &str); 6] = [
    ("discovery.instrument", false, "select.match"),
    ("discovery.services", true, "select.match"),
    ("discovery.exclude_instrument", false, "exclude.match"),
    ("discovery.exclude_services", true, "exclude.match"),
    ("discovery.default_exclude_instrument", false, "exclude.match"),
    ("discovery.default_exclude_services", true, "exclude.match"),
];

/// How those of them begin that stand in the place of what is left out without being told.
const DEFAULTS: &str = "discovery.default_";
/// What leaves that out here.
const OBSERVERS: &str = "exclude.observers";

/// What their variables select by: the name, and the key of an entry of ours.
const SELECTORS: [(&str, &str); 5] = [
    ("TARGET_PID", "pid"),
    ("OPEN_PORT", "port"),
    ("AUTO_TARGET_EXE", "exe"),
    ("EXECUTABLE_NAME", "exe"),
    ("EXECUTABLE_PATH", "exe"),
];

/// Which processes they watch.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    lists: BTreeMap<&'static str, Vec<Entry>>,
    /// What the lists are called in their file, and where.
    names: Vec<(String, &'static str, Origin)>,
    /// Their list that says what is left out instead of observers, and where.
    instead_of_observers: Option<(&'static str, Origin)>,
}

impl Discovery {
    /// Reads the lists of their file.
    pub(super) fn read(&mut self, path: &Path, document: &Node, translated: &mut Translated) {
        for (name, expressions, becomes) in LISTS {
            let Some(node) = find(document, name) else {
                continue;
            };
            let Value::List(nodes) = &node.value else {
                continue;
            };
            if name.starts_with(DEFAULTS) && self.instead_of_observers.is_none() {
                let (path, line) = (path.to_owned(), node.place.line);
                self.instead_of_observers = Some((name, Origin::File { path, line }));
            }
            for (index, node) in nodes.iter().enumerate() {
                let shown = format!("{name}[{index}]");
                let mut criteria = Criteria {
                    name: &shown,
                    path,
                    expressions,
                    entry: Entry::new(),
                    service: Entry::new(),
                };
                criteria.read(node, translated);
                self.keep(criteria, becomes, node.place, translated);
            }
        }
    }

    /// Several of their variables together mean processes that fulfil all of them; a pid goes before all else
    /// (`FindingCriteria` in OBI's `pkg/appolly/discover/matcher.go`).
    pub(super) fn select(&mut self, items: &mut BTreeMap<String, Item>) {
        if items.contains_key("TARGET_PID") {
            return;
        }
        let given: Vec<&(&str, &str)> = SELECTORS
            .iter()
            .filter(|(name, _)| items.contains_key(*name))
            .collect();
        let mut keys: Vec<&str> = given.iter().map(|(_, key)| *key).collect();
        keys.dedup();
        if keys.len() < 2 {
            return;
        }
        let mut entry = Entry::new();
        let mut names = Vec::new();
        for (name, key) in given {
            let Some(item) = items.remove(*name) else { continue };
            let translate = match *name {
                "OPEN_PORT" => values::list,
                "EXECUTABLE_NAME" => values::expression,
                _ => values::globs,
            };
            let translated = item
                .values
                .iter()
                .filter_map(|value| translate(value).ok())
                .flatten();
            add(&mut entry, key, translated, &item.origin);
            names.push((item.name, item.origin));
        }
        if let Some(first) = super::began(&entry).cloned() {
            let joined: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
            self.names.push((joined.join(" with "), "select.match", first));
            self.lists.entry("select.match").or_default().push(entry);
        }
    }

    /// Gives what was read, and says so.
    pub(super) fn give(self, layers: &mut Layers, translated: &mut Translated) {
        if let (Some((name, origin)), Some(setting)) = (&self.instead_of_observers, by_key(OBSERVERS))
            && layers.give(setting, "false", origin.clone()).is_ok()
        {
            translated.took(name, OBSERVERS, origin, "false");
        }
        for (name, key, origin) in &self.names {
            let shown = self.lists.get(key).and_then(|entries| {
                entries
                    .iter()
                    .find(|entry| super::began(entry) == Some(origin))
                    .map(show)
            });
            translated.took(name, key, origin, &shown.unwrap_or_default());
        }
        for (key, entries) in self.lists {
            layers.give_entries(key, entries);
        }
    }

    fn keep(
        &mut self,
        criteria: Criteria<'_>,
        becomes: &'static str,
        place: Place,
        translated: &mut Translated,
    ) {
        let Criteria {
            name,
            entry,
            service,
            path,
            ..
        } = criteria;
        if entry.is_empty() {
            translated.ignored(name, "it selects by nothing that sidelight knows");
            return;
        }
        let origin = super::began(&entry).cloned().unwrap_or_else(|| Origin::File {
            path: path.to_owned(),
            line: place.line,
        });
        if !service.is_empty() {
            let mut whole = service;
            for (key, given) in &entry {
                if let Some(field) = in_services(key) {
                    whole.insert(field, given.clone());
                }
            }
            let first = super::began(&whole).cloned().unwrap_or_else(|| origin.clone());
            self.names.push((name.to_owned(), "services", first));
            self.lists.entry("services").or_default().push(whole);
        }
        self.names.push((name.to_owned(), becomes, origin));
        self.lists.entry(becomes).or_default().push(entry);
    }
}

/// One entry of their lists.
struct Criteria<'a> {
    name: &'a str,
    path: &'a Path,
    expressions: bool,
    entry: Entry,
    service: Entry,
}

impl Criteria<'_> {
    fn read(&mut self, node: &Node, translated: &mut Translated) {
        let Value::Mapping(pairs) = &node.value else {
            return;
        };
        for (key, value) in pairs {
            let origin = Origin::File {
                path: self.path.to_owned(),
                line: key.place.line,
            };
            let texts = texts(value);
            let patterns = |texts: &[String]| -> Vec<String> {
                let translate = if self.expressions {
                    values::expression
                } else {
                    values::globs
                };
                texts
                    .iter()
                    .filter_map(|text| translate(text).ok())
                    .flatten()
                    .collect()
            };
            let split = |texts: &[String]| -> Vec<String> {
                texts
                    .iter()
                    .filter_map(|text| values::list(text).ok())
                    .flatten()
                    .collect()
            };
            let (target, field, values) = match key.name.as_str() {
                "open_ports" => (&mut self.entry, "port", split(&texts)),
                "target_pids" => (&mut self.entry, "pid", split(&texts)),
                "exe_path" | "exe_path_regexp" => (&mut self.entry, "exe", patterns(&texts)),
                "cmd_args" => (&mut self.entry, "command_line", patterns(&texts)),
                "container_name" | "k8s_container_name" => (&mut self.entry, "container", patterns(&texts)),
                "name" => (&mut self.service, "name", texts),
                "namespace" => (&mut self.service, "namespace", texts),
                "sampler" => {
                    let part = |name: &str| find(value, name).map(self::texts).unwrap_or_default();
                    add(
                        &mut self.service,
                        "sampling.sampler",
                        part("name").into_iter(),
                        &origin,
                    );
                    add(
                        &mut self.service,
                        "sampling.ratio",
                        part("arg").into_iter(),
                        &origin,
                    );
                    continue;
                }
                "routes" => {
                    let incoming = find(value, "incoming").or_else(|| find(value, "patterns"));
                    let patterns = incoming.map(self::texts).unwrap_or_default();
                    (&mut self.service, "routes.patterns", patterns)
                }
                other => {
                    let name = format!("{}.{other}", self.name);
                    translated.ignored(
                        &name,
                        "sidelight has no such criterion; the others of this entry count",
                    );
                    continue;
                }
            };
            add(target, field, values.into_iter(), &origin);
        }
    }
}

fn add(entry: &mut Entry, key: &'static str, values: impl Iterator<Item = String>, origin: &Origin) {
    let fitting: Vec<String> = values.filter(|value| fits(key, value)).collect();
    if fitting.is_empty() {
        return;
    }
    let given = entry.entry(key).or_insert_with(|| Given {
        origin: origin.clone(),
        values: Vec::new(),
    });
    given.values.extend(fitting);
}

/// Whether a value is one that our key takes.
fn fits(key: &str, value: &str) -> bool {
    let services = entries::LISTS.iter().find(|list| list.key == "services");
    let field = services.and_then(|list| {
        let of_match = format!("match.{key}");
        list.fields
            .iter()
            .find(|field| field.key == key || field.key == of_match)
    });
    field.is_some_and(|field| (field.apply)(&mut crate::config::ServiceSettings::default(), value).is_ok())
}

/// The key of an entry of `services` that means the same as one of `select.match`.
fn in_services(key: &str) -> Option<&'static str> {
    let services = entries::LISTS.iter().find(|list| list.key == "services")?;
    let of_match = format!("match.{key}");
    services
        .fields
        .iter()
        .map(|field| field.key)
        .find(|field| *field == of_match)
}

fn show(entry: &Entry) -> String {
    let pairs: Vec<String> = entry
        .iter()
        .map(|(key, given)| format!("{key} {}", given.values.join(" or ")))
        .collect();
    pairs.join(", ")
}

/// The node at a path of names with dots.
fn find<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    path.split('.').try_fold(node, |node, name| match &node.value {
        Value::Mapping(pairs) => pairs
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, value)| value),
        _ => None,
    })
}

fn texts(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Text(text) => vec![text.clone()],
        Value::List(nodes) => nodes.iter().flat_map(texts).collect(),
        Value::Nothing | Value::Mapping(_) => Vec::new(),
    }
}
