use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};

use super::*;
use crate::config::{Defaults, Environment, Flags, Output, file, layers::Layers, resolve};

/// Values of all kinds, some good and some bad for each.
const SAMPLES: &[&str] = &[
    "1",
    "0",
    "-1",
    "+1",
    "70000",
    "08000",
    "8000-8010",
    "8010-8000",
    "0-5",
    "true",
    "false",
    "\"true\"",
    "True",
    "auto",
    "none",
    "tree",
    "text",
    "json",
    "/users/{id}",
    "/files/*",
    "\"/a{\"",
    "\"/a{b/c}\"",
    "grpc",
    "http/protobuf",
    "gzip",
    "info",
    "server",
    "client",
    "db",
    "always_on",
    "traceidratio",
    "http://x:1",
    "https://x/y",
    "http://",
    "http:///v1",
    "ftp://x",
    "a=b",
    "\"a=b,c=d\"",
    "\"a=b, ,c=d,\"",
    "=x",
    "a",
    "\"a=b,c\"",
    "\"\"",
    "~",
    "[]",
    "[1]",
    "[a]",
    "[x, 80]",
    "[[1]]",
    "[~]",
    "{a: b}",
    "{}",
    "5s",
    "0s",
    "500ms",
    "5",
    "1.5s",
    "10m",
    "2h",
    "64KiB",
    "8MiB",
    "8MB",
    "16B",
    "4096",
    "0.5",
    ".5",
    "1.5",
    "1.0",
    "-0.5",
    "127.0.0.1:80",
    "\"[::1]:80\"",
    "localhost:80",
    "\"[\"",
    "\"re:(\"",
    "re:^a$",
    "\"*\"",
];

/// What the schema cannot say.
const SCHEMA_IS_WIDER: &[&str] = &["8010-8000", "\"[\"", "\"re:(\"", "1.0"];

fn schema_of_agent() -> jsonschema::Validator {
    jsonschema::draft202012::new(&serde_json::from_str(&schema()).unwrap()).unwrap()
}

fn agent_takes(text: &str) -> Result<(), String> {
    let path = Path::new("test.yaml");
    file::parse(path, text)
        .and_then(|document| file::apply(&mut Layers::default(), path, &document))
        .map_err(|error| error.to_string())
}

/// The document as everybody else reads it.
fn json_of(text: &str) -> Value {
    fn convert(yaml: &Yaml<'_>) -> Value {
        match yaml {
            Yaml::Value(Scalar::Null) => Value::Null,
            Yaml::Value(Scalar::Boolean(truth)) => json!(truth),
            Yaml::Value(Scalar::Integer(number)) => json!(number),
            Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
            Yaml::Value(Scalar::String(text)) => json!(text),
            Yaml::Sequence(elements) => elements.iter().map(convert).collect(),
            Yaml::Mapping(pairs) => pairs
                .iter()
                .map(|(key, value)| (key.as_str().unwrap().to_owned(), convert(value)))
                .collect(),
            other => panic!("{other:?}"),
        }
    }
    Yaml::load_from_str(text)
        .unwrap()
        .first()
        .map_or(Value::Null, convert)
}

fn nested(key: &str, value: &str) -> String {
    let (names, last) = key.rsplit_once('.').unwrap_or(("", key));
    let sections = names.split('.').filter(|name| !name.is_empty());
    let mut lines: Vec<String> = sections
        .enumerate()
        .map(|(depth, name)| format!("{}{name}:\n", "  ".repeat(depth)))
        .collect();
    lines.push(format!("{}{last}: {value}\n", "  ".repeat(lines.len())));
    lines.concat()
}

/// All lines, moved to the right.
fn indented(text: &str, depth: usize) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("{}{line}", "  ".repeat(depth)))
        .collect();
    lines.join("\n")
}

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

fn agree(validator: &jsonschema::Validator, document: &str, may_be_wider: bool) {
    let agent = agent_takes(document);
    let valid = validator.is_valid(&json_of(document));
    assert!(
        valid == agent.is_ok() || (valid && may_be_wider),
        "{document}the schema says {valid}, the agent {agent:?}"
    );
}

#[test]
fn the_file_with_the_schema_is_current() {
    let path = beside("sidelight.schema.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, schema()).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == schema(),
        "UPDATE_GOLDEN=1 cargo test -p sidelight schema:: writes it anew"
    );
}

#[test]
fn schema_and_agent_agree_on_every_setting() {
    let validator = schema_of_agent();
    for setting in settings() {
        for sample in SAMPLES {
            let is_size = setting.key == "capture.ring_buffer_bytes";
            agree(
                &validator,
                &nested(setting.key, sample),
                is_size || SCHEMA_IS_WIDER.contains(sample),
            );
        }
    }
}

#[test]
fn schema_and_agent_agree_on_every_key_of_an_entry() {
    let validator = schema_of_agent();
    for list in LISTS {
        for field in list.fields {
            for sample in SAMPLES {
                let mut entry = nested(field.key, sample);
                if list.key == "services" && !field.key.starts_with("match.") {
                    entry += "match: {exe: x}\n";
                }
                let entry = indented(&entry, 1).replacen("  ", "- ", 1);
                let depth = list.key.split('.').count();
                let document = format!("{}{}\n", nested(list.key, ""), indented(&entry, depth));
                agree(&validator, &document, SCHEMA_IS_WIDER.contains(sample));
            }
        }
    }
}

#[test]
fn schema_and_agent_agree_on_the_shape() {
    let validator = schema_of_agent();
    for document in [
        "",
        "select:\n",
        "services:\n",
        "services: []\n",
        "services: {}\n",
        "services: [{}]\n",
        "services: [{name: x}]\n",
        "services: [{match: {}}]\n",
        "services: [{match: {exe: []}}]\n",
        "services: [{match: ~}]\n",
        "services: [~]\n",
        "services: [{match: {exe: a}, nmae: x}]\n",
        "services: [{match: {exe: a}, sampling: ~}]\n",
        "select: {match: [{}]}\n",
        "select: {match: [{port: 1}]}\n",
        "select: {match: {port: 1}}\n",
        "select: []\n",
        "teir: auto\n",
        "otlp: {x: 1}\n",
        "otlp: {traces: ~}\n",
        "- a\n",
        "tier: auto\nlog: {level: debug}\n",
    ] {
        agree(&validator, document, false);
    }
}

#[test]
fn the_example_and_what_is_printed_are_valid() {
    let validator = schema_of_agent();
    let example = std::fs::read_to_string(beside("sidelight.example.yaml")).unwrap();
    assert_eq!(agent_takes(&example), Ok(()));
    assert!(validator.is_valid(&json_of(&example)));
    let defaults = Defaults { output: Output::None };
    let path = beside("sidelight.example.yaml");
    for file in [None, Some(path.as_path())] {
        let resolved = resolve(&Flags::new(), &Environment::new(), file, defaults).unwrap();
        let printed = resolved.print();
        assert_eq!(agent_takes(&printed), Ok(()), "{printed}");
        assert!(validator.is_valid(&json_of(&printed)), "{printed}");
    }
}
