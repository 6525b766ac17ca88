//! The JSON schema of the configuration file, made from the tables of settings.
//!
//! What the agent takes is valid under it. The other way round it says less than the agent in five points: sizes that a
//! ring buffer cannot have, ranges of ports that end before they begin, numbers that are too large or end with `.0`, shell
//! patterns and regular expressions that are none, and wrong percent signs in lists of names and values.

use serde_json::{Value, json};

use super::{
    entries::{EntryList, LISTS},
    kinds::{self, Kind},
    table::settings,
};

/// Ports from 1 to 65535, also with zeros before them.
const PORT: &str = "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const URL: &str = r"^https?://[^/:\s]\S*$";
const PAIRS: &str = r"^\s*([^=,]*[^=,\s][^=,]*=[^,]*)?(\s*,\s*([^=,]*[^=,\s][^=,]*=[^,]*)?)*\s*$";

/// The schema, as text that ends with a newline.
pub fn schema() -> String {
    let mut root = section();
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Configuration of sidelight");
    for setting in settings() {
        let (kind, about) = kinds::of(setting.key);
        let mut node = maybe_list(&of_kind(kind), setting.list);
        node["description"] = json!(match setting.default {
            "" => about.to_owned(),
            default => format!("{about}. Default: {default}"),
        });
        insert(&mut root, setting.key, node);
    }
    for list in LISTS {
        insert(&mut root, list.key, entries(list));
    }
    format!("{root:#}\n")
}

/// A mapping that knows its keys; empty sections may be there.
fn section() -> Value {
    json!({ "type": ["object", "null"], "additionalProperties": false, "properties": {} })
}

fn entries(list: &EntryList) -> Value {
    let mut entry = section();
    entry["type"] = json!("object");
    for field in list.fields {
        let mut node = maybe_list(&of_kind(field.kind), field.list);
        node["description"] = json!(field.about);
        insert(&mut entry, field.key, node);
    }
    // An entry has to match something.
    let matches = |keys: &[&str]| -> Vec<Value> {
        keys.iter()
            .map(|key| json!({ "required": [key], "properties": { (*key): something() } }))
            .collect()
    };
    let keys: Vec<&str> = list
        .fields
        .iter()
        .filter_map(|field| field.key.strip_prefix("match."))
        .collect();
    if keys.is_empty() {
        let keys: Vec<&str> = list.fields.iter().map(|field| field.key).collect();
        entry["anyOf"] = json!(matches(&keys));
    } else {
        entry["required"] = json!(["match"]);
        entry["properties"]["match"]["type"] = json!("object");
        entry["properties"]["match"]["anyOf"] = json!(matches(&keys));
    }
    json!({ "type": ["array", "null"], "description": list.about, "items": entry })
}

/// Neither nothing nor an empty list.
fn something() -> Value {
    json!({ "not": { "enum": [null, []] } })
}

fn insert(root: &mut Value, key: &str, node: Value) {
    let mut place = root;
    let mut rest = key;
    while let Some((name, below)) = rest.split_once('.') {
        let properties = &mut place["properties"];
        if properties.get(name).is_none() {
            properties[name] = section();
        }
        place = &mut properties[name];
        rest = below;
    }
    place["properties"][rest] = node;
}

fn maybe_list(one: &Value, list: bool) -> Value {
    if list {
        json!({ "anyOf": [one, { "type": "null" }, { "type": "array", "items": one }] })
    } else {
        json!({ "anyOf": [one, { "type": "null" }] })
    }
}

/// A value that may be written as a number or as a text.
fn number_or(pattern: &str, number: &Value) -> Value {
    json!({ "anyOf": [{ "type": "string", "pattern": format!("^{pattern}$") }, number] })
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Pid => number_or(
            "0*[1-9][0-9]*",
            &json!({ "type": "integer", "minimum": 1, "maximum": i32::MAX }),
        ),
        Kind::Port => number_or(
            PORT,
            &json!({ "type": "integer", "minimum": 1, "maximum": u16::MAX }),
        ),
        Kind::Ports => number_or(
            &format!("{PORT}(-{PORT})?"),
            &json!({ "type": "integer", "minimum": 1, "maximum": u16::MAX }),
        ),
        Kind::Route => json!({ "type": "string", "pattern": r"^/([^{}\s]|\{[^{}/\s]+\})*$" }),
        Kind::Pattern | Kind::Text => json!({ "type": ["string", "number", "boolean"] }),
        Kind::Boolean => json!({ "enum": [true, false, "true", "false"] }),
        Kind::Url => json!({ "type": "string", "pattern": URL }),
        Kind::Choice(names) => json!({ "enum": names }),
        Kind::Pairs => json!({ "type": "string", "pattern": PAIRS }),
        Kind::Duration => json!({ "type": "string", "pattern": "^0*[1-9][0-9]*(ms|s|m|h)$" }),
        Kind::Delay => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" }),
        Kind::Count => number_or("0*[1-9][0-9]*", &json!({ "type": "integer", "minimum": 1 })),
        Kind::Bytes => number_or("[0-9]+(B|KiB|MiB)?", &json!({ "type": "integer", "minimum": 0 })),
        Kind::Ratio => number_or(
            r"(0+(\.[0-9]*)?|0*\.[0-9]+|0*1(\.0*)?)",
            &json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        ),
        Kind::Address => json!({ "type": "string", "pattern": r"^(\[[0-9A-Fa-f:.%]+\]|[0-9.]+):[0-9]+$" }),
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
