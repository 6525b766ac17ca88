//! Operation, table and summary of a statement.

use std::collections::HashSet;

use super::{
    lexer::Kind,
    message::clip,
    parse,
    scan::{Word, name, scan, words},
};

/// Longest summary, in bytes: `db.query.summary` is to stay below 255 characters.
const SUMMARY_BYTES: usize = 254;

/// What a statement does and to what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gist {
    pub(crate) operation: Option<String>,
    pub(crate) table: Option<String>,
    pub(crate) summary: Option<String>,
}

/// An operation or a target, in the order of the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// `SELECT`, `INSERT`, …
    Operation(String),
    /// A table as written, with its schema if that is written.
    Table(String),
    /// Another object, such as a procedure or an index.
    Other(String),
}

/// Summarises a statement whose literals were replaced: `sanitized` with `?`, `typed` (made only when needed) with
/// literals that a parser accepts.
pub(crate) fn summarize(sanitized: &str, typed: impl FnOnce() -> String) -> Gist {
    let words = words(sanitized);
    let Some(first) = words.iter().position(|word| !word.is("(")) else {
        return Gist::default();
    };
    let rest = words.get(first..).unwrap_or_default();
    let Some(keyword) = rest
        .first()
        .filter(|word| word.kind == Kind::Word && word.is_any(COMMANDS))
    else {
        return Gist::default();
    };
    let keyword = keyword.text.to_ascii_uppercase();
    let parts = match keyword.as_str() {
        // The parser takes PostgreSQL's ONLY for the name of a table.
        _ if DML.contains(&keyword.as_str()) && words.iter().any(|word| word.is("ONLY")) => scan(&words),
        "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "WITH" | "VALUES" | "TABLE" => {
            parse::parts(&typed(), words.iter().map(|word| word.text)).unwrap_or_else(|| scan(&words))
        }
        _ => command(&keyword, rest),
    };
    assemble(main_operation(&keyword, &words), &parts)
}

/// The operation of the whole statement: behind `WITH` it is the one outside all brackets.
fn main_operation(keyword: &str, words: &[Word<'_>]) -> String {
    if keyword != "WITH" {
        return keyword.to_owned();
    }
    let mut depth = 0_usize;
    for word in words {
        match word.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth == 0 && DML.iter().any(|operation| word.is(operation)) => {
                return word.text.to_ascii_uppercase();
            }
            _ => {}
        }
    }
    keyword.to_owned()
}

fn assemble(operation: String, parts: &[Part]) -> Gist {
    let mut tables = HashSet::new();
    let mut table = None;
    let mut summary = String::new();
    for part in parts {
        let (Part::Operation(text) | Part::Table(text) | Part::Other(text)) = part;
        if let Part::Table(name) = part {
            tables.insert(name);
            table = Some(name);
        }
        if summary.len() + 1 + text.len() > SUMMARY_BYTES {
            break;
        }
        if !summary.is_empty() {
            summary.push(' ');
        }
        summary.push_str(text);
    }
    if summary.is_empty() {
        summary.push_str(clip(&operation, SUMMARY_BYTES));
    }
    Gist {
        operation: Some(operation),
        table: table.filter(|_| tables.len() == 1).cloned(),
        summary: Some(summary),
    }
}

/// The commands of PostgreSQL: a statement that begins with another word has no operation, so that there are never more
/// operations than these.
const COMMANDS: &[&str] = &[
    "ABORT",
    "ALTER",
    "ANALYSE",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CHECKPOINT",
    "CLOSE",
    "CLUSTER",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DISCARD",
    "DO",
    "DROP",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "GRANT",
    "IMPORT",
    "INSERT",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "MOVE",
    "NOTIFY",
    "PREPARE",
    "REASSIGN",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SECURITY",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "TABLE",
    "TRUNCATE",
    "UNLISTEN",
    "UPDATE",
    "VACUUM",
    "VALUES",
    "WITH",
];
const DML: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"];
/// Words that stand between a command and the name of what it works on.
const BETWEEN: &[&str] = &[
    "OR",
    "REPLACE",
    "IF",
    "NOT",
    "EXISTS",
    "CONCURRENTLY",
    "ONLY",
    "TEMP",
    "TEMPORARY",
    "GLOBAL",
    "LOCAL",
    "UNLOGGED",
    "UNIQUE",
    "RECURSIVE",
    "VERBOSE",
    "FULL",
    "FREEZE",
    "ANALYZE",
    "CONSTRAINT",
    "DEFAULT",
    "TRUSTED",
    "PROCEDURAL",
];
/// Words that name the kind of object of CREATE, ALTER and DROP.
const OBJECTS: &[&str] = &[
    "TABLE",
    "INDEX",
    "VIEW",
    "MATERIALIZED",
    "SEQUENCE",
    "FUNCTION",
    "PROCEDURE",
    "TRIGGER",
    "SCHEMA",
    "TYPE",
    "DOMAIN",
    "EXTENSION",
    "DATABASE",
    "ROLE",
    "USER",
    "FOREIGN",
    "POLICY",
    "RULE",
    "AGGREGATE",
    "LANGUAGE",
    "SYSTEM",
    "GROUP",
    "TABLESPACE",
    "PUBLICATION",
    "SUBSCRIPTION",
    "STATISTICS",
    "COLLATION",
    "CAST",
    "OPERATOR",
    "SERVER",
    "EVENT",
    "ROUTINE",
    "CONVERSION",
    "ACCESS",
    "TRANSFORM",
];

/// The parts of a statement that is neither a query nor a change of rows.
fn command(keyword: &str, words: &[Word<'_>]) -> Vec<Part> {
    let mut parts = vec![Part::Operation(keyword.to_owned())];
    match keyword {
        "CREATE" | "ALTER" | "DROP" => definition(words, &mut parts),
        "TRUNCATE" | "LOCK" | "COPY" | "ANALYZE" | "ANALYSE" | "VACUUM" | "CLUSTER" | "REFRESH"
        | "REINDEX" => {
            maintenance(words, &mut parts);
        }
        "EXPLAIN" | "PREPARE" | "DECLARE" => nested(words, &mut parts),
        "CALL" | "EXECUTE" | "DEALLOCATE" | "LISTEN" | "NOTIFY" => {
            parts.extend(words.get(1..).and_then(name).map(|(name, _)| Part::Other(name)));
        }
        _ => {}
    }
    parts
}

/// `CREATE TABLE t`, `DROP INDEX i, j`; `CREATE TABLE t AS SELECT …` goes on with the query.
fn definition(words: &[Word<'_>], parts: &mut Vec<Part>) {
    let mut rest = words.get(1..).unwrap_or_default();
    let mut object = Vec::new();
    while let Some((word, behind)) = rest.split_first() {
        if word.is_any(OBJECTS) {
            object.push(word.text.to_ascii_uppercase());
        } else if !word.is_any(BETWEEN) {
            break;
        }
        rest = behind;
    }
    if let Some(Part::Operation(operation)) = parts.first_mut() {
        for kind in &object {
            operation.push(' ');
            operation.push_str(kind);
        }
    }
    let is_table = object.last().is_some_and(|kind| kind == "TABLE");
    while let Some((name, behind)) = name(rest) {
        parts.push(if is_table {
            Part::Table(name)
        } else {
            Part::Other(name)
        });
        match behind.split_first() {
            Some((comma, next)) if comma.is(",") => rest = next,
            _ => break,
        }
    }
    if words.first().is_some_and(|word| word.is("CREATE"))
        && (is_table || object.iter().any(|kind| kind == "VIEW"))
    {
        nested(words, parts);
    }
}

fn maintenance(words: &[Word<'_>], parts: &mut Vec<Part>) {
    let mut rest = words.get(1..).unwrap_or_default();
    let is_query = |word: &Word<'_>| word.is_any(DML) || word.is("WITH");
    if rest.first().is_some_and(|word| word.is("(")) && rest.get(1).is_some_and(is_query) {
        parts.extend(scan(rest));
        return;
    }
    while let Some((word, behind)) = rest.split_first() {
        if !(word.is_any(BETWEEN) || word.is_any(&["TABLE", "MATERIALIZED", "VIEW", "BINARY"])) {
            break;
        }
        rest = behind;
    }
    while let Some((name, behind)) = name(rest) {
        parts.push(Part::Table(name));
        match behind.split_first() {
            Some((comma, next)) if comma.is(",") => rest = next,
            _ => break,
        }
    }
}

/// The parts of the query inside a command.
fn nested(words: &[Word<'_>], parts: &mut Vec<Part>) {
    let query = words
        .iter()
        .skip(1)
        .position(|word| word.is_any(&DML[..5]) || word.is("WITH"));
    if let Some(rest) = query.and_then(|at| words.get(at + 1..)) {
        parts.extend(scan(rest));
    }
}
