use super::*;
use crate::{
    config::{Pattern, Selector, Settings, Tier, draft::Draft},
    routes::RoutePattern,
};

fn read(text: &str) -> Result<Settings, String> {
    let path = Path::new("test.yaml");
    let mut layers = Layers::default();
    parse(path, text)
        .and_then(|document| apply(&mut layers, path, &document))
        .map(|()| Draft::of(&layers).settings)
        .map_err(|error| error.to_string())
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}

#[test]
fn sections_lists_and_scalars() {
    let settings = read(
        "# what is watched\nselect:\n  pid: [1, 2]\n  port: 8000-8010\n  exe:\n    - python3*\ntier: tracepoint\n\
         capture:\n  ring_buffer_bytes: 16MiB\n  max_connections: 10\nlimits:\nduration: 5s\n",
    )
    .unwrap();
    assert_eq!(
        settings.select,
        [
            Selector::Pid(1),
            Selector::Pid(2),
            Selector::Ports(8000..=8010),
            Selector::Executable(pattern("python3*"))
        ]
    );
    assert_eq!(settings.tier, Tier::Tracepoint);
    assert_eq!(settings.capture.ring_buffer_bytes, 16 << 20);
    assert_eq!(settings.capture.max_connections, 10);
}

#[test]
fn entries_have_sections_too() {
    let settings = read(
        "select:\n  match:\n    - {port: [80, 443], exe: nginx}\nexclude:\n  container: \"*-sidecar\"\nservices:\n\
         - match: {container: shop-*}\n  name: shop\n  namespace: prod\n  sampling: {ratio: 0.5}\n  routes:\n    \
         patterns: [\"/items/{id}\"]\n  ports: [80]\n",
    )
    .unwrap();
    let Selector::Rule(rule) = &settings.select[0] else {
        panic!()
    };
    assert_eq!(
        rule.groups(),
        [
            vec![Selector::Ports(80..=80), Selector::Ports(443..=443)],
            vec![Selector::Executable(pattern("nginx"))],
        ]
    );
    assert_eq!(settings.exclude, [Selector::Container(pattern("*-sidecar"))]);
    let shop = &settings.services[0];
    assert_eq!(shop.rule.groups(), [vec![Selector::Container(pattern("shop-*"))]]);
    assert_eq!(
        (shop.name.as_deref(), shop.namespace.as_deref()),
        (Some("shop"), Some("prod"))
    );
    assert_eq!(shop.sampling.ratio, Some(0.5));
    assert_eq!(
        (&shop.routes[..], &shop.ports[..]),
        (&[RoutePattern::parse("/items/{id}").unwrap()][..], &[80..=80][..])
    );
}

#[test]
fn a_list_of_kinds_replaces_the_default_also_if_it_is_empty() {
    for (text, server, database) in [
        ("sdk:\n  leave_out: []\n", false, false),
        ("sdk:\n  leave_out: none\n", false, false),
        ("sdk:\n  leave_out: [db]\n", false, true),
        ("sdk:\n", true, true),
    ] {
        let leave_out = read(text).unwrap().leave_out;
        assert_eq!(
            (leave_out.server, leave_out.database),
            (server, database),
            "{text}"
        );
    }
}

#[test]
fn an_empty_file_sets_nothing() {
    assert!(read("").is_ok());
    assert!(read("# nothing\n").is_ok());
}

#[test]
fn errors_say_what_and_where() {
    for (text, expected) in [
        (
            "tier: auto\notlp:\n  endpiont: http://x\n",
            "test.yaml: no setting is called otlp.endpiont; did you mean otlp.endpoint? at line 3 column 3",
        ),
        (
            "tier: auto\nteir: auto\n",
            "no setting is called teir; did you mean tier? at line 2 column 1",
        ),
        (
            "tier: fentri\n",
            "tier: \"fentri\" is not one of auto, fentry, kprobe, tracepoint; did you mean fentry? at line 1 column 7",
        ),
        (
            "select:\n  pid: [1, x]\n",
            "select.pid: \"x\" is not a process id; `sidelight ps` lists the processes that could be watched \
             at line 2 column 12",
        ),
        (
            "tier: [auto]\n",
            "tier: takes one value, not a list at line 1 column 7",
        ),
        (
            "tier: {a: b}\n",
            "tier: takes a value, not a mapping at line 1 column 7",
        ),
        ("- a\n", "this is not a mapping of settings at line 1 column 1"),
        ("tier: 'auto\n", "at line 1"),
        (
            "tier: auto\n---\ntier: auto\n",
            "there is a second document; keep to one",
        ),
        (
            "services:\n  - match: {prot: 80}\n",
            "no key of services is called match.prot; did you mean match.port? at line 2 column 13",
        ),
        ("services:\n  - name: x\n", "services: this entry matches nothing"),
        ("services: {}\n", "services: takes a list of mappings"),
        (
            "select:\n  match:\n    - port: 0\n",
            "select.match.port: \"0\" is not a port or a range of ports",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text:?} gives {error:?}");
    }
}
