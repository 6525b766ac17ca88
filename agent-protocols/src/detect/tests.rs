use super::*;
use crate::{chunk::Role, limits::Limits};

fn context() -> SessionContext {
    SessionContext {
        role: Role::Server,
        from_start: true,
        limits: Limits::default(),
        report_noise: false,
    }
}

fn name(bytes: &[u8]) -> &'static str {
    match find(bytes, context()) {
        Finding::Protocol(protocol) => protocol.name,
        Finding::Tls => "tls",
        Finding::NeedMore => "more",
        Finding::Unknown => "unknown",
    }
}

/// On every prefix: undecided up to the decisive one, the same from there on.
fn decides(bytes: &[u8], decisive: usize, expected: &str) {
    for length in 0..=bytes.len() {
        let expected = if length < decisive { "more" } else { expected };
        let prefix = &bytes[..length];
        assert_eq!(name(prefix), expected, "{}", prefix.escape_ascii());
    }
}

#[test]
fn http_from_the_first_byte_of_its_target() {
    decides(b"GET /users HTTP/1.1\r\n", 5, "http");
    decides(b"OPTIONS * HTTP/1.1\r\n", 9, "http");
    decides(b"GET http://a/ HTTP/1.1\r\n", 8, "http");
    decides(b"GET HTTP://a/ HTTP/1.1\r\n", 8, "http");
    decides(b"CONNECT db.example:5432 HTTP/1.1\r\n", 9, "http");
    decides(b"CONNECT [::1]:80 HTTP/1.1\r\n", 9, "http");
    decides(b"\r\nPATCH / HTTP/1.1\r\n", 9, "http");
    decides(b"UPDATEREDIRECTREF / HTTP/1.1\r\n", 19, "http");
    decides(b"M-SEARCH * HTTP/1.1\r\n", 10, "http");
    decides(b"PROPFIND / HTTP/1.1\r\n", 10, "http");
}

#[test]
fn a_method_that_may_have_lost_its_first_byte_is_none() {
    let found = |bytes: &[u8]| {
        http::detect(
            bytes,
            SessionContext {
                from_start: false,
                ..context()
            },
        )
    };
    assert_eq!(found(b"OST / HTTP/1.1"), Detection::No);
    for length in 1..7 {
        assert_eq!(found(&b"DELETE /"[..length]), Detection::NeedMore);
    }
    assert_eq!(found(b"DELETE /"), Detection::Yes);
    assert_eq!(found(b"\r\nGET /"), Detection::No);
}

#[test]
fn http2_and_tls() {
    decides(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 12, "http2");
    decides(b"PRI * HTTP/1.1\r\n\r\n", 12, "http");
    decides(b"\x16\x03\x01\x02\x00\x01\x00", 2, "tls");
    decides(b"\x17\x03\x03\x00\x20", 2, "tls");
}

#[test]
fn what_is_nothing_that_is_known() {
    decides(b"HTTP/1.1 200 OK\r\n", 5, "unknown");
    decides(b"get key\r\n", 1, "unknown");
    decides(b"*1\r\n$4\r\nPING\r\n", 1, "unknown");
    decides(b"SSH-2.0-OpenSSH_9.2\r\n", 5, "unknown");
    decides(b"EHLO example.org\r\n", 6, "unknown");
    decides(b"GET key\r\n", 5, "unknown");
    decides(b"CONNECT \r\n", 9, "unknown");
    decides(b"GET httX", 8, "unknown");
    decides(&[b'A'; 40], 25, "unknown");
    decides(&[b'\r'; 40], 16, "unknown");
}

#[test]
fn every_first_byte_and_every_length_is_decided_in_time() {
    for first in 0..=u8::MAX {
        for filler in [0, b' ', b'/', b'A', b'\n', 0xff] {
            let mut bytes = [filler; LONGEST_PREFIX];
            bytes[0] = first;
            assert_ne!(name(&bytes), "more", "{}", bytes.escape_ascii());
        }
    }
}
