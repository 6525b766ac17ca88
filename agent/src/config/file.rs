//! The configuration file's layer.

use std::{fs, path::Path};

use super::{
    Error,
    entries::{EntryList, Field, LISTS},
    layers::{Entry, Given, Layers, Origin},
    nearest::nearest,
    parse::Invalid,
    table::{Setting, by_key, settings},
    yaml::{self, Key, Malformed, Node, Place, Value},
};

/// The text of a file.
///
/// # Errors
///
/// Fails when it cannot be read.
pub fn text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// What is in the text of a file.
///
/// # Errors
///
/// Fails when it is not YAML.
pub fn parse(path: &Path, text: &str) -> Result<Node, Error> {
    yaml::read(text).map_err(|what| malformed(path, what))
}

/// Puts a file on top of the layers so far.
///
/// # Errors
///
/// Fails when it has a key or a value that does not fit, with its line and column.
pub fn apply(layers: &mut Layers, path: &Path, document: &Node) -> Result<(), Error> {
    Reader { layers, path }
        .section("", document)
        .map_err(|what| malformed(path, what))
}

fn malformed(path: &Path, what: Malformed) -> Error {
    Error::File {
        path: path.to_owned(),
        what,
    }
}

struct Reader<'a> {
    layers: &'a mut Layers,
    path: &'a Path,
}

impl Reader<'_> {
    /// A mapping of settings. `prefix`: its path and a dot, or nothing at the top.
    fn section(&mut self, prefix: &str, node: &Node) -> Result<(), Malformed> {
        for (key, value) in mapping(node, "a mapping of settings")? {
            let path = format!("{prefix}{}", key.name);
            let section = format!("{path}.");
            if let Some(setting) = by_key(&path) {
                self.setting(setting, key, value)?;
            } else if let Some(list) = LISTS.iter().find(|list| list.key == path) {
                let entries = self.entries(list, value)?;
                self.layers.give_entries(list.key, entries);
            } else if all_keys().any(|known| known.starts_with(&section)) {
                self.section(&section, value)?;
            } else {
                return Err(unknown(key, &path, "setting", all_keys()));
            }
        }
        Ok(())
    }

    fn setting(&mut self, setting: &'static Setting, key: &Key, node: &Node) -> Result<(), Malformed> {
        let mut values = texts(setting.key, setting.list, node)?;
        if values.is_empty() && matches!(node.value, Value::List(_)) {
            values.extend(setting.empty.map(|text| (node.place, text)));
        }
        for (place, text) in values {
            self.layers
                .give(setting, text, self.origin(key.place))
                .map_err(|invalid| misfit(setting.key, place, text, &invalid))?;
        }
        Ok(())
    }

    fn entries(&self, list: &EntryList, node: &Node) -> Result<Vec<Entry>, Malformed> {
        let nodes = match &node.value {
            Value::Nothing => &[][..],
            Value::List(nodes) => nodes,
            Value::Text(_) | Value::Mapping(_) => {
                return Err(Malformed::new(
                    node.place,
                    format!("{}: takes a list of mappings", list.key),
                ));
            }
        };
        nodes
            .iter()
            .map(|node| {
                let mut entry = Entry::new();
                self.fields(list, "", node, &mut entry)?;
                if super::entries::build(list.fields, &entry)
                    .rule
                    .groups()
                    .is_empty()
                {
                    let what = format!(
                        "{}: this entry matches nothing; say for which processes it is",
                        list.key
                    );
                    return Err(Malformed::new(node.place, what));
                }
                Ok(entry)
            })
            .collect()
    }

    fn fields(
        &self,
        list: &EntryList,
        prefix: &str,
        node: &Node,
        entry: &mut Entry,
    ) -> Result<(), Malformed> {
        let keys = || list.fields.iter().map(|field| field.key);
        for (key, value) in mapping(node, "a mapping")? {
            let path = format!("{prefix}{}", key.name);
            let section = format!("{path}.");
            if let Some(field) = list.fields.iter().find(|field| field.key == path) {
                self.field(list, field, key, value, entry)?;
            } else if keys().any(|known| known.starts_with(&section)) {
                self.fields(list, &section, value, entry)?;
            } else {
                return Err(unknown(key, &path, &format!("key of {}", list.key), keys()));
            }
        }
        Ok(())
    }

    fn field(
        &self,
        list: &EntryList,
        field: &'static Field,
        key: &Key,
        node: &Node,
        entry: &mut Entry,
    ) -> Result<(), Malformed> {
        let name = format!("{}.{}", list.key, field.key);
        for (place, text) in texts(&name, field.list, node)? {
            (field.apply)(&mut super::ServiceSettings::default(), text)
                .map_err(|invalid| misfit(&name, place, text, &invalid))?;
            let origin = self.origin(key.place);
            let given = entry.entry(field.key).or_insert(Given {
                origin,
                values: Vec::new(),
            });
            given.values.push(text.to_owned());
        }
        Ok(())
    }

    fn origin(&self, place: Place) -> Origin {
        Origin::File {
            path: self.path.to_owned(),
            line: place.line,
        }
    }
}

fn all_keys() -> impl Iterator<Item = &'static str> {
    settings()
        .map(|setting| setting.key)
        .chain(LISTS.iter().map(|list| list.key))
}

/// The pairs of a mapping; one whose keys are all commented out has none.
fn mapping<'a>(node: &'a Node, expected: &str) -> Result<&'a [(Key, Node)], Malformed> {
    match &node.value {
        Value::Nothing => Ok(&[]),
        Value::Mapping(pairs) => Ok(pairs),
        Value::Text(_) | Value::List(_) => Err(Malformed::new(node.place, format!("this is not {expected}"))),
    }
}

/// The values of a setting, each with its place.
fn texts<'a>(key: &str, list: bool, node: &'a Node) -> Result<Vec<(Place, &'a str)>, Malformed> {
    match &node.value {
        Value::Nothing => Ok(Vec::new()),
        Value::Text(text) => Ok(vec![(node.place, text)]),
        Value::List(nodes) if list => nodes
            .iter()
            .map(|node| match &node.value {
                Value::Text(text) => Ok((node.place, text.as_str())),
                _ => Err(Malformed::new(
                    node.place,
                    format!("{key}: takes a list of values"),
                )),
            })
            .collect(),
        Value::List(_) => Err(Malformed::new(
            node.place,
            format!("{key}: takes one value, not a list"),
        )),
        Value::Mapping(_) => Err(Malformed::new(
            node.place,
            format!("{key}: takes a value, not a mapping"),
        )),
    }
}

fn misfit(key: &str, place: Place, text: &str, invalid: &Invalid) -> Malformed {
    Malformed::new(
        place,
        format!("{key}: {text:?} is not {}; {}", invalid.expected, invalid.remedy),
    )
}

fn unknown<'a>(key: &Key, path: &str, what: &str, known: impl Iterator<Item = &'a str>) -> Malformed {
    let meant = nearest(path, known).unwrap_or_default();
    Malformed::new(
        key.place,
        format!("no {what} is called {path}; did you mean {meant}?"),
    )
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
