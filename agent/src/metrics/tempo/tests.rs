use super::*;

const SECOND: u64 = 1_000_000_000;

fn now(seconds: u64) -> Now {
    Now {
        monotonic: seconds * SECOND,
        unix_nanos: 1_700_000_000 * SECOND + seconds * SECOND,
    }
}

const NONE: Old = Old {
    before: 0,
    settled: 0,
    long_before: 0,
};

fn described(kind: SpanKind, status: Status, attributes: &[(&'static str, &str)]) -> Description {
    Description {
        name: "GET /users".to_owned(),
        kind,
        status,
        attributes: attributes
            .iter()
            .map(|(name, value)| (*name, Value::from(*value)))
            .collect(),
    }
}

fn add(tempo: &mut Tempo, service: &str, description: &Description, id: u64, parent: Option<u64>, at: u64) {
    let placed = Placed {
        service,
        description,
        nanos: 300_000_000,
        trace_id: TraceId::from(7_u128),
        span_id: SpanId::from(id),
        parent: parent.map(SpanId::from),
        trace_state: None,
        exemplar: None,
    };
    tempo.add(&placed, now(at));
}

fn edges(tempo: &Tempo, name: &str) -> Vec<(String, u64)> {
    let snapshot = tempo.snapshot();
    let counts = snapshot.counts.iter().filter(|metric| metric.name == name);
    let mut edges: Vec<(String, u64)> = counts
        .flat_map(|metric| &metric.series)
        .map(|(labels, count)| {
            let values = labels.iter().map(|(_, value)| match value {
                Value::String(text) => text.as_str(),
                _ => "?",
            });
            (values.collect::<Vec<_>>().join("|"), count.value)
        })
        .collect();
    edges.sort();
    edges
}

#[test]
fn a_call_is_counted_once_whichever_end_comes_first() {
    let client = described(SpanKind::Client, Status::Unset, &[("server.address", "b")]);
    let server = described(SpanKind::Server, Status::Error(String::new()), &[]);
    for server_first in [false, true] {
        let mut tempo = Tempo::new(MetricsLimits::default());
        let mut order = [(&client, "a", 1, None), (&server, "b", 2, Some(1))];
        if server_first {
            order.reverse();
        }
        for (description, service, id, parent) in order {
            add(&mut tempo, service, description, id, parent, 0);
        }
        tempo.forget(NONE, now(100));
        assert_eq!(
            edges(&tempo, "traces_service_graph_request"),
            [("a|b|".to_owned(), 1)]
        );
        assert_eq!(
            edges(&tempo, "traces_service_graph_request_failed"),
            [("a|b|".to_owned(), 1)]
        );
        assert_eq!(
            edges(&tempo, "traces_spanmetrics_calls"),
            [
                ("a|GET /users|SPAN_KIND_CLIENT|STATUS_CODE_UNSET".to_owned(), 1),
                ("b|GET /users|SPAN_KIND_SERVER|STATUS_CODE_ERROR".to_owned(), 1)
            ]
        );
    }
}

#[test]
fn what_is_not_watched_is_a_virtual_node_after_ten_seconds() {
    let mut tempo = Tempo::new(MetricsLimits::default());
    let client = described(
        SpanKind::Client,
        Status::Unset,
        &[("server.address", "api.example")],
    );
    let server = described(SpanKind::Server, Status::Unset, &[]);
    add(&mut tempo, "a", &server, 1, None, 0);
    add(&mut tempo, "a", &client, 2, Some(1), 0);
    tempo.forget(NONE, now(10));
    assert_eq!(edges(&tempo, "traces_service_graph_request"), []);
    tempo.forget(NONE, now(11));
    assert_eq!(
        edges(&tempo, "traces_service_graph_request"),
        [
            ("a|api.example|virtual_node".to_owned(), 1),
            ("user|a|virtual_node".to_owned(), 1)
        ]
    );
    let seen = |name: &str| {
        let snapshot = tempo.snapshot();
        let histograms = snapshot.histograms.into_iter();
        let of = histograms.filter(|metric| metric.name == name);
        of.flat_map(|metric| metric.series)
            .map(|(_, histogram)| histogram.count)
            .sum::<u64>()
    };
    assert_eq!(seen("traces_service_graph_request_client_seconds"), 1);
    assert_eq!(seen("traces_service_graph_request_server_seconds"), 1);
}

#[test]
fn a_database_needs_no_span_of_its_own() {
    let mut tempo = Tempo::new(MetricsLimits::default());
    let attributes = [("db.system.name", "postgresql"), ("server.address", "db")];
    let client = described(SpanKind::Client, Status::Unset, &attributes);
    add(&mut tempo, "a", &client, 2, Some(1), 0);
    assert_eq!(
        edges(&tempo, "traces_service_graph_request"),
        [("a|db|database".to_owned(), 1)]
    );
}

#[test]
fn what_waits_is_bounded() {
    let mut tempo = Tempo::new(MetricsLimits::default());
    let client = described(SpanKind::Client, Status::Unset, &[("server.address", "b")]);
    for id in 0..20_000 {
        add(&mut tempo, "a", &client, id + 1, None, 0);
    }
    assert_eq!(tempo.snapshot().left_out, 10_000);
    assert_eq!(tempo.waiting_since.len(), WAITING_MOST);
}
