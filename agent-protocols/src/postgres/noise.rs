//! Statements that drivers, pools and object mappers send on their own account.
//!
//! Only what is certain: what an application would have to write on purpose to be taken for it. All are compared in
//! their text without literals and without regard to case.

use crate::sql::Described;

/// Operations that are never what an application asks its database for: transaction control and session settings.
const OPERATIONS: &[&str] = &[
    "BEGIN",
    "START",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "SAVEPOINT",
    "RELEASE",
    "SET",
    "RESET",
    "SHOW",
    "DISCARD",
    "DEALLOCATE",
    "UNLISTEN",
];

/// Whole statements.
const TEXTS: &[&str] = &[
    // SQLAlchemy, on connect.
    "select pg_catalog.version()",
    "select version()",
    "select current_schema()",
    "select pg_catalog.current_schema()",
    // asyncpg, when a connection goes back to its pool.
    "select pg_advisory_unlock_all()",
    "close all",
    // asyncpg, around its look-ups of types: the jit setting, which it sets as others do by SET.
    "select current_setting(?) as cur, set_config(?, ?, false) as new",
    "select set_config(?, $1, false)",
];

/// Beginnings of statements: look-ups of types in the catalogue.
const BEGINNINGS: &[&str] = &[
    // SQLAlchemy and psycopg, looking for extension types such as hstore.
    "select typname as name, oid, typarray as array_oid",
    "select t.typname as name, t.oid as oid, t.typarray as array_oid",
    "select t.oid, typarray from pg_type t join pg_namespace ns",
    "select pg_type.typname",
    // asyncpg, for types that it does not know.
    "select t.oid, t.typelem as elemtype, t.typtype as kind from pg_catalog.pg_type as t",
    "with recursive typeinfo_tree(",
];

/// The statement is noise.
pub(crate) fn is_noise(statement: &Described) -> bool {
    let text = statement.text.as_str();
    let begins = |beginning: &&str| {
        text.get(..beginning.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
    };
    // A ping: pgx sends a comment, others a semicolon, which both are an empty statement.
    let is_empty = text.is_empty() && statement.operation.is_none();
    is_empty
        || statement
            .operation
            .as_deref()
            .is_some_and(|operation| OPERATIONS.contains(&operation))
        || TEXTS.iter().any(|known| text.eq_ignore_ascii_case(known))
        || BEGINNINGS.iter().any(begins)
}
