use super::*;
use crate::config::{
    Defaults, Flags, Output, Pattern, Protocol, Resolved, Sampler, Selector, Settings, file, resolve,
};

fn variables(pairs: &[(&str, &str)]) -> Environment {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn resolved(environment: &[(&str, &str)], flags: &Flags) -> Resolved {
    resolve(
        flags,
        &variables(environment),
        None,
        Defaults { output: Output::None },
    )
    .unwrap()
}

fn of_file(text: &str, environment: &[(&str, &str)]) -> (Settings, Vec<String>) {
    let path = std::env::temp_dir().join(format!(
        "sidelight-foreign-{}-{:?}.yaml",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::write(&path, text).unwrap();
    let resolved = resolve(
        &Flags::new(),
        &variables(environment),
        Some(&path),
        Defaults { output: Output::None },
    );
    std::fs::remove_file(&path).unwrap();
    let resolved = resolved.unwrap();
    let lines = lines(&resolved);
    (resolved.settings, lines)
}

fn lines(resolved: &Resolved) -> Vec<String> {
    let lines = resolved.notices.iter().map(|notice| match notice {
        Notice::Told(line) | Notice::Warning(line) => line.clone(),
    });
    lines.collect()
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}

#[test]
fn every_row_leads_to_a_setting() {
    for row in ROWS {
        if let Becomes::Setting(key, _) = row.becomes {
            let is_there = key.is_empty() || by_key(key).is_some() || key.starts_with("routes.");
            assert!(is_there, "{} becomes {key}, which is no setting", row.name);
        }
    }
    for (index, row) in ROWS.iter().enumerate() {
        assert!(
            ROWS[index + 1..].iter().all(|other| other.name != row.name),
            "{}",
            row.name
        );
    }
}

#[test]
fn the_commonest_variables_become_ours() {
    for prefix in ["OTEL_EBPF_", "BEYLA_"] {
        let named = |name: &str| format!("{prefix}{name}");
        let environment = [
            (named("OPEN_PORT"), "80,8000-8999"),
            (named("SERVICE_NAME"), "shop"),
            (named("SERVICE_NAMESPACE"), "prod"),
            (named("TRACE_PRINTER"), "text"),
            (named("PROMETHEUS_PORT"), "8999"),
            (named("LOG_LEVEL"), "DEBUG"),
            (named("KUBE_METADATA_ENABLE"), "true"),
            (named("BPF_BUFFER_SIZE_HTTP"), "8192"),
        ];
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let resolved = resolved(&environment, &Flags::new());
        let settings = &resolved.settings;
        assert_eq!(
            settings.select,
            [Selector::Ports(80..=80), Selector::Ports(8000..=8999)]
        );
        assert_eq!(settings.resource.service_name.as_deref(), Some("shop"));
        assert_eq!(
            settings.resource.attributes,
            [("service.namespace".to_owned(), "prod".to_owned())]
        );
        assert_eq!(settings.export.output, Output::Text);
        assert_eq!(settings.export.prometheus.unwrap().to_string(), "0.0.0.0:8999");
        let lines = lines(&resolved);
        assert_eq!(lines.len(), environment.len(), "{lines:#?}");
        assert!(
            lines.contains(&format!(
                "{prefix}OPEN_PORT is taken as select.port: 80, 8000-8999"
            )),
            "{lines:#?}"
        );
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(&format!("{prefix}KUBE_METADATA_ENABLE is ignored: ")))
        );
    }
}

#[test]
fn port_and_executable_together_are_both_asked_for() {
    let resolved = resolved(
        &[
            ("BEYLA_OPEN_PORT", "8002"),
            ("BEYLA_AUTO_TARGET_EXE", "*/{golang,go}-app"),
        ],
        &Flags::new(),
    );
    let [Selector::Rule(rule)] = &resolved.settings.select[..] else {
        panic!("{:?}", resolved.settings.select)
    };
    let exe = |text: &str| Selector::Executable(pattern(text));
    assert_eq!(
        rule.groups(),
        [
            vec![Selector::Ports(8002..=8002)],
            vec![exe("*/golang-app"), exe("*/go-app")]
        ]
    );
    assert_eq!(
        lines(&resolved),
        [
            "BEYLA_OPEN_PORT with BEYLA_AUTO_TARGET_EXE is taken as select.match: exe */golang-app or */go-app, port 8002"
        ]
    );
}

#[test]
fn what_is_set_by_our_name_goes_before_and_is_told() {
    let resolved = resolved(
        &[
            ("BEYLA_OPEN_PORT", "8002"),
            ("BEYLA_LOG_LEVEL", "ERROR"),
            ("SIDELIGHT_LOG_LEVEL", "warn"),
        ],
        &vec![("select.pid", "7".to_owned())],
    );
    assert_eq!(resolved.settings.select, [Selector::Pid(7)]);
    let lines = lines(&resolved);
    let has = |line: &str| assert!(lines.iter().any(|known| known == line), "{line}: {lines:#?}");
    has("BEYLA_LOG_LEVEL is not used: log.level is set by variable SIDELIGHT_LOG_LEVEL, which goes before");
    has("BEYLA_OPEN_PORT is not used: other settings select, which go before");
}

#[test]
fn the_port_of_the_endpoint_tells_the_protocol_as_it_does_there() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    let protocol = |environment: &[(&str, &str)]| {
        let resolved = resolved(environment, &Flags::new());
        resolved.settings.export.traces.unwrap().protocol
    };
    let theirs = ("OTEL_EBPF_OPEN_PORT", "80");
    assert_eq!(protocol(&[endpoint]), Protocol::HttpProtobuf);
    assert_eq!(protocol(&[endpoint, theirs]), Protocol::Grpc);
    let said = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    assert_eq!(protocol(&[endpoint, theirs, said]), Protocol::HttpProtobuf);
}

#[test]
fn a_file_of_theirs_is_read() {
    let (settings, lines) = of_file(
        "log_level: INFO\ndiscovery:\n  instrument:\n    - open_ports: 8002\n    - exe_path: \"*/{a,b}\"\n      name: ab\n      \
         k8s_namespace: x\n  exclude_instrument:\n    - container_name: \"*-db\"\nebpf:\n  context_propagation: headers\n\
         otel_traces_export:\n  endpoint: http://${COLLECTOR:-localhost}:4318\n  sampler: {name: traceidratio, arg: \"0.1\"}\n\
         prometheus_export:\n  port: 8999\n  path: /metrics\nroutes:\n  unmatched: heuristic\ninternal_metrics:\n  prometheus:\n    \
         port: 8998\n",
        &[("COLLECTOR", "otel-collector")],
    );
    assert_eq!(settings.select.len(), 2, "{:?}", settings.select);
    assert_eq!(settings.services[0].name.as_deref(), Some("ab"));
    let [Selector::Rule(excluded)] = &settings.exclude[..] else {
        panic!("{:?}", settings.exclude)
    };
    assert_eq!(excluded.groups(), [vec![Selector::Container(pattern("*-db"))]]);
    assert_eq!(
        settings.export.traces.unwrap().endpoint,
        "http://otel-collector:4318/v1/traces"
    );
    assert_eq!(
        settings.sampler,
        Sampler {
            parent_based: false,
            ratio: 0.1
        }
    );
    assert_eq!(settings.export.prometheus.unwrap().port(), 8999);
    for start in [
        "log_level is taken as log.level: info",
        "discovery.instrument[0] is taken as select.match: port 8002",
        "discovery.instrument[1] is taken as services: ",
        "discovery.instrument[1].k8s_namespace is ignored: ",
        "ebpf.context_propagation is ignored: ",
        "otel_traces_export.endpoint is taken as otlp.traces.endpoint: http://otel-collector:4318/v1/traces",
        "routes.unmatched is ignored: ",
        "internal_metrics.prometheus.port is ignored: ",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(start)),
            "{start}: {lines:#?}"
        );
    }
}

#[test]
fn their_lists_of_what_is_left_out_by_default_stand_in_the_place_of_observers() {
    let (settings, lines) = of_file("discovery:\n  default_exclude_instrument: []\n", &[]);
    assert!(settings.watch_observers && settings.exclude.is_empty());
    let said = "discovery.default_exclude_instrument is taken as exclude.observers: false";
    assert!(lines.iter().any(|line| line == said), "{lines:#?}");

    let (settings, lines) = of_file(
        "discovery:\n  default_exclude_services:\n    - exe_path: (?:^|/)alloy$\n    - k8s_namespace: ^kube-system$\n\
         \x20 excluded_linux_system_paths: [/usr/sbin]\n",
        &[],
    );
    assert!(settings.watch_observers);
    let [Selector::Rule(excluded)] = &settings.exclude[..] else {
        panic!("{:?}", settings.exclude)
    };
    assert_eq!(
        excluded.groups(),
        [vec![Selector::Executable(pattern("re:(?:^|/)alloy$"))]]
    );
    for start in [
        "discovery.default_exclude_services is taken as exclude.observers: false",
        "discovery.default_exclude_services[0] is taken as exclude.match: exe re:",
        "discovery.default_exclude_services[1].k8s_namespace is ignored: ",
        "discovery.excluded_linux_system_paths is ignored: programs are left out by exclude.exe",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(start)),
            "{start}: {lines:#?}"
        );
    }
    let (settings, _) = of_file("discovery:\n  instrument:\n    - open_ports: 80\n", &[]);
    assert!(!settings.watch_observers);
}

#[test]
fn a_file_is_theirs_if_it_has_what_only_theirs_have() {
    let is = |text: &str| is_foreign(&file::parse(Path::new("x"), text).unwrap());
    assert!(is("open_port: 80\n") && is("discovery: {}\nroutes: {}\n"));
    assert!(
        !is("routes: {}\n") && !is("select: {port: 80}\n") && !is("") && !is("open_port: 80\ntier: auto\n")
    );
}

#[test]
fn variables_in_their_files_are_expanded() {
    let environment = variables(&[("A", "1"), ("EMPTY", "")]);
    for (text, expected) in [
        ("x: ${A}", "x: 1"),
        ("x: ${env:A}", "x: 1"),
        ("x: ${B:-two}", "x: two"),
        ("x: ${EMPTY:-three}", "x: three"),
        ("x: $${A}", "x: ${A}"),
        ("x: ${B}", "x: "),
    ] {
        assert_eq!(expand(text, &environment), expected, "{text}");
    }
}

#[test]
fn values_of_theirs_in_our_words() {
    assert_eq!(values::duration("1m30s").unwrap(), ["90000ms"]);
    assert_eq!(values::duration("1.5s").unwrap(), ["1500ms"]);
    assert!(values::duration("soon").is_err());
    assert_eq!(values::alternatives("{a,b}/{c,d}"), ["a/c", "a/d", "b/c", "b/d"]);
    assert_eq!(values::alternatives("a{b"), ["a{b"]);
    assert_eq!(values::list(" 80 - 90 ,443").unwrap(), ["80-90", "443"]);
    assert_eq!(
        values::traces_endpoint("http://tempo:4317").unwrap(),
        ["http://tempo:4317"]
    );
    assert_eq!(
        values::traces_endpoint("http://x:4318/own").unwrap(),
        ["http://x:4318/own"]
    );
}
