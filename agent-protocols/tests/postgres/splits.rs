//! However a stream is cut into pieces, the exchanges in it are the same, to the last field.

use agent_protocols::Role;
use proptest::prelude::*;

use crate::{
    captures,
    play::{Call, Part, context, play, whole},
};

fn cut(bytes: usize, places: &[usize]) -> Vec<Part> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes + 1)).collect();
    places.extend([0, bytes]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| Part {
            length: pair[1] - pair[0],
            seen: true,
        })
        .collect()
}

#[test]
fn one_byte_at_a_time() {
    for capture in captures::all() {
        let expected = play(context(Role::Client), &capture.calls, whole);
        let found = play(context(Role::Client), &capture.calls, |_, call: &Call| {
            vec![
                Part {
                    length: 1,
                    seen: true
                };
                call.bytes.len()
            ]
        });
        assert_eq!(found, expected, "{}", capture.name);
    }
}

#[test]
fn two_pieces_at_every_place() {
    for capture in captures::all() {
        let expected = play(context(Role::Client), &capture.calls, whole);
        let longest = capture
            .calls
            .iter()
            .map(|call| call.bytes.len())
            .max()
            .unwrap_or(0);
        // All calls are cut at once, each at the same place.
        for place in 0..=longest {
            let found = play(context(Role::Client), &capture.calls, |_, call: &Call| {
                cut(call.bytes.len(), &[place.min(call.bytes.len())])
            });
            assert_eq!(found, expected, "{} at {place}", capture.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_pieces(places in proptest::collection::vec(proptest::collection::vec(any::<usize>(), 0..6), 1..50)) {
        for capture in captures::all() {
            let expected = play(context(Role::Client), &capture.calls, whole);
            let found = play(context(Role::Client), &capture.calls, |number, call: &Call| {
                cut(call.bytes.len(), &places[number % places.len()])
            });
            prop_assert_eq!(found, expected, "{}", capture.name);
        }
    }
}
