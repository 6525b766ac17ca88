//! HTTP, by <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>.

use agent_protocols::{
    Role,
    exchange::{Exchange, Http},
};

use crate::span::Value;

use super::{
    Attributes, Description, Endpoints,
    address::Address,
    cut_off, kind, status,
    url::{Target, without_credentials},
};

/// The methods of RFC 9110 and RFC 5789; names are case-sensitive.
const KNOWN_METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE",
];

pub(super) fn describe(
    http: &Http,
    exchange: &Exchange,
    endpoints: &Endpoints,
    redact_query: bool,
    route: Option<&str>,
) -> Description {
    let call = Call {
        http,
        target: Target::parse(&http.method, &http.target),
        role: exchange.role,
        endpoints,
        redact_query,
    };
    let method = known_method(&http.method);
    let error = error_type(http, exchange);
    let mut attributes = Attributes::new();
    attributes.set("http.request.method", method.unwrap_or("_OTHER"));
    if method.is_none() {
        attributes.set("http.request.method_original", http.method.as_str());
    }
    call.describe_url(&mut attributes);
    attributes.set_known("http.route", route);
    attributes.set_known("http.response.status_code", http.status);
    call.describe_ends(&mut attributes);
    attributes.set_known("error.type", error.as_deref());
    attributes.set_known("http.request.body.size", size(http.request_body));
    attributes.set_known("http.response.body.size", size(http.response_body));
    Description {
        name: name(method.unwrap_or("HTTP"), route),
        kind: kind(exchange.role),
        // The conventions want no message where the status code says it all.
        status: status(error.as_deref(), None),
        attributes: attributes.0,
    }
}

pub(super) fn describe_active(http: &Http, endpoints: &Endpoints) -> Vec<(&'static str, Value)> {
    let call = Call {
        http,
        target: Target::parse(&http.method, &http.target),
        role: Role::Server,
        endpoints,
        redact_query: true,
    };
    let mut attributes = Attributes::new();
    attributes.set(
        "http.request.method",
        known_method(&http.method).unwrap_or("_OTHER"),
    );
    attributes.set("url.scheme", scheme(&call.target));
    call.describe_server(&mut attributes);
    attributes.0
}

/// An exchange as its attributes need it.
struct Call<'a> {
    http: &'a Http,
    target: Target<'a>,
    role: Role,
    endpoints: &'a Endpoints,
    redact_query: bool,
}

impl Call<'_> {
    /// `url.*`: the whole URL where the watched process is the client, its parts where it is the server.
    fn describe_url(&self, attributes: &mut Attributes) {
        let scheme = scheme(&self.target);
        let query = self.target.query(self.redact_query);
        if self.role == Role::Client {
            attributes.set("url.full", self.full_url(&scheme, query.as_deref()));
        }
        attributes.set_known("url.path", Some(self.target.path).filter(|path| !path.is_empty()));
        if self.role != Role::Client {
            attributes.set_known("url.query", query);
        }
        attributes.set("url.scheme", scheme);
    }

    fn full_url(&self, scheme: &str, query: Option<&str>) -> String {
        let authority = match self.authority() {
            Some(authority) => without_credentials(authority),
            None => self
                .endpoints
                .peer
                .map(|peer| peer.to_string())
                .unwrap_or_default(),
        };
        if self.http.method == "CONNECT" {
            return format!("//{authority}");
        }
        // `*` stands for the server as a whole, whose URL has no path.
        let path = if self.target.path == "*" {
            ""
        } else {
            self.target.path
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{scheme}://{authority}{path}{query}")
    }

    /// `server.*`, `client.*`, `network.*` and the user agent.
    fn describe_ends(&self, attributes: &mut Attributes) {
        self.describe_server(attributes);
        if self.role == Role::Server && self.endpoints.unix_path.is_none() {
            let client = self.endpoints.peer.map(Address::from);
            attributes.set_known("client.address", client.map(|client| client.host));
        }
        self.endpoints.describe_network(self.role, attributes);
        attributes.set(
            "network.protocol.version",
            format!("1.{}", self.http.minor_version),
        );
        attributes.set_known("user_agent.original", self.http.user_agent.as_deref());
    }

    fn describe_server(&self, attributes: &mut Attributes) {
        if let Some(server) = self.server() {
            attributes.set("server.address", server.host);
            attributes.set_known("server.port", server.port);
        }
    }

    /// The server by the name under which it was asked for, else by its address.
    fn server(&self) -> Option<Address> {
        let Some(mut server) = self.authority().and_then(Address::parse) else {
            return self.endpoints.server(self.role);
        };
        if server.port.is_none() && self.endpoints.unix_path.is_none() {
            let secure = self
                .target
                .scheme
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
            server.port = Some(if secure { 443 } else { 80 });
        }
        Some(server)
    }

    fn authority(&self) -> Option<&str> {
        self.target.authority.or(self.http.host.as_deref())
    }
}

fn scheme(target: &Target<'_>) -> String {
    target.scheme.unwrap_or("http").to_ascii_lowercase()
}

fn known_method(method: &str) -> Option<&str> {
    KNOWN_METHODS.contains(&method).then_some(method)
}

/// `{method} {route}`, or `{method}` where the route is not known; the path is never part of a name.
fn name(method: &str, route: Option<&str>) -> String {
    match route {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    }
}

fn size(bytes: Option<u64>) -> Option<i64> {
    bytes.and_then(|bytes| i64::try_from(bytes).ok())
}

/// A server fails from 500 up, a client from 400 up; both fail when the response was cut off.
fn error_type(http: &Http, exchange: &Exchange) -> Option<String> {
    let least = if exchange.role == Role::Client { 400 } else { 500 };
    match http.status {
        Some(status) if status >= least => Some(status.to_string()),
        Some(_) | None => cut_off(exchange.ending).map(str::to_owned),
    }
}
