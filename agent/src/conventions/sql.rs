//! SQL, by <https://opentelemetry.io/docs/specs/semconv/database/database-spans/> and its page on PostgreSQL.
//!
//! `db.namespace` is the database that the connection was opened with. `db.operation.name` and `db.collection.name` are
//! read from the statement, which the conventions leave to higher-level APIs: seen from the wire there is no other API,
//! and a statement on one table has one answer.

use agent_protocols::exchange::{Exchange, Sql};

use super::{Attributes, Description, Endpoints, address::Address, cut_off, kind, status};

/// Marks a statement whose text cannot be known because it was prepared before the agent came.
const TEXT_UNKNOWN: &str = "sidelight.db.query.text.unknown";

/// Operations whose row count is one of returned rows, not of changed ones.
const READING: [&str; 5] = ["SELECT", "VALUES", "TABLE", "FETCH", "SHOW"];

pub(super) fn describe(sql: &Sql, exchange: &Exchange, endpoints: &Endpoints) -> Description {
    let server = endpoints.server(exchange.role);
    let code = sql.error.as_ref().map(|error| error.code.as_str());
    let error = code.or(cut_off(exchange.ending));
    let name = name(sql, server.as_ref());
    let mut attributes = Attributes::new();
    attributes.set("db.system.name", sql.system);
    attributes.set_known("db.namespace", sql.namespace.as_deref());
    describe_query(sql, &mut attributes);
    attributes.set_known("db.response.status_code", code);
    attributes.set_known("db.response.returned_rows", returned_rows(sql));
    if let Some(server) = server {
        attributes.set("server.address", server.host);
        attributes.set_known("server.port", server.port);
    }
    endpoints.describe_network(exchange.role, &mut attributes);
    attributes.set_known("error.type", error);
    let message = sql.error.as_ref().map(|error| error.message.as_str());
    Description {
        name,
        kind: kind(exchange.role),
        status: status(error, message),
        attributes: attributes.0,
    }
}

fn describe_query(sql: &Sql, attributes: &mut Attributes) {
    attributes.set_known("db.query.summary", sql.summary.as_deref());
    attributes.set_known("db.operation.name", sql.operation.as_deref());
    attributes.set_known("db.collection.name", sql.table.as_deref());
    attributes.set_known("db.query.text", sql.text.as_deref());
    if sql.text_unknown {
        attributes.set(TEXT_UNKNOWN, true);
    }
}

/// The summary; else operation and table; else what the statement was sent to; else the system.
fn name(sql: &Sql, server: Option<&Address>) -> String {
    let sent_to = || match server {
        Some(Address {
            host,
            port: Some(port),
        }) if host.contains(':') => Some(format!("[{host}]:{port}")),
        Some(Address {
            host,
            port: Some(port),
        }) => Some(format!("{host}:{port}")),
        Some(Address { .. }) | None => None,
    };
    match (&sql.summary, &sql.operation, &sql.table) {
        (Some(summary), ..) => summary.clone(),
        (None, Some(operation), Some(table)) => format!("{operation} {table}"),
        (None, Some(operation), None) => operation.clone(),
        (None, None, Some(table)) => table.clone(),
        (None, None, None) => sql
            .namespace
            .clone()
            .or_else(sent_to)
            .unwrap_or_else(|| sql.system.to_owned()),
    }
}

fn returned_rows(sql: &Sql) -> Option<i64> {
    let operation = sql.operation.as_deref()?;
    let reads = READING
        .iter()
        .any(|reading| reading.eq_ignore_ascii_case(operation));
    sql.rows
        .filter(|_| reads)
        .and_then(|rows| i64::try_from(rows).ok())
}
