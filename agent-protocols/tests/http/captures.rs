//! Streams as real clients and servers sent them, with the exchanges in them.
//!
//! A file in `captures/` has one line a call: `>` what the client sent, `<` what the server sent, `!` who closed, and
//! `=` for each exchange that is to be found.

use std::{fs, path::Path};

use agent_protocols::{Exchange, Role, session::Flow};

use crate::calls::{Call, http, play};

pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) calls: Vec<Call>,
    expected: Vec<String>,
}

pub(crate) fn all() -> Vec<Capture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/captures");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| parse(path)).collect()
}

fn parse(path: &Path) -> Capture {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut capture = Capture {
        name,
        calls: Vec::new(),
        expected: Vec::new(),
    };
    for line in fs::read_to_string(path).unwrap().lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("#", _) => {}
            (">", bytes) => capture.calls.push(Call::Bytes(Flow::Request, unescape(bytes))),
            ("<", bytes) => capture.calls.push(Call::Bytes(Flow::Response, unescape(bytes))),
            ("!", "client closes") => capture.calls.push(Call::Close(Flow::Request)),
            ("!", "server closes") => capture.calls.push(Call::Close(Flow::Response)),
            ("=", exchange) => capture.expected.push(exchange.to_owned()),
            _ => panic!("{}: what is {line:?}?", path.display()),
        }
    }
    capture
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match (char, (char == '\\').then(|| rest.next()).flatten()) {
            (_, Some('r')) => bytes.push(b'\r'),
            (_, Some('n')) => bytes.push(b'\n'),
            (_, Some('\\')) => bytes.push(b'\\'),
            (_, Some('x')) => {
                let digits: String = rest.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            (char, None) if char.is_ascii() => bytes.push(char as u8),
            other => panic!("{other:?} in {text:?}"),
        }
    }
    bytes
}

fn shown(exchange: &Exchange) -> String {
    let http = http(exchange);
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    format!(
        "{} {} {} {:?}, request at {} with {}, response at {} with {}",
        http.method,
        http.target,
        number(http.status.map(u64::from)),
        exchange.ending,
        exchange.request_offset,
        number(http.request_body),
        number(exchange.response_offset),
        number(http.response_body),
    )
}

#[test]
fn give_the_exchanges_they_hold() {
    for capture in all() {
        assert!(!capture.expected.is_empty(), "{} expects nothing", capture.name);
        for role in [Role::Client, Role::Server, Role::Unknown] {
            let found: Vec<_> = play(&capture.calls, role).iter().map(shown).collect();
            assert_eq!(found, capture.expected, "{} as {role:?}", capture.name);
        }
    }
}

#[test]
fn times_are_those_of_the_first_and_the_last_byte() {
    let captures = all();
    let streamed = captures
        .iter()
        .find(|capture| capture.name == "curl-gunicorn-chunked-in-five-writes")
        .unwrap();
    let times: Vec<_> = play(&streamed.calls, Role::Server)
        .iter()
        .map(|exchange| (exchange.started, exchange.ended))
        .collect();
    assert_eq!(times, [(1_000, 6_000), (7_000, 8_000), (9_000, 10_000)]);
}
