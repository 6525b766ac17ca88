use proptest::prelude::*;

use super::script::*;
use crate::{
    detect::Detection,
    postgres::{PostgresSession, detect},
    session::{Content, Desync, Flow, Piece, Session},
};

#[test]
fn every_prefix_of_a_beginning_is_waited_for_or_recognised() {
    let magic = |code: u32| [8_u32.to_be_bytes(), code.to_be_bytes()].concat();
    let starts = [
        startup(&["user", "ann"]),
        magic(80_877_103),
        magic(80_877_104),
        [16_u32.to_be_bytes(), 80_877_102_u32.to_be_bytes(), [0; 4], [1; 4]].concat(),
    ];
    let runs = [
        query("SELECT 1"),
        query(";"),
        query("-- ping"),
        parse("", "SELECT 1"),
        parse("stmtcache_0123456789", "SELECT 1"),
        bind("", "s"),
        join(&[describe('S', "s"), sync()]),
        join(&[execute(""), sync()]),
        sync(),
        plain('X'),
    ];
    for (bytes, from_start) in starts
        .iter()
        .map(|start| (start, true))
        .chain(runs.iter().map(|run| (run, false)))
    {
        assert_eq!(detect(bytes, context(from_start)), Detection::Yes, "{bytes:?}");
        let mut decided = false;
        for end in 0..bytes.len() {
            let found = detect(&bytes[..end], context(from_start));
            assert_ne!(found, Detection::No, "{:?}", &bytes[..end]);
            assert!(!decided || found == Detection::Yes, "{:?}", &bytes[..end]);
            decided |= found == Detection::Yes;
        }
    }
}

#[test]
fn other_protocols_are_refused_at_once() {
    for bytes in [
        b"GET / HTTP/1.1\r\n".as_slice(),
        b"POST / HTTP/1.1\r\n",
        b"PUT /",
        b"PATCH /",
        b"PRI * HTTP/2.0\r\n",
        b"DELETE /",
        b"HEAD /",
        b"CONNECT x:1",
        b"EHLO mail",
        b"QUIT\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\x16\x03\x01\x02\0\x01\0",
        b"\x10\0\0\0\x01\x85\xa6\x03",
        &[b'Q', 0, 0, 0, 9, 1, 2, 3, 4],
        &[0, 0, 0, 9, 0, 0, 0, 0],
    ] {
        for from_start in [true, false] {
            for end in [2, bytes.len()] {
                let found = detect(&bytes[..end], context(from_start));
                assert!(
                    found != Detection::Yes && (end == 2 || found == Detection::No),
                    "{bytes:?} to {end}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn a_decision_stays_and_comes_within_64_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        kind in proptest::sample::select(b"QPBDECSHXF\0".to_vec()),
        from_start: bool,
    ) {
        for bytes in [bytes.clone(), [&[kind, 0, 0, 0][..], &bytes].concat()] {
            let mut before = Detection::NeedMore;
            for end in 0..=bytes.len() {
                let found = detect(&bytes[..end], context(from_start));
                prop_assert!(before == Detection::NeedMore || before == found);
                prop_assert!(end < 64 || found != Detection::NeedMore);
                before = found;
            }
        }
    }
}

#[test]
fn what_follows_a_short_message_does_not_count() {
    for end in 6..9 {
        assert_eq!(
            detect(&b"Q\0\0\0\x05 \x01\x02\x03"[..end], context(false)),
            Detection::Yes
        );
    }
}

#[test]
fn a_stream_that_turns_out_to_be_something_else_is_given_up() {
    let mut session = PostgresSession::new(context(true));
    let piece = |content| Piece {
        flow: Flow::Request,
        offset: 0,
        content,
        moment: moment(1),
    };
    let given_up = session.feed(piece(Content::Bytes(b"GET / HTTP/1.1\r\n\r\n")), &mut Vec::new());
    assert_eq!(given_up, Err(Desync::NotThisProtocol));

    let mut script = Script::ready();
    let mut result = Ok(());
    for _ in 0..20 {
        result = result
            .and_then(|()| script.feed(Flow::Request, Content::Bytes(&query("SELECT 1"))))
            .and_then(|()| script.feed(Flow::Response, Content::Bytes(b"HTTP/1.1 200 OK\r\n\r\n")));
    }
    assert_eq!(result, Err(Desync::NotThisProtocol));
}
