//! How each router of Go writes a path.

use super::{Rank, Style};
use crate::routes::pattern::{Class, Piece};

/// A path while it is read.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// What it is compared with.
    pub(super) pieces: Vec<Piece>,
    /// What decides when it is tried.
    pub(super) order: Vec<Rank>,
    /// What is known of a value is less than the router knows.
    pub(super) is_vague: bool,
}

impl Parsed {
    /// Understands one more segment.
    pub(super) fn add(&mut self, style: Style, segment: &str, is_last: bool) -> Option<()> {
        match style {
            Style::ServeMux => match segment {
                "{$}" if is_last => self.order.push(Rank::Fixed),
                "" if is_last => self.value(Class::Rest, Rank::Rest),
                _ if segment.starts_with('{') && segment.ends_with("...}") => {
                    self.value(Class::Rest, Rank::Rest);
                }
                _ if segment.starts_with('{') => self.value(Class::SEGMENT, Rank::Value),
                _ => self.text(segment),
            },
            Style::OldServeMux if segment.is_empty() && is_last => self.value(Class::Rest, Rank::Rest),
            Style::OldServeMux => self.text(segment),
            Style::Gin => match segment.find([':', '*']) {
                Some(at) => {
                    self.plain(&segment[..at]);
                    if segment[at..].starts_with(':') {
                        self.value(Class::SEGMENT, Rank::Value);
                    } else {
                        self.value(Class::Rest, Rank::Rest);
                    }
                }
                None => self.text(segment),
            },
            Style::Chi if segment.ends_with('*') => {
                self.plain(segment.trim_end_matches('*'));
                self.value(Class::Rest, Rank::Rest);
            }
            Style::Chi => return self.braces(segment),
        }
        Some(())
    }

    fn plain(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }

    fn text(&mut self, text: &str) {
        self.plain(text);
        self.order.push(Rank::Fixed);
    }

    fn value(&mut self, class: Class, rank: Rank) {
        self.pieces.push(Piece::Value(class));
        self.order.push(rank);
    }

    /// Text with `{name}` or `{name:expression}` in it.
    fn braces(&mut self, segment: &str) -> Option<()> {
        let mut rank = Rank::Fixed;
        let mut rest = segment;
        while let Some((before, behind)) = rest.split_once('{') {
            let end = end_of_brace(behind)?;
            self.plain(before);
            let (class, known) = match behind[..end].split_once(':') {
                None => (Class::SEGMENT, true),
                Some((_, expression)) => expressed(expression),
            };
            let checked = behind[..end].contains(':');
            self.is_vague |= !known;
            self.pieces.push(Piece::Value(class));
            rank = rank.max(if checked { Rank::Checked } else { Rank::Value });
            rest = &behind[end + 1..];
        }
        self.plain(rest);
        self.order.push(rank);
        Some(())
    }
}

/// Where the brace is that ends a value; an expression may have some of its own.
fn end_of_brace(text: &str) -> Option<usize> {
    let mut open = 0;
    text.char_indices().find_map(|(at, character)| {
        match character {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        None
    })
}

/// The commonest regular expressions; whether it is one of them.
fn expressed(expression: &str) -> (Class, bool) {
    match expression.trim_start_matches('^').trim_end_matches('$') {
        "[0-9]+" | "\\d+" => (
            Class::Digits {
                signed: false,
                count: None,
            },
            true,
        ),
        ".+" | "[^/]+" => (Class::SEGMENT, true),
        _ => (Class::SEGMENT, false),
    }
}
