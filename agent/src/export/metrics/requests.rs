//! Metrics in requests of a bounded size.

use std::{borrow::Cow, mem};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
    },
    resource::v1::Resource,
};
use prost::Message as _;

use crate::span::Value;

/// Bytes after which a request is full: collectors refuse gRPC messages of more than 4 MiB by default.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Requests while they are filled.
#[derive(Default)]
pub(super) struct Requests {
    full: Vec<ExportMetricsServiceRequest>,
    open: Vec<ResourceMetrics>,
    bytes: usize,
}

impl Requests {
    /// Adds what is said of a resource.
    pub(super) fn add(&mut self, resource: Vec<(Cow<'static, str>, Value)>, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let resource = Resource {
            attributes: resource
                .into_iter()
                .map(|(name, attribute)| key_value(&name, &attribute))
                .collect(),
            ..Resource::default()
        };
        let mut fitting = Vec::new();
        for metric in metrics.into_iter().flat_map(split) {
            let bytes = metric.encoded_len();
            if self.bytes > 0 && self.bytes + bytes > MOST_BYTES {
                self.close(&resource, mem::take(&mut fitting));
                self.full.push(ExportMetricsServiceRequest {
                    resource_metrics: mem::take(&mut self.open),
                });
                self.bytes = 0;
            }
            self.bytes += bytes;
            fitting.push(metric);
        }
        self.close(&resource, fitting);
    }

    fn close(&mut self, resource: &Resource, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let scope = InstrumentationScope {
            name: "sidelight".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        self.bytes += resource.encoded_len();
        self.open.push(ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope),
                metrics,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        });
    }

    /// All of them.
    pub(super) fn finish(mut self) -> Vec<ExportMetricsServiceRequest> {
        if !self.open.is_empty() {
            self.full.push(ExportMetricsServiceRequest {
                resource_metrics: self.open,
            });
        }
        self.full
    }
}

/// Points in a request.
pub(super) fn points(request: &ExportMetricsServiceRequest) -> u64 {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    let points = metrics.map(|metric| match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    });
    points.sum::<usize>() as u64
}

/// A metric in parts that fit into a request.
fn split(metric: Metric) -> Vec<Metric> {
    let mut metric = metric;
    if metric.encoded_len() <= MOST_BYTES {
        return vec![metric];
    }
    let other = match &mut metric.data {
        Some(Data::Gauge(gauge)) => {
            half(&mut gauge.data_points).map(|data_points| Data::Gauge(Gauge { data_points }))
        }
        Some(Data::Sum(sum)) => {
            half(&mut sum.data_points).map(|data_points| Data::Sum(Sum { data_points, ..*sum }))
        }
        Some(Data::Histogram(histogram)) => half(&mut histogram.data_points).map(|data_points| {
            Data::Histogram(Histogram {
                data_points,
                ..*histogram
            })
        }),
        Some(Data::ExponentialHistogram(histogram)) => half(&mut histogram.data_points).map(|data_points| {
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points,
                ..*histogram
            })
        }),
        Some(Data::Summary(_)) | None => None,
    };
    let Some(data) = other else {
        return vec![metric];
    };
    let rest = Metric {
        data: Some(data),
        name: metric.name.clone(),
        description: metric.description.clone(),
        unit: metric.unit.clone(),
        metadata: Vec::new(),
    };
    let mut parts = split(metric);
    parts.extend(split(rest));
    parts
}

/// The second half of several points.
fn half<T>(points: &mut Vec<T>) -> Option<Vec<T>> {
    (points.len() > 1).then(|| points.split_off(points.len() / 2))
}

/// An attribute.
pub(super) fn key_value(name: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::String(text) => any_value::Value::StringValue(text.clone()),
        Value::Int(number) => any_value::Value::IntValue(*number),
        Value::Bool(flag) => any_value::Value::BoolValue(*flag),
    };
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
