//! Selection, and a look at real processes.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::*;
use crate::config::{Pattern, Rule};
use crate::routes::RoutePattern;

fn discovery(select: Vec<Selector>) -> Discovery {
    Discovery::new(&Settings {
        select,
        ..Settings::default()
    })
}

fn pattern(text: &str) -> Selector {
    Selector::Executable(Pattern::new(text).unwrap())
}

/// A child that is ended with the test, and its own children with it.
struct Started(Child);

impl Started {
    /// Starts a program that prints a line once it is ready.
    fn new(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

#[test]
fn every_selector_alone_selects() {
    let process = Process {
        pid: 40,
        start_ticks: 7,
        ancestors: vec![ProcessKey {
            pid: 30,
            start_ticks: 6,
        }],
        service_name: "shop".to_owned(),
        executable: PathBuf::from("/usr/bin/python3.11"),
        command_line: ["python", "-m", "gunicorn", "shop:app"]
            .map(str::to_owned)
            .to_vec(),
        container_id: Some(format!("0123456789abcdef{}", "0".repeat(48))),
        container_names: vec!["shop-cart-1".to_owned(), "cart".to_owned()],
        ports: vec![8001],
        ..Process::default()
    };
    let yes = [
        Selector::All,
        Selector::Pid(40),
        Selector::Pid(30),
        Selector::Ports(8000..=8010),
        Selector::Service(Pattern::new("shop").unwrap()),
        pattern("python3*"),
        pattern("/usr/*/python*"),
        pattern("*/bin/python3.11"),
        pattern("re:bin/python3"),
        Selector::CommandLine(Pattern::new("*gunicorn shop:*").unwrap()),
        Selector::CommandLine(Pattern::new("re:gunicorn [a-z]+:app$").unwrap()),
        Selector::Container(Pattern::new("0123456789ab").unwrap()),
        Selector::Container(Pattern::new("0123*").unwrap()),
        Selector::Container(Pattern::new("shop-*").unwrap()),
        Selector::Container(Pattern::new("cart").unwrap()),
        rule([
            Selector::Ports(8001..=8001),
            Selector::Ports(1..=1),
            pattern("python3*"),
        ]),
    ];
    for selector in yes {
        assert!(
            discovery(vec![selector.clone()]).selects(&process),
            "{selector:?}"
        );
        assert!(discovery(vec![Selector::Pid(1), selector]).selects(&process));
    }
    let no = [
        Selector::Pid(41),
        Selector::Ports(8002..=8002),
        Selector::Service(Pattern::new("sho").unwrap()),
        pattern("python"),
        pattern("/bin/python*"),
        Selector::CommandLine(Pattern::new("gunicorn").unwrap()),
        Selector::Container(Pattern::new("0123456").unwrap()),
        Selector::Container(Pattern::new("car").unwrap()),
        rule([Selector::Ports(8001..=8001), pattern("node")]),
        rule([]),
    ];
    for selector in no {
        assert!(
            !discovery(vec![selector.clone()]).selects(&process),
            "{selector:?}"
        );
    }
}

fn rule<const N: usize>(selectors: [Selector; N]) -> Selector {
    let mut rule = Rule::default();
    for selector in selectors {
        rule.ask(selector);
    }
    Selector::Rule(rule)
}

#[test]
fn what_is_excluded_is_not_selected() {
    let discovery = Discovery::new(&Settings {
        select: vec![Selector::All],
        exclude: vec![
            pattern("*otelcol*"),
            rule([Selector::Ports(80..=80), pattern("nginx")]),
        ],
        ..Settings::default()
    });
    let selects = |executable: &str, ports: &[u16]| {
        discovery.selects(&Process {
            pid: 40,
            executable: PathBuf::from(executable),
            ports: ports.to_vec(),
            ..Process::default()
        })
    };
    assert!(!selects("/usr/bin/otelcol-contrib", &[]) && !selects("/usr/sbin/nginx", &[80]));
    assert!(selects("/usr/sbin/nginx", &[81]) && selects("/usr/bin/python3", &[80]));
}

#[test]
fn of_each_setting_the_first_entry_counts_that_matches_and_has_it() {
    let mut shop = ServiceSettings {
        name: Some("shop".to_owned()),
        ..ServiceSettings::default()
    };
    shop.rule.ask(Selector::Ports(8001..=8001));
    let mut all = ServiceSettings {
        name: Some("other".to_owned()),
        namespace: Some("prod".to_owned()),
        routes: vec![RoutePattern::parse("/items/{id}").unwrap()],
        ports: vec![1..=9],
        ..ServiceSettings::default()
    };
    all.sampling.ratio = Some(0.5);
    all.rule.ask(Selector::Service(Pattern::new("found*").unwrap()));
    let discovery = Discovery::new(&Settings {
        services: vec![shop, all],
        ..Settings::default()
    });
    let mut process = Process {
        service_name: "found-name".to_owned(),
        found_name: "found-name".to_owned(),
        resource_attributes: vec![("service.namespace".to_owned(), "own".to_owned())],
        ..Process::default()
    };
    discovery.look_again(&mut process);
    assert_eq!(process.service_name, "other");
    process.listens_on(8001);
    discovery.look_again(&mut process);
    assert_eq!(process.service_name, "shop");
    assert_eq!(
        process.resource_attributes,
        [("service.namespace".to_owned(), "prod".to_owned())]
    );
    let Overrides { sampler, routes, .. } = &process.overrides;
    assert_eq!(sampler.map(|sampler| sampler.ratio), Some(0.5));
    assert_eq!(routes[..], [RoutePattern::parse("/items/{id}").unwrap()]);
    assert!(process.overrides.wants_port(9) && !process.overrides.wants_port(10));
}

#[test]
fn a_pid_that_is_used_again_is_not_selected() {
    let mut discovery = discovery(vec![Selector::Pid(40)]);
    discovery.started.insert(40, 7);
    let process = |start_ticks| Process {
        pid: 40,
        start_ticks,
        ..Process::default()
    };
    assert!(discovery.selects(&process(7)));
    assert!(!discovery.selects(&process(8)));
}

#[test]
fn what_observes_others_is_watched_only_if_it_is_meant() {
    let watches = |select: Vec<Selector>, watch_observers: bool, executable: &str, namespace: &str| {
        let discovery = Discovery::new(&Settings {
            select,
            watch_observers,
            ..Settings::default()
        });
        discovery.selects(&Process {
            pid: 40,
            executable: PathBuf::from(executable),
            ports: vec![4317],
            surroundings: vec![("k8s.namespace.name", namespace.to_owned())],
            ..Process::default()
        })
    };
    let all = || vec![Selector::All];
    for (executable, namespace) in [
        ("/usr/bin/sidelight", "shop"),
        ("/otelcol-contrib", "shop"),
        ("/usr/bin/beyla", "shop"),
        ("/usr/bin/coredns", "kube-system"),
    ] {
        assert!(!watches(all(), false, executable, namespace), "{executable}");
        assert!(watches(all(), true, executable, namespace), "{executable}");
        assert!(!watches(
            vec![Selector::Ports(1..=9999)],
            false,
            executable,
            namespace
        ));
        let meant = [
            vec![Selector::Pid(40)],
            vec![Selector::All, pattern(executable)],
            vec![rule([Selector::Ports(4317..=4317), pattern(executable)])],
        ];
        for select in meant {
            assert!(watches(select, false, executable, namespace), "{executable}");
        }
    }
    assert!(watches(all(), false, "/usr/bin/vectorise", "shop"));
}

#[test]
fn the_agent_is_never_selected() {
    let own = Process {
        pid: std::process::id(),
        ..Process::default()
    };
    assert!(!discovery(vec![Selector::All]).selects(&own));
}

#[test]
fn a_pid_that_does_not_exist_is_an_error() {
    let error = discovery(vec![Selector::Pid(i32::MAX as u32)])
        .scan()
        .unwrap_err();
    assert!(matches!(error, InspectError::NoSuchProcess { .. }), "{error}");
}

#[test]
fn a_selected_process_and_its_child_are_found() {
    let shell = Started::new(Command::new("sh").args(["-c", "sleep 1000 & echo $!; wait; true"]));
    let mut discovery = discovery(vec![Selector::Pid(shell.pid())]);
    // The shell has forked, but what it forked may not have been executed yet.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = discovery.scan().unwrap();
        let is_child =
            |process: &Process| process.executable_name() == "sleep" && process.parent_pid == shell.pid();
        if found.len() == 2 && found.iter().any(is_child) {
            break;
        }
        assert!(Instant::now() < deadline, "{found:?}");
    }
}

#[test]
fn a_python_server_is_recognised() {
    let folder = std::env::temp_dir().join(format!("sidelight-discover-{}/flask-app", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = "import socket, sys\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n\
                  sys.stdin.read()\n";
    std::fs::write(folder.join("app.py"), script).unwrap();
    let python = Started::new(
        Command::new("python3")
            .arg("app.py")
            .current_dir(&folder)
            .env(
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.version=1.2,deployment.environment.name=test",
            )
            .stdin(Stdio::piped()),
    );
    let mut discovery = discovery(vec![Selector::Service(Pattern::new("flask-app").unwrap())]);
    let found = discovery.inspect(python.pid());
    let used = discovery.syscalls_used(python.pid());
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    let process = found.unwrap();
    assert_eq!(process.service_name, "flask-app");
    assert_eq!(process.language, Some("python"));
    assert!(
        process
            .language_version
            .as_deref()
            .is_some_and(|version| version.starts_with("3."))
    );
    assert_eq!(process.ports.len(), 1);
    assert!(
        process
            .resource_attributes
            .contains(&("service.version".to_owned(), "1.2".to_owned()))
    );
    assert!(discovery.selects(&process));
    for syscall in [Syscall::Read, Syscall::Sendto, Syscall::Recvfrom] {
        assert!(used.contains(syscall), "{used:?}");
    }
    assert!(!used.contains(Syscall::Recvmmsg), "{used:?}");
}
