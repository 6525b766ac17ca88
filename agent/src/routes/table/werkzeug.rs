//! WERKZEUG: the rules of a `werkzeug.routing.Map`, as Flask has one.
//!
//! Which rule counts: `StateMachineMatcher` in `werkzeug/routing/matcher.py`, and the weights of `Rule._parse_rule` in `rules.py`
//! (3.1; since 2.2). Its search goes segment by segment, fixed ones first and then those with values in the order of their
//! weights, so the first rule of the sorted ones that fits is the one that it finds.

use std::{cmp::Ordering, sync::Arc};

use super::{Asked, takes};
use crate::routes::pattern::{Class, Pattern, Piece};

/// The rules of a map, in the order in which they are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(Vec<Rule>);

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    template: Arc<str>,
    methods: Option<Vec<String>>,
    strict_slashes: bool,
    pattern: Pattern,
    /// The same without the slash at its end, or with one.
    other_pattern: Pattern,
    ends_with_slash: bool,
    order: Vec<Part>,
}

/// What decides the order of a segment: fixed ones come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Fixed,
    Values(Weight),
}

/// `Weighting` of rules.py: less comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    fixed: isize,
    lengths: Vec<(usize, isize)>,
    values: isize,
    weights: Vec<u32>,
}

impl Map {
    /// The map of these rules, in the order in which they were added.
    pub fn new(mut rules: Vec<Rule>) -> Self {
        rules.sort_by(Rule::before);
        Self(rules)
    }

    /// The rule that a request takes, as it is written: `/user/<name>`.
    pub fn route(&self, asked: &Asked<'_>) -> Option<Arc<str>> {
        let mut fitting = self
            .0
            .iter()
            .filter(|rule| takes(rule.methods.as_ref(), asked.method));
        fitting
            .find(|rule| rule.is(asked.path))
            .map(|rule| Arc::clone(&rule.template))
    }
}

impl Rule {
    /// Understands a rule; `None` if it is none.
    pub fn parse(text: &str, methods: Option<Vec<String>>, strict_slashes: bool) -> Option<Self> {
        if !text.starts_with('/') {
            return None;
        }
        let mut parsed = Parsed::default();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('<') {
            parsed.add_text(before);
            let end = end_of_value(behind)?;
            parsed.add_value(behind.get(..end)?);
            rest = behind.get(end + 1..)?;
        }
        parsed.add_text(rest);
        let ends_with_slash = text.ends_with('/');
        let mut other = parsed.pieces.clone();
        if ends_with_slash {
            if let Some(Piece::Text(last)) = other.last_mut() {
                last.pop();
            }
        } else {
            other.push(Piece::Text("/".to_owned()));
        }
        Some(Self {
            template: text.into(),
            methods,
            strict_slashes,
            order: parsed.order(),
            pattern: Pattern::new(parsed.pieces),
            other_pattern: Pattern::new(other),
            ends_with_slash,
        })
    }

    /// With strict slashes a path that lacks the last one is redirected, and one that has one too many is not found.
    fn is(&self, path: &str) -> bool {
        self.pattern.is(path)
            || (!self.strict_slashes
                && (self.ends_with_slash || path.len() > 1)
                && self.other_pattern.is(path))
    }

    fn before(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}

/// A rule while it is read.
#[derive(Debug, Default)]
struct Parsed {
    pieces: Vec<Piece>,
    parts: Vec<Part>,
    weight: Weight,
    /// A value that spans segments makes all that follows one part.
    is_last: bool,
}

impl Parsed {
    fn add_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
        for (index, part) in text.split('/').enumerate() {
            if index > 0 && !self.is_last {
                self.end_part();
            }
            if !part.is_empty() {
                self.weight
                    .lengths
                    .push((self.weight.lengths.len(), -(part.len() as isize)));
                self.weight.fixed -= 1;
            }
        }
    }

    fn add_value(&mut self, value: &str) {
        let converter = value
            .rsplit_once(':')
            .map_or("default", |(converter, _)| converter);
        let (class, weight) = class(converter);
        self.is_last |= class == Class::Path;
        self.pieces.push(Piece::Value(class));
        self.weight.values -= 1;
        self.weight.weights.push(weight);
    }

    fn end_part(&mut self) {
        let weight = std::mem::take(&mut self.weight);
        self.parts.push(if weight.values == 0 {
            Part::Fixed
        } else {
            Part::Values(weight)
        });
    }

    fn order(&mut self) -> Vec<Part> {
        self.end_part();
        std::mem::take(&mut self.parts)
    }
}

/// Where the `>` is that ends a value; arguments may hold one within quotes.
fn end_of_value(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, character)| {
        match (quote, character) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
        None
    })
}

/// What a converter takes and its weight (werkzeug/routing/converters.py); one of the application's own is taken for the
/// default one.
fn class(converter: &str) -> (Class, u32) {
    let (name, arguments) = converter
        .split_once('(')
        .map_or((converter, ""), |(name, rest)| (name, rest.trim_end_matches(')')));
    let argument = |name: &str| {
        arguments.split(',').find_map(|argument| {
            let (known, value) = argument.split_once('=')?;
            (known.trim() == name).then(|| value.trim())
        })
    };
    let number = |name: &str| argument(name).and_then(|value| value.parse().ok());
    let signed = argument("signed") == Some("True");
    match name {
        "path" => (Class::Path, 200),
        "int" => (
            Class::Digits {
                signed,
                count: number("fixed_digits").filter(|count| *count > 0),
            },
            50,
        ),
        "float" => (Class::Decimal { signed, whole: false }, 50),
        "uuid" => (Class::Uuid { plain: false }, 100),
        "any" => {
            let text = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
            (Class::OneOf(arguments.split(',').map(text).collect()), 100)
        }
        _ => {
            let exact = number("length");
            let least = exact.or(number("minlength")).unwrap_or(1);
            let most = exact.or(number("maxlength")).unwrap_or(usize::MAX);
            (Class::Segment { least, most }, 100)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rules: &[&str]) -> Map {
        let parsed = rules.iter().map(|rule| Rule::parse(rule, None, true).unwrap());
        Map::new(parsed.collect())
    }

    fn route(map: &Map, path: &str) -> Option<String> {
        let asked = Asked {
            method: "GET",
            path,
            host: "",
        };
        map.route(&asked).map(|route| route.to_string())
    }

    #[test]
    fn converters() {
        for (rule, good, bad) in [
            ("/user/<name>", "/user/alice", "/user/alice/x"),
            ("/user/<string(length=2):code>", "/user/de", "/user/deu"),
            ("/p/<int:id>", "/p/7", "/p/x"),
            ("/p/<int(signed=True):id>", "/p/-7", "/p/7-"),
            ("/p/<int(fixed_digits=3):id>", "/p/007", "/p/7"),
            ("/x/<float:v>", "/x/1.5", "/x/1"),
            ("/f/<path:p>", "/f/a/b", "/f/"),
            ("/w/<page>/edit", "/w/a/edit", "/w/a/b/edit"),
            ("/w/<path:p>/edit", "/w/a/b/edit", "/w/a/b/delete"),
            ("/l/<any(de,en):l>/", "/l/de/", "/l/fr/"),
            ("/<lang>-<region>", "/de-AT", "/de"),
            ("/o/<uuid:id>", "/o/123e4567-e89b-12d3-a456-426614174000", "/o/7"),
            ("/own/<hex:id>", "/own/7f", "/own/7/f"),
        ] {
            let map = map(&[rule]);
            assert_eq!(route(&map, good).as_deref(), Some(rule), "{good}");
            assert_eq!(route(&map, bad), None, "{bad}");
        }
        assert_eq!(Rule::parse("users", None, true), None);
        assert_eq!(Rule::parse("/<name", None, true), None);
    }

    #[test]
    fn weights_decide_and_not_the_order() {
        let map = map(&[
            "/<path:everything>",
            "/<name>",
            "/<int:number>",
            "/about",
            "/v<int:version>",
            "/<name>/<path:rest>",
            "/<name>/edit",
        ]);
        for (path, expected) in [
            ("/about", "/about"),
            ("/v2", "/v<int:version>"),
            ("/7", "/<int:number>"),
            ("/alice", "/<name>"),
            ("/alice/edit", "/<name>/edit"),
            ("/alice/a/b", "/<name>/<path:rest>"),
            ("/7/a", "/<name>/<path:rest>"),
        ] {
            assert_eq!(route(&map, path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn slashes() {
        let strict = map(&["/with/", "/without"]);
        assert_eq!(route(&strict, "/with/").as_deref(), Some("/with/"));
        for redirected in ["/with", "/without/", "//without"] {
            assert_eq!(route(&strict, redirected), None);
        }
        let lax = Map::new(vec![
            Rule::parse("/with/", None, false).unwrap(),
            Rule::parse("/without", None, false).unwrap(),
        ]);
        assert_eq!(route(&lax, "/with").as_deref(), Some("/with/"));
        assert_eq!(route(&lax, "/without/").as_deref(), Some("/without"));
    }

    #[test]
    fn methods() {
        let rule = |text, method: &str| Rule::parse(text, Some(vec![method.to_owned()]), true).unwrap();
        let map = Map::new(vec![rule("/users/<id>", "GET"), rule("/users/<user>", "DELETE")]);
        let of = |method| {
            let asked = Asked {
                method,
                path: "/users/7",
                host: "",
            };
            map.route(&asked).map(|route| route.to_string())
        };
        assert_eq!(of("DELETE").as_deref(), Some("/users/<user>"));
        assert_eq!(of("POST"), None);
    }
}
