//! Calls that go through a relay: a process that passes on byte for byte what it receives.

use super::*;

/// The pid of the relay, and the goroutines that copy requests and answers.
const RELAY: u32 = 50;
const REQUESTS: u64 = 5;
const ANSWERS: u64 = 6;
/// Connections of the relay: the one that it accepted, and the one that it made for it.
const ACCEPTED: u64 = 20;
const MADE: u64 = 21;

/// The caller's connection to the relay, as the caller sees it; and the relay's, as the relay does.
fn outer() -> Ends {
    Ends::sample(1, 2)
}

fn inner() -> Ends {
    Ends::sample(3, 4)
}

fn copier(id: u64) -> Unit {
    Unit {
        pid: RELAY,
        ..unit(goroutine(id), &[(goroutine(1), 10)])
    }
}

fn received(connection: u64, ends: Ends, role: Role, offset: u64) -> Moved {
    Moved {
        connection,
        ends,
        role,
        sent: false,
        offset,
    }
}

fn sent(connection: u64, ends: Ends, role: Role, offset: u64) -> Moved {
    Moved {
        sent: true,
        ..received(connection, ends, role, offset)
    }
}

/// What a relay did, in the order in which it did; who is called by whom at the end.
fn parent(moves: &[(Unit, Moved)]) -> Result<(), Absence> {
    let mut play = Play::new();
    play.correlator.opened(outer(), Role::Client);
    for (unit, moved) in moves {
        play.correlator.relayed(unit, *moved);
    }
    play.correlator
        .handle(joined(Role::Server, 2, inner().other(), 110, 120));
    play.correlator.handle(joined(Role::Client, 1, outer(), 100, 130));
    play.poll(SECOND);
    play.poll(2 * SECOND);
    play.parent(2).map(|parent| assert_eq!(parent, play.id(1)))
}

fn accepted(offset: u64) -> Moved {
    received(ACCEPTED, outer().other(), Role::Server, offset)
}

fn made(offset: u64) -> Moved {
    sent(MADE, inner(), Role::Client, offset)
}

#[test]
fn who_sends_what_it_received_joins_both_connections() {
    let answer = [
        (copier(ANSWERS), received(MADE, inner(), Role::Client, 0)),
        (copier(ANSWERS), sent(ACCEPTED, outer().other(), Role::Server, 0)),
    ];
    let request = [(copier(REQUESTS), accepted(0)), (copier(REQUESTS), made(0))];
    assert_eq!(parent(&request), Ok(()));
    assert_eq!(parent(&[request, answer].concat()), Ok(()));
    assert_eq!(parent(&answer), Err(Absence::SenderNotWatched));
}

#[test]
fn connections_that_are_older_than_the_agent_are_joined_by_the_same_position() {
    let from = |offset| {
        [
            (copier(REQUESTS), accepted(700)),
            (copier(REQUESTS), made(offset)),
        ]
    };
    assert_eq!(parent(&from(700)), Ok(()));
    assert_eq!(parent(&from(699)), Err(Absence::SenderNotWatched));
}

#[test]
fn what_another_goroutine_or_process_received_proves_nothing() {
    let elsewhere = Unit {
        pid: RELAY + 1,
        ..copier(REQUESTS)
    };
    for other in [copier(REQUESTS + 10), elsewhere] {
        let moves = [(other, accepted(0)), (copier(REQUESTS), made(0))];
        assert_eq!(parent(&moves), Err(Absence::SenderNotWatched));
    }
}

#[test]
fn threads_prove_nothing() {
    let unit = Unit {
        pid: RELAY,
        ..unit(thread(7), &[])
    };
    let moves = [(unit, accepted(0)), (unit, made(0))];
    assert_eq!(parent(&moves), Err(Absence::SenderNotWatched));
}

#[test]
fn what_ended_before_it_was_passed_on_is_not_taken_for_what_came_after() {
    let mut play = Play::new();
    play.correlator.relayed(&copier(REQUESTS), accepted(0));
    play.correlator
        .connection_ended(RELAY, ACCEPTED, Some(outer().other()));
    assert!(play.correlator.relayed(&copier(REQUESTS), made(0)).is_empty());
}

#[test]
fn both_connections_are_left_alone_when_they_are_joined() {
    let mut play = Play::new();
    assert!(play.correlator.relayed(&copier(REQUESTS), accepted(0)).is_empty());
    let known = play.correlator.relayed(&copier(REQUESTS), made(0));
    assert_eq!(known, [ACCEPTED, MADE]);
}

#[test]
fn relays_behind_each_other_are_seen_through() {
    let between = Ends::sample(5, 6);
    let first = [
        (copier(REQUESTS), accepted(0)),
        (copier(REQUESTS), sent(22, between, Role::Client, 0)),
    ];
    let second = [
        (
            copier(REQUESTS + 1),
            received(23, between.other(), Role::Server, 0),
        ),
        (copier(REQUESTS + 1), made(0)),
    ];
    assert_eq!(parent(&[first, second].concat()), Ok(()));
}

#[test]
fn a_caller_that_is_not_watched_leaves_no_request_waiting() {
    let mut play = Play::new();
    play.correlator.relayed(&copier(REQUESTS), accepted(0));
    play.correlator.relayed(&copier(REQUESTS), made(0));
    play.correlator
        .handle(joined(Role::Server, 2, inner().other(), 110, 120));
    play.poll(SECOND);
    assert_eq!(play.parent(2), Err(Absence::SenderNotWatched));
}
