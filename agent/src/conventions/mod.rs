//! What an exchange is called and which attributes it has, by the OpenTelemetry semantic conventions.
//!
//! Values of `error.type`: the status code of HTTP, the SQLSTATE of PostgreSQL, `connection_closed` when the watched
//! process ended the connection before the response was complete, `connection_closed_by_peer` when the other side did.

mod address;
mod http;
mod sql;
#[cfg(test)]
mod tests;
mod url;

use std::net::SocketAddr;

use agent_protocols::{
    Detail, Exchange, Role,
    exchange::{Ending, Http},
};

use crate::span::{SpanKind, Status, Value};

use self::address::Address;

/// Both ends of a connection, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Address of the watched process.
    pub local: Option<SocketAddr>,
    /// Address of the other side.
    pub peer: Option<SocketAddr>,
    /// Path (or `@name`) of the server's socket, for a UNIX socket.
    pub unix_path: Option<String>,
}

/// What the conventions say of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Name of the span.
    pub name: String,
    /// Server, client, or internal where it is not known which side the watched process is.
    pub kind: SpanKind,
    /// How it went.
    pub status: Status,
    /// Attributes in the order in which they are shown.
    pub attributes: Vec<(&'static str, Value)>,
}

/// Describes an exchange. `redact_query` replaces the values (not the names) in query strings; `route` is that of a request
/// that was served.
pub fn describe(
    exchange: &Exchange,
    endpoints: &Endpoints,
    redact_query: bool,
    route: Option<&str>,
) -> Description {
    match &exchange.detail {
        Detail::Http(http) => http::describe(http, exchange, endpoints, redact_query, route),
        Detail::Sql(sql) => sql::describe(sql, exchange, endpoints),
    }
}

/// What metrics may say of a request that is still being served, by
/// <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserveractive_requests>.
pub fn describe_active(http: &Http, endpoints: &Endpoints) -> Vec<(&'static str, Value)> {
    http::describe_active(http, endpoints)
}

/// The path of a request as it was sent, without its query; empty where it has none, `*` for the server as a whole.
pub fn path_of<'h>(method: &str, target: &'h str) -> &'h str {
    url::Target::parse(method, target).path
}

impl Endpoints {
    /// The server's end: the other side for a client, our own for a server.
    fn server(&self, role: Role) -> Option<Address> {
        let socket = match role {
            Role::Client => self.peer,
            Role::Server | Role::Unknown => self.local,
        };
        match &self.unix_path {
            Some(path) => Some(Address {
                host: path.clone(),
                port: None,
            }),
            None => socket.map(Address::from),
        }
    }

    /// `network.*`: the other side as the kernel sees it. The client's end of a UNIX socket has no name.
    fn describe_network(&self, role: Role, attributes: &mut Attributes) {
        if let Some(path) = &self.unix_path {
            attributes.set_known(
                "network.peer.address",
                (role == Role::Client).then_some(path.as_str()),
            );
            attributes.set("network.transport", "unix");
        } else if let Some(peer) = self.peer.map(Address::from) {
            attributes.set("network.peer.address", peer.host);
            attributes.set_known("network.peer.port", peer.port);
        }
    }
}

/// Attributes while they are put together.
struct Attributes(Vec<(&'static str, Value)>);

impl Attributes {
    fn new() -> Self {
        // Room for all that an HTTP server span has.
        Self(Vec::with_capacity(16))
    }

    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push((name, value.into()));
    }

    fn set_known(&mut self, name: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }
}

/// A failure where there is one; the message says what attributes do not.
fn status(error_type: Option<&str>, message: Option<&str>) -> Status {
    match error_type {
        Some(_) => Status::Error(message.unwrap_or_default().to_owned()),
        None => Status::Unset,
    }
}

fn kind(role: Role) -> SpanKind {
    match role {
        Role::Client => SpanKind::Client,
        Role::Server => SpanKind::Server,
        Role::Unknown => SpanKind::Internal,
    }
}

/// `error.type` of an exchange that was cut off.
fn cut_off(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::ClosedHere => Some("connection_closed"),
        Ending::ClosedByPeer => Some("connection_closed_by_peer"),
        // The end was not seen: nothing is claimed about it.
        Ending::Complete | Ending::Unseen => None,
    }
}
