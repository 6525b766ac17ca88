use std::time::Duration;

use super::*;
use crate::span::{SpanId, Status, TraceId};

const SECOND: u64 = 1_000_000_000;

fn limits(series: usize) -> MetricsLimits {
    MetricsLimits {
        series,
        idle: Duration::from_secs(10),
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
    metrics.add(&process(1), &measured, now);
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
        let mut metrics = Metrics::new(limits(10));
        add(&mut metrics, &description, 1, 0);
        let all = INSTRUMENTS.iter().map(|instrument| instrument.name);
        let filled: Vec<_> = all.filter(|name| !series(&metrics, name).is_empty()).collect();
        assert_eq!(filled, expected);
    }
}

#[test]
fn a_series_has_the_attributes_of_its_metric_and_no_others() {
    let mut metrics = Metrics::new(limits(10));
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
    let mut metrics = Metrics::new(limits(3));
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
    let mut metrics = Metrics::new(limits(3));
    add(&mut metrics, &sql(SpanKind::Client, "old"), 1, SECOND);
    add(&mut metrics, &sql(SpanKind::Client, "new"), 1, 5 * SECOND);
    metrics.forget_idle(12 * SECOND);
    assert_eq!(series(&metrics, "db.client.operation.duration").len(), 1);
    metrics.forget_idle(16 * SECOND);
    assert!(metrics.snapshot().is_empty(), "nor is its process kept");
}

#[test]
fn each_bucket_keeps_the_latest_exported_span() {
    let mut metrics = Metrics::new(limits(3));
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
        metrics.add(&process(1), &measured, 0);
    }
    let (_, histogram) = series(&metrics, "http.server.request.duration").remove(0);
    assert_eq!(histogram.exemplars[0], Some((0.002, exemplar(2))));
    assert_eq!(histogram.exemplars[1], None);
}
