//! SQL text: what may be shown of a statement, and what it does.
//!
//! [`describe`] replaces every literal, and says operation, table and summary of a statement as the OpenTelemetry
//! conventions define `db.query.text`, `db.operation.name`, `db.collection.name` and `db.query.summary`. It never fails
//! and never shows a literal, also of text that is wrong, cut off, or not SQL. Operation and tables come from a real
//! parser where it takes the statement, and from its keywords otherwise.
//!
//! Operations are in capitals however the program writes them, so that one operation is one series of a metric; tables
//! are as written, with their schema if that is written.

mod cache;
mod lexer;
mod message;
mod parse;
mod prepare;
mod sanitize;
mod scan;
mod split;
mod summary;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use lexer::Backslash;
pub use message::ServerError;
pub(crate) use prepare::{prepared_statement, statement_name};
use sanitize::{Placeholder, sanitize};
pub use split::{Statement, Statements, statements};

/// What may be shown of a statement, and what it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The statement with literals replaced by `?`, without comments, white space normalised.
    pub text: String,
    /// `SELECT`, `INSERT`, `CREATE TABLE`, …; none for what does not begin with a command.
    pub operation: Option<String>,
    /// The table, if the statement names exactly one.
    pub table: Option<String>,
    /// Operations and their targets in the order in which they are written, for example
    /// `INSERT shipping_details SELECT orders`; below 255 bytes, cut between two names.
    pub summary: Option<String>,
}

/// Describes one statement, of which at most `max_bytes` bytes are looked at.
///
/// Statements that differ in literals only share one description, see [`Arc::ptr_eq`].
pub fn describe(text: &str, max_bytes: usize, backslash: Backslash) -> Arc<Described> {
    let text = message::clip(text, max_bytes);
    let sanitized = sanitize(text, backslash, Placeholder::QuestionMark);
    cache::get_or(sanitized, |sanitized| {
        let typed = || sanitize(text, backslash, Placeholder::Typed);
        let gist = summary::summarize(&sanitized, typed);
        Described {
            text: sanitized,
            operation: gist.operation,
            table: gist.table,
            summary: gist.summary,
        }
    })
}
