//! The settings that are in effect, as a configuration file that says where each came from.

use std::fmt::Write as _;

use super::{
    Settings,
    choices::OUTPUTS,
    entries::{EntryList, LISTS},
    kinds::{self, Kind},
    layers::{Entry, Given, Layers},
    table::{ALL, Setting, settings},
};

/// Words that YAML readers take for something else than a text.
const RESERVED: [&str; 11] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan",
];
const INDENT: &str = "  ";

/// All settings as YAML. What is secret stays out of sight, and has to be set again where the text is used.
pub fn print(layers: &Layers, effective: &Settings) -> String {
    let mut root = Section::default();
    for setting in settings() {
        root.insert(setting.key, Leaf::of(setting, layers, effective));
        for list in LISTS.iter().filter(|list| follows(list, setting)) {
            root.insert(list.key, Leaf::entries(list, layers.entries(list.key)));
        }
    }
    for list in LISTS.iter().filter(|list| !list.key.contains('.')) {
        root.insert(list.key, Leaf::entries(list, layers.entries(list.key)));
    }
    let mut text = String::new();
    root.write(0, &mut text);
    text
}

/// A list of mappings stands behind the last setting of its section.
fn follows(list: &EntryList, setting: &Setting) -> bool {
    let section = |key: &str| key.split_once('.').map(|(section, _)| section.to_owned());
    let of_list = section(list.key);
    of_list.is_some()
        && of_list == section(setting.key)
        && settings()
            .filter(|other| section(other.key) == of_list)
            .last()
            .is_some_and(|last| last.key == setting.key)
}

/// What is below a name.
enum Node {
    Section(Section),
    Leaf(Leaf),
}

#[derive(Default)]
struct Section(Vec<(String, Node)>);

/// One setting's lines.
struct Leaf {
    /// Its value as YAML on the same line, or the lines below.
    value: Value,
    /// Where it came from.
    comment: String,
}

enum Value {
    Inline(String),
    Below(Vec<String>),
    /// The whole line is a comment.
    Absent(String),
}

impl Section {
    fn insert(&mut self, key: &str, leaf: Leaf) {
        match key.split_once('.') {
            None => self.0.push((key.to_owned(), Node::Leaf(leaf))),
            Some((name, rest)) => self.section(name).insert(rest, leaf),
        }
    }

    fn section(&mut self, name: &str) -> &mut Self {
        let known = self
            .0
            .iter()
            .position(|(known, node)| known == name && matches!(node, Node::Section(_)));
        let place = known.unwrap_or_else(|| {
            self.0.push((name.to_owned(), Node::Section(Self::default())));
            self.0.len() - 1
        });
        match &mut self.0[place].1 {
            Node::Section(section) => section,
            Node::Leaf(_) => unreachable!("a section was looked for"),
        }
    }

    /// Writing to a String does not fail, here and below.
    fn write(&self, depth: usize, out: &mut String) {
        let indent = INDENT.repeat(depth);
        for (name, node) in &self.0 {
            match node {
                Node::Section(section) => {
                    let _ = writeln!(out, "{indent}{name}:");
                    section.write(depth + 1, out);
                }
                Node::Leaf(leaf) => leaf.write(&indent, name, out),
            }
        }
    }
}

impl Leaf {
    fn of(setting: &'static Setting, layers: &Layers, effective: &Settings) -> Self {
        let (kind, _) = kinds::of(setting.key);
        match layers.given(setting.key) {
            Some(given) if kinds::is_secret(setting.key) => Self {
                value: Value::Absent(redacted(&given.values)),
                comment: format!("{}; not shown, set it again where this is used", given.origin),
            },
            Some(given) => Self {
                value: Value::Inline(values(kind, setting.list, &given.values)),
                comment: given.origin.to_string(),
            },
            None => match default(setting, kind, layers, effective) {
                Some(value) => Self {
                    value: Value::Inline(value),
                    comment: "default".to_owned(),
                },
                None => Self {
                    value: Value::Absent(String::new()),
                    comment: match setting.default {
                        "" => "not set".to_owned(),
                        default => format!("not set: {default}"),
                    },
                },
            },
        }
    }

    fn entries(list: &EntryList, entries: &[Entry]) -> Self {
        if entries.is_empty() {
            return Self {
                value: Value::Absent(String::new()),
                comment: "not set".to_owned(),
            };
        }
        let lines = entries.iter().flat_map(|entry| {
            let mut section = Section::default();
            for field in list.fields {
                if let Some(Given {
                    origin,
                    values: given,
                }) = entry.get(field.key)
                {
                    section.insert(
                        field.key,
                        Self {
                            value: Value::Inline(values(field.kind, field.list, given)),
                            comment: origin.to_string(),
                        },
                    );
                }
            }
            let mut text = String::new();
            section.write(0, &mut text);
            let marked = text.lines().enumerate().map(|(index, line)| {
                let mark = if index == 0 { "- " } else { INDENT };
                format!("{mark}{line}")
            });
            marked.collect::<Vec<_>>()
        });
        Self {
            value: Value::Below(lines.collect()),
            comment: String::new(),
        }
    }

    fn write(&self, indent: &str, name: &str, out: &mut String) {
        let comment = self.comment.replace(char::is_control, " ");
        match &self.value {
            Value::Inline(value) => {
                let _ = writeln!(out, "{indent}{name}: {value}  # {comment}");
            }
            Value::Absent(value) => {
                let line = format!("{indent}# {name}: {value}");
                let _ = writeln!(out, "{}  # {comment}", line.trim_end());
            }
            Value::Below(lines) => {
                let _ = writeln!(out, "{indent}{name}:");
                for line in lines {
                    let _ = writeln!(out, "{indent}{INDENT}{line}");
                }
            }
        }
    }
}

/// What holds without being set, if that is a value.
fn default(setting: &Setting, kind: Kind, layers: &Layers, effective: &Settings) -> Option<String> {
    match setting.key {
        ALL => return (!layers.selects()).then(|| "true".to_owned()),
        "output" => {
            let name = OUTPUTS
                .iter()
                .find(|(_, output)| *output == effective.export.output);
            return name.map(|(name, _)| (*name).to_owned());
        }
        "otlp.endpoint" => return None,
        // A share alone is a sampler, too.
        "sampling.sampler" if layers.given("sampling.ratio").is_some() => {
            return Some("parentbased_traceidratio".to_owned());
        }
        _ => {}
    }
    // What holds for one signal is what holds for all; the engine's socket is only looked for.
    if setting.default.is_empty() || setting.key == "capture.btf" || setting.key == "containers.docker_socket"
    {
        return None;
    }
    let given: Vec<String> = setting.default.split(',').map(str::to_owned).collect();
    let fits = |text: &String| (setting.apply)(&mut super::draft::Draft::default(), text).is_ok();
    let is_value = if setting.list {
        given.iter().all(fits)
    } else {
        fits(&setting.default.to_owned())
    };
    is_value.then(|| {
        let given = if setting.list {
            given
        } else {
            vec![setting.default.to_owned()]
        };
        values(kind, setting.list, &given)
    })
}

fn values(kind: Kind, list: bool, values: &[String]) -> String {
    let written: Vec<String> = values.iter().map(|value| scalar(kind, value)).collect();
    match &written[..] {
        [one] if !list => one.clone(),
        _ => format!("[{}]", written.join(", ")),
    }
}

/// A text in the form in which every reader of YAML takes it for the same.
fn scalar(kind: Kind, text: &str) -> String {
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/'))
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str());
    let is_plain = kind.is_plain()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'/' | b'_'));
    if is_plain || is_word {
        text.to_owned()
    } else {
        // What JSON calls a string is one in YAML, too.
        serde_json::Value::from(text).to_string()
    }
}

/// The names of what is secret, without the values.
fn redacted(given: &[String]) -> String {
    let pairs = given.iter().filter_map(|text| super::pairs(text).ok()).flatten();
    let names: Vec<String> = pairs.map(|(name, _)| format!("{name}=REDACTED")).collect();
    format!("\"{}\"", names.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    #[test]
    fn a_text_is_the_same_text_when_it_is_read() {
        for text in [
            "plain", "true", "No", "null", "~", "1.10", "0x10", "", " a ", "a: b", "# no", "a\"b\\c",
            "re:^/a$", "é\n", "[x]", "-", "'",
        ] {
            let document = yaml::read(&format!("a: {}\n", scalar(Kind::Text, text))).unwrap();
            let yaml::Value::Mapping(pairs) = document.value else {
                panic!()
            };
            assert_eq!(pairs[0].1.value, yaml::Value::Text(text.to_owned()), "{text:?}");
        }
        assert_eq!(scalar(Kind::Boolean, "true"), "true");
        assert_eq!(scalar(Kind::Ports, "8000-8010"), "8000-8010");
    }

    #[test]
    fn nobody_sees_a_secret() {
        let shown = redacted(&["authorization=Bearer%20secret,x=1".to_owned()]);
        assert_eq!(shown, "\"authorization=REDACTED,x=REDACTED\"");
    }
}
