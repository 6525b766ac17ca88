//! CONFIGURED: routes that the operator named.

use std::sync::Arc;

use super::pattern::{Class, Pattern, Piece};

/// A route as it is written in the settings: `/users/{id}`, `/users/:id`, `/files/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePattern {
    pattern: Pattern,
    /// As it was written, which is the value of `http.route`.
    pub template: Arc<str>,
}

impl RoutePattern {
    /// Understands a pattern. `{name}` stands for one segment or a part of it, `*` and `:name` for a whole segment, `*` as the
    /// last segment for all that follows.
    pub fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix('/')?;
        if path.contains(char::is_whitespace) {
            return None;
        }
        let segments: Vec<&str> = path.split('/').collect();
        let mut pieces = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            pieces.push(Piece::Text("/".to_owned()));
            match *segment {
                "*" if index + 1 == segments.len() => pieces.push(Piece::Value(Class::Rest)),
                "*" => pieces.push(Piece::Value(Class::SEGMENT)),
                _ if segment.len() > 1 && segment.starts_with(':') => {
                    pieces.push(Piece::Value(Class::SEGMENT));
                }
                _ => add_braces(&mut pieces, segment)?,
            }
        }
        Some(Self {
            pattern: Pattern::new(pieces),
            template: text.into(),
        })
    }

    /// Whether a path is of this route.
    pub fn is(&self, path: &str) -> bool {
        self.pattern.is(path)
    }
}

/// Text with `{name}` in it; `None` where the braces are no pairs, or have nothing in them.
fn add_braces(pieces: &mut Vec<Piece>, segment: &str) -> Option<()> {
    let mut rest = segment;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}')?;
        if name.is_empty() || name.contains('{') || before.contains('}') {
            return None;
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Value(Class::SEGMENT));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
        for (text, good, bad) in [
            ("/", "/", "/a"),
            ("/users/{id}", "/users/7", "/users/7/a"),
            ("/users/:id/orders", "/users/7/orders", "/users//orders"),
            ("/a/*/c", "/a/b/c", "/a/b/b/c"),
            ("/files/*", "/files/a/b.txt", "/files"),
            ("/{name}.json", "/a.b.json", "/.json"),
            ("/v{major}.{minor}/x", "/v1.2/x", "/v1/x"),
        ] {
            let pattern = RoutePattern::parse(text).unwrap();
            assert!(pattern.is(good), "{text} {good}");
            assert!(!pattern.is(bad), "{text} {bad}");
            assert_eq!(&*pattern.template, text);
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for text in ["", "users", "/{", "/}", "/{}", "/{a{b}}", "/a b", "*"] {
            assert_eq!(RoutePattern::parse(text), None, "{text}");
        }
    }
}
