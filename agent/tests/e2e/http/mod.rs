//! HTTP over every way to use a socket, each case from the bytes on the wire to the span.

mod clients;
mod endings;
mod io;
mod messages;

use anyhow::Result;

use crate::{
    Case,
    harness::{
        agent::Agent,
        apps::Sockets,
        lab::{Lab, Need},
    },
};

const NEEDS: &[Need] = &[Need::Root, Need::Python];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "http::every_way_to_read_gives_one_span",
            NEEDS,
            io::every_way_to_read,
        ),
        Case::new(
            "http::every_way_to_write_gives_one_span",
            NEEDS,
            io::every_way_to_write,
        ),
        Case::new(
            "http::recvmmsg_and_sendmmsg_give_one_span",
            NEEDS,
            io::many_messages_a_call,
        ),
        Case::new("http::request_sent_byte_by_byte", NEEDS, io::byte_by_byte),
        Case::new("http::address_families", NEEDS, io::address_families),
        Case::new("http::large_bodies_both_ways", NEEDS, io::large_bodies),
        Case::new(
            "http::go_serves_files_with_sendfile",
            &[Need::Root, Need::Go],
            io::go_files,
        ),
        Case::new(
            "http::every_body_framing_gives_one_span",
            NEEDS,
            messages::every_body_framing,
        ),
        Case::new(
            "http::answers_without_a_body_keep_the_connection_in_step",
            NEEDS,
            messages::without_body,
        ),
        Case::new("http::pipelined_requests", NEEDS, messages::pipelined),
        Case::new("http::expect_100_continue", NEEDS, messages::expect_continue),
        Case::new(
            "http::large_head_with_traceparent_at_its_end",
            NEEDS,
            messages::large_head,
        ),
        Case::new("http::absolute_form_target", NEEDS, messages::absolute_form),
        Case::new("http::client_gone_before_the_answer", NEEDS, endings::client_gone),
        Case::new(
            "http::server_closes_without_an_answer",
            NEEDS,
            endings::server_silent,
        ),
        Case::new(
            "http::upgraded_and_tunnelled_streams_are_left_alone",
            NEEDS,
            endings::handed_over,
        ),
        Case::new("http::client_libraries", NEEDS, clients::client_libraries),
    ]
}

/// The server on bare sockets, and an agent that watches it.
fn watched(lab: &Lab, name: &str) -> Result<(Sockets, Agent)> {
    let sockets = Sockets::start(&lab.folder(name)?)?;
    let agent = Agent::attach(&[sockets.process.pid()])?;
    Ok((sockets, agent))
}
