//! PATTERN: what a route's template says of paths, in small pieces.

use std::cell::Cell;

/// Steps that one comparison may take: a pattern with several values in one segment can be tried in many ways.
const MAX_STEPS: u32 = 20_000;

/// A pattern of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Stands for itself.
    Text(String),
    /// Stands for what is different from call to call.
    Value(Class),
}

/// What a value can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// Anything without a slash, of so many characters.
    Segment {
        /// Least number of characters.
        least: usize,
        /// Greatest number of characters.
        most: usize,
    },
    /// Anything, also nothing.
    Rest,
    /// Anything that does not begin with a slash, and not nothing.
    Path,
    /// Digits.
    Digits {
        /// Also with a minus.
        signed: bool,
        /// So many, if that is said.
        count: Option<usize>,
    },
    /// Digits, a point, digits.
    Decimal {
        /// Also with a minus.
        signed: bool,
        /// Also without point and what follows it.
        whole: bool,
    },
    /// A UUID.
    Uuid {
        /// Also without its hyphens.
        plain: bool,
    },
    /// One of some texts.
    OneOf(Vec<String>),
}

impl Class {
    /// Anything without a slash, but not nothing.
    pub const SEGMENT: Self = Self::Segment {
        least: 1,
        most: usize::MAX,
    };

    fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Segment { least, most } => {
                !value.contains('/') && (*least..=*most).contains(&value.chars().count())
            }
            Self::Rest => true,
            Self::Path => !value.is_empty() && !value.starts_with('/'),
            Self::Digits { signed, count } => {
                let digits = unsigned(value, *signed);
                are_digits(digits) && count.is_none_or(|count| digits.len() == count)
            }
            Self::Decimal { signed, whole } => {
                let value = unsigned(value, *signed);
                match value.split_once('.') {
                    Some((before, behind)) => are_digits(before) && are_digits(behind),
                    None => *whole && are_digits(value),
                }
            }
            Self::Uuid { plain } => is_uuid(value, *plain),
            Self::OneOf(texts) => texts.iter().any(|text| text == value),
        }
    }

    fn spans_segments(&self) -> bool {
        match self {
            Self::Rest | Self::Path => true,
            Self::OneOf(texts) => texts.iter().any(|text| text.contains('/')),
            _ => false,
        }
    }
}

impl Pattern {
    /// The pattern of these pieces.
    pub fn new(pieces: Vec<Piece>) -> Self {
        Self(pieces)
    }

    /// Whether it is this path.
    pub fn is(&self, path: &str) -> bool {
        let steps = Cell::new(MAX_STEPS);
        fits(&self.0, path, &|rest| rest.is_empty(), &steps)
    }

    /// What is behind it, if the path begins with it and goes on with a slash.
    pub fn before_slash<'p>(&self, path: &'p str) -> Option<&'p str> {
        let steps = Cell::new(MAX_STEPS);
        let left = Cell::new(None);
        let is_slash = |rest: &str| {
            if rest.starts_with('/') {
                left.set(Some(rest.len()));
            }
            left.get().is_some()
        };
        fits(&self.0, path, &is_slash, &steps);
        path.get(path.len() - left.get()?..)
    }
}

/// Whether a text begins with the pieces and goes on as `end` wants it; of a value as much as possible is taken first.
fn fits(pieces: &[Piece], text: &str, end: &dyn Fn(&str) -> bool, steps: &Cell<u32>) -> bool {
    let Some(left) = steps.get().checked_sub(1) else {
        return false;
    };
    steps.set(left);
    match pieces.split_first() {
        None => end(text),
        Some((Piece::Text(wanted), others)) => text
            .strip_prefix(wanted.as_str())
            .is_some_and(|rest| fits(others, rest, end, steps)),
        Some((Piece::Value(class), others)) => {
            let most = if class.spans_segments() {
                text.len()
            } else {
                text.find('/').unwrap_or(text.len())
            };
            (0..=most)
                .rev()
                .filter_map(|length| text.split_at_checked(length))
                .any(|(value, rest)| class.accepts(value) && fits(others, rest, end, steps))
        }
    }
}

fn unsigned(value: &str, signed: bool) -> &str {
    value.strip_prefix('-').filter(|_| signed).unwrap_or(value)
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is a UUID, with hyphens where they belong or, if `plain`, without some of them.
pub fn is_uuid(text: &str, plain: bool) -> bool {
    let mut rest = text;
    for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            match rest.strip_prefix('-') {
                Some(behind) => rest = behind,
                None if plain => {}
                None => return false,
            }
        }
        match rest.split_at_checked(length) {
            Some((digits, behind)) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => rest = behind,
            _ => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn classes() -> [(Class, &'static [&'static str], &'static [&'static str]); 7] {
        [
            (Class::SEGMENT, &["a", "ä b"], &["", "a/b"]),
            (
                Class::Segment { least: 2, most: 3 },
                &["ab", "äöü"],
                &["a", "abcd", "a/b"],
            ),
            (Class::Rest, &["", "/", "a/b"], &[]),
            (Class::Path, &["a", "a/b/"], &["", "/a"]),
            (
                Class::Digits {
                    signed: true,
                    count: None,
                },
                &["0", "-12"],
                &["", "-", "1a", "--1", "1.0"],
            ),
            (
                Class::Decimal {
                    signed: false,
                    whole: false,
                },
                &["1.5"],
                &["1", ".5", "1.", "-1.5"],
            ),
            (
                Class::Uuid { plain: false },
                &["123e4567-e89b-12d3-a456-426614174000"],
                &[
                    "123e4567e89b12d3a456426614174000",
                    "123e4567-e89b-12d3-a456-42661417400",
                ],
            ),
        ]
    }

    #[test]
    fn values_of_each_class() {
        for (class, good, bad) in classes() {
            let pattern = Pattern::new(vec![text("/x/"), Piece::Value(class.clone()), text("!")]);
            for value in good {
                assert!(pattern.is(&format!("/x/{value}!")), "{class:?} {value}");
            }
            for value in bad {
                assert!(!pattern.is(&format!("/x/{value}!")), "{class:?} {value}");
            }
        }
        assert!(is_uuid("123e4567e89b12d3a456426614174000", true));
    }

    #[test]
    fn what_follows_a_value_decides_how_much_it_takes() {
        let pattern = Pattern::new(vec![
            text("/"),
            Piece::Value(Class::SEGMENT),
            text("-"),
            Piece::Value(Class::SEGMENT),
            text(".json"),
        ]);
        assert!(pattern.is("/a-b-c.json.json"));
        assert!(!pattern.is("/a.json"));
        let files = Pattern::new(vec![text("/f/"), Piece::Value(Class::Path), text("/raw")]);
        assert!(files.is("/f/a/raw/raw"));
        assert!(!files.is("/f/raw"));
    }

    #[test]
    fn the_rest_behind_a_prefix() {
        let prefix = Pattern::new(vec![text("/v1/"), Piece::Value(Class::SEGMENT)]);
        assert_eq!(prefix.before_slash("/v1/shop/users/7"), Some("/users/7"));
        assert_eq!(prefix.before_slash("/v1/shop"), None);
        assert_eq!(Pattern::default().before_slash("/a"), Some("/a"));
    }

    #[test]
    fn a_pattern_that_can_be_tried_in_many_ways_ends() {
        let mut pieces = vec![text("/")];
        pieces.extend((0..12).map(|_| Piece::Value(Class::Rest)));
        pieces.push(text("!"));
        assert!(!Pattern::new(pieces).is(&format!("/{}", "a".repeat(500))));
    }
}
