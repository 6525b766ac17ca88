use std::io::Write as _;

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use proptest::prelude::*;

use super::*;

/// Examples of exports, for all that read them.
pub(crate) mod samples {
    /// A field of bytes.
    pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend(bytes);
        field
    }

    /// A span with the fields that matter, and one of each other type.
    pub(crate) fn span(kind: u8, keys: &[&str]) -> Vec<u8> {
        let mut span = [field(1, &[7; 16]), field(2, &[9; 8]), field(5, b"GET")].concat();
        span.extend([6 << 3, kind]);
        span.extend([7 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]);
        for key in keys {
            let value = field(2, &field(1, b"value"));
            span.extend(field(9, &[field(1, key.as_bytes()), value].concat()));
        }
        // Flags, whose number takes two bytes.
        span.extend([0x85, 0x01, 1, 1, 0, 0]);
        span
    }

    /// An export of spans, after a resource and a scope.
    pub(crate) fn request(spans: &[Vec<u8>]) -> Vec<u8> {
        let mut scope = field(1, &field(1, b"opentelemetry.instrumentation.flask"));
        for span in spans {
            scope.extend(field(2, span));
        }
        let resource = field(1, &field(1, &field(1, b"service.name")));
        field(1, &[resource, field(2, &scope)].concat())
    }
}
use samples::{field, request, span};

fn found(server: bool, client: bool, database: bool) -> Exported {
    Exported {
        spans: true,
        server,
        client,
        database,
    }
}

/// One span of each kind.
fn all() -> Vec<u8> {
    request(&[
        span(2, &["http.request.method", "url.path"]),
        span(3, &["http.method"]),
        span(3, &["net.peer.name", "db.system.name"]),
    ])
}

fn json(kind: u8, key: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"db.x","value":{{"stringValue":"a\"]}}"}}}}]}},
        "scopeSpans":[{{"scope":{{"name":"x"}},"spans":[{{"traceId":"5b8efff798038103d269b633813fc60c",
        "spanId":"eee19b7ec3c1b174","name":"GET, {{x","kind":{kind},"startTimeUnixNano":"1544712660000000000",
        "attributes":[{{"key":"{key}","value":{{"doubleValue":-1.5e3}}}}],
        "events":[{{"name":"e","attributes":[{{"key":"db.y","value":{{"intValue":"1"}}}}]}}],
        "links":[{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}}]}}]}}]}}]}}"#
    )
}

#[test]
fn the_kind_and_the_attributes_say_what_a_span_is() {
    for (kind, keys, expected) in [
        (2, &["http.method"][..], found(true, false, false)),
        (2, &["url.path"], found(true, false, false)),
        (3, &["url.full"], found(false, true, false)),
        (3, &["db.statement"], found(false, false, true)),
        (
            3,
            &["http.request.method", "db.system"],
            found(false, false, true),
        ),
        (2, &["db.system"], found(false, false, false)),
        (2, &["rpc.system"], found(false, false, false)),
        (3, &[], found(false, false, false)),
        (1, &["http.method"], found(false, false, false)),
    ] {
        assert_eq!(
            exported(&request(&[span(kind, keys)])),
            expected,
            "{kind} {keys:?}"
        );
    }
    assert_eq!(exported(&all()), found(true, true, true));
    assert!(exported(&all()).is_all());
}

#[test]
fn what_is_no_span_tells_of_nothing() {
    let short_id = [field(1, &[7; 15]), field(2, &[9; 8]), vec![6 << 3, 2]].concat();
    let broken = [span(2, &["http.method"]), vec![3]].concat();
    for bytes in [
        &b""[..],
        b"\n",
        b"hello",
        b"{",
        b"[]",
        b"\x1f\x8b",
        b"\x78\x9c\x01",
        &[0xff; 64],
        &request(&[]),
        &request(&[short_id]),
        &request(&[broken]),
        &span(2, &["http.method"]),
    ] {
        assert!(exported(bytes).is_nothing(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn json_is_read_as_protobuf_is() {
    assert_eq!(
        exported(json(2, "http.route").as_bytes()),
        found(true, false, false)
    );
    assert_eq!(
        exported(json(3, "url.full").as_bytes()),
        found(false, true, false)
    );
    assert_eq!(
        exported(json(3, "db.system").as_bytes()),
        found(false, false, true)
    );
    assert_eq!(
        exported(json(1, "db.system").as_bytes()),
        found(false, false, false)
    );
    let deep = "[".repeat(100_000);
    assert!(exported(format!("{{\"a\":{deep}").as_bytes()).is_nothing());
}

#[test]
fn compressed_exports_are_read_as_far_as_they_are_there() {
    let mut spans = vec![span(2, &["http.method", "url.path"]); 200];
    for (number, span) in (1_u64..).zip(&mut spans) {
        // Ids as random as they are.
        let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        span[2..10].copy_from_slice(&id.to_le_bytes());
    }
    let request = request(&spans);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&request).unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&request).unwrap();
    for compressed in [gzip.finish().unwrap(), zlib.finish().unwrap()] {
        assert_eq!(exported(&compressed), found(true, false, false));
        let half = &compressed[..compressed.len() / 2];
        assert_eq!(exported(half), found(true, false, false));
    }
}

#[test]
fn what_inflates_without_end_is_cut() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        gzip.write_all(&vec![0; 1 << 20]).unwrap();
    }
    assert_eq!(
        inflate::beginning(&gzip.finish().unwrap()).map(|inflated| inflated.len()),
        Some(256 * 1024)
    );
}

/// The more there is of an export, the more it tells.
#[test]
fn a_prefix_tells_a_part_and_nothing_else() {
    let texts = [
        all(),
        json(2, "http.route").into_bytes(),
        json(3, "db.system").into_bytes(),
    ];
    for whole in texts {
        let mut before = Exported::default();
        for length in 0..=whole.len() {
            let now = exported(&whole[..length]);
            let mut both = before;
            both.add(now);
            assert_eq!(
                both,
                now,
                "{length} bytes tell less than {}",
                length.saturating_sub(1)
            );
            before = now;
        }
        assert_eq!(before, exported(&whole));
    }
}

proptest! {
    #[test]
    fn anything_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..2_000), first in prop::sample::select(&b"\n{\x1f\x78"[..])) {
        exported(&bytes);
        exported(&[&[first], &bytes[..]].concat());
    }
}
