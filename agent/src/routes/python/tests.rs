//! Interpreters that are on this machine, with applications that look like those of the frameworks.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::*;
use crate::routes::table::{Asked, Found};

/// Classes with the names and attributes of the frameworks', and what is hard to read: attributes beyond those that fit into
/// an instance, dictionaries that lost entries, texts of all widths, objects that the collector froze.
const SCRIPT: &str = r#"
import gc, sys

def kind(name, module, *bases):
    return type(name, bases or (object,), {"__module__": module})

Map = kind("Map", "werkzeug.routing.map")
Rule = kind("Rule", "werkzeug.routing.rules")
Starlette = kind("Starlette", "starlette.applications")
FastAPI = kind("FastAPI", "fastapi.applications", Starlette)
Router = kind("Router", "starlette.routing")
Route = kind("Route", "starlette.routing")
Mount = kind("Mount", "starlette.routing")
Included = kind("_IncludedRouter", "fastapi.routing")
Context = kind("_RouterIncludeContext", "fastapi.routing")

def make(cls, **attributes):
    made = cls()
    for number in range(40 if cls is Rule else 0):
        setattr(made, f"other_{number}", number)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made

def rule(text, methods, **more):
    return make(Rule, rule=text, methods=methods, strict_slashes=True, build_only=False, websocket=False, **more)

rules = {"gone": [rule("/gone", None)], "user": [rule("/user/<name>", {"GET", "HEAD", "OPTIONS"})]}
rules.update({f"e{number}": [rule(f"/e{number}/<x>", {"GET"})] for number in range(300)})
rules["wide"] = (rule("/größe/<x>", None), rule("/ключ/<x>", None), rule("/😀/<x>", None))
del rules["gone"]

def flask():
    made = make(Map, _rules_by_endpoint=rules)
    made.__dict__["as_a_dictionary"] = True
    return made

def route(path, methods):
    return make(Route, path=path, methods=methods)

def app(cls, *routes):
    return make(cls, router=make(Router, routes=list(routes)))

inner = app(Starlette, route("/x/{id}", {"GET"}))
included = make(Router, routes=[route("/things/{id}", {"GET"}), route("/", {"GET"})])
def fastapi():
    return app(
        FastAPI,
        route("/users/{id}", {"GET"}),
        make(Included, original_router=included, include_context=make(Context, prefix="/v1")),
        make(Mount, path="/sub", _base_app=inner, app=inner),
        make(Mount, path="/static", _base_app=object(), app=object()),
    )

kept = [flask()]
gc.freeze()
kept.append(fastapi())
for turn in range(int(sys.argv[1])):
    gc.collect()
print("ready", flush=True)
sys.stdin.read()
"#;

/// A child that ends with its handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(interpreter: &std::path::Path, collections: &str) -> Option<Running> {
    let mut child = Command::new(interpreter)
        .args(["-c", SCRIPT, collections])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let out = child.stdout.take()?;
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).ok()?;
    (line == "ready\n").then_some(running)
}

fn interpreters() -> Vec<PathBuf> {
    let home = std::env::var("HOME").unwrap_or_default();
    let of_pyenv = (9..=14).filter_map(|minor| {
        let folders = std::fs::read_dir(format!("{home}/.pyenv/versions")).ok()?;
        let mut folders = folders.filter_map(|folder| Some(folder.ok()?.path()));
        folders.find_map(|folder| {
            let is_right = folder.file_name()?.to_str()?.starts_with(&format!("3.{minor}."));
            is_right.then(|| folder.join(format!("bin/python3.{minor}")))
        })
    });
    let others = (9..=14).map(|minor| PathBuf::from(format!("/usr/bin/python3.{minor}")));
    let given = std::env::var_os("SIDELIGHT_TEST_PYTHONS");
    let given: Vec<PathBuf> = given.iter().flat_map(std::env::split_paths).collect();
    of_pyenv
        .chain(others)
        .chain(given)
        .filter(|path| path.is_file())
        .collect()
}

fn find(tables: &Tables, path: &str) -> Option<String> {
    match tables.find(&Asked {
        method: "GET",
        path,
        host: "",
    }) {
        Found::Route(route) => Some(route.to_string()),
        Found::Ambiguous | Found::Nothing => None,
    }
}

#[test]
fn the_interpreters_of_this_machine() {
    let mut read = 0;
    for interpreter in interpreters() {
        for collections in ["0", "3"] {
            let Some(running) = start(&interpreter, collections) else {
                continue;
            };
            let case = interpreter.display();
            let pid = running.0.id();
            let python = Python::of(pid).unwrap_or_else(|| panic!("{case}: no interpreter"));
            let memory = ProcessMemory::open(pid).unwrap();
            let tables = python
                .tables(&memory)
                .unwrap_or_else(|| panic!("{case}: not readable"));
            assert_eq!(tables.0.len(), 2, "{case}: {tables:?}");
            for (path, expected) in [
                ("/user/alice", Some("/user/<name>")),
                ("/e299/1", Some("/e299/<x>")),
                ("/größe/1", Some("/größe/<x>")),
                ("/ключ/1", Some("/ключ/<x>")),
                ("/😀/1", Some("/😀/<x>")),
                ("/gone", None),
                ("/users/7", Some("/users/{id}")),
                ("/v1/things/7", Some("/v1/things/{id}")),
                ("/things/7", None),
                ("/sub/x/7", Some("/sub/x/{id}")),
                ("/x/7", None),
                ("/static/a.js", Some("/static")),
            ] {
                assert_eq!(find(&tables, path).as_deref(), expected, "{case} {path}");
            }
            read += 1;
        }
    }
    println!("{read} interpreters were read");
}

#[test]
fn memory_that_is_not_what_it_should_be() {
    let mut memory = crate::routes::memory::Written::default();
    let python = Python {
        interpreter: CPython {
            minor: 12,
            head: 0x1000,
        },
        layout: Layout::of(12).unwrap(),
    };
    let look = |memory: &crate::routes::memory::Written| python.look(memory, Instant::now() + LOOK).0;
    assert_eq!(look(&memory), Walk::Absent);
    memory.words(0x1000, &[0x10_0000]);
    assert_eq!(look(&memory), Walk::Absent);
    // Four empty lists.
    let collector = 0x10_0000 + python.layout.collector;
    let heads = [24, 48, 72, python.layout.permanent].map(|offset| collector + offset);
    for head in heads {
        memory.words(head, &[head, head]);
    }
    assert_eq!(look(&memory), Walk::Complete);
    // A list that leads into itself, and never back.
    let (first, second) = (0x20_0000, 0x20_1000);
    memory.words(heads[1], &[first, first]);
    memory.words(first, &[second, heads[1], 1, 0x30_0000]);
    memory.words(second, &[first, first, 1, 0x30_0000]);
    let soon = Instant::now() + Duration::from_millis(50);
    assert_eq!(python.look(&memory, soon).0, Walk::Late);
    // One that leads to nowhere.
    memory.words(second, &[0x40_0000]);
    assert_eq!(look(&memory), Walk::Torn);
}
