use proptest::prelude::*;

use super::*;
use crate::{
    chunk::{Role, Unit},
    detect::Detection,
    limits::Limits,
    otlp::tests::samples::{request, span},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const DATA: u8 = 0;
const END_STREAM: u8 = 1;

fn context(from_start: bool) -> SessionContext {
    SessionContext {
        role: Role::Client,
        from_start,
        limits: Limits::default(),
        report_noise: false,
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A gRPC message with its prefix.
fn message(bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![0];
    message.extend((bytes.len() as u32).to_be_bytes());
    message.extend(bytes);
    message
}

/// A call with this message, in frames of 20 bytes.
fn call(stream: u32, bytes: &[u8]) -> Vec<u8> {
    let mut call = frame(HEADERS, 4, stream, b"\x83\x86");
    for part in message(bytes).chunks(20) {
        call.extend(frame(DATA, 0, stream, part));
    }
    call.extend(frame(DATA, END_STREAM, stream, b""));
    call
}

fn server_span() -> Vec<u8> {
    request(&[span(2, &["http.method"])])
}

fn client_span() -> Vec<u8> {
    request(&[span(3, &["http.method"])])
}

/// A session, and all that it told.
struct Play {
    session: Http2Session,
    told: Exported,
}

impl Play {
    fn new(from_start: bool) -> Self {
        Self {
            session: Http2Session::new(context(from_start)),
            told: Exported::default(),
        }
    }

    fn feed(&mut self, flow: Flow, content: Content<'_>) -> Result<(), Desync> {
        let moment = Moment {
            began: 1,
            ended: 1,
            unit: Unit::default(),
        };
        let fed = self.session.feed(
            Piece {
                flow,
                offset: 0,
                content,
                moment,
            },
            &mut Vec::new(),
        );
        self.told.add(self.session.take_exported());
        fed
    }

    fn asks(&mut self, bytes: &[u8]) -> Result<(), Desync> {
        self.feed(Flow::Request, Content::Bytes(bytes))
    }

    fn answers(&mut self) {
        assert_eq!(self.feed(Flow::Response, Content::Bytes(b"x")), Ok(()));
    }
}

#[test]
fn exports_of_several_streams_are_found() {
    let mut play = Play::new(true);
    let part = message(&server_span());
    let (first, last) = part.split_at(30);
    let bytes = [
        PREFACE,
        &frame(4, 0, 0, b""),
        &frame(DATA, 0, 1, first),
        &call(3, &client_span()),
        &frame(DATA, END_STREAM | 8, 1, &[&[2][..], last, b"\0\0"].concat()),
    ];
    assert_eq!(play.asks(&bytes.concat()), Ok(()));
    assert!(play.told.server && play.told.client && !play.told.database);
    assert_eq!(play.session.held_bytes(), 0);
}

#[test]
fn a_connection_that_is_older_than_the_agent_is_found_by_its_frames() {
    let detected = |bytes: &[u8]| detect(bytes, context(false));
    let whole = call(77, &server_span());
    for length in 0..whole.len() {
        let expected = match length {
            0..10 => Detection::NeedMore,
            _ => Detection::Yes,
        };
        assert_eq!(detected(&whole[..length]), expected, "{length} bytes");
    }
    assert_eq!(detect(&whole, context(true)), Detection::No);
    for (kind, flags, stream, payload) in [(8, 0, 0, &[0; 4][..]), (6, 1, 0, &[0; 8]), (4, 1, 0, b"")] {
        let bytes = [&frame(kind, flags, stream, payload)[..], &whole].concat();
        assert_eq!(detected(&bytes), Detection::Yes);
    }
    let mut play = Play::new(false);
    assert_eq!(play.asks(&whole), Ok(()));
    assert!(play.told.server);
}

#[test]
fn other_protocols_are_not_taken_for_frames() {
    for bytes in [
        &b"\0\0\0\x52\0\x03\0\0user\0"[..],
        b"\0\0\0\x1b\0\x12\0\x04\0\0\0\x01",
        b"\0\0\x10\x01\0\0\0\0\x01\x83",
        b"\0\0\x10\x01\x05\0\0\0\x01\x40",
        b"GET / HTTP/1.1",
    ] {
        assert_eq!(
            detect(bytes, context(false)),
            Detection::No,
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn after_missing_bytes_the_next_run_is_understood() {
    let mut play = Play::new(false);
    let whole = call(1, &server_span());
    assert_eq!(play.asks(&whole[..40]), Ok(()));
    assert_eq!(play.feed(Flow::Request, Content::Gap(100_000)), Ok(()));
    assert_eq!(play.asks(&[3; 256]), Ok(()));
    play.answers();
    assert_eq!(play.asks(&call(3, &client_span())), Ok(()));
    assert!(play.told.client && !play.told.server);
}

#[test]
fn the_server_may_speak_amid_a_frame_that_is_not_understood() {
    let mut play = Play::new(false);
    assert_eq!(play.asks(&call(1, &server_span())[..40]), Ok(()));
    assert_eq!(play.feed(Flow::Request, Content::Gap(100_000)), Ok(()));
    for _ in 0..20 {
        play.answers();
        // As the header of a frame this would be one of DATA, and long.
        assert_eq!(
            play.asks(&[&[0x7f, 0, 0, 0, 0, 0, 0, 0, 1][..], &[3; 256]].concat()),
            Ok(())
        );
    }
    play.answers();
    assert_eq!(play.asks(&call(3, &client_span())), Ok(()));
    assert!(play.told.client && !play.told.server);
}

#[test]
fn bytes_missing_within_a_frame_are_passed_over() {
    let mut play = Play::new(false);
    let long = frame(DATA, END_STREAM, 1, &message(&[0x22; 500]));
    assert_eq!(play.asks(&long[..100]), Ok(()));
    assert_eq!(
        play.feed(Flow::Request, Content::Gap(long.len() as u64 - 100)),
        Ok(())
    );
    assert_eq!(play.asks(&call(3, &client_span())), Ok(()));
    assert!(play.told.client);
}

#[test]
fn what_an_export_told_before_it_is_cut_counts() {
    let mut play = Play::new(false);
    let spans: Vec<Vec<u8>> = (0..100).map(|_| span(2, &["http.method"])).collect();
    let whole = frame(DATA, END_STREAM, 1, &message(&request(&spans)));
    assert_eq!(play.asks(&whole[..500]), Ok(()));
    assert!(play.told.is_nothing());
    assert_eq!(play.feed(Flow::Request, Content::Gap(whole.len() as u64)), Ok(()));
    assert!(play.told.server);
}

#[test]
fn a_connection_without_exports_is_left_alone() {
    let mut play = Play::new(true);
    assert_eq!(play.asks(PREFACE), Ok(()));
    let calls = (0..100).map(|number| play.asks(&call(2 * number + 1, b"\x0a\x05hello")));
    assert_eq!(calls.take_while(Result::is_ok).count(), 31);
    let mut play = Play::new(true);
    assert_eq!(play.asks(PREFACE), Ok(()));
    assert_eq!(
        play.feed(Flow::Request, Content::Gap(1 << 20)),
        Err(Desync::NothingToLearn)
    );
    let mut play = Play::new(true);
    assert_eq!(
        play.asks(b"PRI * HTTP/2.0\r\n\r\nXX"),
        Err(Desync::NotThisProtocol)
    );
}

#[test]
fn a_connection_that_told_everything_is_left_alone() {
    let mut play = Play::new(false);
    let database = request(&[span(3, &["db.system"])]);
    let calls = [
        call(1, &server_span()),
        call(3, &client_span()),
        call(5, &database),
    ];
    assert_eq!(play.asks(&calls.concat()), Err(Desync::NothingToLearn));
    assert!(play.told.is_all());
}

proptest! {
    #[test]
    fn however_it_is_cut_an_export_tells_the_same(cuts in prop::collection::vec(0_usize..700, 0..40)) {
        let whole = [PREFACE, &frame(4, 0, 0, b""), &call(1, &server_span()), &call(3, &client_span())].concat();
        let mut play = Play::new(true);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).chain([0, whole.len()]).collect();
        cuts.sort_unstable();
        for pair in cuts.windows(2) {
            prop_assert_eq!(play.asks(&whole[pair[0]..pair[1]]), Ok(()));
        }
        prop_assert!(play.told.server && play.told.client && !play.told.database);
        prop_assert_eq!(play.session.held_bytes(), 0);
    }

    #[test]
    fn anything_is_survived(calls in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..80)), 0..60)) {
        let mut play = Play::new(false);
        for (asked, bytes) in &calls {
            let flow = if *asked { Flow::Request } else { Flow::Response };
            if play.feed(flow, Content::Bytes(bytes)).is_err() {
                break;
            }
            prop_assert!(play.session.held_bytes() <= 8 * 64 * 1024);
        }
    }
}
