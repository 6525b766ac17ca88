use std::sync::Arc;

use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    messages::{Bucket, LabelPair, MetricFamily, MetricType},
    protobuf::protobuf,
    text::{Dialect, text},
    *,
};
use crate::{
    config::{Buckets, MetricsSettings},
    conventions::Description,
    discover::Process,
    metrics::{
        Asked, Exemplar, Measured, Metrics, Now, Number, NumberKind, NumberMetric, OfAgent, Reading, Settled,
        Snapshot, channel,
    },
    span::{SpanId, SpanKind, Status, TraceId},
};

fn snapshot() -> Snapshot {
    snapshot_in(Buckets::Explicit)
}

fn snapshot_in(buckets: Buckets) -> Snapshot {
    let settings = MetricsSettings {
        buckets,
        ..MetricsSettings::default()
    };
    let mut metrics = Metrics::new(settings, Settled::always());
    let process = Arc::new(Process {
        pid: 7,
        service_name: "shop".to_owned(),
        service_instance_id: "7c1e".to_owned(),
        resource_attributes: vec![("service.namespace".to_owned(), "a \"b\"\\\n".to_owned())],
        ..Process::default()
    });
    let description = Description {
        name: "SELECT".to_owned(),
        kind: SpanKind::Client,
        status: Status::Unset,
        attributes: vec![("db.system.name", "postgresql".into())],
    };
    let exemplar = Exemplar {
        trace_id: TraceId::from(0xab_u128),
        span_id: SpanId::from(0xcd_u64),
        unix_nanos: 1_700_000_000_250_000_000,
    };
    for (millis, exemplar) in [(3, Some(exemplar)), (250, None), (60_000, None)] {
        let measured = Measured {
            description: &description,
            nanos: millis * 1_000_000,
            exemplar,
        };
        metrics.add(&process, &measured, Now::default());
    }
    let mut processes = metrics.snapshot();
    processes[0].readings = readings();
    Snapshot {
        processes,
        agent: OfAgent {
            counts: vec![("events", 12), ("recursion_misses", 3)],
            tier: "tracepoint",
            ..OfAgent::default()
        },
        ..Snapshot::default()
    }
}

fn readings() -> Vec<Reading> {
    const CPU: NumberMetric = NumberMetric {
        name: "process.cpu.time",
        unit: "s",
        description: "CPU.",
        kind: NumberKind::Counter,
    };
    const ACTIVE: NumberMetric = NumberMetric {
        name: "http.server.active_requests",
        unit: "{request}",
        description: "Requests.",
        kind: NumberKind::UpDownCounter,
    };
    let reading = |metric, labels, value| Reading {
        metric,
        labels,
        value,
        since_unix_nanos: 1,
    };
    vec![
        reading(&CPU, vec![("cpu.mode", "user".into())], Number::Float(1.5)),
        reading(&ACTIVE, vec![], Number::Int(3)),
        reading(&CPU, vec![("cpu.mode", "system".into())], Number::Float(2.0)),
    ]
}

#[test]
fn numbers_are_counters_or_gauges_each_under_one_head() {
    assert_eq!(
        lines(Dialect::Prometheus, "process_cpu_time"),
        [
            "# HELP process_cpu_time_seconds_total CPU.",
            "# TYPE process_cpu_time_seconds_total counter",
            "process_cpu_time_seconds_total{cpu_mode=\"user\"} 1.5",
            "process_cpu_time_seconds_total{cpu_mode=\"system\"} 2.0",
        ]
    );
    assert_eq!(
        lines(Dialect::OpenMetrics, "process_cpu_time")[1..3],
        [
            "# TYPE process_cpu_time_seconds counter",
            "# UNIT process_cpu_time_seconds seconds"
        ]
    );
    let active = lines(Dialect::OpenMetrics, "active_requests");
    assert_eq!(active[1], "# TYPE http_server_active_requests gauge");
    assert!(active[2].starts_with("http_server_active_requests{") && active[2].ends_with("} 3"));
}

/// The lines about one metric, without what names the process.
fn lines(format: Dialect, about: &str) -> Vec<String> {
    let page = text(&snapshot(), format);
    let about = page.lines().filter(|line| line.contains(about));
    about
        .map(|line| line.replace("job=\"a \\\"b\\\"\\\\\\n/shop\",instance=\"7c1e\",", ""))
        .collect()
}

#[test]
fn a_histogram_as_openmetrics() {
    let name = "db_client_operation_duration_seconds";
    let bucket = |bound: &str, count: u64, exemplar: &str| {
        format!("{name}_bucket{{db_system_name=\"postgresql\",le=\"{bound}\"}} {count}{exemplar}")
    };
    let trace = format!("{:032x}", 0xab);
    let span = format!("{:016x}", 0xcd);
    let exemplar = format!(" # {{trace_id=\"{trace}\",span_id=\"{span}\"}} 0.003 1700000000.250");
    let expected = [
        format!("# HELP {name} Duration of database client operations."),
        format!("# TYPE {name} histogram"),
        format!("# UNIT {name} seconds"),
        bucket("0.001", 0, ""),
        bucket("0.005", 1, &exemplar),
        bucket("0.01", 1, ""),
        bucket("0.05", 1, ""),
        bucket("0.1", 1, ""),
        bucket("0.5", 2, ""),
        bucket("1.0", 2, ""),
        bucket("5.0", 2, ""),
        bucket("10.0", 2, ""),
        bucket("+Inf", 3, ""),
        format!("{name}_sum{{db_system_name=\"postgresql\"}} 60.253"),
        format!("{name}_count{{db_system_name=\"postgresql\"}} 3"),
    ];
    assert_eq!(lines(Dialect::OpenMetrics, name), expected);
    assert!(text(&snapshot(), Dialect::OpenMetrics).ends_with("\n# EOF\n"));
}

#[test]
fn prometheus_own_format_has_no_exemplars_units_and_end() {
    let page = text(&snapshot(), Dialect::Prometheus);
    assert!(!page.contains(" # {") && !page.contains("# UNIT") && !page.contains("# EOF"));
    assert_eq!(
        lines(Dialect::Prometheus, "sidelight_events"),
        [
            "# HELP sidelight_events_total Of the agent's own counts; the same as in its last line on stderr.",
            "# TYPE sidelight_events_total counter",
            "sidelight_events_total 12"
        ]
    );
    assert_eq!(
        lines(Dialect::OpenMetrics, "sidelight_events")[1],
        "# TYPE sidelight_events counter"
    );
}

#[test]
fn what_a_tier_missed_says_which() {
    for format in [Dialect::Prometheus, Dialect::OpenMetrics] {
        assert_eq!(
            lines(format, "sidelight_recursion_misses")[2],
            "sidelight_recursion_misses_total{tier=\"tracepoint\"} 3"
        );
    }
}

#[test]
fn the_resource_is_the_target() {
    let found = lines(Dialect::OpenMetrics, "target");
    assert_eq!(found[1], "# TYPE target info");
    assert!(
        found[2].starts_with("target_info{service_name=\"shop\""),
        "{found:?}"
    );
    assert!(found[2].contains("process_pid=\"7\"") && found[2].ends_with("} 1"));
    assert_eq!(
        lines(Dialect::Prometheus, "target")[1],
        "# TYPE target_info gauge"
    );
}

#[test]
fn labels_that_become_the_same_are_one_and_the_process_stays_itself() {
    let mut snapshot = snapshot();
    let process = Process {
        service_name: "shop".to_owned(),
        service_instance_id: "7c1e".to_owned(),
        resource_attributes: [("team.name", "a"), ("team_name", "b"), ("job", "c")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into(),
        ..Process::default()
    };
    snapshot.processes[0].process = Arc::new(process);
    let page = text(&snapshot, Dialect::Prometheus);
    let target = page.lines().find(|line| line.starts_with("target_info{"));
    let target = target.unwrap();
    assert!(target.starts_with("target_info{job=\"shop\",instance=\"7c1e\","));
    assert!(target.contains(",team_name=\"a;b\"") && target.matches("job=").count() == 1);
}

/// The families of a page in protobuf.
fn families(snapshot: &Snapshot) -> Vec<MetricFamily> {
    let page = protobuf(snapshot);
    let mut rest = page.as_slice();
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

#[test]
fn protobuf_says_what_text_says() {
    let families = families(&snapshot());
    let names: Vec<&str> = families.iter().map(MetricFamily::name).collect();
    assert_eq!(
        names,
        [
            "target_info",
            "db_client_operation_duration_seconds",
            "http_server_active_requests",
            "process_cpu_time_seconds_total",
            "sidelight_build_info",
            "sidelight_events_total",
            "sidelight_recursion_misses_total",
        ]
    );
    assert_eq!(families[0].r#type(), MetricType::Gauge);
    assert_eq!(families[3].r#type(), MetricType::Counter);
    assert_eq!((families[3].unit(), families[3].help()), ("seconds", "CPU."));
    let counters = families[3].metric.iter();
    let counters = counters.map(|metric| metric.counter.as_ref().unwrap().value());
    assert_eq!(counters.collect::<Vec<_>>(), [1.5, 2.0]);
    let active = families[2].metric[0].gauge.as_ref().unwrap();
    assert!((active.value() - 3.0).abs() < f64::EPSILON);
    let histogram = families[1].metric[0].histogram.as_ref().unwrap();
    assert_eq!(histogram.sample_count(), 3);
    let counts: Vec<u64> = histogram.bucket.iter().map(Bucket::cumulative_count).collect();
    assert_eq!(counts, [0, 1, 1, 1, 1, 2, 2, 2, 2, 3]);
    assert!(histogram.bucket[9].upper_bound().is_infinite());
    let exemplar = histogram.bucket[1].exemplar.as_ref().unwrap();
    let label = |name: &str, value: String| LabelPair {
        name: Some(name.to_owned()),
        value: Some(value),
    };
    assert_eq!(
        exemplar.label,
        [
            label("trace_id", format!("{:032x}", 0xab)),
            label("span_id", format!("{:016x}", 0xcd))
        ]
    );
    let at = exemplar.timestamp.unwrap();
    assert_eq!((at.seconds, at.nanos), (1_700_000_000, 250_000_000));
    // Without spans and a zero bucket it is no native one.
    assert!(
        histogram.schema.is_none() && histogram.positive_span.is_empty() && histogram.exemplars.is_empty()
    );
}

#[test]
fn exponential_buckets_are_native_ones_besides_the_classic_ones() {
    let families = families(&snapshot_in(Buckets::Exponential));
    let histogram = families[1].metric[0].histogram.as_ref().unwrap();
    assert_eq!(histogram.bucket.len(), 10);
    // 160 buckets from 3 ms to a minute, which is 2^14.3: 2^3 of them to a power of two are enough.
    assert_eq!((histogram.schema(), histogram.zero_count()), (3, 0));
    assert_eq!(histogram.positive_span.len(), 3);
    assert_eq!(histogram.positive_delta, [1, 0, 0]);
    assert_eq!(histogram.exemplars.len(), 1);
    let classic = histogram.bucket[1].exemplar.as_ref();
    assert_eq!(histogram.exemplars.first(), classic);
    // In text there is nothing of it.
    let text = |buckets| text(&snapshot_in(buckets), Dialect::OpenMetrics);
    assert_eq!(text(Buckets::Exponential), text(Buckets::Explicit));
}

/// Asks the endpoint, and plays the capture thread; the status line, headers and body.
async fn ask(endpoint: &Prometheus, asked: &mut Asked, request: &str) -> String {
    let mut stream = TcpStream::connect(endpoint.address()).await.unwrap();
    let request = format!("{request}\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    loop {
        tokio::select! {
            read = stream.read_to_string(&mut answer) => {
                read.unwrap();
                return answer;
            }
            Some(asking) = asked.next() => asking.send(snapshot()).unwrap(),
        }
    }
}

async fn start(address: SocketAddr) -> (Prometheus, Asked) {
    let (asker, capture) = channel();
    (Prometheus::start(address, asker).await.unwrap(), capture)
}

#[tokio::test]
async fn scrapes_get_what_they_accept() {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let (endpoint, mut asked) = start(local).await;
    let plain = ask(&endpoint, &mut asked, "GET /metrics HTTP/1.1").await;
    assert!(plain.starts_with("HTTP/1.1 200 OK\r\n"), "{plain}");
    assert!(plain.contains("content-type: text/plain; version=0.0.4"));
    let accept =
        "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let open = ask(&endpoint, &mut asked, accept).await;
    assert!(open.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(open.ends_with("# EOF\n"));
}

#[tokio::test]
async fn it_is_ready_when_everything_is_attached() {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let (endpoint, mut asked) = start(local).await;
    let mut status = async |request: &str| {
        let answer = ask(&endpoint, &mut asked, request).await;
        answer.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok())
    };
    assert_eq!(status("GET /readyz HTTP/1.1").await, Some(503));
    endpoint.ready();
    assert_eq!(status("GET /readyz HTTP/1.1").await, Some(200));
    assert_eq!(status("HEAD /healthz HTTP/1.1").await, Some(200));
    assert_eq!(status("GET /other HTTP/1.1").await, Some(404));
    assert_eq!(status("POST /metrics HTTP/1.1").await, Some(405));
}

#[tokio::test]
async fn it_is_not_healthy_when_the_capture_thread_is_gone() {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let (endpoint, asked) = start(local).await;
    drop(asked);
    let (_asker, mut none) = channel();
    let answer = ask(&endpoint, &mut none, "GET /healthz HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let (endpoint, _asked) = start(local).await;
    let error = Prometheus::start(endpoint.address(), channel().0)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&endpoint.address().to_string()) && error.contains("--prometheus"),
        "{error}"
    );
}
