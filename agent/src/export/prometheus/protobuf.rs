//! Metrics in Prometheus' protobuf format, the only one that has native histograms.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format>,
//! <https://prometheus.io/docs/specs/native_histograms/>. Histograms that are kept with exponential buckets have native ones
//! here besides the classic ones, and who scrapes takes what it is set to.

use prost::Message as _;
use prost_types::Timestamp;

use super::{
    lines::{Head, Kind, Set},
    messages::{
        Bucket, BucketSpan, Counter, Exemplar, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
    },
    page::{self, Format},
};
use crate::metrics::{self, Exponential, Number, Snapshot};

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// The finest schema that Prometheus knows. The coarsest, -4, is never gone below: at that one, 132 buckets hold every number.
const FINEST_SCHEMA: i32 = 8;
/// So many empty buckets at most are written as such; more begin a new span, as client libraries have it.
const GAP_MOST: i32 = 2;

/// A snapshot in protobuf: each family with its length before it.
pub(super) fn protobuf(snapshot: &Snapshot) -> Vec<u8> {
    let mut page = Protobuf::default();
    page::write(snapshot, &mut page);
    page.end_family();
    page.bytes
}

#[derive(Default)]
struct Protobuf {
    bytes: Vec<u8>,
    /// Its series are still coming.
    family: Option<MetricFamily>,
}

impl Format for Protobuf {
    fn head(&mut self, head: Head<'_>) {
        self.end_family();
        let kind = match head.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Info | Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        self.family = Some(MetricFamily {
            name: Some(head.sample()),
            help: Some(head.help.to_owned()),
            r#type: Some(kind.into()),
            metric: Vec::new(),
            unit: (!head.unit.is_empty()).then(|| head.unit.to_owned()),
        });
    }

    fn number(&mut self, labels: &Set, value: Number, since_unix_nanos: Option<u64>) {
        let value = Some(match value {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        });
        let mut metric = Metric {
            label: pairs(labels),
            ..Metric::default()
        };
        let is_counter = |family: &MetricFamily| family.r#type == Some(MetricType::Counter.into());
        if self.family.as_ref().is_some_and(is_counter) {
            metric.counter = Some(Counter {
                value,
                created_timestamp: since_unix_nanos.map(timestamp),
            });
        } else {
            metric.gauge = Some(Gauge { value });
        }
        self.add(metric);
    }

    fn histogram(&mut self, bounds: &[f64], labels: &Set, histogram: &metrics::Histogram) {
        let mut message = classic(bounds, histogram);
        if let Some(exponential) = &histogram.exponential {
            make_native(&mut message, exponential);
        }
        self.add(Metric {
            label: pairs(labels),
            histogram: Some(message),
            ..Metric::default()
        });
    }
}

impl Protobuf {
    fn add(&mut self, metric: Metric) {
        if let Some(family) = &mut self.family {
            family.metric.push(metric);
        }
    }

    fn end_family(&mut self) {
        if let Some(family) = self.family.take() {
            self.bytes.extend(family.encode_length_delimited_to_vec());
        }
    }
}

fn classic(bounds: &[f64], histogram: &metrics::Histogram) -> Histogram {
    let mut below = 0;
    let bounds = bounds.iter().copied().chain([f64::INFINITY]);
    let buckets = bounds.zip(&histogram.buckets).zip(&histogram.exemplars);
    let bucket = |((bound, count), exemplar): ((f64, &u64), &Option<_>)| {
        below += count;
        Bucket {
            cumulative_count: Some(below),
            upper_bound: Some(bound),
            exemplar: exemplar.map(|(value, exemplar)| shown(value, &exemplar)),
        }
    };
    Histogram {
        sample_count: Some(histogram.count),
        sample_sum: Some(histogram.sum),
        bucket: buckets.map(bucket).collect(),
        created_timestamp: Some(timestamp(histogram.since_unix_nanos)),
        ..Histogram::default()
    }
}

/// Adds native buckets, and the exemplars that go with them: Prometheus wants those in the order of their times.
fn make_native(message: &mut Histogram, exponential: &Exponential) {
    let exponential = exponential.at_most(FINEST_SCHEMA);
    message.schema = Some(exponential.scale);
    message.zero_threshold = Some(0.0);
    message.zero_count = Some(exponential.zero);
    (message.positive_span, message.positive_delta) = spans(&exponential);
    let exemplars = message.bucket.iter().filter_map(|bucket| bucket.exemplar.clone());
    message.exemplars = exemplars.collect();
    let time = |exemplar: &Exemplar| exemplar.timestamp.map(|at| (at.seconds, at.nanos));
    message.exemplars.sort_by_key(time);
}

/// Buckets as runs, and the difference of each to the one before.
fn spans(exponential: &Exponential) -> (Vec<BucketSpan>, Vec<i64>) {
    let mut spans = Vec::<BucketSpan>::new();
    let mut deltas = Vec::new();
    let mut before = 0;
    // Bucket i of Prometheus ends where that of OTLP begins.
    let (first, mut next) = (exponential.offset + 1, 0);
    for (index, &count) in (first..)
        .zip(&exponential.counts)
        .filter(|(_, count)| **count > 0)
    {
        let gap = index - next;
        match spans.last_mut() {
            Some(BucketSpan {
                length: Some(length), ..
            }) if gap <= GAP_MOST => {
                *length += gap as u32 + 1;
                for _ in 0..gap {
                    deltas.push(-before);
                    before = 0;
                }
            }
            _ => spans.push(BucketSpan {
                offset: Some(gap),
                length: Some(1),
            }),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        before = count;
        next = index + 1;
    }
    (spans, deltas)
}

fn shown(value: f64, exemplar: &metrics::Exemplar) -> Exemplar {
    let mut labels = Set::default();
    labels.add_text("trace_id", &exemplar.trace_id.to_string());
    labels.add_text("span_id", &exemplar.span_id.to_string());
    Exemplar {
        label: pairs(&labels),
        value: Some(value),
        timestamp: Some(timestamp(exemplar.unix_nanos)),
    }
}

fn pairs(labels: &Set) -> Vec<LabelPair> {
    let pair = |(name, value): &(String, String)| LabelPair {
        name: Some(name.clone()),
        value: Some(value.clone()),
    };
    labels.0.iter().map(pair).collect()
}

fn timestamp(unix_nanos: u64) -> Timestamp {
    Timestamp {
        seconds: (unix_nanos / NANOS_PER_SECOND) as i64,
        nanos: (unix_nanos % NANOS_PER_SECOND) as i32,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bucket and count of all that spans and deltas say, as Prometheus reads them.
    fn read(spans: &[BucketSpan], deltas: &[i64]) -> Vec<(i32, i64)> {
        let (mut index, mut count, mut read) = (0, 0, Vec::new());
        let mut deltas = deltas.iter();
        for span in spans {
            index += span.offset();
            for _ in 0..span.length() {
                count += deltas.next().unwrap();
                read.push((index, count));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        read.retain(|(_, count)| *count > 0);
        read
    }

    #[test]
    fn spans_begin_where_the_first_bucket_is_and_small_gaps_are_part_of_them() {
        let exponential = Exponential {
            scale: 3,
            zero: 0,
            offset: -4,
            counts: [2, 5, 0, 0, 1, 0, 0, 0, 7].into(),
        };
        let (spans, deltas) = spans(&exponential);
        let span = |offset, length| BucketSpan {
            offset: Some(offset),
            length: Some(length),
        };
        assert_eq!(spans, [span(-3, 5), span(3, 1)]);
        assert_eq!(deltas, [2, 3, -5, 0, 1, 6]);
    }

    proptest! {
        /// A value is above the end of the bucket before its own and up to its own, at the schema that is named.
        #[test]
        fn every_value_is_in_its_bucket(
            values in prop::collection::vec(prop_oneof![Just(0.0), 1e-9..1e-3, 1e-3..100.0, 1.0..1e12], 1..200),
        ) {
            let mut exponential = Exponential::default();
            for &value in &values {
                exponential.add(value);
            }
            let mut message = Histogram::default();
            make_native(&mut message, &exponential);
            prop_assert!((-4..=FINEST_SCHEMA).contains(&message.schema()));
            let positive = values.iter().filter(|value| **value > 0.0);
            prop_assert_eq!(message.zero_count() as usize, values.len() - positive.clone().count());
            let width = f64::from(-message.schema()).exp2();
            let mut expected = std::collections::BTreeMap::new();
            for value in positive {
                *expected.entry((value.log2() / width).ceil() as i32).or_insert(0) += 1;
            }
            let read = read(&message.positive_span, &message.positive_delta);
            prop_assert_eq!(read, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
