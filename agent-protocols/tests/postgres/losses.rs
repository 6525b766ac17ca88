//! Whatever bytes are missing, no statement gets what belongs to another one.

use std::collections::HashMap;

use agent_protocols::{
    Exchange, Limits, Role,
    exchange::Ending,
    postgres::PostgresSession,
    session::{Content, Flow, Piece, Session, SessionContext},
};
use proptest::prelude::*;

use crate::{
    captures,
    play::{Call, Part, context, moment, play, shown, sql, whole},
};

/// What capture with a budget sees of a call: the first and the last bytes.
fn head_and_tail(length: usize, head: usize, tail: usize) -> Vec<Part> {
    let head = head.min(length);
    let tail = tail.min(length - head);
    let hole = length - head - tail;
    [(head, true), (hole, false), (tail, true)]
        .map(|(length, seen)| Part { length, seen })
        .to_vec()
}

#[test]
fn the_first_and_last_bytes_of_each_call_are_enough() {
    for capture in captures::all() {
        let (expected, _) = play(context(Role::Client), &capture.calls, whole);
        for (head, tail) in [(256, 64), (1024, 128), (100, 32)] {
            // Requests are short here: what is cut are long results.
            let (found, _) = play(
                context(Role::Client),
                &capture.calls,
                |_, call: &Call| match call.flow {
                    Flow::Request => whole(0, call),
                    Flow::Response => head_and_tail(call.bytes.len(), head, tail),
                },
            );
            let texts = |exchanges: &[Exchange]| -> Vec<_> {
                exchanges
                    .iter()
                    .map(|exchange| (exchange.request_offset, sql(exchange).text.clone()))
                    .collect()
            };
            assert_eq!(
                texts(&found),
                texts(&expected),
                "{} with {head} and {tail}",
                capture.name
            );
        }
    }
}

/// Checks that what was found of a conversation with losses is part of what is in it.
fn check(name: &str, found: &[Exchange], whole: &[Exchange]) {
    let by_place: HashMap<u64, &Exchange> = whole
        .iter()
        .map(|exchange| (exchange.request_offset, exchange))
        .collect();
    for exchange in found {
        let sql_found = sql(exchange);
        // With bytes missing, an execution may begin later than it did, and it may be one that was skipped: such ones
        // have no result. Only one that claims a result must be right.
        // Statements behind the known part of a text have no place that could be compared.
        let is_unknown = sql_found.text_unknown && sql_found.statement_name.is_none();
        if exchange.ending != Ending::Complete || is_unknown {
            continue;
        }
        let Some(right) = by_place
            .get(&exchange.request_offset)
            .map(|exchange| sql(exchange))
        else {
            continue;
        };
        assert!(
            sql_found.rows.is_none() || sql_found.rows == right.rows,
            "{name}: {} has the rows of another one than {}",
            shown(exchange),
            shown(by_place[&exchange.request_offset])
        );
        if let (Some(found), Some(right)) = (&sql_found.error, &right.error) {
            assert!(
                found.code == right.code || found.code.is_empty(),
                "{name}: {found:?} is not {right:?}"
            );
        }
        if let (Some(found), Some(right)) = (&sql_found.text, &right.text) {
            // The last word may be half of one. EXECUTE shows itself when the PREPARE is what is missing.
            let sure = found
                .rsplit_once(' ')
                .map_or("", |(sure, _)| sure.trim_end_matches(['?', ' ']));
            let same = right.starts_with(sure) || sure.starts_with('E');
            assert!(same, "{name}: {found:?} is not the beginning of {right:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn holes_anywhere(
        holes in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..400, 1_usize..600), 1..4),
        role in prop::sample::select(vec![Role::Client, Role::Server]),
    ) {
        for capture in captures::all() {
            let (expected, _) = play(context(role), &capture.calls, whole);
            let holes: Vec<_> =
                holes.iter().map(|(call, at, length)| (call.index(capture.calls.len()), *at, *length)).collect();
            let mut session = PostgresSession::new(context(role));
            let mut found = Vec::new();
            let mut offsets = [0; 2];
            'calls: for (number, call) in capture.calls.iter().enumerate() {
                let bytes = call.bytes.len();
                let (at, length) = holes
                    .iter()
                    .find(|hole| hole.0 == number)
                    .map_or((bytes, 0), |(_, at, length)| (*at % bytes, (*length).min(bytes - at % bytes)));
                let offset = &mut offsets[usize::from(call.flow == Flow::Response)];
                for (from, to, seen) in [(0, at, true), (at, at + length, false), (at + length, bytes, true)] {
                    let content = if seen { Content::Bytes(&call.bytes[from..to]) } else { Content::Gap((to - from) as u64) };
                    let piece = Piece { flow: call.flow, offset: *offset, content, moment: moment(number) };
                    *offset += (to - from) as u64;
                    if session.feed(piece, &mut found).is_err() {
                        break 'calls;
                    }
                }
            }
            check(&capture.name, &found, &expected);
        }
    }

    #[test]
    fn calls_in_any_order_and_bytes_of_any_kind(
        pieces in proptest::collection::vec(
            (any::<prop::sample::Index>(), any::<bool>(), 0_usize..200, proptest::option::of(0_u64..5000)),
            1..60,
        ),
        from_start: bool,
    ) {
        let calls: Vec<Call> = captures::all().into_iter().flat_map(|capture| capture.calls).collect();
        let context = SessionContext { role: Role::Client, from_start, limits: Limits::default(), report_noise: true };
        let mut session = PostgresSession::new(context);
        let mut out = Vec::new();
        for (number, (call, other_way, from, gap)) in pieces.iter().enumerate() {
            let call = &calls[call.index(calls.len())];
            let flow = if *other_way && call.flow == Flow::Request { Flow::Response } else { call.flow };
            let content = match gap {
                Some(length) => Content::Gap(*length),
                None => Content::Bytes(&call.bytes[*from % call.bytes.len()..]),
            };
            let piece = Piece { flow, offset: 10_000 * number as u64, content, moment: moment(number) };
            if session.feed(piece, &mut out).is_err() {
                break;
            }
            let _ = (session.verdict(), session.expects_response(), session.held_bytes());
        }
    }
}
