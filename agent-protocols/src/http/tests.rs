//! One case of the protocol each, straight into the session.

use super::*;
use crate::{
    chunk::Unit,
    exchange::{Detail, Http},
    otlp::tests::samples::{request, span},
};

struct Wire {
    session: HttpSession,
    out: Vec<Exchange>,
    now: u64,
    offsets: [u64; 2],
    result: Result<(), Desync>,
}

impl Wire {
    fn new(role: Role) -> Self {
        let context = SessionContext {
            role,
            from_start: true,
            limits: Limits::default(),
            report_noise: false,
        };
        Self {
            session: HttpSession::new(context),
            out: Vec::new(),
            now: 0,
            offsets: [0; 2],
            result: Ok(()),
        }
    }

    fn server() -> Self {
        Self::new(Role::Server)
    }

    fn client() -> Self {
        Self::new(Role::Client)
    }

    fn feed(&mut self, flow: Flow, content: Content<'_>, length: u64) -> &mut Self {
        assert_eq!(self.result, Ok(()), "fed after its end");
        self.now += 10;
        let offset = &mut self.offsets[flow as usize];
        let moment = Moment {
            began: self.now,
            ended: self.now,
            unit: Unit {
                pid: 1,
                tid: self.now as u32,
                blocking: false,
                ..Unit::default()
            },
        };
        self.result = self.session.feed(
            Piece {
                flow,
                offset: *offset,
                content,
                moment,
            },
            &mut self.out,
        );
        *offset += length;
        self
    }

    fn ask(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.feed(
            Flow::Request,
            Content::Bytes(bytes.as_ref()),
            bytes.as_ref().len() as u64,
        )
    }

    fn answer(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.feed(
            Flow::Response,
            Content::Bytes(bytes.as_ref()),
            bytes.as_ref().len() as u64,
        )
    }

    fn ask_gap(&mut self, count: u64) -> &mut Self {
        self.feed(Flow::Request, Content::Gap(count), count)
    }

    fn answer_gap(&mut self, count: u64) -> &mut Self {
        self.feed(Flow::Response, Content::Gap(count), count)
    }

    fn close(&mut self, closing: Closing) -> &mut Self {
        self.now += 10;
        let moment = Moment {
            began: self.now,
            ended: self.now,
            unit: Unit::default(),
        };
        self.session.close(closing, moment, &mut self.out);
        self
    }

    fn found(&self) -> Vec<String> {
        self.out
            .iter()
            .map(|exchange| {
                let http = http(exchange);
                let status = http.status.map_or("-".to_owned(), |status| status.to_string());
                format!("{} {} {status} {:?}", http.method, http.target, exchange.ending)
            })
            .collect()
    }

    fn http(&self, index: usize) -> &Http {
        http(&self.out[index])
    }

    /// The sizes of the bodies of exchange `index`.
    fn bodies(&self, index: usize) -> (Option<u64>, Option<u64>) {
        let http = self.http(index);
        (http.request_body, http.response_body)
    }
}

fn http(exchange: &Exchange) -> &Http {
    match &exchange.detail {
        Detail::Http(http) => http,
        Detail::Sql(sql) => panic!("no HTTP: {sql:?}"),
    }
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn keep_alive_with_offsets_times_and_units() {
    let mut wire = Wire::server();
    wire.ask(get("/a"))
        .answer(ok("x"))
        .ask(get("/b"))
        .answer(ok("yz"));
    assert_eq!(wire.found(), ["GET /a 200 Complete", "GET /b 200 Complete"]);
    let second = &wire.out[1];
    assert_eq!((second.started, second.ended), (30, 40));
    assert_eq!(second.request_offset, get("/a").len() as u64);
    assert_eq!(second.response_offset, Some(ok("x").len() as u64));
    assert_eq!(
        (second.request_unit.tid, second.response_unit.map(|unit| unit.tid)),
        (30, Some(40))
    );
    assert_eq!(wire.bodies(1), (Some(0), Some(2)));
}

#[test]
fn pipelined_in_one_call_each_has_its_own_offset() {
    let mut wire = Wire::server();
    wire.ask(get("/a") + &get("/b") + &get("/c"))
        .answer(ok("1") + &ok("22"))
        .answer(ok("333"));
    assert_eq!(
        wire.found(),
        [
            "GET /a 200 Complete",
            "GET /b 200 Complete",
            "GET /c 200 Complete"
        ]
    );
    let length = get("/a").len() as u64;
    let offsets: Vec<_> = wire.out.iter().map(|exchange| exchange.request_offset).collect();
    assert_eq!(offsets, [0, length, 2 * length]);
    let response = ok("1").len() as u64;
    assert_eq!(wire.out[1].response_offset, Some(response));
    assert_eq!(wire.bodies(2), (Some(0), Some(3)));
}

#[test]
fn fields_of_the_request() {
    let mut wire = Wire::server();
    wire.ask(
        "POST /x?q=1 HTTP/1.0\r\nHOST:  h.example:80 \r\nuser-agent: curl/8\r\ntraceparent: 00-a-b-01\r\n\
         tracestate: a=1\r\nTraceState: b=2\r\nContent-Length: 3\r\n\r\nabc",
    );
    wire.answer(EMPTY);
    let http = wire.http(0);
    assert_eq!(
        (http.method.as_str(), http.target.as_str(), http.minor_version),
        ("POST", "/x?q=1", 0)
    );
    assert_eq!(http.host.as_deref(), Some("h.example:80"));
    assert_eq!(http.user_agent.as_deref(), Some("curl/8"));
    assert_eq!(http.traceparent.as_deref(), Some("00-a-b-01"));
    assert_eq!(http.tracestate.as_deref(), Some("a=1,b=2"));
    assert_eq!(wire.bodies(0), (Some(3), Some(0)));
}

#[test]
fn several_traceparents_are_none() {
    let mut wire = Wire::server();
    wire.ask("GET / HTTP/1.1\r\ntraceparent: 1\r\ntraceparent: 2\r\ntracestate: a=1\r\n\r\n")
        .answer(EMPTY);
    assert_eq!(
        (&wire.http(0).traceparent, &wire.http(0).tracestate),
        (&None, &None)
    );
}

#[test]
fn chunked_both_ways_with_extensions_and_trailers() {
    let body = "5;name=\"v\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nDigest: x\r\nMore: y\r\n\r\n";
    let head = "Transfer-Encoding: chunked\r\n\r\n";
    let mut wire = Wire::client();
    wire.ask(format!("PUT /a HTTP/1.1\r\n{head}{body}{}", get("/b")));
    wire.answer(format!("HTTP/1.1 200 OK\r\n{head}{body}{EMPTY}"));
    assert_eq!(wire.found(), ["PUT /a 200 Complete", "GET /b 200 Complete"]);
    assert_eq!(wire.bodies(0), (Some(15), Some(15)));
}

#[test]
fn a_body_until_the_close() {
    for (mut wire, closing) in [
        (Wire::client(), Closing::ByPeer),
        (Wire::server(), Closing::Here),
        (Wire::server(), Closing::Both),
    ] {
        wire.ask("GET / HTTP/1.0\r\n\r\n")
            .answer("HTTP/1.0 200 OK\r\n\r\nsome")
            .answer(" text")
            .close(closing);
        assert_eq!(wire.found(), ["GET / 200 Complete"]);
        assert_eq!(wire.bodies(0), (Some(0), Some(9)));
        assert_eq!(wire.out[0].ended, 30, "the last byte's moment, not the close's");
    }
}

#[test]
fn a_body_until_the_close_that_its_reader_cut_short() {
    let mut wire = Wire::client();
    wire.ask(get("/"))
        .answer("HTTP/1.1 200 OK\r\n\r\nsome")
        .close(Closing::Here)
        .close(Closing::Both);
    assert_eq!(wire.found(), ["GET / 200 ClosedHere"]);
}

#[test]
fn responses_without_a_body_whatever_their_head_says() {
    let mut wire = Wire::client();
    wire.ask("HEAD /a HTTP/1.1\r\n\r\n")
        .answer("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n");
    wire.ask(get("/b"))
        .answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n");
    wire.ask(get("/c"))
        .answer("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n");
    wire.ask(get("/d")).answer(ok("d"));
    assert_eq!(
        wire.found(),
        [
            "HEAD /a 200 Complete",
            "GET /b 304 Complete",
            "GET /c 204 Complete",
            "GET /d 200 Complete"
        ]
    );
}

#[test]
fn interim_responses_do_not_end_the_exchange() {
    let mut wire = Wire::server();
    wire.ask("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    wire.answer("HTTP/1.1 100 Continue\r\n\r\n").ask("hi");
    wire.answer("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        .answer(ok("done"));
    assert_eq!(wire.found(), ["POST / 200 Complete"]);
    assert_eq!((wire.out[0].started, wire.out[0].ended), (10, 50));
    assert_eq!(
        wire.out[0].response_unit.map(|unit| unit.tid),
        Some(50),
        "who wrote the final response"
    );
    assert_eq!(wire.bodies(0), (Some(2), Some(4)));
}

#[test]
fn expectation_refused_without_the_body() {
    let mut wire = Wire::server();
    wire.ask("POST / HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
    wire.answer("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.found(), ["POST / 417 Complete"]);
    assert_eq!(wire.bodies(0), (None, Some(0)));
}

#[test]
fn an_early_response_and_the_body_after_it() {
    let mut wire = Wire::server();
    wire.ask("POST /up HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345");
    wire.answer("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.found(), ["POST /up 413 Complete"]);
    wire.ask("67890").ask(get("/next")).answer(EMPTY);
    assert_eq!(wire.found()[1..], ["GET /next 200 Complete"]);
}

#[test]
fn connect_and_upgrade_hand_the_stream_over() {
    let mut wire = Wire::client();
    wire.ask("CONNECT db.example:443 HTTP/1.1\r\nHost: db.example:443\r\n\r\n")
        .answer("HTTP/1.1 200 Connection established\r\n\r\n");
    assert_eq!(
        (wire.found(), wire.result),
        (
            vec!["CONNECT db.example:443 200 Complete".to_owned()],
            Err(Desync::HandedOver)
        )
    );

    let mut wire = Wire::server();
    // The frame is read before the write of the 101 has returned.
    wire.ask("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
        .ask(b"\x81\x85abcd")
        .answer("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    assert_eq!(
        (wire.found(), wire.result),
        (vec!["GET /ws 101 Complete".to_owned()], Err(Desync::HandedOver))
    );
    assert_eq!(wire.session.take_counts(), Counts::default());
}

#[test]
fn connect_refused_and_upgrade_ignored_go_on() {
    let mut wire = Wire::client();
    wire.ask("CONNECT a:1 HTTP/1.1\r\n\r\n")
        .answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    wire.ask("GET /h2c HTTP/1.1\r\nUpgrade: h2c\r\n\r\n")
        .answer(EMPTY)
        .ask(get("/"))
        .answer(EMPTY);
    assert_eq!(
        wire.found(),
        [
            "CONNECT a:1 403 Complete",
            "GET /h2c 200 Complete",
            "GET / 200 Complete"
        ]
    );
}

#[test]
fn all_forms_of_the_target() {
    let mut wire = Wire::server();
    for line in [
        "GET http://h:8080/a?b HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET HTTPS://h/ HTTP/1.1",
        "GET /\u{e4} HTTP/1.1",
    ] {
        wire.ask(format!("{line}\r\n\r\n")).answer(EMPTY);
    }
    let targets: Vec<_> = (0..4).map(|index| wire.http(index).target.clone()).collect();
    assert_eq!(targets, ["http://h:8080/a?b", "*", "HTTPS://h/", "/\u{e4}"]);
}

#[test]
fn lone_line_feeds_blank_lines_and_folded_fields() {
    let mut wire = Wire::server();
    wire.ask("\r\n\nPOST / HTTP/1.1\nHost: a\nTransfer-Encoding:\n chunked\n\n3\nabc\n0\n\n");
    wire.answer("HTTP/1.1 200\nContent-Length:\r\n\t2\nSet-Cookie: a\n\nok")
        .ask(get("/b"))
        .answer(EMPTY);
    assert_eq!(wire.found(), ["POST / 200 Complete", "GET /b 200 Complete"]);
    assert_eq!(wire.bodies(0), (Some(3), Some(2)));
    assert_eq!(wire.out[0].request_offset, 3);
}

#[test]
fn transfer_encoding_goes_before_content_length() {
    let both = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    let smuggled = get("/smuggled");
    let body = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let mut wire = Wire::server();
    wire.ask(format!("POST /a HTTP/1.1\r\n{both}{body}{}", get("/b")));
    wire.answer(EMPTY)
        .answer(format!("HTTP/1.1 200 OK\r\n{both}2\r\nxx\r\n0\r\n\r\n"));
    assert_eq!(wire.found(), ["POST /a 200 Complete", "GET /b 200 Complete"]);
    assert_eq!(wire.bodies(1), (Some(0), Some(2)));
}

#[test]
fn lengths_that_agree_and_lengths_that_do_not() {
    let mut wire = Wire::server();
    wire.ask("POST /same HTTP/1.1\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nab")
        .answer(EMPTY);
    wire.ask(format!(
        "POST /differ HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 60\r\n\r\nab{}",
        get("/smuggled")
    ));
    wire.answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        .ask(get("/next"))
        .answer(EMPTY);
    assert_eq!(
        wire.found(),
        [
            "POST /same 200 Complete",
            "POST /differ 400 Complete",
            "GET /next 200 Complete"
        ]
    );
}

#[test]
fn odd_transfer_codings_in_requests() {
    for coding in ["gzip", "chunked, gzip", "chunked, chunked", "xchunked"] {
        let mut wire = Wire::server();
        wire.ask(format!(
            "POST / HTTP/1.1\r\nTransfer-Encoding: {coding}\r\n\r\n5\r\n{}",
            get("/smuggled")
        ));
        wire.answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(wire.found(), ["POST / 400 Complete"], "{coding}");
    }
    let mut wire = Wire::server();
    wire.ask("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, , Chunked\r\n\r\n0\r\n\r\n")
        .answer(EMPTY);
    assert_eq!(wire.bodies(0), (Some(0), Some(0)));
}

#[test]
fn a_head_of_64_kib_with_thousands_of_fields() {
    let fields = (0..5_000).fold(String::new(), |fields, number| {
        fields + &format!("x{number:04}: yyyy\r\n")
    });
    let request = format!("GET /big HTTP/1.1\r\n{fields}Host: late\r\n\r\n");
    assert!((64_000..72 * 1024).contains(&request.len()), "{}", request.len());
    for size in [1, 7, 1_000, request.len()] {
        let mut wire = Wire::server();
        for piece in request.as_bytes().chunks(size) {
            wire.ask(piece);
        }
        wire.answer(EMPTY);
        assert_eq!(wire.found(), ["GET /big 200 Complete"]);
        assert_eq!(wire.http(0).host.as_deref(), Some("late"));
        assert!(
            wire.session.held_bytes() < 16 * 1024,
            "{}",
            wire.session.held_bytes()
        );
    }
}

#[test]
fn a_head_that_is_too_long_still_names_its_request() {
    let mut wire = Wire::server();
    wire.ask("GET /long HTTP/1.1\r\nHost: a\r\n");
    for _ in 0..100 {
        wire.ask(format!("x: {}\r\n", "y".repeat(1_000)));
        assert!(wire.session.held_bytes() < 160 * 1024);
    }
    wire.ask("\r\n")
        .answer("HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n")
        .ask(get("/b"))
        .answer(EMPTY);
    assert_eq!(wire.found(), ["GET /long 431 Complete", "GET /b 200 Complete"]);
    assert_eq!(wire.session.take_counts().over_limit, 1);
}

#[test]
fn who_closed_before_the_answer() {
    let cases: [(Wire, &[Closing], &str, u64); 6] = [
        (
            Wire::server(),
            &[Closing::ByPeer, Closing::Here],
            "GET / - ClosedByPeer",
            30,
        ),
        (
            Wire::server(),
            &[Closing::Here, Closing::Both],
            "GET / - ClosedHere",
            20,
        ),
        (Wire::server(), &[Closing::Both], "GET / - ClosedByPeer", 20),
        (Wire::client(), &[Closing::ByPeer], "GET / - ClosedByPeer", 20),
        (
            Wire::client(),
            &[Closing::Here, Closing::Both],
            "GET / - ClosedHere",
            20,
        ),
        (Wire::client(), &[Closing::Both], "GET / - ClosedByPeer", 20),
    ];
    for (mut wire, closings, expected, ended) in cases {
        wire.ask(get("/"));
        for closing in closings {
            wire.close(*closing);
        }
        assert_eq!(wire.found(), [expected], "{closings:?}");
        assert_eq!(wire.out[0].ended, ended, "{closings:?}");
    }
}

#[test]
fn closed_in_the_middle_of_the_response() {
    for part in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nContent-Le",
    ] {
        let mut wire = Wire::client();
        wire.ask(get("/"))
            .answer(part)
            .close(Closing::ByPeer)
            .close(Closing::Both);
        assert_eq!(wire.found(), ["GET / 200 ClosedByPeer"], "{part}");
    }
}

#[test]
fn a_client_that_only_finished_sending_gets_its_answer() {
    let mut wire = Wire::server();
    wire.ask(get("/")).close(Closing::ByPeer).answer(ok("x"));
    assert_eq!(wire.found(), ["GET / 200 Complete"]);
}

#[test]
fn a_client_gone_in_the_middle_of_its_head_asked_nothing() {
    let mut wire = Wire::server();
    wire.ask("GET / HTTP/1.1\r\nHo")
        .close(Closing::ByPeer)
        .close(Closing::Both);
    assert!(wire.out.is_empty());
}

#[test]
fn an_answer_before_the_head_is_complete() {
    let mut wire = Wire::server();
    wire.ask("GET /slow HTTP/1.1\r\nHost: a\r\nX: ")
        .answer("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.found(), ["GET /slow 408 Complete"]);
    assert_eq!(wire.http(0).host.as_deref(), Some("a"));
}

#[test]
fn gaps_in_bodies_of_known_length_are_passed_exactly() {
    let mut wire = Wire::client();
    wire.ask("POST /a HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
        .ask_gap(990)
        .ask("0123456789")
        .ask(get("/b"));
    wire.answer("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        .answer_gap(500)
        .answer(ok("b"));
    assert_eq!(wire.found(), ["POST /a 200 Complete", "GET /b 200 Complete"]);
    assert_eq!(wire.bodies(0), (Some(1000), Some(500)));
    assert_eq!(wire.session.take_counts(), Counts::default());
}

#[test]
fn a_gap_inside_a_chunk_s_data_is_passed_exactly() {
    let mut wire = Wire::client();
    wire.ask(get("/a"))
        .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc")
        .answer_gap(0x100 - 3);
    wire.answer("\r\n0\r\n\r\n").ask(get("/b")).answer(EMPTY);
    assert_eq!(wire.found(), ["GET /a 200 Complete", "GET /b 200 Complete"]);
    assert_eq!(wire.bodies(0), (Some(0), Some(256)));
    assert_eq!(wire.session.take_counts().resyncs, 0);
}

#[test]
fn a_gap_over_chunk_framing_ends_at_the_last_chunk() {
    let mut wire = Wire::client();
    wire.ask(get("/a"))
        .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
        .answer_gap(900);
    wire.answer("cdefgh\r\n0\r\n\r\n").ask(get("/b")).answer(EMPTY);
    assert_eq!(wire.found(), ["GET /a 200 Complete", "GET /b 200 Complete"]);
    assert_eq!(
        (wire.bodies(0), wire.session.take_counts().resyncs),
        ((Some(0), None), 1)
    );
}

#[test]
fn a_gap_over_chunk_framing_ends_with_the_next_message() {
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    let mut wire = Wire::client();
    wire.ask(get("/a"))
        .answer(start)
        .answer_gap(900)
        .ask(get("/b"))
        .answer(EMPTY);
    assert_eq!(wire.found(), ["GET /a 200 Unseen", "GET /b 200 Complete"]);
    assert_eq!(wire.out[0].ended, 30, "the last known moment");

    let mut wire = Wire::client();
    wire.ask(get("/a") + &get("/b"))
        .answer(start)
        .answer_gap(900)
        .answer(EMPTY);
    assert_eq!(wire.found(), ["GET /a 200 Unseen", "GET /b - Unseen"]);
}

#[test]
fn a_gap_over_request_chunks_ends_at_the_last_chunk_or_the_next_run() {
    let start = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    for tail in ["cd\r\n0\r\n\r\n", "cd"] {
        let mut wire = Wire::server();
        wire.ask(start)
            .ask_gap(900)
            .ask(tail)
            .answer(EMPTY)
            .ask(get("/b"))
            .answer(EMPTY);
        assert_eq!(wire.found(), ["POST /a 200 Complete", "GET /b 200 Complete"]);
        assert_eq!(wire.http(0).request_body, None);
    }
}

#[test]
fn heads_cut_by_a_gap_are_known_as_far_as_they_were_seen() {
    let mut wire = Wire::server();
    wire.ask("POST /a HTTP/1.1\r\nHost: a\r\nCookie: xxx")
        .ask_gap(9_000)
        .ask("{\"x\": 1}");
    wire.answer("HTTP/1.1 201 Created\r\nSet-Cookie: x")
        .answer_gap(5_000)
        .answer("tail");
    wire.ask(get("/b")).answer(EMPTY);
    assert_eq!(wire.found(), ["POST /a 201 Unseen", "GET /b 200 Complete"]);
    assert_eq!(
        (wire.http(0).host.as_deref(), wire.bodies(0)),
        (Some("a"), (None, None))
    );
    assert_eq!(wire.session.take_counts().resyncs, 2);
}

#[test]
fn nothing_is_made_up_from_a_cut_first_line() {
    let mut wire = Wire::server();
    wire.ask(get("/z")).answer(EMPTY);
    wire.ask("GET /us")
        .ask_gap(10)
        .ask("GET /no HTTP/1.1\r\n\r\n")
        .answer(EMPTY)
        .ask(get("/b"))
        .answer(EMPTY);
    assert_eq!(wire.found(), ["GET /z 200 Complete", "GET /b 200 Complete"]);
    assert_eq!(wire.session.take_counts().orphan_responses, 1);
}

#[test]
fn a_lost_response_does_not_shift_those_that_follow() {
    // Noticed at once: bytes of the response flow are missing before the next request comes.
    let mut wire = Wire::server();
    wire.ask(get("/a")).answer_gap(50).ask(get("/b")).answer(ok("b"));
    assert_eq!(wire.found(), ["GET /a - Unseen", "GET /b 200 Complete"]);
    // Noticed late: with the next response, which may also be that to a request that is missing.
    let mut wire = Wire::server();
    wire.ask(get("/a"))
        .ask(get("/b"))
        .answer_gap(50)
        .answer(ok("b"))
        .ask(get("/c"))
        .answer(ok("c"));
    assert_eq!(
        wire.found(),
        ["GET /a - Unseen", "GET /b - Unseen", "GET /c 200 Complete"]
    );
}

#[test]
fn what_cannot_be_told_is_not_paired() {
    let mut wire = Wire::server();
    wire.ask(get("/a") + &get("/b") + &get("/c"))
        .answer_gap(50)
        .answer(ok("b or c"));
    wire.ask(get("/d")).answer(ok("d"));
    assert_eq!(
        wire.found(),
        [
            "GET /a - Unseen",
            "GET /b - Unseen",
            "GET /c - Unseen",
            "GET /d 200 Complete"
        ]
    );
    assert_eq!(wire.session.take_counts().orphan_responses, 1);
}

#[test]
fn an_orphan_that_was_a_response_to_head_gives_way() {
    let mut wire = Wire::client();
    wire.answer("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        .ask(get("/b"))
        .answer(ok("b"));
    assert_eq!(wire.found(), ["GET /b 200 Complete"]);
    assert_eq!(wire.session.take_counts().orphan_responses, 1);
}

#[test]
fn a_request_held_up_until_its_response_was_taken_for_a_body_gets_no_other() {
    let mut wire = Wire::server();
    wire.ask(get("/a")).answer(EMPTY);
    // A response to HEAD, whose request is missing, and that to /late, which looks like its body.
    wire.answer(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        EMPTY.len()
    ));
    wire.now += 100;
    wire.answer(EMPTY);
    wire.now -= 50;
    wire.ask(get("/late"));
    wire.now += 100;
    wire.answer(ok("to a request that is missing"));
    assert_eq!(wire.found(), ["GET /a 200 Complete", "GET /late - Unseen"]);
}

#[test]
fn long_bodies_are_left_to_the_kernel_but_for_their_last_byte() {
    let mut wire = Wire::client();
    wire.ask(get("/big"))
        .answer("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n12345");
    let end = wire.offsets[Flow::Response as usize] - 5 + 1_000_000;
    assert_eq!(
        wire.session.verdict(),
        Verdict {
            ignore: false,
            skip_received_until: end - 1,
            skip_sent_until: 0
        }
    );
    wire.answer_gap(1_000_000 - 6).answer("x");
    assert_eq!(
        (wire.found(), wire.bodies(0).1),
        (vec!["GET /big 200 Complete".to_owned()], Some(1_000_000))
    );

    let mut wire = Wire::server();
    wire.ask("PUT /big HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(
        wire.session.verdict().skip_received_until,
        wire.offsets[0] + 999_999
    );
    let mut wire = Wire::server();
    wire.ask("PUT /small HTTP/1.1\r\nContent-Length: 60000\r\n\r\n");
    assert_eq!(wire.session.verdict(), Verdict::default());
}

#[test]
fn too_many_requests_are_counted_and_pairing_survives_them() {
    let mut wire = Wire::server();
    let most = wire.session.limits.pending_requests;
    for number in 0..most + 10 {
        wire.ask(get(&format!("/{number}")));
    }
    for _ in 0..most + 10 {
        wire.answer(EMPTY);
    }
    wire.ask(get("/after")).answer(ok("x"));
    assert_eq!(wire.out.len(), most + 1);
    assert_eq!(wire.http(most).target, "/after");
    assert_eq!(
        wire.session.take_counts(),
        Counts {
            over_limit: 10,
            ..Counts::default()
        }
    );
}

#[test]
fn what_is_no_http_after_all() {
    for bytes in [
        &b"GET /a\r\n"[..],
        b"OPTIONS * RTSP/1.0\r\n\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
        b"POST /\x00 HTTP/1.1\r\n\r\n",
    ] {
        let mut wire = Wire::server();
        wire.ask(bytes);
        assert_eq!(
            wire.result,
            Err(Desync::NotThisProtocol),
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(wire.session.take_counts().unparsable, 1);
    }
}

#[test]
fn malformed_fields_do_not_hide_the_request() {
    let mut wire = Wire::server();
    wire.ask("GET /a HTTP/1.1\r\nbad header\r\nHost: a\r\n: empty\r\n\r\n")
        .answer(EMPTY);
    wire.ask("GET /b HTTP/1.1\r\nHost: b\r\nX: \x00\r\n\r\n")
        .answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    wire.ask(get("/c")).answer(EMPTY);
    assert_eq!(
        wire.found(),
        [
            "GET /a 200 Complete",
            "GET /b 400 Complete",
            "GET /c 200 Complete"
        ]
    );
    assert_eq!(wire.http(1).host.as_deref(), Some("b"));
}

#[test]
fn garbage_between_requests_is_survived() {
    let mut wire = Wire::server();
    wire.ask(get("/a"))
        .answer(EMPTY)
        .ask("\x01\x02\x03")
        .answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    wire.ask(get("/b")).answer(EMPTY);
    assert_eq!(wire.found(), ["GET /a 200 Complete", "GET /b 200 Complete"]);
    assert_eq!(wire.session.take_counts().unparsable, 1);
}

/// A request that exports a server's span, in chunks or at once.
fn export(path: &str, chunked: bool) -> Vec<u8> {
    let body = request(&[span(2, &["http.method"])]);
    if chunked {
        let (first, last) = body.split_at(40);
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n28\r\n");
        let between = format!("\r\n{:x}\r\n", last.len());
        return [head.as_bytes(), first, between.as_bytes(), last, b"\r\n0\r\n\r\n"].concat();
    }
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

#[test]
fn an_export_of_traces_tells_what_is_exported() {
    for (path, chunked, expected) in [
        ("/v1/traces", false, true),
        ("/otlp/v1/traces?key=a", true, true),
        ("/v1/logs", false, false),
        ("/v1/traces/x", false, false),
    ] {
        let whole = export(path, chunked);
        for cut in 1..whole.len() {
            let mut wire = Wire::client();
            wire.ask(&whole[..cut]).ask(&whole[cut..]);
            let told = wire.session.take_exported();
            assert_eq!(told.server, expected, "{path} cut at {cut}");
            assert!(wire.session.take_exported().is_nothing());
            wire.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(wire.out.len(), 1);
        }
    }
}

#[test]
fn of_a_long_export_the_beginning_tells() {
    let spans = vec![span(3, &["http.method"]); 2_000];
    let body = request(&spans);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut wire = Wire::client();
    wire.ask(&head);
    assert_eq!(wire.session.verdict().skip_sent_until, 0);
    wire.ask(&body[..1_000]);
    assert!(wire.session.take_exported().is_nothing());
    wire.ask_gap(20_000);
    assert!(wire.session.take_exported().client);
    wire.ask(&body[21_000..]);
    assert!(wire.session.take_exported().is_nothing());
    let mut wire = Wire::client();
    wire.ask(&head).ask(&body[..70_000]);
    assert!(wire.session.take_exported().client);
    assert_eq!(wire.session.held_bytes(), wire.session.pairing.held_bytes());
}

#[test]
fn requests_are_open_until_they_are_answered_to_the_end_or_given_up() {
    fn open(wire: &Wire) -> Vec<String> {
        let mut methods = Vec::new();
        wire.session
            .open_requests(&mut |http| methods.push(http.method.clone()));
        methods
    }
    let mut wire = Wire::server();
    assert!(open(&wire).is_empty());
    wire.ask("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(open(&wire), ["GET"]);
    wire.ask("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
    assert_eq!(open(&wire), ["GET", "POST"]);
    wire.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na");
    assert_eq!(open(&wire), ["GET", "POST"]);
    wire.answer("b");
    assert_eq!(open(&wire), ["POST"]);
    let moment = Moment {
        began: 1000,
        ended: 1000,
        unit: Unit::default(),
    };
    wire.session.close(Closing::Both, moment, &mut wire.out);
    assert!(open(&wire).is_empty());

    // The response is lost, and the next request shows that it came.
    let mut wire = Wire::server();
    wire.ask("GET / HTTP/1.1\r\n\r\n")
        .answer_gap(100)
        .ask("PUT / HTTP/1.1\r\n\r\n");
    assert_eq!(open(&wire), ["PUT"]);
}
