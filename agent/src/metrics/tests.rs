use std::time::Duration;

use super::*;
use crate::span::{SpanId, Status, TraceId};

const SECOND: u64 = 1_000_000_000;

fn metrics(series: usize) -> Metrics {
    metrics_in(series, Buckets::Explicit, Settled::always())
}

fn metrics_in(series: usize, buckets: Buckets, settled: Settled) -> Metrics {
    let limits = MetricsLimits {
        series,
        idle: Duration::from_secs(10),
    };
    let settings = MetricsSettings {
        limits,
        buckets,
        ..MetricsSettings::default()
    };
    Metrics::new(settings, settled)
}

/// A moment by the monotonic clock; the other one is 1000 s ahead.
fn at(monotonic: u64) -> Now {
    Now {
        monotonic,
        unix_nanos: monotonic + 1000 * SECOND,
    }
}

fn process(pid: u32) -> Arc<Process> {
    Arc::new(Process {
        pid,
        service_name: "shop".to_owned(),
        ..Process::default()
    })
}

/// A request that was served or sent, with this query string: what no metric has an attribute for.
fn http(kind: SpanKind, status: i64, query: &str) -> Description {
    Description {
        name: "GET".to_owned(),
        kind,
        status: Status::Unset,
        attributes: vec![
            ("http.request.method", "GET".into()),
            ("url.query", query.into()),
            ("http.response.status_code", status.into()),
            ("http.response.body.size", 300_i64.into()),
        ],
    }
}

fn sql(kind: SpanKind, table: &str) -> Description {
    Description {
        name: "SELECT".to_owned(),
        kind,
        status: Status::Unset,
        attributes: vec![
            ("db.system.name", "postgresql".into()),
            ("db.collection.name", table.into()),
            ("db.query.text", "SELECT ?".into()),
        ],
    }
}

fn add(metrics: &mut Metrics, description: &Description, millis: u64, now: u64) {
    let measured = Measured {
        description,
        nanos: millis * 1_000_000,
        exemplar: None,
    };
    metrics.add(&process(1), &measured, at(now));
}

/// The series of one metric of the only process.
fn series(metrics: &Metrics, name: &str) -> Vec<(Labels, Histogram)> {
    let place = INSTRUMENTS
        .iter()
        .position(|instrument| instrument.name == name)
        .expect("no such metric");
    let mut snapshot = metrics.snapshot();
    assert!(snapshot.len() <= 1, "one process");
    snapshot
        .pop()
        .map(|mut of_process| of_process.families.swap_remove(place))
        .unwrap_or_default()
}

#[test]
fn an_exchange_goes_into_the_metrics_of_its_kind_alone() {
    let cases: [(Description, &[&str]); 4] = [
        (
            http(SpanKind::Server, 200, ""),
            &["http.server.request.duration", "http.server.response.body.size"],
        ),
        (
            http(SpanKind::Client, 200, ""),
            &["http.client.request.duration", "http.client.response.body.size"],
        ),
        (sql(SpanKind::Client, "a"), &["db.client.operation.duration"]),
        (sql(SpanKind::Server, "a"), &[]),
    ];
    for (description, expected) in cases {
        let mut metrics = metrics(10);
        add(&mut metrics, &description, 1, 0);
        let all = INSTRUMENTS.iter().map(|instrument| instrument.name);
        let filled: Vec<_> = all.filter(|name| !series(&metrics, name).is_empty()).collect();
        assert_eq!(filled, expected);
    }
}

#[test]
fn a_series_has_the_attributes_of_its_metric_and_no_others() {
    let mut metrics = metrics(10);
    add(&mut metrics, &http(SpanKind::Server, 200, "a=1"), 7, 0);
    add(&mut metrics, &http(SpanKind::Server, 200, "a=2"), 5, 0);
    add(&mut metrics, &http(SpanKind::Server, 500, "a=3"), 20_000, 0);
    let mut found = series(&metrics, "http.server.request.duration");
    found.sort_by_key(|(_, histogram)| std::cmp::Reverse(histogram.count));
    let (labels, histogram) = &found[0];
    assert_eq!(
        labels,
        &[
            ("http.request.method", "GET".into()),
            ("http.response.status_code", 200_i64.into())
        ]
    );
    assert_eq!(histogram.count, 2);
    assert!((histogram.sum - 0.012).abs() < 1e-9);
    // A bound belongs to its bucket.
    assert_eq!(histogram.buckets[..3], [1, 1, 0]);
    assert_eq!(found[1].1.buckets.last(), Some(&1), "above the last bound");
    let sizes = series(&metrics, "http.server.response.body.size");
    let bytes: f64 = sizes.iter().map(|(_, histogram)| histogram.sum).sum();
    assert!((bytes - 900.0).abs() < 1e-9);
}

#[test]
fn what_is_beyond_the_limit_goes_into_one_series() {
    let mut metrics = metrics(3);
    for table in 0..100_000 {
        add(&mut metrics, &sql(SpanKind::Client, &table.to_string()), 1, 0);
    }
    add(&mut metrics, &sql(SpanKind::Client, "0"), 1, 0);
    let found = series(&metrics, "db.client.operation.duration");
    assert_eq!(found.len(), 3);
    let count = |wanted: &dyn Fn(&Labels) -> bool| -> u64 {
        let wanted = found.iter().filter(|(labels, _)| wanted(labels));
        wanted.map(|(_, histogram)| histogram.count).sum()
    };
    let overflow = |labels: &Labels| labels == &[("otel.metric.overflow", Value::Bool(true))];
    assert_eq!(count(&overflow), 99_998);
    assert_eq!(count(&|_| true), 100_001, "none is lost");
}

#[test]
fn a_series_that_nothing_is_added_to_is_let_go() {
    let mut metrics = metrics(3);
    add(&mut metrics, &sql(SpanKind::Client, "old"), 1, SECOND);
    add(&mut metrics, &sql(SpanKind::Client, "new"), 1, 5 * SECOND);
    metrics.forget_idle(at(12 * SECOND));
    assert_eq!(series(&metrics, "db.client.operation.duration").len(), 1);
    metrics.forget_idle(at(16 * SECOND));
    assert!(metrics.snapshot().is_empty(), "nor is its process kept");
}

#[test]
fn each_bucket_keeps_the_latest_exported_span() {
    let mut metrics = metrics(3);
    let exemplar = |id: u64| Exemplar {
        trace_id: TraceId::from(u128::from(id)),
        span_id: SpanId::from(id),
        unix_nanos: id,
    };
    let description = http(SpanKind::Server, 200, "");
    for (millis, exemplar) in [
        (1, Some(exemplar(1))),
        (2, Some(exemplar(2))),
        (3, None),
        (7, None),
    ] {
        let measured = Measured {
            description: &description,
            nanos: millis * 1_000_000,
            exemplar,
        };
        metrics.add(&process(1), &measured, at(0));
    }
    let (_, histogram) = series(&metrics, "http.server.request.duration").remove(0);
    assert_eq!(histogram.exemplars[0], Some((0.002, exemplar(2))));
    assert_eq!(histogram.exemplars[1], None);
}

#[test]
fn a_series_begins_with_its_first_value_and_anew_after_it_was_let_go() {
    let mut metrics = metrics(3);
    let description = sql(SpanKind::Client, "a");
    let since = |metrics: &Metrics| {
        series(metrics, "db.client.operation.duration")[0]
            .1
            .since_unix_nanos
    };
    add(&mut metrics, &description, 1, SECOND);
    add(&mut metrics, &description, 1, 3 * SECOND);
    assert_eq!(since(&metrics), 1001 * SECOND);
    metrics.forget_idle(at(14 * SECOND));
    add(&mut metrics, &description, 1, 15 * SECOND);
    assert_eq!(since(&metrics), 1015 * SECOND);
}

#[test]
fn what_was_not_handed_over_is_kept_longer_but_not_for_ever() {
    let settled = Settled::never();
    let mut metrics = metrics_in(10, Buckets::Explicit, settled.clone());
    add(&mut metrics, &sql(SpanKind::Client, "a"), 1, SECOND);
    add(&mut metrics, &sql(SpanKind::Client, "b"), 1, 2 * SECOND);
    metrics.forget_idle(at(30 * SECOND));
    assert_eq!(series(&metrics, "db.client.operation.duration").len(), 2);
    settled.until(at(SECOND));
    metrics.forget_idle(at(30 * SECOND));
    assert_eq!(series(&metrics, "db.client.operation.duration").len(), 1);
    metrics.forget_idle(at(63 * SECOND));
    assert!(metrics.snapshot().is_empty());
}

#[test]
fn exponential_buckets_hold_the_same_values() {
    let mut metrics = metrics_in(10, Buckets::Exponential, Settled::always());
    for millis in [0, 1, 10, 100] {
        add(&mut metrics, &sql(SpanKind::Client, "a"), millis, 0);
    }
    let (_, histogram) = series(&metrics, "db.client.operation.duration").remove(0);
    let exponential = histogram.exponential.unwrap();
    assert_eq!(exponential.zero, 1);
    assert_eq!(exponential.counts.iter().sum::<u64>(), 3);
    assert_eq!(histogram.buckets.iter().sum::<u64>(), 4);
    assert!(histogram.min.abs() < 1e-9 && (histogram.max - 0.1).abs() < 1e-9);
}

/// The requests that are open, by their method.
fn open(metrics: &Metrics) -> Vec<(String, Number)> {
    let readings = metrics
        .snapshot()
        .into_iter()
        .flat_map(|of_process| of_process.readings);
    let mut open: Vec<_> = readings
        .map(|reading| match &reading.labels[0].1 {
            Value::String(method) => (method.clone(), reading.value),
            other => panic!("{other:?}"),
        })
        .collect();
    open.sort_by(|one, other| one.0.cmp(&other.0));
    open
}

#[test]
fn active_requests_are_those_that_are_open_now_and_go_back_to_none() {
    let mut metrics = metrics(10);
    let of = |method: &str| -> (Arc<Process>, Labels) {
        (
            process(1),
            vec![
                ("http.request.method", method.into()),
                ("url.scheme", "http".into()),
            ],
        )
    };
    add(&mut metrics, &http(SpanKind::Server, 200, ""), 1, 0);
    assert_eq!(open(&metrics), [("GET".to_owned(), Number::Int(0))]);
    metrics.count_active(vec![of("POST"), of("POST")], at(SECOND));
    let posts = |count| {
        [
            ("GET".to_owned(), Number::Int(0)),
            ("POST".to_owned(), Number::Int(count)),
        ]
    };
    assert_eq!(open(&metrics), posts(2));
    metrics.count_active(vec![of("POST")], at(2 * SECOND));
    assert_eq!(open(&metrics), posts(1));
    metrics.count_active(Vec::new(), at(3 * SECOND));
    assert_eq!(open(&metrics), posts(0));
    metrics.forget_idle(at(20 * SECOND));
    assert_eq!(open(&metrics), []);
}

#[test]
fn what_is_watched_is_shown_though_it_made_no_calls() {
    let mut metrics = metrics(10);
    let idle = process(2);
    metrics.keep(&[Arc::clone(&idle)]);
    metrics.forget_idle(at(20 * SECOND));
    assert_eq!(metrics.snapshot().len(), 1);
    metrics.keep(&[]);
    metrics.forget_idle(at(20 * SECOND));
    assert!(metrics.snapshot().is_empty() && !metrics.knows(&idle));
}
