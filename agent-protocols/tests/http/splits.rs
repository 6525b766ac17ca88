//! However the bytes are cut into calls, the exchanges are the same.

use agent_protocols::Role;
use proptest::prelude::*;

use crate::{
    calls::{Call, play, timeless},
    captures,
};

/// Recordings up to this many bytes are cut at every two places.
const SHORT: usize = 420;

fn length(calls: &[Call]) -> usize {
    calls
        .iter()
        .map(|call| {
            if let Call::Bytes(_, bytes) = call {
                bytes.len()
            } else {
                0
            }
        })
        .sum()
}

/// Cuts calls at positions counted over all their bytes.
fn cut(calls: &[Call], cuts: &[usize]) -> Vec<Call> {
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    cuts.dedup();
    let mut pieces = Vec::new();
    let mut start = 0;
    for call in calls {
        let Call::Bytes(flow, bytes) = call else {
            pieces.push(call.clone());
            continue;
        };
        let inside = cuts
            .iter()
            .filter(|at| (start + 1..start + bytes.len()).contains(at));
        let mut from = 0;
        for at in inside.map(|at| at - start).chain([bytes.len()]) {
            pieces.push(Call::Bytes(*flow, bytes[from..at].to_vec()));
            from = at;
        }
        start += bytes.len();
    }
    pieces
}

/// Joins calls of the same direction that follow each other.
fn joined(calls: &[Call]) -> Vec<Call> {
    let mut runs: Vec<Call> = Vec::new();
    for call in calls {
        match (runs.last_mut(), call) {
            (Some(Call::Bytes(run_flow, run)), Call::Bytes(flow, bytes)) if run_flow == flow => {
                run.extend(bytes);
            }
            _ => runs.push(call.clone()),
        }
    }
    runs
}

fn same(name: &str, calls: &[Call], cuts: &[usize]) {
    let pieces = cut(calls, cuts);
    for role in [Role::Client, Role::Server] {
        assert_eq!(
            timeless(play(&pieces, role)),
            timeless(play(calls, role)),
            "{name} as {role:?} cut at {cuts:?}"
        );
    }
}

#[test]
fn one_byte_a_call_and_one_call_a_run() {
    for capture in captures::all() {
        same(
            &capture.name,
            &capture.calls,
            &(0..length(&capture.calls)).collect::<Vec<_>>(),
        );
        same(&capture.name, &joined(&capture.calls), &[]);
        assert_eq!(
            timeless(play(&joined(&capture.calls), Role::Server)),
            timeless(play(&capture.calls, Role::Server)),
            "{}",
            capture.name
        );
    }
}

#[test]
fn every_cut() {
    for capture in captures::all() {
        for at in 0..length(&capture.calls) {
            same(&capture.name, &capture.calls, &[at]);
        }
    }
}

#[test]
fn every_two_cuts_of_short_recordings() {
    let mut count = 0;
    for capture in captures::all() {
        let length = length(&capture.calls);
        if length > SHORT {
            continue;
        }
        count += 1;
        for second in 0..length {
            for first in 0..second {
                same(&capture.name, &capture.calls, &[first, second]);
            }
        }
    }
    assert!(count >= 4, "only {count} recordings are short");
}

proptest! {
    #[test]
    fn any_cuts(which in any::<prop::sample::Index>(), cuts in prop::collection::vec(0_usize..2_000, 0..60)) {
        let captures = captures::all();
        let capture = which.get(&captures);
        same(&capture.name, &joined(&capture.calls), &cuts);
    }
}
