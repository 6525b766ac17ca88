//! What the settings say of some processes alone.

use super::*;
use crate::config::Sampler;

const NONE: Sampler = Sampler {
    parent_based: true,
    ratio: 0.0,
};

fn on_port(port: u16, mut located: Located) -> Located {
    located.endpoints = Arc::new(Endpoints {
        local: Some(([127, 0, 0, 1], port).into()),
        ..Endpoints::default()
    });
    located
}

/// A request that process 1 serves on a port, with a call that it makes for it.
fn serve(play: &mut Play, port: u16) {
    let unit = || unit(thread(7), &[]);
    play.read(1, 100);
    play.correlator.call_made(&unit(), 110);
    play.correlator.handle(located(Role::Client, 2, unit(), 110, 120));
    play.correlator.response_written(1, &unit());
    let request = located(Role::Server, 1, unit(), 100, 150);
    play.correlator.handle(on_port(port, request));
}

fn overrides(sampler: Option<Sampler>, ports: &[std::ops::RangeInclusive<u16>]) -> Overrides {
    Overrides {
        sampler,
        ports: ports.into(),
        ..Overrides::default()
    }
}

#[test]
fn a_trace_has_the_sampler_of_the_process_in_which_it_began() {
    let mut play = Play::new();
    play.correlator.overrides(1, overrides(Some(NONE), &[]));
    serve(&mut play, 80);
    play.poll(SECOND);
    for connection in [1, 2] {
        assert_eq!(play.find(connection).unwrap().sampler, Some(NONE), "{connection}");
    }
}

#[test]
fn what_was_said_of_a_process_holds_for_what_it_forks_until_more_is_said() {
    let mut services = Services::default();
    services.set(1, overrides(Some(NONE), &[]));
    services.forked(2, 1);
    services.forked(3, 9);
    let sampler = |services: &Services, pid| {
        let mut of = located(Role::Server, 1, unit(thread(7), &[]), 100, 150);
        of.exchange.request_unit.pid = pid;
        services.sampler(&of)
    };
    assert_eq!(sampler(&services, 2), Some(NONE));
    assert_eq!(sampler(&services, 3), None);
    services.set(2, Overrides::default());
    assert_eq!(sampler(&services, 2), None);
}

#[test]
fn what_an_unwanted_request_calls_begins_a_trace() {
    for (port, left_out, parent) in [
        (80, None, None),
        (81, Some(LeftOut::OtherPort), Some(Absence::OtherPort)),
    ] {
        let mut play = Play::new();
        play.correlator.overrides(1, overrides(None, &[80..=80]));
        serve(&mut play, port);
        play.poll(SECOND);
        assert_eq!(play.find(1).unwrap().left_out, left_out);
        assert_eq!(play.find(2).unwrap().parent.err(), parent);
        assert_eq!(play.find(2).unwrap().left_out, None);
    }
}
