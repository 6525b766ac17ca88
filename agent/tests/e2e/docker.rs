//! A process in a real container, named by the pid that the host sees.

use anyhow::{Result, ensure};

use crate::{
    Case,
    expect::{self, Request},
    harness::{
        agent::Agent,
        client::get,
        docker::Engine,
        lab::{Lab, Need},
        ports,
        span::Span,
        until,
    },
    namespaces::{inner_pid, within_network},
};

/// Inside the container's own network, so that no other program can have it.
const PORT: u16 = 8080;

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new(
        "docker::attach_to_a_container_by_pid",
        &[Need::Root, Need::Go, Need::Docker],
        in_a_container,
    )]
}

fn in_a_container(lab: &Lab) -> Result<()> {
    let engine = Engine::start(&lab.folder("docker")?)?;
    let container = engine.run(&lab.go_test_app()?, &["-listen", &format!("127.0.0.1:{PORT}")])?;
    ensure!(
        inner_pid(container.pid)? == 1,
        "the container shares the host's pids"
    );

    let address = ports::local(PORT).into();
    within_network(container.pid, || {
        until("the container listens", || get(&address, "/items/early").ok())
    })?;
    let agent = Agent::attach(&[container.pid])?;
    let status = within_network(container.pid, || Ok(get(&address, "/items/contained")?.status))?;
    let report = expect::served(agent, &[Request::new("GET", "/items/contained", status)])?;
    for span in report.only(Span::is_served) {
        ensure!(
            span.pid() == Some(container.pid),
            "process.pid is not what the host sees: {span:?}"
        );
        ensure!(
            span.resource
                .get("container.id")
                .is_some_and(|id| *id == container.id),
            "container.id: {span:?}"
        );
    }
    Ok(())
}
