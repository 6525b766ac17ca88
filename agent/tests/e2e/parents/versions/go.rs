//! Go programs, static and stripped, from several versions of Go.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::check;
use crate::{
    Case,
    harness::{
        apps::Server,
        lab::{Lab, Need, source},
        ports,
    },
    parents::ways::PLAIN_GO,
};

macro_rules! case {
    ($name:literal, $version:literal, $($options:literal),*) => {
        Case::new(
            concat!("parents::versions::", $name),
            &[Need::Root, Need::Go, Need::Version(concat!("go-", $version, "/go/bin/go"))],
            |lab| run(lab, $version, &[$($options),*]),
        )
    };
}

pub(super) fn short() -> Vec<Case> {
    vec![case!("go_1_21", "1.21",), case!("go_1_27", "1.27",)]
}

pub(super) fn long() -> Vec<Case> {
    vec![
        case!("go_1_17", "1.17",),
        case!("go_1_18", "1.18",),
        case!("go_1_19", "1.19",),
        case!("go_1_20", "1.20",),
        case!("go_1_22", "1.22",),
        case!("go_1_23", "1.23",),
        case!("go_1_24", "1.24",),
        case!("go_1_25", "1.25",),
        case!("go_1_26", "1.26",),
        case!("go_1_21_position_independent", "1.21", "-buildmode=pie"),
        case!("go_1_27_position_independent", "1.27", "-buildmode=pie"),
    ]
}

fn run(lab: &Lab, version: &str, options: &[&str]) -> Result<()> {
    let go = Lab::version(&format!("go-{version}/go/bin/go"))?;
    let folder = lab.folder(&format!("go-{version}{}", options.concat()))?;
    std::fs::copy(
        source("tests/apps/parents/plain_go/main.go"),
        folder.join("main.go"),
    )
    .context("the program's source")?;
    // A program behaves as the version that it names there wants it, whatever it is built with.
    std::fs::write(folder.join("go.mod"), format!("module plain\n\ngo {version}\n"))?;
    let in_folder = |arguments: &[&str]| {
        let mut command = Command::new(&go);
        command.args(arguments).current_dir(&folder);
        command.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
        // What the user has told a newer Go, an old one may not know.
        command.env("GOENV", "off");
        command.output().context("the Go toolchain cannot be started")
    };
    let mut build = vec!["build", "-o", "plain", "-trimpath", "-ldflags", "-s -w"];
    build.extend(options);
    // Not the folder: where that is part of a repository some versions want to know its state, and some do not know how to refuse.
    build.push("main.go");
    let output = in_folder(&build)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "Go {version} says:\n{said}");
    let exact = String::from_utf8(in_folder(&["env", "GOVERSION"])?.stdout)?;
    let title = format!("{}, static, stripped {}", exact.trim(), options.concat());
    check(lab, title.trim(), PLAIN_GO, |leaf| {
        let port = ports::free()?;
        let mut command = Command::new(folder.join("plain"));
        command.args(["-listen", &format!("127.0.0.1:{port}"), "-leaf", leaf]);
        Server::on_port("the Go server", command, port)
    })
}
