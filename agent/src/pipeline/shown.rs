//! Where metrics leave the program.

use std::time::Duration;

use crate::{
    config::{Settings, Temporality},
    export::{
        metrics::{MetricsCounts, MetricsExporter, MetricsStatistics},
        prometheus::Prometheus,
    },
    metrics::{self, Asked, Settled, Snapshot},
};

/// Everything that asks for metrics.
#[derive(Debug)]
pub struct Shown {
    /// Where they can be scraped.
    pub prometheus: Option<Prometheus>,
    exporter: Option<MetricsExporter>,
    /// The capture thread's end, if anybody asks.
    pub asked: Option<(Asked, Settled)>,
}

impl Shown {
    /// Starts what the settings ask for; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken, or the exporter cannot be set up.
    pub async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let export = &settings.export;
        let (asker, capture) = metrics::channel();
        let prometheus = match export.prometheus {
            Some(address) => Some(Prometheus::start(address, asker.clone()).await?),
            None => None,
        };
        // What is counted from the beginning is all said by the latest; what is counted from one export to the next is not.
        let settled = match (&export.metrics, export.periodic.temporality) {
            (None, _) | (_, Temporality::Cumulative) => Settled::always(),
            _ => Settled::never(),
        };
        let exporter = match &export.metrics {
            Some(otlp) => Some(MetricsExporter::start(
                otlp,
                export.periodic,
                settings.metrics.agent,
                asker,
                settled.clone(),
            )?),
            None => None,
        };
        let is_wanted = prometheus.is_some() || exporter.is_some();
        Ok(Self {
            prometheus,
            exporter,
            asked: is_wanted.then_some((capture, settled)),
        })
    }

    /// What becomes of what is sent over OTLP.
    pub fn counts(&self) -> Option<MetricsCounts> {
        self.exporter.as_ref().map(MetricsExporter::counts)
    }

    /// Sends the last metrics, for at most `deadline`.
    pub async fn finish(self, last: Option<Snapshot>, deadline: Duration) -> Option<MetricsStatistics> {
        Some(self.exporter?.shutdown(last, deadline).await)
    }
}
