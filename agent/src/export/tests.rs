//! Export against a receiver in the same process, over real sockets.

mod receiver;

use std::{
    collections::BTreeMap,
    future::poll_fn,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value as Any},
    trace::v1::{span::SpanKind as OtlpKind, status::StatusCode},
};

use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _};

use super::*;
use crate::{
    config::{Compression, Protocol},
    span::{SpanKind, Status, Value},
};

use receiver::{Answer, Certificate, PATIENCE, POISON, Receiver};

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

/// Spans leave at once.
const SWIFT: Batch = Batch {
    schedule_delay: Duration::from_millis(1),
    queue_size: 2048,
    batch_size: 512,
    export_timeout: Duration::from_secs(30),
};

const QUICK: Backoff = Backoff {
    first: Duration::from_millis(10),
    most: Duration::from_millis(50),
};

fn otlp(protocol: Protocol, address: SocketAddr) -> Otlp {
    let path = if protocol == Protocol::Grpc {
        ""
    } else {
        "/v1/traces"
    };
    Otlp {
        endpoint: format!("http://{address}{path}"),
        protocol,
        headers: BTreeMap::new(),
        timeout: Duration::from_secs(10),
        compression: Compression::None,
        certificate: None,
        client_certificate: None,
        client_key: None,
    }
}

fn start(protocol: Protocol, address: SocketAddr, batch: Batch) -> Exporters {
    Exporters::start_with(&otlp(protocol, address), batch, QUICK).unwrap()
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Lets everything else go on until `done`.
async fn until(done: impl Fn() -> bool) {
    let waiting = poll_fn(|context| {
        if done() {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    });
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

fn plain(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => format!("#{number}"),
        Some(Any::DoubleValue(number)) => format!("#{number}"),
        Some(Any::BoolValue(flag)) => format!("#{flag}"),
        other => panic!("{other:?}"),
    };
    attributes
        .iter()
        .map(|attribute| (attribute.key.as_str(), text(attribute)))
        .collect()
}

#[tokio::test]
async fn spans_arrive_as_they_are() {
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start(protocol, &[]).await;
        let exporters = start(protocol, receiver.address, SWIFT);
        let span = Span {
            trace_state: Some("vendor=1".to_owned()),
            kind: SpanKind::Client,
            status: Status::Error("duplicate key".to_owned()),
            attributes: vec![
                ("a.text", "x".into()),
                ("a.number", Value::Int(7)),
                ("a.flag", Value::Bool(true)),
            ],
            ..Span::sample(0xabc, 0xdef, Some(1))
        };
        exporters.submit(span);
        let request = receiver.next().await;
        let [resource] = request.resources() else {
            panic!("one resource")
        };
        let [scope] = &resource.scope_spans[..] else {
            panic!("one scope")
        };
        let about = scope.scope.as_ref().unwrap();
        assert_eq!(
            (about.name.as_str(), about.version.as_str()),
            ("sidelight", env!("CARGO_PKG_VERSION"))
        );
        let [span] = &scope.spans[..] else {
            panic!("one span")
        };
        assert_eq!(span.trace_id, 0xabc_u128.to_be_bytes());
        assert_eq!(span.span_id, 0xdef_u64.to_be_bytes());
        assert_eq!(span.parent_span_id, 1_u64.to_be_bytes());
        assert_eq!(span.trace_state, "vendor=1");
        assert_eq!(span.name, "GET");
        assert_eq!(span.kind(), OtlpKind::Client);
        assert_eq!(span.flags & 0xff, 1, "sampled");
        assert_eq!(span.start_time_unix_nano, 1_700_000_000_000_000_000);
        assert_eq!(span.end_time_unix_nano, 1_700_000_000_010_000_000);
        let status = span.status.as_ref().unwrap();
        assert_eq!(
            (status.code(), status.message.as_str()),
            (StatusCode::Error, "duplicate key")
        );
        let attributes = [("a.flag", "#true"), ("a.number", "#7"), ("a.text", "x")];
        assert_eq!(
            plain(&span.attributes),
            attributes.map(|(name, text)| (name, text.to_owned())).into()
        );
        let statistics = exporters.shutdown(PATIENCE).await;
        assert_eq!(
            statistics,
            Statistics {
                exported: 1,
                ..Statistics::default()
            }
        );
    }
}

#[tokio::test]
async fn each_service_instance_is_a_resource() {
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start(protocol, &[]).await;
        let exporters = start(protocol, receiver.address, SWIFT);
        let shop = Span::sample(1, 1, None);
        let users = Span::sample(1, 2, None).of("users");
        for id in 10..30 {
            for span in [&shop, &users] {
                exporters.submit(Span {
                    span_id: id.into(),
                    ..span.clone()
                });
            }
        }
        let mut spans = BTreeMap::new();
        for request in receiver.until(40).await {
            let [resource] = request.resources() else {
                panic!("one resource a request")
            };
            let attributes = &resource.resource.as_ref().unwrap().attributes;
            let name = plain(attributes)["service.name"].clone();
            *spans.entry(name).or_insert(0) += request.spans().count();
        }
        assert_eq!(spans, [("shop".to_owned(), 20), ("users".to_owned(), 20)].into());
        exporters.shutdown(PATIENCE).await;
    }
}

#[tokio::test]
async fn headers_path_and_compression_are_as_set() {
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start(protocol, &[]).await;
        let otlp = Otlp {
            headers: [("X-Api-Key".to_owned(), "50%25 a=b".to_owned())].into(),
            compression: Compression::Gzip,
            ..otlp(protocol, receiver.address)
        };
        let exporters = Exporters::start_with(&otlp, SWIFT, QUICK).unwrap();
        exporters.submit(Span::sample(1, 2, None));
        let request = receiver.next().await;
        assert_eq!(request.headers["x-api-key"], "50%25 a=b");
        match protocol {
            Protocol::Grpc => assert_eq!(request.headers["grpc-encoding"], "gzip"),
            Protocol::HttpProtobuf => {
                assert_eq!(request.path, "/v1/traces");
                assert_eq!(request.headers["content-encoding"], "gzip");
                assert_eq!(request.headers["content-type"], "application/x-protobuf");
            }
        }
        exporters.shutdown(PATIENCE).await;
    }
}

#[tokio::test]
async fn a_collector_behind_tls_is_reached_and_checked() {
    let certificate = Certificate::new();
    let directory = std::env::temp_dir().join(format!("sidelight-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let good = directory.join("good.pem");
    let other = directory.join("other.pem");
    std::fs::write(&good, &certificate.certificate).unwrap();
    std::fs::write(&other, Certificate::new().certificate).unwrap();
    for protocol in PROTOCOLS {
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let mut receiver = Receiver::start_at(protocol, address, &[], Some(&certificate)).await;
        let plain = otlp(protocol, receiver.address);
        let endpoint = plain.endpoint.replace("http://127.0.0.1", "https://localhost");
        let trusting = |path: &std::path::Path| Otlp {
            endpoint: endpoint.clone(),
            certificate: Some(path.into()),
            ..plain.clone()
        };
        let exporters = Exporters::start_with(&trusting(&good), SWIFT, QUICK).unwrap();
        exporters.submit(Span::sample(1, 2, None));
        receiver.next().await;
        assert_eq!(exporters.shutdown(PATIENCE).await.exported, 1);
        let exporters = Exporters::start_with(&trusting(&other), SWIFT, QUICK).unwrap();
        exporters.submit(Span::sample(1, 2, None));
        until(|| exporters.statistics().retries > 0).await;
        assert_eq!(exporters.shutdown(Duration::ZERO).await.failed, 1);
        assert!(receiver.is_idle());
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn a_collector_that_asks_who_calls_is_told() {
    let (certificate, own) = (Certificate::new(), Certificate::new());
    let directory = std::env::temp_dir().join(format!("sidelight-mtls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let [trusted, chain, key] = ["trusted.pem", "own.pem", "own.key"].map(|name| directory.join(name));
    std::fs::write(&trusted, &certificate.certificate).unwrap();
    std::fs::write(&chain, &own.certificate).unwrap();
    std::fs::write(&key, &own.key).unwrap();
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start_for(protocol, &certificate, &own).await;
        let plain = otlp(protocol, receiver.address);
        let nobody = Otlp {
            endpoint: plain.endpoint.replace("http://127.0.0.1", "https://localhost"),
            certificate: Some(trusted.clone()),
            ..plain
        };
        let known = Otlp {
            client_certificate: Some(chain.clone()),
            client_key: Some(key.clone()),
            ..nobody.clone()
        };
        let exporters = Exporters::start_with(&known, SWIFT, QUICK).unwrap();
        exporters.submit(Span::sample(1, 2, None));
        receiver.next().await;
        assert_eq!(exporters.shutdown(PATIENCE).await.exported, 1);
        let exporters = Exporters::start_with(&nobody, SWIFT, QUICK).unwrap();
        exporters.submit(Span::sample(1, 2, None));
        until(|| exporters.statistics().retries > 0).await;
        assert_eq!(exporters.shutdown(Duration::ZERO).await.failed, 1);
        let half = Otlp {
            client_key: None,
            ..known.clone()
        };
        let error = Exporters::start_with(&half, SWIFT, QUICK)
            .unwrap_err()
            .to_string();
        assert!(error.contains("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "{error}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn the_size_of_a_span_is_that_over_otlp() {
    use prost::Message as _;
    let mut receiver = Receiver::start(Protocol::HttpProtobuf, &[]).await;
    let exporters = start(Protocol::HttpProtobuf, receiver.address, SWIFT);
    for (parent, status, state) in [
        (None, Status::Unset, None),
        (Some(3), Status::Error(String::new()), None),
        (
            Some(3),
            Status::Error("x".repeat(200)),
            Some("a=1,b=2".to_owned()),
        ),
    ] {
        let mut span = Span::sample(1, 2, parent);
        span.status = status;
        span.trace_state = state;
        span.attributes.extend([
            ("process.pid", Value::Int(-1)),
            ("http.response.body.size", Value::Int(70_000)),
            ("some.flag", Value::Bool(false)),
            ("sidelight.db.query.text.unknown", Value::Bool(true)),
            ("url.query", "y".repeat(20_000).as_str().into()),
            ("user_agent.original", "".into()),
        ]);
        let description = crate::conventions::Description {
            name: span.name.clone(),
            kind: span.kind.clone(),
            status: span.status.clone(),
            attributes: span.attributes.clone(),
        };
        let computed =
            crate::metrics::tempo::size::of_span(&description, parent.is_some(), span.trace_state.as_deref());
        exporters.submit(span);
        let request = receiver.next().await;
        let sent = request.spans().next().unwrap();
        assert_eq!(computed, sent.encoded_len() as u64, "{sent:#?}");
    }
    exporters.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn nothing_is_lost_while_the_collector_is_away() {
    for protocol in PROTOCOLS {
        let log = Log::default();
        let guard = log.listen();
        let address = nobody();
        let exporters = start(protocol, address, SWIFT);
        for id in 1..=100 {
            exporters.submit(Span::sample(1, id, None));
        }
        until(|| exporters.statistics().retries > 2).await;
        let mut receiver = Receiver::start_at(protocol, address, &[], None).await;
        receiver.until(100).await;
        let statistics = exporters.shutdown(PATIENCE).await;
        assert_eq!(
            (statistics.exported, statistics.dropped, statistics.failed),
            (100, 0, 0)
        );
        drop(guard);
        let lines = log.lines();
        let [warning, relief] = &lines[..] else {
            panic!("{lines:#?}")
        };
        for part in [
            "WARN",
            &format!("http://{address}"),
            "refused",
            "up to 2048 spans",
            "--otlp-endpoint",
        ] {
            assert!(warning.contains(part), "{part}: {warning}");
        }
        assert!(relief.contains("INFO") && relief.contains("again"), "{relief}");
    }
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    for protocol in PROTOCOLS {
        let address = nobody();
        let exporters = start(
            protocol,
            address,
            Batch {
                queue_size: 10,
                ..SWIFT
            },
        );
        for id in 1..=25 {
            exporters.submit(Span::sample(1, id, None));
        }
        assert_eq!(exporters.statistics().dropped, 15);
        let mut receiver = Receiver::start_at(protocol, address, &[], None).await;
        receiver.until(10).await;
        until(|| exporters.statistics().exported == 10).await;
        // There is room again.
        exporters.submit(Span::sample(1, 26, None));
        receiver.until(1).await;
        let statistics = exporters.shutdown(PATIENCE).await;
        assert_eq!(
            (statistics.exported, statistics.dropped, statistics.failed),
            (11, 15, 0)
        );
    }
}

#[tokio::test]
async fn the_rest_is_sent_at_the_end() {
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start(protocol, &[]).await;
        let never = Batch {
            schedule_delay: Duration::from_hours(1),
            ..SWIFT
        };
        let exporters = start(protocol, receiver.address, never);
        for id in 1..=7 {
            exporters.submit(Span::sample(1, id, None));
        }
        assert_eq!(exporters.shutdown(PATIENCE).await.exported, 7);
        receiver.until(7).await;
    }
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_collector_that_is_away() {
    let log = Log::default();
    let guard = log.listen();
    let exporters = start(Protocol::Grpc, nobody(), SWIFT);
    for id in 1..=7 {
        exporters.submit(Span::sample(1, id, None));
    }
    until(|| exporters.statistics().retries > 0).await;
    let began = Instant::now();
    let statistics = exporters.shutdown(PATIENCE).await;
    assert!(began.elapsed() < PATIENCE / 2);
    assert_eq!((statistics.exported, statistics.failed), (0, 7));
    drop(guard);
    assert!(
        log.lines().last().unwrap().contains("7 spans were not sent"),
        "{:#?}",
        log.lines()
    );
}

#[tokio::test]
async fn a_full_batch_does_not_wait() {
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start(protocol, &[]).await;
        let slow = Batch {
            schedule_delay: Duration::from_hours(1),
            batch_size: 100,
            ..SWIFT
        };
        let exporters = start(protocol, receiver.address, slow);
        let first = Span::sample(1, 1, None);
        for id in 1..=250 {
            exporters.submit(Span {
                span_id: id.into(),
                ..first.clone()
            });
        }
        let sizes: Vec<_> = receiver
            .until(200)
            .await
            .iter()
            .map(|received| received.spans().count())
            .collect();
        assert_eq!(sizes, [100, 100]);
        assert_eq!(exporters.shutdown(PATIENCE).await.exported, 250);
        assert_eq!(receiver.next().await.spans().count(), 50);
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_said_once() {
    for protocol in PROTOCOLS {
        let log = Log::default();
        let guard = log.listen();
        let mut receiver = Receiver::start(protocol, &[Answer::Refuse, Answer::Refuse]).await;
        let exporters = start(protocol, receiver.address, SWIFT);
        for id in 1..=3 {
            exporters.submit(Span::sample(1, id, None));
            receiver.next().await;
        }
        let statistics = exporters.shutdown(PATIENCE).await;
        assert_eq!(
            statistics,
            Statistics {
                exported: 1,
                failed: 2,
                ..Statistics::default()
            }
        );
        drop(guard);
        let lines = log.lines();
        assert!(
            matches!(&lines[..], [line] if line.contains("refused 1 spans")),
            "{lines:#?}"
        );
    }
}

#[tokio::test]
async fn spans_left_out_of_a_request_are_counted() {
    for protocol in PROTOCOLS {
        let log = Log::default();
        let guard = log.listen();
        let mut receiver = Receiver::start(protocol, &[Answer::Reject(2)]).await;
        let exporters = start(
            protocol,
            receiver.address,
            Batch {
                schedule_delay: Duration::from_hours(1),
                ..SWIFT
            },
        );
        let first = Span::sample(1, 1, None);
        for id in 1..=5 {
            exporters.submit(Span {
                span_id: id.into(),
                ..first.clone()
            });
        }
        let statistics = exporters.shutdown(PATIENCE).await;
        assert_eq!(
            statistics,
            Statistics {
                exported: 3,
                failed: 2,
                ..Statistics::default()
            }
        );
        receiver.until(5).await;
        drop(guard);
        let lines = log.lines();
        assert!(
            matches!(&lines[..], [line] if line.contains("refused 2 spans: too old")),
            "{lines:#?}"
        );
    }
}

#[tokio::test]
async fn a_request_that_alone_is_never_taken_is_given_up() {
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start(protocol, &[]).await;
        let exporters = start(protocol, receiver.address, SWIFT);
        exporters.submit(Span {
            name: POISON.to_owned(),
            ..Span::sample(1, 1, None)
        });
        receiver.next().await;
        exporters.submit(Span::sample(1, 2, None));
        until(|| exporters.statistics().failed == 1).await;
        assert_eq!(exporters.shutdown(PATIENCE).await.exported, 1);
    }
}

#[tokio::test]
async fn what_may_be_repeated_is_repeated() {
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start(protocol, &[Answer::Unavailable; 5]).await;
        let exporters = start(protocol, receiver.address, SWIFT);
        exporters.submit(Span::sample(1, 2, None));
        for _ in 0..6 {
            receiver.next().await;
        }
        let statistics = exporters.shutdown(PATIENCE).await;
        assert_eq!(
            statistics,
            Statistics {
                exported: 1,
                retries: 5,
                ..Statistics::default()
            }
        );
        assert!(receiver.is_idle());
    }
}

#[tokio::test]
async fn a_collector_that_does_not_answer_is_asked_again() {
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start(protocol, &[Answer::Hang; 3]).await;
        let impatient = Otlp {
            timeout: Duration::from_millis(50),
            ..otlp(protocol, receiver.address)
        };
        let exporters = Exporters::start_with(&impatient, SWIFT, QUICK).unwrap();
        exporters.submit(Span::sample(1, 2, None));
        for _ in 0..4 {
            receiver.next().await;
        }
        let statistics = exporters.shutdown(PATIENCE).await;
        assert_eq!((statistics.exported, statistics.failed), (1, 0));
        assert!(statistics.retries >= 3);
    }
}

#[tokio::test]
async fn a_collector_that_asks_for_a_pause_gets_it() {
    let pause = Duration::from_secs(1);
    for protocol in PROTOCOLS {
        let mut receiver = Receiver::start(protocol, &[Answer::Throttle(pause); 2]).await;
        let exporters = start(protocol, receiver.address, SWIFT);
        exporters.submit(Span::sample(1, 2, None));
        let times = [
            receiver.next().await.at,
            receiver.next().await.at,
            receiver.next().await.at,
        ];
        assert!(
            times[1] - times[0] >= pause && times[2] - times[1] >= pause,
            "{times:?}"
        );
        assert_eq!(exporters.shutdown(PATIENCE).await.exported, 1);
    }
}

#[tokio::test]
async fn settings_that_can_never_work_are_refused_at_the_start() {
    let good = otlp(Protocol::Grpc, nobody());
    let with_header = |name: &str, value: &str| Otlp {
        headers: [(name.to_owned(), value.to_owned())].into(),
        ..good.clone()
    };
    let missing = Otlp {
        endpoint: "https://localhost:4317".to_owned(),
        certificate: Some("/nowhere/ca.pem".into()),
        ..good.clone()
    };
    let empty = Otlp {
        certificate: Some("/dev/null".into()),
        ..missing.clone()
    };
    for (otlp, parts) in [
        (
            Otlp {
                endpoint: "localhost:4317".to_owned(),
                ..good.clone()
            },
            ["localhost:4317", "http://"],
        ),
        (
            Otlp {
                endpoint: "ftp://localhost".to_owned(),
                ..good.clone()
            },
            ["ftp://localhost", "http://"],
        ),
        (
            Otlp {
                endpoint: "http://[::1".to_owned(),
                ..good.clone()
            },
            ["http://[::1", "--otlp-endpoint"],
        ),
        (with_header("a b", "c"), ["\"a b\"", "OTEL_EXPORTER_OTLP_HEADERS"]),
        (with_header("a", "b\nc"), ["\"a\"", "OTEL_EXPORTER_OTLP_HEADERS"]),
        (missing, ["/nowhere/ca.pem", "No such file"]),
        (empty, ["/dev/null", "no certificate"]),
    ] {
        for protocol in PROTOCOLS {
            let otlp = Otlp {
                protocol,
                ..otlp.clone()
            };
            let error = Exporters::start(&otlp, SWIFT).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

/// What the agent logs, as lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Listens to this thread, on which the whole runtime of a test runs.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .with_filter(Targets::new().with_target("sidelight", tracing::Level::INFO));
        let subscriber = tracing_subscriber::registry()
            .with(lines)
            .with(partial_success_layer());
        tracing::subscriber::set_default(subscriber)
    }

    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
