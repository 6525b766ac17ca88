//! Prepared statements in SQL: `PREPARE name AS …`, `EXECUTE name(…)`, `DEALLOCATE name`.

use super::lexer::{Backslash, Kind, Lexer, Token};

/// Name and statement of a `PREPARE name [(types)] AS statement`.
pub(crate) fn prepared_statement(text: &str) -> Option<(String, &str)> {
    let mut tokens = significant(text);
    tokens
        .next()
        .filter(|token| token.of(text).eq_ignore_ascii_case("PREPARE"))?;
    let name = tokens.next().and_then(|token| name(token, text))?;
    let mut depth = 0_usize;
    let start = tokens.find(|token| match token.of(text) {
        "(" => {
            depth += 1;
            false
        }
        ")" => {
            depth = depth.saturating_sub(1);
            false
        }
        word => depth == 0 && word.eq_ignore_ascii_case("AS"),
    })?;
    Some((name, text.get(start.end..)?))
}

/// The name in `EXECUTE name …` and `DEALLOCATE [PREPARE] name`; `all` for `DEALLOCATE ALL`.
pub(crate) fn statement_name(text: &str) -> Option<String> {
    let mut tokens = significant(text).skip(1);
    let first = tokens.next()?;
    let is_prepare = first.kind == Kind::Word && first.of(text).eq_ignore_ascii_case("PREPARE");
    tokens
        .next()
        .filter(|_| is_prepare)
        .or(Some(first))
        .and_then(|token| name(token, text))
}

fn significant(text: &str) -> impl Iterator<Item = Token> {
    Lexer::new(text, Backslash::Plain).filter(|token| token.kind != Kind::Space)
}

/// A name as the server knows it: in lower case unless it is quoted.
fn name(token: Token, text: &str) -> Option<String> {
    let word = token.of(text);
    match token.kind {
        Kind::Word => Some(word.to_lowercase()),
        Kind::QuotedName => Some(word.trim_matches('"').replace("\"\"", "\"")),
        _ => None,
    }
}
