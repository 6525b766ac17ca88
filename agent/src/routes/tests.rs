//! Which source of routes has its say.

use std::time::Duration;

use super::*;

fn settings() -> RouteSettings {
    RouteSettings {
        patterns: vec![RoutePattern::parse("/shop/{item}").unwrap()],
        ..RouteSettings::default()
    }
}

fn http(path: &str, status: u16) -> Http {
    Http {
        method: "GET".to_owned(),
        target: path.to_owned(),
        status: Some(status),
        ..Http::default()
    }
}

fn known(route: &str) -> Lookup {
    Lookup::Known(Some(route.into()))
}

const NONE: Lookup = Lookup::Known(None);

#[test]
fn patterns_of_the_settings_come_first_and_what_a_path_looks_like_last() {
    let mut routes = Routes::new(settings()).unwrap();
    let process = Process::default();
    let mut find = |path, status| routes.find(&process, &http(path, status), 0, 0);
    assert_eq!(find("/shop/7?x=1", 404), known("/shop/{item}"));
    assert_eq!(find("/orders/7", 200), known("/orders/{id}"));
    assert_eq!(find("/wp-login.php", 404), NONE);
    assert_eq!(find("*", 200), NONE);
    // Those of a single service come before those of all.
    let mut process = Process::default();
    process.overrides.routes = vec![RoutePattern::parse("/shop/:thing").unwrap()].into();
    let find = routes.find(&process, &http("/shop/7", 200), 0, 0);
    assert_eq!(find, known("/shop/:thing"));
}

#[test]
fn nothing_is_guessed_if_that_is_not_wanted() {
    let settings = RouteSettings {
        heuristic: false,
        ..settings()
    };
    let mut routes = Routes::new(settings).unwrap();
    assert_eq!(routes.find(&Process::default(), &http("/a", 200), 0, 0), NONE);
}

#[test]
fn what_the_framework_does_not_have_is_not_guessed_where_it_said_so() {
    let mut routes = Routes::new(settings()).unwrap();
    let process = Process {
        language: Some("python"),
        ..Process::default()
    };
    let rules = vec![table::werkzeug::Rule::parse("/user/<name>", None, true).unwrap()];
    let map = table::Table::Werkzeug(table::werkzeug::Map::new(rules));
    let of_process = OfProcess {
        tables: Some(Tables(vec![map])),
        next_look: u64::MAX,
        ..OfProcess::default()
    };
    routes.processes.insert(process.key(), of_process);
    let mut find = |path, status| routes.find(&process, &http(path, status), 0, 0);
    assert_eq!(find("/user/al%20ice", 200), known("/user/<name>"));
    assert_eq!(find("/users", 404), NONE);
    assert_eq!(find("/users", 308), NONE);
    // Something before the framework answered it.
    assert_eq!(find("/metrics", 200), known("/metrics"));
}

#[test]
fn a_process_that_cannot_be_read_is_asked_less_and_less_often() {
    let mut routes = Routes::new(settings()).unwrap();
    let process = Process {
        // Beyond the largest one.
        pid: 1 << 30,
        language: Some("python"),
        ..Process::default()
    };
    let second = Duration::from_secs(1).as_nanos() as u64;
    let mut now = second;
    let mut asked = Vec::new();
    for _ in 0..200 {
        match routes.find(&process, &http("/a", 200), now, 0) {
            Lookup::Wait => {
                asked.push(now / second);
                while !routes.take_answers(now) {
                    std::thread::yield_now();
                }
            }
            lookup @ Lookup::Known(_) => assert_eq!(lookup, known("/a")),
        }
        now += second;
    }
    assert_eq!(asked, [1, 2, 4, 8, 16, 32, 64, 128]);
    assert_eq!(routes.processes.len(), 1);
    routes.keep(|_| false);
    assert!(routes.processes.is_empty());
}
