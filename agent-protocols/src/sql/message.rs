//! Error messages without values.
//!
//! A server's message quotes names (`relation "users" does not exist`) and values (`invalid input syntax for type
//! integer: "abc"`) alike, and a value may itself contain quotes. So:
//!
//! * A quoted text stays only if the server names it as the schema, table, column, type or constraint of the error, or
//!   if the statement without its literals contains it as a word or quoted name.
//! * From the opening quote of any other quoted text to the last quote of the message, all becomes `"?"`.
//! * Outside quotes, numbers become `?`. The server's own messages have no other values there.
//! * A message that code of the application composed (`RAISE`, procedural languages) may have values anywhere: it is
//!   withheld.

use super::lexer::{Backslash, Kind, Lexer};

/// Longest message kept, in bytes.
const MESSAGE_BYTES: usize = 1024;
/// What stands for a message that an application's own code composed.
const WITHHELD: &str = "(message of the application's own code withheld)";

/// Beginnings of the source files in which procedural languages report what their code raises: PL/pgSQL (`pl_exec.c`),
/// PL/Python (`plpy_elog.c`), PL/Perl, PL/Tcl and PL/v8.
const LANGUAGES: &[&str] = &["pl_", "plpy", "plperl", "pltcl", "plv8"];

/// An error as the server reported it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerError<'a> {
    /// SQLSTATE.
    pub code: &'a str,
    /// Primary message.
    pub message: &'a str,
    /// Names of schema, table, column, type and constraint, as far as they are given.
    pub names: [&'a str; 5],
    /// Source file of the server that reported it.
    pub file: &'a str,
}

impl ServerError<'_> {
    /// The message without values; `statement` is the statement's text without literals, if it is known.
    pub fn sanitized_message(&self, statement: Option<&str>) -> String {
        let is_composed = LANGUAGES.iter().any(|prefix| self.file.starts_with(prefix));
        if is_composed || self.code.starts_with("P0") {
            return WITHHELD.to_owned();
        }
        let message = clip(self.message, MESSAGE_BYTES);
        let mut out = String::with_capacity(message.len());
        let mut rest = message;
        while let Some((at, quote)) = rest.char_indices().find(|(_, character)| is_quote(*character)) {
            replace_numbers(&rest[..at], &mut out);
            let inner = &rest[at + quote.len_utf8()..];
            match inner.find('"').map(|end| inner.split_at(end)) {
                Some((name, behind)) if quote == '"' && self.names(name, statement) => {
                    out.push_str(&rest[at..=at + 1 + name.len()]);
                    rest = &behind[1..];
                }
                _ => {
                    out.push_str("\"?\"");
                    rest = behind_last_quote(inner);
                }
            }
        }
        replace_numbers(rest, &mut out);
        out
    }

    fn names(&self, quoted: &str, statement: Option<&str>) -> bool {
        let is_name = !quoted.is_empty() && !quoted.contains(is_quote);
        is_name && (self.names.contains(&quoted) || statement.is_some_and(|text| contains_name(text, quoted)))
    }
}

/// The statement has this word, quoted name or qualified name.
fn contains_name(statement: &str, name: &str) -> bool {
    let tokens = Lexer::new(statement, Backslash::Plain)
        .filter(|token| matches!(token.kind, Kind::Word | Kind::QuotedName));
    let words: Vec<&str> = tokens
        .map(|token| token.of(statement).trim_matches('"'))
        .collect();
    name.split('.')
        .all(|part| words.iter().any(|word| word.eq_ignore_ascii_case(part)))
}

/// What follows the last quote; nothing if no quote follows (the message was cut off).
fn behind_last_quote(text: &str) -> &str {
    let last = text
        .char_indices()
        .rev()
        .find(|(_, character)| is_quote(*character));
    last.map_or("", |(at, quote)| &text[at + quote.len_utf8()..])
}

/// Quotation marks of the languages in which PostgreSQL speaks.
fn is_quote(character: char) -> bool {
    matches!(character, '"' | '\'' | '`' | '«' | '»' | '‹' | '›' | '\u{2018}'..='\u{201f}' | '「'..='』')
}

/// Numbers that are not part of a word or of a parameter (`$1`) become `?`.
fn replace_numbers(text: &str, out: &mut String) {
    let mut before = ' ';
    let mut number = false;
    for character in text.chars() {
        let inside = number && (character.is_alphanumeric() || matches!(character, '.' | '_'));
        let begins = character.is_numeric() && !(before.is_alphanumeric() || matches!(before, '_' | '$'));
        if begins && !inside {
            out.push('?');
        }
        number = inside || begins;
        if !number {
            out.push(character);
        }
        before = if character.is_numeric() && before == '$' {
            '$'
        } else {
            character
        };
    }
}

/// At most so many bytes, cut at a character.
pub(crate) fn clip(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}
