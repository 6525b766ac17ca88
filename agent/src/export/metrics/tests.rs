use std::{collections::BTreeMap, net::SocketAddr, sync::Mutex};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse},
    metrics::v1::{
        AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
        metric::Data, number_data_point::Value as Number,
    },
};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;
use crate::{
    config::{Buckets, Compression, MetricsLimits, MetricsSettings, Protocol},
    conventions::Description,
    discover::Process,
    metrics::{Asked, Exemplar, Measured, Metrics, Now, OfAgent, channel},
    span::{SpanId, SpanKind, Status, TraceId},
};

const SECOND: u64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(30);
const QUICK: Backoff = Backoff {
    first: Duration::from_millis(10),
    most: Duration::from_millis(20),
};

fn at(seconds: u64) -> Now {
    Now {
        monotonic: seconds * SECOND,
        unix_nanos: (1000 + seconds) * SECOND,
    }
}

/// What counts, as the capture thread does.
struct Counting {
    metrics: Metrics,
    process: Arc<Process>,
}

impl Counting {
    fn new(buckets: Buckets) -> Self {
        let settings = MetricsSettings {
            buckets,
            limits: MetricsLimits {
                idle: Duration::from_mins(1),
                ..MetricsLimits::default()
            },
            ..MetricsSettings::default()
        };
        Self {
            metrics: Metrics::new(settings, Settled::always()),
            process: Arc::new(Process {
                pid: 7,
                service_name: "shop".to_owned(),
                ..Process::default()
            }),
        }
    }

    /// Counts statements of these milliseconds on a table.
    fn add(&mut self, table: &str, millis: &[u64], now: Now) -> &mut Self {
        let description = Description {
            name: "SELECT".to_owned(),
            kind: SpanKind::Client,
            status: Status::Unset,
            attributes: vec![
                ("db.system.name", "postgresql".into()),
                ("db.collection.name", table.into()),
            ],
        };
        for &millis in millis {
            let measured = Measured {
                description: &description,
                nanos: millis * 1_000_000,
                exemplar: Some(Exemplar {
                    trace_id: TraceId::from(u128::from(millis)),
                    span_id: SpanId::from(millis),
                    unix_nanos: now.unix_nanos,
                }),
            };
            self.metrics.add(&self.process, &measured, now);
        }
        self
    }

    fn snapshot(&self, now: Now) -> Snapshot {
        Snapshot {
            at: now,
            processes: self.metrics.snapshot(),
            agent: OfAgent {
                since_unix_nanos: at(0).unix_nanos,
                counts: vec![("events", now.monotonic / SECOND)],
                ..OfAgent::default()
            },
            ..Snapshot::default()
        }
    }
}

fn metrics<'a>(
    requests: &'a [ExportMetricsServiceRequest],
    name: &'a str,
) -> impl Iterator<Item = &'a Metric> {
    requests
        .iter()
        .flat_map(|request| &request.resource_metrics)
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics)
        .filter(move |metric| metric.name == name)
}

fn histograms(requests: &[ExportMetricsServiceRequest]) -> Vec<(HistogramDataPoint, i32)> {
    let metrics = metrics(requests, "db.client.operation.duration");
    metrics
        .flat_map(|metric| match &metric.data {
            Some(Data::Histogram(histogram)) => {
                let temporality = histogram.aggregation_temporality;
                let points = histogram.data_points.iter().cloned();
                points.map(move |point| (point, temporality)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn exponential(requests: &[ExportMetricsServiceRequest]) -> Vec<ExponentialHistogramDataPoint> {
    let metrics = metrics(requests, "db.client.operation.duration");
    metrics
        .flat_map(|metric| match &metric.data {
            Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn events(requests: &[ExportMetricsServiceRequest]) -> Vec<NumberDataPoint> {
    counts(requests, "sidelight.events")
}

fn counts(requests: &[ExportMetricsServiceRequest], name: &str) -> Vec<NumberDataPoint> {
    let metrics = metrics(requests, name);
    metrics
        .flat_map(|metric| match &metric.data {
            Some(Data::Sum(sum)) => sum.data_points.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn times(point: &HistogramDataPoint) -> (u64, u64, u64) {
    let seconds = |nanos: u64| nanos / SECOND - 1000;
    (
        seconds(point.start_time_unix_nano),
        seconds(point.time_unix_nano),
        point.count,
    )
}

fn encoded(
    temporality: Temporality,
    baseline: &Baseline,
    snapshot: &Snapshot,
) -> Vec<ExportMetricsServiceRequest> {
    encode::requests(snapshot, From::new(temporality, baseline), true)
}

#[test]
fn what_a_tier_missed_says_which() {
    let mut snapshot = Counting::new(Buckets::Explicit).snapshot(at(1));
    snapshot.agent.counts.push(("drops", 2));
    snapshot.agent.tier = "kprobe";
    let requests = encoded(Temporality::Cumulative, &Baseline::default(), &snapshot);
    let drops = counts(&requests, "sidelight.drops");
    let tier = drops[0].attributes.first().unwrap();
    assert_eq!(tier.key, "tier");
    assert!(format!("{:?}", tier.value).contains("\"kprobe\""));
    assert!(events(&requests)[0].attributes.is_empty());
}

#[test]
fn from_the_beginning_each_export_has_all_and_new_exemplars_alone() {
    let mut counting = Counting::new(Buckets::Explicit);
    let first = counting.add("a", &[3, 4], at(1)).snapshot(at(10));
    let requests = encoded(Temporality::Cumulative, &Baseline::default(), &first);
    let [(point, temporality)] = &histograms(&requests)[..] else {
        panic!("one series")
    };
    assert_eq!(*temporality, i32::from(AggregationTemporality::Cumulative));
    assert_eq!(times(point), (1, 10, 2));
    assert_eq!((point.min, point.max), (Some(0.003), Some(0.004)));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!(point.exemplars.len(), 1);
    assert_eq!(point.exemplars[0].span_id, 4_u64.to_be_bytes());

    let second = counting.add("a", &[2000], at(12)).snapshot(at(20));
    let requests = encoded(Temporality::Cumulative, &Baseline::of(first), &second);
    let (point, _) = &histograms(&requests)[0];
    assert_eq!(times(point), (1, 20, 3));
    let spans: Vec<_> = point
        .exemplars
        .iter()
        .map(|exemplar| exemplar.span_id.clone())
        .collect();
    assert_eq!(spans, [2000_u64.to_be_bytes()]);
    assert_eq!(events(&requests)[0].value, Some(Number::AsInt(20)));
}

#[test]
fn from_the_last_export_each_has_what_came_since() {
    let mut counting = Counting::new(Buckets::Explicit);
    let first = counting
        .add("a", &[3, 4], at(1))
        .add("b", &[1], at(2))
        .snapshot(at(10));
    let requests = encoded(Temporality::Delta, &Baseline::default(), &first);
    assert_eq!(histograms(&requests).len(), 2);
    let second = counting
        .add("a", &[7], at(12))
        .add("c", &[1], at(13))
        .snapshot(at(20));
    let requests = encoded(Temporality::Delta, &Baseline::of(first), &second);
    let mut points = histograms(&requests);
    points.sort_by_key(|(point, _)| point.start_time_unix_nano);
    let [(a, temporality), (c, _)] = &points[..] else {
        panic!("nothing came of b: {points:?}")
    };
    assert_eq!(*temporality, i32::from(AggregationTemporality::Delta));
    assert_eq!(times(a), (10, 20, 1));
    assert!((a.sum.unwrap() - 0.007).abs() < 1e-9);
    assert_eq!(a.bucket_counts.iter().sum::<u64>(), 1);
    assert_eq!((a.min, a.max), (None, None));
    assert_eq!(times(c), (13, 20, 1));
    let [events] = &events(&requests)[..] else {
        panic!("one series")
    };
    assert_eq!(events.value, Some(Number::AsInt(10)));
    assert_eq!(events.start_time_unix_nano, at(10).unix_nanos);
}

#[test]
fn a_series_that_was_let_go_begins_anew() {
    let mut counting = Counting::new(Buckets::Explicit);
    let first = counting.add("a", &[3, 4], at(1)).snapshot(at(10));
    counting.metrics.forget_idle(at(100));
    let second = counting.add("a", &[3, 4, 5], at(101)).snapshot(at(110));
    for temporality in [Temporality::Delta, Temporality::Cumulative] {
        let requests = encoded(temporality, &Baseline::of(first.clone()), &second);
        assert_eq!(times(&histograms(&requests)[0].0), (101, 110, 3));
    }
}

#[test]
fn exponential_histograms_are_sent_instead() {
    let mut counting = Counting::new(Buckets::Exponential);
    let first = counting.add("a", &[0, 1, 1000], at(1)).snapshot(at(10));
    let requests = encoded(Temporality::Delta, &Baseline::default(), &first);
    let point = &exponential(&requests)[0];
    let buckets = point.positive.as_ref().unwrap();
    assert_eq!((point.count, point.zero_count), (3, 1));
    assert_eq!(buckets.bucket_counts.iter().sum::<u64>(), 2);
    assert!(buckets.bucket_counts.len() <= 160);
    // The bounds hold the smallest: at this scale the factor is 2^(2^-scale).
    let width = (-f64::from(point.scale)).exp2();
    let lower = (f64::from(buckets.offset) * width).exp2();
    let upper = (f64::from(buckets.offset + 1) * width).exp2();
    assert!(lower < 0.001 && 0.001 <= upper, "{lower} {upper}");
    let second = counting.add("a", &[500_000], at(12)).snapshot(at(20));
    let point = &exponential(&encoded(Temporality::Delta, &Baseline::of(first), &second))[0];
    assert_eq!((point.count, point.zero_count), (1, 0));
    assert_eq!(point.positive.as_ref().unwrap().bucket_counts, [1]);
}

#[test]
fn large_snapshots_become_several_requests_with_every_point_once() {
    let mut counting = Counting::new(Buckets::Explicit);
    for table in 0..1990 {
        counting.add(&format!("{table:0>2000}"), &[1], at(1));
    }
    let requests = encoded(
        Temporality::Cumulative,
        &Baseline::default(),
        &counting.snapshot(at(2)),
    );
    assert!(requests.len() > 1, "{}", requests.len());
    assert_eq!(histograms(&requests).len(), 1990);
    assert!(
        requests
            .iter()
            .all(|request| request.encoded_len() < 4 * 1024 * 1024)
    );
    let counted: u64 = requests.iter().map(requests::points).sum();
    assert_eq!(counted, 1990 + 1);
}

/// A receiver over HTTP that answers as it is told, and with success when it is told nothing.
struct Receiver {
    address: SocketAddr,
    received: mpsc::UnboundedReceiver<ExportMetricsServiceRequest>,
}

impl Receiver {
    async fn start(answers: &[(u16, u64)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, sender.clone(), Arc::clone(&answers)));
            }
        });
        Self { address, received }
    }

    async fn next(&mut self) -> ExportMetricsServiceRequest {
        tokio::time::timeout(PATIENCE, self.received.recv())
            .await
            .expect("a request")
            .expect("a running receiver")
    }
}

/// Reads requests and answers them, each with a status and the number of points that are left out.
async fn converse(
    mut stream: TcpStream,
    sender: mpsc::UnboundedSender<ExportMetricsServiceRequest>,
    answers: Arc<Mutex<VecDeque<(u16, u64)>>>,
) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))?;
        let whole = head + length.trim().parse::<usize>().ok()?;
        while bytes.len() < whole {
            (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
        }
        let body: Vec<u8> = bytes.drain(..whole).skip(head).collect();
        sender
            .send(ExportMetricsServiceRequest::decode(&body[..]).ok()?)
            .ok()?;
        let (status, rejected) = answers.lock().ok()?.pop_front().unwrap_or((200, 0));
        let answer = ExportMetricsServiceResponse {
            partial_success: (rejected > 0).then(|| ExportMetricsPartialSuccess {
                rejected_data_points: rejected as i64,
                error_message: "no".to_owned(),
            }),
        };
        let answer = answer.encode_to_vec();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(&answer).await.ok()?;
    }
}

fn exporter(address: SocketAddr, temporality: Temporality) -> (MetricsExporter, Asked, Settled) {
    let otlp = Otlp {
        endpoint: format!("http://{address}/v1/metrics"),
        protocol: Protocol::HttpProtobuf,
        headers: BTreeMap::new(),
        timeout: Duration::from_secs(10),
        compression: Compression::None,
        certificate: None,
        client_certificate: None,
        client_key: None,
    };
    let periodic = Periodic {
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(10),
        temporality,
    };
    let (asker, capture) = channel();
    let settled = Settled::never();
    let exporter = MetricsExporter::start_with(&otlp, periodic, true, asker, settled.clone(), QUICK).unwrap();
    (exporter, capture, settled)
}

/// Gives the next who asks a snapshot.
async fn give(asked: &mut Asked, snapshot: Snapshot) {
    let asking = tokio::time::timeout(PATIENCE, asked.next())
        .await
        .expect("an asker");
    asking.unwrap().send(snapshot).unwrap();
}

#[tokio::test]
async fn a_delta_is_sent_again_as_it_was_and_the_next_begins_where_it_ended() {
    let mut receiver = Receiver::start(&[(503, 0), (503, 0)]).await;
    let (exporter, mut asked, settled) = exporter(receiver.address, Temporality::Delta);
    let mut counting = Counting::new(Buckets::Explicit);
    give(&mut asked, counting.add("a", &[1, 2], at(1)).snapshot(at(10))).await;
    let first = receiver.next().await;
    assert_eq!(first, receiver.next().await);
    assert_eq!(first, receiver.next().await);
    assert_eq!(settled.monotonic(), 10 * SECOND);
    give(&mut asked, counting.add("a", &[3], at(11)).snapshot(at(20))).await;
    let second = receiver.next().await;
    assert_eq!(times(&histograms(&[first])[0].0), (1, 10, 2));
    assert_eq!(times(&histograms(&[second])[0].0), (10, 20, 1));
    let last = counting.add("a", &[4], at(21)).snapshot(at(22));
    let statistics = exporter.shutdown(Some(last), PATIENCE).await;
    assert_eq!(times(&histograms(&[receiver.next().await])[0].0), (20, 22, 1));
    assert_eq!(
        statistics,
        MetricsStatistics {
            points: 6,
            failed: 0,
            retries: 2
        }
    );
}

#[tokio::test]
async fn what_counts_from_the_beginning_is_sent_anew_and_not_again() {
    let mut receiver = Receiver::start(&[(503, 0)]).await;
    let (exporter, mut asked, _) = exporter(receiver.address, Temporality::Cumulative);
    let mut counting = Counting::new(Buckets::Explicit);
    give(&mut asked, counting.add("a", &[1, 2], at(1)).snapshot(at(10))).await;
    assert_eq!(times(&histograms(&[receiver.next().await])[0].0), (1, 10, 2));
    give(&mut asked, counting.add("a", &[3], at(11)).snapshot(at(20))).await;
    assert_eq!(times(&histograms(&[receiver.next().await])[0].0), (1, 20, 3));
    let statistics = exporter.shutdown(None, PATIENCE).await;
    assert_eq!((statistics.failed, statistics.retries), (0, 1));
}

#[tokio::test]
async fn refused_points_are_counted_and_not_sent_again() {
    for (answer, failed) in [((400, 0), 2), ((200, 1), 1)] {
        let mut receiver = Receiver::start(&[answer]).await;
        let (exporter, mut asked, _) = exporter(receiver.address, Temporality::Delta);
        let mut counting = Counting::new(Buckets::Explicit);
        give(&mut asked, counting.add("a", &[1], at(1)).snapshot(at(10))).await;
        receiver.next().await;
        give(&mut asked, counting.add("a", &[1], at(11)).snapshot(at(20))).await;
        assert_eq!(times(&histograms(&[receiver.next().await])[0].0), (10, 20, 1));
        let statistics = exporter.shutdown(None, PATIENCE).await;
        assert_eq!((statistics.failed, statistics.points), (failed, 4 - failed));
    }
}

#[tokio::test]
async fn a_collector_that_is_away_costs_what_is_left_at_the_end() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let (exporter, mut asked, _) = exporter(nobody, Temporality::Delta);
    let counts = exporter.counts();
    let mut counting = Counting::new(Buckets::Explicit);
    give(&mut asked, counting.add("a", &[1], at(1)).snapshot(at(10))).await;
    while counts.read().retries < 3 {
        tokio::task::yield_now().await;
    }
    let last = counting.add("a", &[1], at(11)).snapshot(at(20));
    let statistics = exporter.shutdown(Some(last), PATIENCE).await;
    assert_eq!((statistics.points, statistics.failed), (0, 4));
}
