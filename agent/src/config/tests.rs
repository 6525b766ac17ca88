//! Precedence, and what depends on several settings.

use std::{fs, time::Duration};

use super::*;

const RUN: Defaults = Defaults { output: Output::None };

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn resolved(
    flags: &Flags,
    environment: &Environment,
    file: Option<&Path>,
) -> Result<(Settings, Vec<String>), Error> {
    let resolved = resolve(flags, environment, file, RUN)?;
    let warnings = resolved.notices.into_iter().map(|notice| match notice {
        Notice::Told(line) | Notice::Warning(line) => line,
    });
    Ok((resolved.settings, warnings.collect()))
}

fn from_environment(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
    resolved(&Flags::new(), &environment(variables), None).unwrap()
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_settings() {
    let expected = format!("{:?}", Draft::default());
    for setting in settings().filter(|setting| !setting.default.is_empty()) {
        let mut draft = Draft::default();
        // Defaults that hold only where they are used: an absent endpoint, an absent file.
        let is_said_only = setting.key.starts_with("otlp.")
            || ["capture.btf", "containers.docker_socket", "sampling.sampler"].contains(&setting.key);
        if is_said_only || (setting.apply)(&mut draft, setting.default).is_err() {
            continue;
        }
        assert_eq!(format!("{draft:?}"), expected, "{}", setting.key);
    }
}

#[test]
fn names_are_unique_and_follow_their_key() {
    let all: Vec<_> = settings().collect();
    for (index, setting) in all.iter().enumerate() {
        assert!(setting.variable.starts_with("SIDELIGHT_"));
        let others = &all[index + 1..];
        assert!(
            others
                .iter()
                .all(|other| other.key != setting.key && other.variable != setting.variable)
        );
    }
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let path = std::env::temp_dir().join(format!("sidelight-precedence-{}.yaml", std::process::id()));
    fs::write(&path, "tier: kprobe\nduration: 1s\nlog:\n  level: error\n").unwrap();
    let flags = vec![("tier", "fentry".to_owned())];
    let variables = environment(&[("SIDELIGHT_TIER", "tracepoint"), ("SIDELIGHT_DURATION", "2s")]);
    let resolved = resolved(&flags, &variables, Some(&path));
    fs::remove_file(&path).unwrap();
    let (settings, warnings) = resolved.unwrap();
    assert_eq!(settings.tier, Tier::Fentry);
    assert_eq!(settings.duration, Some(Duration::from_secs(2)));
    assert_eq!(settings.log.level, Level::Error);
    assert!(warnings.is_empty());
}

#[test]
fn a_selection_replaces_the_selection_below() {
    let flags = vec![("select.pid", "7".to_owned()), ("select.pid", "8".to_owned())];
    let variables = environment(&[("SIDELIGHT_PORT", "80, 443"), ("SIDELIGHT_SERVICE", "shop")]);
    let (settings, _) = resolved(&flags, &variables, None).unwrap();
    assert_eq!(settings.select, [Selector::Pid(7), Selector::Pid(8)]);
    let (settings, _) = resolved(&Flags::new(), &variables, None).unwrap();
    assert_eq!(settings.select.len(), 3);
}

#[test]
fn a_list_of_kinds_replaces_the_list_below() {
    let kinds = |text| from_environment(&[("SIDELIGHT_SDK_LEAVE_OUT", text)]).0.leave_out;
    assert_eq!(kinds(""), LeaveOut::default());
    assert_eq!(kinds("none"), LeaveOut::NOTHING);
    assert_eq!(kinds("server, client,db"), LeaveOut::default());
    let client = LeaveOut {
        client: true,
        ..LeaveOut::NOTHING
    };
    assert_eq!(kinds("client"), client);
}

#[test]
fn an_unknown_variable_is_named_with_the_nearest() {
    let error = resolved(&Flags::new(), &environment(&[("SIDELIGHT_TEIR", "auto")]), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "SIDELIGHT_TEIR: no such setting; did you mean SIDELIGHT_TIER?"
    );
}

#[test]
fn a_missing_file_is_one_clear_line() {
    let error = resolved(
        &Flags::new(),
        &Environment::new(),
        Some(Path::new("/no/such.yaml")),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "/no/such.yaml: the configuration file is not readable: No such file or directory (os error 2); \
         give --config a readable YAML file"
    );
}

#[test]
fn spans_go_to_the_default_endpoint_only_if_they_go_nowhere_else() {
    let (settings, _) = from_environment(&[]);
    assert_eq!(
        settings.export.traces.unwrap().endpoint,
        "http://localhost:4318/v1/traces"
    );
    let (settings, _) = from_environment(&[("SIDELIGHT_OUTPUT", "json")]);
    assert!(settings.export.traces.is_none() && settings.export.metrics.is_none());
    let (settings, _) = from_environment(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert_eq!(settings.export.traces.unwrap().endpoint, "http://localhost:4317");
}

#[test]
fn a_base_endpoint_gets_the_signals_path_and_an_exact_one_stays() {
    let (settings, _) = from_environment(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://base:4318/otlp/"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:9999"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
    ]);
    let (traces, metrics) = (settings.export.traces.unwrap(), settings.export.metrics.unwrap());
    assert_eq!(traces.endpoint, "http://base:4318/otlp/v1/traces");
    assert_eq!(metrics.endpoint, "http://metrics:9999");
    assert_eq!(traces.headers.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(metrics.headers.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(traces.timeout, Duration::from_millis(2500));
}

#[test]
fn metrics_leave_by_the_ways_that_are_named() {
    let export = |variables: &[(&str, &str)]| from_environment(variables).0.export;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://base:4318");
    let none = export(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")]);
    assert!(none.metrics.is_none() && none.traces.is_some() && none.prometheus.is_none());
    let scraped = export(&[
        endpoint,
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
    ]);
    assert!(scraped.metrics.is_none() && scraped.traces.is_some());
    assert_eq!(scraped.prometheus, "127.0.0.1:9464".parse().ok());
    let both = export(&[("OTEL_METRICS_EXPORTER", "otlp, prometheus")]);
    assert_eq!(both.metrics.unwrap().endpoint, "http://localhost:4318/v1/metrics");
    assert_eq!(both.prometheus.map(|address| address.port()), Some(9464));
    let own = export(&[
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("SIDELIGHT_METRICS_EXPORTER", "none"),
    ]);
    assert!(own.metrics.is_none());
    let (_, warnings) = from_environment(&[("OTEL_METRICS_EXPORTER", "console")]);
    assert!(warnings[0].contains("OTEL_METRICS_EXPORTER"), "{warnings:?}");
}

#[test]
fn spans_leave_by_the_ways_that_are_named() {
    let export = |variables: &[(&str, &str)]| from_environment(variables).0.export;
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://base:4318");
    let none = export(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]);
    assert!(none.traces.is_none() && none.metrics.is_some() && none.output == Output::None);
    let console = export(&[endpoint, ("OTEL_TRACES_EXPORTER", "console")]);
    assert!(console.traces.is_none() && console.output == Output::Text);
    let both = export(&[("OTEL_TRACES_EXPORTER", "otlp,console")]);
    assert_eq!(both.traces.unwrap().endpoint, "http://localhost:4318/v1/traces");
    assert!(both.output == Output::Text && both.metrics.is_none());
    let own = export(&[("OTEL_TRACES_EXPORTER", "console"), ("SIDELIGHT_OUTPUT", "json")]);
    assert_eq!(own.output, Output::Json);
    let (_, warnings) = from_environment(&[("OTEL_TRACES_EXPORTER", "zipkin")]);
    assert!(warnings[0].contains("OTEL_TRACES_EXPORTER"), "{warnings:?}");
}

#[test]
fn other_standard_variables_say_whom_to_be_and_what_to_show() {
    let (settings, warnings) = from_environment(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://base:4318"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/own.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/own.key"),
        ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "/metrics.key"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
        ("OTEL_LOG_LEVEL", "DEBUG"),
    ]);
    assert!(warnings.is_empty(), "{warnings:?}");
    let (traces, metrics) = (settings.export.traces.unwrap(), settings.export.metrics.unwrap());
    assert_eq!(traces.client_certificate, Some("/own.pem".into()));
    assert_eq!(traces.client_key, Some("/own.key".into()));
    assert_eq!(metrics.client_key, Some("/metrics.key".into()));
    assert!(!settings.metrics.exemplars);
    assert_eq!(settings.log.level, Level::Debug);
    let (settings, warnings) = from_environment(&[("OTEL_METRICS_EXEMPLAR_FILTER", "always_on")]);
    assert!(settings.metrics.exemplars && warnings.len() == 1, "{warnings:?}");
}

#[test]
fn metrics_are_sent_as_the_standard_variables_say() {
    let (settings, warnings) = from_environment(&[
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "base2_exponential_bucket_histogram",
        ),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "200"),
    ]);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(settings.export.periodic.temporality, Temporality::LowMemory);
    assert_eq!(settings.export.periodic.interval, Duration::from_millis(500));
    assert_eq!(settings.export.periodic.timeout, Duration::from_millis(200));
    assert_eq!(settings.metrics.buckets, Buckets::Exponential);
}

#[test]
fn the_endpoint_flag_wins_over_the_signals_variable() {
    let flags = vec![("otlp.endpoint", "http://flag:4318".to_owned())];
    let variables = environment(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://variable/x")]);
    let (settings, _) = resolved(&flags, &variables, None).unwrap();
    assert_eq!(
        settings.export.traces.unwrap().endpoint,
        "http://flag:4318/v1/traces"
    );
}

#[test]
fn a_standard_variable_that_makes_no_sense_is_warned_of_and_ignored() {
    let (settings, warnings) = from_environment(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_BSP_SCHEDULE_DELAY", ""),
    ]);
    assert_eq!(settings.export.batch.queue_size, 8192);
    assert_eq!(settings.sampler, Sampler::default());
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("OTEL_BSP_MAX_QUEUE_SIZE: \"many\" is not a number above 0: ignored"));
}

#[test]
fn samplers() {
    for (name, argument, parent_based, ratio) in [
        ("always_on", "", false, 1.0),
        ("always_off", "", false, 0.0),
        ("traceidratio", "0.25", false, 0.25),
        ("parentbased_always_on", "", true, 1.0),
        ("parentbased_always_off", "0.5", true, 0.0),
        ("parentbased_traceidratio", "0.1", true, 0.1),
        ("parentbased_traceidratio", "", true, 1.0),
    ] {
        let (settings, warnings) = from_environment(&[
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ]);
        assert_eq!(settings.sampler, Sampler { parent_based, ratio }, "{name}");
        assert!(warnings.is_empty());
    }
}

#[test]
fn the_service_name_variable_wins_over_the_attribute() {
    let attributes = (
        "OTEL_RESOURCE_ATTRIBUTES",
        "service.name=attribute,deployment.environment.name=a%20b",
    );
    let (settings, _) = from_environment(&[attributes]);
    assert_eq!(settings.resource.service_name.as_deref(), Some("attribute"));
    assert_eq!(
        settings.resource.attributes,
        [("deployment.environment.name".to_owned(), "a b".to_owned())]
    );
    let (settings, _) = from_environment(&[attributes, ("OTEL_SERVICE_NAME", "variable")]);
    assert_eq!(settings.resource.service_name.as_deref(), Some("variable"));
}

#[test]
fn a_disabled_sdk_exports_nothing() {
    let (settings, _) = from_environment(&[
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
    ]);
    assert!(settings.export.traces.is_none() && settings.export.metrics.is_none());
}

#[test]
fn printed_settings_are_the_same_settings_again() {
    let path = std::env::temp_dir().join(format!("sidelight-printed-{}.yaml", std::process::id()));
    let flags = vec![
        ("select.port", "8000-8010".to_owned()),
        ("exclude.command_line", "re:^a \"b\"".to_owned()),
        ("output", "json".to_owned()),
    ];
    let variables = environment(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:9999/x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret-word"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1,service.name=true"),
        ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ("SIDELIGHT_SDK_LEAVE_OUT", "db"),
        ("SIDELIGHT_PROMETHEUS", "[::1]:9464"),
    ]);
    let text = "services:\n  - match: {port: 80, service: [\"*\", null-like]}\n    name: \"null\"\n    ports: [80, 443]\n\
                \x20 - match:\n      exe: \"#x\"\n    sampling: {ratio: 0.5}\n    routes: {patterns: [\"/a/{b}\"]}\n\
                capture: {record: /tmp/x y}\n";
    fs::write(&path, text).unwrap();
    let first = resolve(&flags, &variables, Some(&path), RUN).unwrap();
    let printed = first.print();
    fs::write(&path, &printed).unwrap();
    let second = resolve(&Flags::new(), &Environment::new(), Some(&path), RUN);
    fs::remove_file(&path).unwrap();
    let mut expected = first.settings;
    for otlp in [&mut expected.export.traces, &mut expected.export.metrics] {
        otlp.as_mut().unwrap().headers.clear();
    }
    let second = second.unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(
        format!("{:?}", second.settings),
        format!("{expected:?}"),
        "{printed}"
    );
    assert!(!printed.contains("secret-word"), "{printed}");
    for part in [
        "port: [8000-8010]  # flag --port",
        "sampler: traceidratio  # variable OTEL_TRACES_SAMPLER",
        "ratio: 0.25  # variable OTEL_TRACES_SAMPLER_ARG",
        "# headers: \"authorization=REDACTED\"  # variable OTEL_EXPORTER_OTLP_HEADERS; not shown",
        "tier: auto  # default",
        &format!("name: \"null\"  # file {}:3", path.display()),
    ] {
        assert!(printed.contains(part), "{part}\n{printed}");
    }
}

#[test]
fn what_depends_on_others_is_printed_as_it_holds() {
    let print = |flags: &[(&'static str, &str)]| {
        let flags = flags
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        resolve(&flags, &Environment::new(), None, RUN).unwrap().print()
    };
    let bare = print(&[]);
    assert!(
        bare.contains("  all: true  # default\n") && bare.contains("output: none  # default\n"),
        "{bare}"
    );
    assert!(
        bare.contains("  # match:  # not set\n") && bare.contains("# services:  # not set\n"),
        "{bare}"
    );
    let share = print(&[("sampling.ratio", "0.5")]);
    assert!(
        share.contains("  sampler: parentbased_traceidratio  # default\n"),
        "{share}"
    );
    let selected = print(&[("select.pid", "7")]);
    assert!(
        selected.contains("  pid: [7]  # flag --pid\n") && !selected.contains("all: true"),
        "{selected}"
    );
}
