//! YAML as far as configuration files need it: texts, lists and mappings, each with its place.

use saphyr::{MarkedYaml, Scalar, ScalarStyle, ScanError, YamlData, YamlLoader};
use saphyr_parser::Parser;

/// A node with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, or `null`.
    Nothing,
    /// A text, a number, true or false, as it is written on a command line.
    Text(String),
    /// Its elements.
    List(Vec<Node>),
    /// Names and values, in their order.
    Mapping(Vec<(Key, Node)>),
}

/// A name in a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Where it is.
    pub place: Place,
    /// The name.
    pub name: String,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {} column {}", place.line, place.column)]
pub struct Malformed {
    what: String,
    place: Place,
}

impl Malformed {
    /// Something is wrong at a place.
    pub fn new(place: Place, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            place,
        }
    }
}

/// Reads a text with at most one document.
///
/// # Errors
///
/// Fails when it is not YAML, or has a second document.
pub fn read(text: &str) -> Result<Node, Malformed> {
    let documents = load(text).map_err(|error| scan_error(&error))?;
    let mut documents = documents.iter();
    let first = match documents.next() {
        Some(document) => node(document)?,
        None => Node {
            place: Place { line: 1, column: 1 },
            value: Value::Nothing,
        },
    };
    match documents.next() {
        None => Ok(first),
        Some(second) => Err(Malformed::new(
            place(second),
            "there is a second document; keep to one",
        )),
    }
}

/// Scalars stay as they are written: `1.10` may be a version, and only what takes it knows.
fn load(text: &str) -> Result<Vec<MarkedYaml<'_>>, ScanError> {
    let mut loader = YamlLoader::default();
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, true)?;
    match loader.error() {
        Some(error) => Err(error.clone()),
        None => Ok(loader.into_documents()),
    }
}

fn node(yaml: &MarkedYaml<'_>) -> Result<Node, Malformed> {
    let place = place(yaml);
    let value = match &yaml.data {
        YamlData::Representation(text, style, _) => scalar(text, *style),
        YamlData::Sequence(elements) => Value::List(elements.iter().map(node).collect::<Result<_, _>>()?),
        YamlData::Mapping(pairs) => Value::Mapping(
            pairs
                .iter()
                .map(|(key, value)| Ok((name(key)?, node(value)?)))
                .collect::<Result<_, _>>()?,
        ),
        YamlData::Tagged(_, inner) => node(inner)?.value,
        YamlData::Value(_) | YamlData::Alias(_) | YamlData::BadValue => {
            return Err(Malformed::new(place, "this is not a text, a list or a mapping"));
        }
    };
    Ok(Node { place, value })
}

/// Numbers and truth in the form that they have on a command line, as YAML's core schema reads them.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match Scalar::parse_from_cow(text.into()) {
        _ if text.is_empty() => Value::Nothing,
        Scalar::Null => Value::Nothing,
        Scalar::Boolean(truth) => Value::Text(truth.to_string()),
        Scalar::Integer(number) => Value::Text(number.to_string()),
        Scalar::FloatingPoint(_) | Scalar::String(_) => Value::Text(text.to_owned()),
    }
}

fn name(yaml: &MarkedYaml<'_>) -> Result<Key, Malformed> {
    let place = place(yaml);
    match &yaml.data {
        YamlData::Representation(text, ..) => Ok(Key {
            place,
            name: text.clone().into_owned(),
        }),
        _ => Err(Malformed::new(place, "the name of a setting is a text")),
    }
}

fn scan_error(error: &ScanError) -> Malformed {
    let marker = error.marker();
    let place = Place {
        line: marker.line(),
        column: marker.col() + 1,
    };
    Malformed::new(place, error.info())
}

fn place(yaml: &MarkedYaml<'_>) -> Place {
    Place {
        line: yaml.span.start.line(),
        column: yaml.span.start.col() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn only(document: &str) -> Value {
        let Value::Mapping(pairs) = read(document).unwrap().value else {
            panic!("{document} is no mapping");
        };
        pairs[0].1.value.clone()
    }

    #[test]
    fn scalars_are_as_on_a_command_line() {
        for (document, expected) in [
            ("a: 1.10", text("1.10")),
            ("a: 0x10", text("16")),
            ("a: True", text("true")),
            ("a: 'True'", text("True")),
            ("a: 8000-8010", text("8000-8010")),
            ("a: ''", text("")),
            ("a:", Value::Nothing),
            ("a: ~", Value::Nothing),
            ("a: !!str 5", text("5")),
        ] {
            assert_eq!(only(document), expected, "{document}");
        }
    }

    #[test]
    fn what_is_written_twice_is_an_error() {
        let error = read("a: 1\nb: 2\na: 3\n").unwrap_err().to_string();
        assert!(error.contains("duplicate") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn aliases_are_followed() {
        let document = read("a: &x [1, 2]\nb: *x\n").unwrap();
        let Value::Mapping(pairs) = document.value else {
            panic!()
        };
        let Value::List(elements) = &pairs[1].1.value else {
            panic!("{pairs:?}")
        };
        assert_eq!(elements[1].value, text("2"));
    }

    #[test]
    fn nothing_is_nothing() {
        for document in ["", "# only this\n", "---\n", "null\n"] {
            assert_eq!(read(document).unwrap().value, Value::Nothing, "{document:?}");
        }
        assert!(read("a: 1\n---\nb: 2\n").is_err());
        assert!(read("a: [1").is_err());
    }
}
