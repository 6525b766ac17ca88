//! A request and its response.

use crate::chunk::{Role, Unit};

/// A request and its response, or what became of it.
///
/// Times are nanoseconds of the kernel's monotonic clock. Offsets are byte positions in the request's and the
/// response's direction of the connection; they name the same bytes at both ends of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Which side the watched process was.
    pub role: Role,
    /// First byte of the request: written (client) or read (server).
    pub started: u64,
    /// Last byte of the response: read (client) or written (server); else the moment at which the exchange ended.
    pub ended: u64,
    /// Who wrote (client) or read (server) the first byte of the request.
    pub request_unit: Unit,
    /// Who read (client) or wrote (server) the first byte of the response, if there was one.
    pub response_unit: Option<Unit>,
    /// Position of the request's first byte.
    pub request_offset: u64,
    /// Position of the response's first byte, if there was one.
    pub response_offset: Option<u64>,
    /// How it ended.
    pub ending: Ending,
    /// What was said, in terms of its protocol.
    pub detail: Detail,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The response was complete.
    Complete,
    /// The watched process closed or reset before the response was complete.
    ClosedHere,
    /// The other side closed or reset before the response was complete.
    ClosedByPeer,
    /// The response's end was not seen (bytes missing, or the stream left this protocol); `ended` is the last known moment.
    Unseen,
}

/// What was said, in terms of its protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// HTTP/1.0 or 1.1.
    Http(Http),
    /// One SQL statement.
    Sql(Sql),
}

/// One HTTP exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    /// Method as sent, for example `GET`.
    pub method: String,
    /// Request target as sent: origin, absolute, authority or asterisk form.
    pub target: String,
    /// `0` or `1`: the minor version of HTTP/1.
    pub minor_version: u8,
    /// Status of the final response; 101 for an upgrade; none when no response was seen.
    pub status: Option<u16>,
    /// `Host` of the request.
    pub host: Option<String>,
    /// `User-Agent` of the request.
    pub user_agent: Option<String>,
    /// `traceparent` of the request, as sent.
    pub traceparent: Option<String>,
    /// `tracestate` of the request, as sent; several fields are joined with a comma.
    pub tracestate: Option<String>,
    /// Body bytes of the request, without chunk framing; none when not known.
    pub request_body: Option<u64>,
    /// Body bytes of the response, without chunk framing; none when not known.
    pub response_body: Option<u64>,
}

/// One SQL statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sql {
    /// Database system as the conventions name it, for example `postgresql`.
    pub system: &'static str,
    /// Statement with literals replaced by `?`; none when it was prepared before the agent came.
    pub text: Option<String>,
    /// The statement was prepared before the agent came (or its text was lost), so `text` cannot be known.
    pub text_unknown: bool,
    /// `{operation} {table}…`, see `db.query.summary`.
    pub summary: Option<String>,
    /// `SELECT`, `INSERT`, …
    pub operation: Option<String>,
    /// The table, if the statement names exactly one.
    pub table: Option<String>,
    /// Name of the prepared statement, if it has one.
    pub statement_name: Option<String>,
    /// Database name, if the connection's start was seen.
    pub namespace: Option<String>,
    /// Database user, if the connection's start was seen.
    pub user: Option<String>,
    /// Rows returned or affected, as the server reported them.
    pub rows: Option<u64>,
    /// The error, if the server reported one.
    pub error: Option<SqlError>,
}

/// An error that the database reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlError {
    /// SQLSTATE, five characters.
    pub code: String,
    /// The primary message with literals replaced, never DETAIL or HINT.
    pub message: String,
}
