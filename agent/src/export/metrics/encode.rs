//! A snapshot in OTLP's messages.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
        Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, exemplar,
        exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
    },
};

use super::{
    super::resource,
    points::{Counted, From, Owner},
    requests::{Requests, key_value},
};
use crate::metrics::{
    self, Count, INSTRUMENTS, Labels, Number, NumberKind, NumberMetric, OfAgent, Reading, Snapshot,
    SnapshotOfProcess, tempo,
};

/// The requests that say what a snapshot says.
pub(super) fn requests(
    snapshot: &Snapshot,
    from: From<'_>,
    with_agent: bool,
) -> Vec<ExportMetricsServiceRequest> {
    let mut requests = Requests::default();
    let encoder = Encoder {
        at: snapshot.at.unix_nanos,
        from,
    };
    for of_process in &snapshot.processes {
        let metrics = encoder.of_process(of_process);
        requests.add(resource::attributes(&of_process.process), metrics);
    }
    let mut own = Vec::new();
    if with_agent {
        own.extend(encoder.of_agent(&snapshot.agent));
    }
    if let Some(tempo) = &snapshot.tempo {
        own.extend(encoder.tempo(tempo));
    }
    requests.add(resource::of_agent(), own);
    requests.finish()
}

#[derive(Clone, Copy)]
struct Encoder<'a> {
    at: u64,
    from: From<'a>,
}

/// What stands above the points of a metric.
#[derive(Clone, Copy)]
struct Head<'a> {
    name: &'a str,
    unit: &'a str,
    description: &'a str,
}

impl Encoder<'_> {
    fn of_process(&self, of_process: &SnapshotOfProcess) -> Vec<Metric> {
        let owner = Some(of_process.process.key());
        let mut metrics = Vec::new();
        for (instrument, series) in INSTRUMENTS.iter().zip(&of_process.families) {
            let head = Head {
                name: instrument.name,
                unit: instrument.unit,
                description: instrument.description,
            };
            metrics.extend(self.histograms(owner, head, instrument.bounds, series));
        }
        let mut by_name: BTreeMap<&str, (&'static NumberMetric, Vec<&Reading>)> = BTreeMap::new();
        for reading in &of_process.readings {
            let of_metric = by_name.entry(reading.metric.name);
            of_metric.or_insert((reading.metric, Vec::new())).1.push(reading);
        }
        let readings = by_name.into_values();
        metrics.extend(readings.map(|(metric, readings)| self.readings(owner, metric, &readings)));
        metrics
    }

    fn histograms(
        &self,
        owner: Owner,
        head: Head<'_>,
        bounds: &[f64],
        series: &[(Labels, metrics::Histogram)],
    ) -> Option<Metric> {
        let sent = series
            .iter()
            .filter_map(|(labels, now)| Some((labels, self.from.histogram(owner, head.name, labels, now)?)));
        let sent: Vec<_> = sent.collect();
        let is_exponential = sent.first()?.1.exponential.is_some();
        let aggregation_temporality = temporality(self.from.is_delta());
        let data = if is_exponential {
            let points = sent
                .iter()
                .filter_map(|(labels, histogram)| self.exponential(labels, histogram));
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: points.collect(),
                aggregation_temporality,
            })
        } else {
            let points = sent
                .iter()
                .map(|(labels, histogram)| self.explicit(labels, bounds, histogram));
            Data::Histogram(Histogram {
                data_points: points.collect(),
                aggregation_temporality,
            })
        };
        Some(head.metric(data))
    }

    fn explicit(
        &self,
        labels: &Labels,
        bounds: &[f64],
        histogram: &metrics::Histogram,
    ) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: histogram.since_unix_nanos,
            time_unix_nano: self.at,
            count: histogram.count,
            sum: Some(histogram.sum),
            bucket_counts: histogram.buckets.clone(),
            explicit_bounds: bounds.to_vec(),
            exemplars: exemplars(histogram),
            flags: 0,
            min: known(histogram.min),
            max: known(histogram.max),
        }
    }

    fn exponential(
        &self,
        labels: &Labels,
        histogram: &metrics::Histogram,
    ) -> Option<ExponentialHistogramDataPoint> {
        let exponential = histogram.exponential.as_ref()?;
        Some(ExponentialHistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: histogram.since_unix_nanos,
            time_unix_nano: self.at,
            count: histogram.count,
            sum: Some(histogram.sum),
            scale: exponential.scale,
            zero_count: exponential.zero,
            positive: Some(Buckets {
                offset: exponential.offset,
                bucket_counts: exponential.counts.iter().copied().collect(),
            }),
            negative: None,
            flags: 0,
            exemplars: exemplars(histogram),
            min: known(histogram.min),
            max: known(histogram.max),
            zero_threshold: 0.0,
        })
    }

    fn readings(&self, owner: Owner, metric: &NumberMetric, readings: &[&Reading]) -> Metric {
        let points = readings.iter().map(|reading| {
            let counted = self.from.reading(owner, reading);
            let mut point = self.point(&reading.labels, &counted);
            if metric.kind == NumberKind::Gauge {
                point.start_time_unix_nano = 0;
            }
            point
        });
        let data_points = points.collect();
        let data = match metric.kind {
            NumberKind::Gauge => Data::Gauge(Gauge { data_points }),
            kind => Data::Sum(Sum {
                data_points,
                aggregation_temporality: temporality(self.from.is_delta_of(kind)),
                is_monotonic: kind == NumberKind::Counter,
            }),
        };
        let head = Head {
            name: metric.name,
            unit: metric.unit,
            description: metric.description,
        };
        head.metric(data)
    }

    fn tempo(&self, snapshot: &tempo::Snapshot) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for metric in &snapshot.counts {
            // Where names are translated for Prometheus, an end that is there already is not put there again.
            let name = format!("{}_total", metric.name);
            let head = Head {
                name: &name,
                unit: "",
                description: metric.description,
            };
            metrics.extend(self.counts(metric.name, head, &metric.series));
        }
        for metric in &snapshot.histograms {
            let head = Head {
                name: metric.name,
                unit: "",
                description: metric.description,
            };
            metrics.extend(self.histograms(None, head, metric.bounds, &metric.series));
        }
        metrics
    }

    fn of_agent(&self, agent: &OfAgent) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for (counter, labels, count) in agent.counted() {
            let name = format!("sidelight.{counter}");
            let head = Head {
                name: &name,
                unit: "1",
                description: "Of the agent's own counts; the same as in its last line on stderr.",
            };
            metrics.extend(self.counts(counter, head, &[(labels, count)]));
        }
        for (level, description, value) in &agent.levels {
            let name = format!("sidelight.{level}");
            let head = Head {
                name: &name,
                unit: "1",
                description,
            };
            let counted = Counted {
                since_unix_nanos: 0,
                value: Number::Int(i64::try_from(*value).unwrap_or(i64::MAX)),
            };
            let data_points = vec![self.point(&Labels::new(), &counted)];
            metrics.push(head.metric(Data::Gauge(Gauge { data_points })));
        }
        metrics
    }

    /// Counts, which are known under `key` from one snapshot to the next.
    fn counts(&self, key: &str, head: Head<'_>, series: &[(Labels, Count)]) -> Option<Metric> {
        let points = series.iter().filter_map(|(labels, count)| {
            let counted = self.from.count(None, key, labels, *count)?;
            Some(self.point(labels, &counted))
        });
        let data_points: Vec<_> = points.collect();
        (!data_points.is_empty()).then(|| {
            head.metric(Data::Sum(Sum {
                data_points,
                aggregation_temporality: temporality(self.from.is_delta()),
                is_monotonic: true,
            }))
        })
    }

    fn point(&self, labels: &Labels, counted: &Counted) -> NumberDataPoint {
        NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: counted.since_unix_nanos,
            time_unix_nano: self.at,
            exemplars: Vec::new(),
            flags: 0,
            value: Some(match counted.value {
                Number::Int(value) => number_data_point::Value::AsInt(value),
                Number::Float(value) => number_data_point::Value::AsDouble(value),
            }),
        }
    }
}

impl Head<'_> {
    fn metric(self, data: Data) -> Metric {
        Metric {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            unit: self.unit.to_owned(),
            metadata: Vec::new(),
            data: Some(data),
        }
    }
}

fn temporality(is_delta: bool) -> i32 {
    let temporality = if is_delta {
        AggregationTemporality::Delta
    } else {
        AggregationTemporality::Cumulative
    };
    temporality.into()
}

fn exemplars(histogram: &metrics::Histogram) -> Vec<Exemplar> {
    let exemplars = histogram.exemplars.iter().flatten();
    exemplars
        .map(|(value, exemplar)| Exemplar {
            filtered_attributes: Vec::new(),
            time_unix_nano: exemplar.unix_nanos,
            span_id: exemplar.span_id.to_bytes().to_vec(),
            trace_id: exemplar.trace_id.to_bytes().to_vec(),
            value: Some(exemplar::Value::AsDouble(*value)),
        })
        .collect()
}

/// The smallest or largest value, where it is known.
fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    labels
        .iter()
        .map(|(name, value)| key_value(name, value))
        .collect()
}
