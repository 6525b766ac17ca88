//! Streams as real drivers and a PostgreSQL 15 sent them, with the exchanges in them.
//!
//! A file in `captures/` has one line a call: `>` what the client sent, `<` what the server sent; then `=` for each
//! exchange that is to be found and `~` for what is counted. `UPDATE_EXPECT=1` rewrites the last two.

use std::{fmt::Write as _, fs, path::Path};

use agent_protocols::{
    Exchange, Role,
    session::{Counts, Flow},
};

use crate::play::{Call, context, play, shown, sql, whole};

pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) calls: Vec<Call>,
    recorded: String,
    expected: String,
}

pub(crate) fn all() -> Vec<Capture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres/captures");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| parse(path)).collect()
}

fn parse(path: &Path) -> Capture {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut capture = Capture {
        name,
        calls: Vec::new(),
        recorded: String::new(),
        expected: String::new(),
    };
    for line in fs::read_to_string(path).unwrap().lines() {
        let flow = match line.chars().next() {
            Some('>') => Some(Flow::Request),
            Some('<') => Some(Flow::Response),
            _ => None,
        };
        capture.calls.extend(flow.map(|flow| Call {
            flow,
            bytes: unescape(&line[2..]),
        }));
        let part = if flow.is_some() {
            &mut capture.recorded
        } else {
            &mut capture.expected
        };
        writeln!(part, "{line}").unwrap();
    }
    capture
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match (char, (char == '\\').then(|| rest.next()).flatten()) {
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

fn result((exchanges, counts): &(Vec<Exchange>, Counts)) -> String {
    let mut lines = String::new();
    for exchange in exchanges {
        writeln!(lines, "= {}", shown(exchange)).unwrap();
    }
    writeln!(lines, "~ {counts:?}").unwrap();
    lines
}

#[test]
fn each_gives_what_is_written_in_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres/captures");
    let mut wrong = String::new();
    for capture in all() {
        let found = result(&play(context(Role::Client), &capture.calls, whole));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(folder.join(&capture.name), format!("{}{found}", capture.recorded)).unwrap();
        } else if found != capture.expected {
            write!(
                wrong,
                "{}:\n{found}instead of\n{}",
                capture.name, capture.expected
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_server_sees_the_same_as_the_client() {
    for capture in all() {
        let (client, _) = play(context(Role::Client), &capture.calls, whole);
        let (mut server, _) = play(context(Role::Server), &capture.calls, whole);
        for exchange in &mut server {
            assert_eq!(exchange.role, Role::Server);
            exchange.role = Role::Client;
        }
        assert_eq!(client, server, "{}", capture.name);
    }
}

#[test]
fn each_statement_has_a_place_of_its_own_and_a_response_in_it() {
    for capture in all() {
        let (exchanges, _) = play(context(Role::Client), &capture.calls, whole);
        let length = |flow: Flow| -> u64 {
            capture
                .calls
                .iter()
                .filter(|call| call.flow == flow)
                .map(|call| call.bytes.len() as u64)
                .sum()
        };
        let mut before = (0, 0);
        for exchange in exchanges {
            let response = exchange.response_offset.unwrap_or_else(|| panic!("{exchange:?}"));
            assert!(
                exchange.request_offset > before.0 && response > before.1,
                "{}: {exchange:?}",
                capture.name
            );
            before = (exchange.request_offset, response);
            assert_eq!(sql(&exchange).namespace.as_deref(), Some("shop"));
        }
        assert!(before.0 < length(Flow::Request) && before.1 < length(Flow::Response));
    }
}
