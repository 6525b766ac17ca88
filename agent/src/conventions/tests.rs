//! What exchanges look like as spans.

use agent_protocols::{
    Role, Unit,
    exchange::{Detail, Ending, Exchange, Http, Sql, SqlError},
};

use super::*;

const V4: &str = "10.0.0.1:8000";
const PEER: &str = "10.0.0.2:40000";

fn exchange(role: Role, ending: Ending, detail: Detail) -> Exchange {
    Exchange {
        role,
        started: 0,
        ended: 1,
        request_unit: Unit::default(),
        response_unit: None,
        request_offset: 0,
        response_offset: None,
        ending,
        detail,
    }
}

fn ends(local: &str, peer: &str) -> Endpoints {
    Endpoints {
        local: local.parse().ok(),
        peer: peer.parse().ok(),
        unix_path: None,
    }
}

fn unix(path: &str) -> Endpoints {
    Endpoints {
        local: None,
        peer: None,
        unix_path: Some(path.to_owned()),
    }
}

fn request(method: &str, target: &str, host: &str) -> Http {
    Http {
        method: method.to_owned(),
        target: target.to_owned(),
        minor_version: 1,
        status: Some(200),
        host: (!host.is_empty()).then(|| host.to_owned()),
        ..Http::default()
    }
}

fn http(role: Role, http: Http, endpoints: &Endpoints) -> Description {
    describe(
        &exchange(role, Ending::Complete, Detail::Http(http)),
        endpoints,
        true,
        None,
    )
}

fn sql(sql: Sql, endpoints: &Endpoints) -> Description {
    let sql = Sql {
        system: "postgresql",
        ..sql
    };
    describe(
        &exchange(Role::Client, Ending::Complete, Detail::Sql(sql)),
        endpoints,
        true,
        None,
    )
}

/// The description as lines, which is how the tests state it.
fn lines(description: &Description) -> Vec<String> {
    let value = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Int(number) => format!("#{number}"),
        Value::Bool(flag) => format!("#{flag}"),
    };
    let first = format!(
        "{} | {:?} | {:?}",
        description.name, description.kind, description.status
    );
    let attributes = description
        .attributes
        .iter()
        .map(|(name, text)| format!("{name}={}", value(text)));
    std::iter::once(first).chain(attributes).collect()
}

fn get<'a>(description: &'a Description, name: &str) -> Option<&'a Value> {
    description
        .attributes
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn text(description: &Description, name: &str) -> Option<String> {
    match get(description, name)? {
        Value::String(text) => Some(text.clone()),
        other => panic!("{name} is {other:?}"),
    }
}

fn number(description: &Description, name: &str) -> Option<i64> {
    match get(description, name)? {
        Value::Int(number) => Some(*number),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn a_request_to_a_server() {
    let request = Http {
        user_agent: Some("curl/8".to_owned()),
        request_body: Some(0),
        response_body: Some(17),
        ..request("GET", "/users?id=7", "shop.example:8000")
    };
    assert_eq!(
        lines(&http(Role::Server, request, &ends(V4, PEER))),
        [
            "GET | Server | Unset",
            "http.request.method=GET",
            "url.path=/users",
            "url.query=id=REDACTED",
            "url.scheme=http",
            "http.response.status_code=#200",
            "server.address=shop.example",
            "server.port=#8000",
            "client.address=10.0.0.2",
            "network.peer.address=10.0.0.2",
            "network.peer.port=#40000",
            "network.protocol.version=1.1",
            "user_agent.original=curl/8",
            "http.request.body.size=#0",
            "http.response.body.size=#17",
        ]
    );
}

#[test]
fn a_request_of_a_client() {
    let request = Http {
        minor_version: 0,
        ..request("POST", "/users?id=7", "shop.example")
    };
    assert_eq!(
        lines(&http(Role::Client, request, &ends(PEER, V4))),
        [
            "POST | Client | Unset",
            "http.request.method=POST",
            "url.full=http://shop.example/users?id=REDACTED",
            "url.path=/users",
            "url.scheme=http",
            "http.response.status_code=#200",
            "server.address=shop.example",
            "server.port=#80",
            "network.peer.address=10.0.0.1",
            "network.peer.port=#8000",
            "network.protocol.version=1.0",
        ]
    );
}

#[test]
fn urls_of_clients() {
    for (method, target, host, expected) in [
        ("GET", "/a?b=1&c", "h:81", "http://h:81/a?b=REDACTED&c"),
        ("GET", "/a", "[::1]:81", "http://[::1]:81/a"),
        ("GET", "/a", "", "http://10.0.0.1:8000/a"),
        (
            "GET",
            "http://me:pw@proxied:82/a",
            "h",
            "http://REDACTED:REDACTED@proxied:82/a",
        ),
        ("GET", "HTTPS://proxied", "h", "https://proxied/"),
        ("OPTIONS", "*", "h", "http://h"),
        ("CONNECT", "far:443", "far:443", "//far:443"),
    ] {
        let description = http(Role::Client, request(method, target, host), &ends(PEER, V4));
        assert_eq!(
            text(&description, "url.full").as_deref(),
            Some(expected),
            "{method} {target}"
        );
    }
}

#[test]
fn query_values_are_kept_when_wanted() {
    let detail = || Detail::Http(request("GET", "/a?b=1", "h"));
    let server = describe(
        &exchange(Role::Server, Ending::Complete, detail()),
        &ends(V4, PEER),
        false,
        None,
    );
    assert_eq!(text(&server, "url.query").as_deref(), Some("b=1"));
    let client = describe(
        &exchange(Role::Client, Ending::Complete, detail()),
        &ends(PEER, V4),
        false,
        None,
    );
    assert_eq!(text(&client, "url.full").as_deref(), Some("http://h/a?b=1"));
}

#[test]
fn the_name_of_the_server() {
    let v6 = ends("[2001:db8::1]:8000", "[2001:db8::2]:40000");
    for (role, target, host, endpoints, address, port) in [
        (Role::Server, "/", "h", ends(V4, PEER), "h", Some(80)),
        (Role::Server, "/", "[::1]:8000", ends(V4, PEER), "::1", Some(8000)),
        (Role::Server, "/", "", ends(V4, PEER), "10.0.0.1", Some(8000)),
        (Role::Server, "/", "", v6.clone(), "2001:db8::1", Some(8000)),
        (Role::Client, "/", "", v6, "2001:db8::2", Some(40000)),
        (Role::Client, "http://x:1/", "h", ends(PEER, V4), "x", Some(1)),
        (Role::Client, "https://x/", "h", ends(PEER, V4), "x", Some(443)),
        (
            Role::Server,
            "/",
            "localhost",
            unix("/run/app.sock"),
            "localhost",
            None,
        ),
        (
            Role::Server,
            "/",
            "",
            unix("/run/app.sock"),
            "/run/app.sock",
            None,
        ),
    ] {
        let description = http(role, request("GET", target, host), &endpoints);
        assert_eq!(
            text(&description, "server.address").as_deref(),
            Some(address),
            "{target} {host}"
        );
        assert_eq!(number(&description, "server.port"), port, "{target} {host}");
    }
}

#[test]
fn unix_sockets_have_a_name_at_one_end_only() {
    let server = http(Role::Server, request("GET", "/", "h"), &unix("/run/app.sock"));
    assert_eq!(text(&server, "network.transport").as_deref(), Some("unix"));
    assert_eq!(text(&server, "network.peer.address"), None);
    assert_eq!(text(&server, "client.address"), None);
    let client = http(Role::Client, request("GET", "/", "h"), &unix("/run/app.sock"));
    assert_eq!(
        text(&client, "network.peer.address").as_deref(),
        Some("/run/app.sock")
    );
}

#[test]
fn unknown_methods_do_not_become_names() {
    for method in ["PURGE", "get"] {
        let description = http(Role::Server, request(method, "/", "h"), &ends(V4, PEER));
        assert_eq!(description.name, "HTTP");
        assert_eq!(
            text(&description, "http.request.method").as_deref(),
            Some("_OTHER")
        );
        assert_eq!(
            text(&description, "http.request.method_original").as_deref(),
            Some(method)
        );
    }
}

#[test]
fn http_errors_depend_on_the_side() {
    use Ending::{ClosedByPeer, ClosedHere, Complete, Unseen};
    for (role, status, ending, expected) in [
        (Role::Server, Some(200), Complete, None),
        (Role::Server, Some(404), Complete, None),
        (Role::Server, Some(499), Complete, None),
        (Role::Server, Some(500), Complete, Some("500")),
        (Role::Client, Some(399), Complete, None),
        (Role::Client, Some(400), Complete, Some("400")),
        (Role::Client, Some(503), Complete, Some("503")),
        (
            Role::Server,
            None,
            ClosedByPeer,
            Some("connection_closed_by_peer"),
        ),
        (Role::Server, None, ClosedHere, Some("connection_closed")),
        (
            Role::Client,
            None,
            ClosedByPeer,
            Some("connection_closed_by_peer"),
        ),
        (
            Role::Client,
            Some(200),
            ClosedByPeer,
            Some("connection_closed_by_peer"),
        ),
        (Role::Client, Some(502), ClosedByPeer, Some("502")),
        (Role::Client, None, Unseen, None),
        (Role::Client, Some(101), Unseen, None),
    ] {
        let detail = Detail::Http(Http {
            status,
            ..request("GET", "/", "h")
        });
        let description = describe(&exchange(role, ending, detail), &Endpoints::default(), true, None);
        let case = format!("{role:?} {status:?} {ending:?}");
        assert_eq!(text(&description, "error.type").as_deref(), expected, "{case}");
        let status = if expected.is_some() {
            Status::Error(String::new())
        } else {
            Status::Unset
        };
        assert_eq!(description.status, status, "{case}");
    }
}

#[test]
fn a_statement() {
    let select = Sql {
        text: Some("SELECT * FROM users WHERE id = ?".to_owned()),
        summary: Some("SELECT users".to_owned()),
        operation: Some("SELECT".to_owned()),
        table: Some("users".to_owned()),
        namespace: Some("shop".to_owned()),
        user: Some("app".to_owned()),
        rows: Some(3),
        ..Sql::default()
    };
    assert_eq!(
        lines(&sql(select, &ends(PEER, "10.0.0.9:5432"))),
        [
            "SELECT users | Client | Unset",
            "db.system.name=postgresql",
            "db.namespace=shop",
            "db.query.summary=SELECT users",
            "db.operation.name=SELECT",
            "db.collection.name=users",
            "db.query.text=SELECT * FROM users WHERE id = ?",
            "db.response.returned_rows=#3",
            "server.address=10.0.0.9",
            "server.port=#5432",
            "network.peer.address=10.0.0.9",
            "network.peer.port=#5432",
        ]
    );
}

#[test]
fn a_statement_that_fails() {
    let error = SqlError {
        code: "23505".to_owned(),
        message: "duplicate key".to_owned(),
    };
    let insert = Sql {
        operation: Some("INSERT".to_owned()),
        error: Some(error),
        ..Sql::default()
    };
    assert_eq!(
        lines(&sql(insert, &unix("/run/postgresql/.s.PGSQL.5432"))),
        [
            "INSERT | Client | Error(\"duplicate key\")",
            "db.system.name=postgresql",
            "db.operation.name=INSERT",
            "db.response.status_code=23505",
            "server.address=/run/postgresql/.s.PGSQL.5432",
            "network.peer.address=/run/postgresql/.s.PGSQL.5432",
            "network.transport=unix",
            "error.type=23505",
        ]
    );
}

#[test]
fn names_of_statements() {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    for (summary, operation, table, namespace, peer, expected) in [
        ("SELECT a b", "SELECT", "", "db", V4, "SELECT a b"),
        ("", "SELECT", "a", "db", V4, "SELECT a"),
        ("", "SELECT", "", "db", V4, "SELECT"),
        ("", "", "a", "db", V4, "a"),
        ("", "", "", "db", V4, "db"),
        ("", "", "", "", V4, V4),
        ("", "", "", "", "[::1]:5432", "[::1]:5432"),
        ("", "", "", "", "", "postgresql"),
    ] {
        let statement = Sql {
            summary: some(summary),
            operation: some(operation),
            table: some(table),
            namespace: some(namespace),
            ..Sql::default()
        };
        assert_eq!(sql(statement, &ends("", peer)).name, expected);
    }
}

#[test]
fn only_reading_statements_return_rows() {
    for (operation, expected) in [
        (Some("SELECT"), Some(5)),
        (Some("select"), Some(5)),
        (Some("FETCH"), Some(5)),
        (Some("INSERT"), None),
        (Some("UPDATE"), None),
        (None, None),
    ] {
        let statement = Sql {
            operation: operation.map(str::to_owned),
            rows: Some(5),
            ..Sql::default()
        };
        let description = sql(statement, &Endpoints::default());
        assert_eq!(
            number(&description, "db.response.returned_rows"),
            expected,
            "{operation:?}"
        );
    }
}

#[test]
fn an_unknown_text_is_marked() {
    let description = sql(
        Sql {
            text_unknown: true,
            ..Sql::default()
        },
        &Endpoints::default(),
    );
    assert_eq!(
        get(&description, "sidelight.db.query.text.unknown"),
        Some(&Value::Bool(true))
    );
    assert_eq!(get(&description, "db.query.text"), None);
    let known = sql(Sql::default(), &Endpoints::default());
    assert_eq!(get(&known, "sidelight.db.query.text.unknown"), None);
}

#[test]
fn a_statement_without_an_answer() {
    let detail = || {
        Detail::Sql(Sql {
            system: "postgresql",
            ..Sql::default()
        })
    };
    let description = describe(
        &exchange(Role::Client, Ending::ClosedByPeer, detail()),
        &Endpoints::default(),
        true,
        None,
    );
    assert_eq!(
        text(&description, "error.type").as_deref(),
        Some("connection_closed_by_peer")
    );
    assert_eq!(description.status, Status::Error(String::new()));
}

#[test]
fn a_route_is_in_the_name_and_an_attribute() {
    let http = Http {
        method: "GET".to_owned(),
        target: "/users/7?x=1".to_owned(),
        status: Some(200),
        ..Http::default()
    };
    let served = exchange(Role::Server, Ending::Complete, Detail::Http(http));
    let described = describe(&served, &Endpoints::default(), true, Some("/users/{id}"));
    assert_eq!(described.name, "GET /users/{id}");
    assert_eq!(text(&described, "http.route").as_deref(), Some("/users/{id}"));
    assert_eq!(text(&described, "url.path").as_deref(), Some("/users/7"));
    let described = describe(&served, &Endpoints::default(), true, None);
    assert_eq!(described.name, "GET");
    assert_eq!(text(&described, "http.route"), None);
}
