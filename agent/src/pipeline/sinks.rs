//! Where spans leave the program.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    config::Settings,
    export::{
        self, Exporters,
        metrics::{MetricsCounts, MetricsStatistics},
    },
    live::Printer,
    span::Span,
};

/// Everything that takes finished spans. Taking one never waits.
pub struct Sinks {
    exporters: Option<Exporters>,
    printer: Option<Printer>,
    metrics: Option<MetricsCounts>,
}

/// What became of the spans.
#[derive(Debug)]
pub struct Sent {
    export: export::Statistics,
    not_printed: u64,
    /// What became of metrics, if they are sent over OTLP.
    pub metrics: Option<MetricsStatistics>,
}

impl Sinks {
    /// Starts what the settings ask for; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When an exporter cannot be set up (a certificate that is not readable, an address that is none).
    pub fn start(settings: &Settings, metrics: Option<MetricsCounts>) -> anyhow::Result<Self> {
        let exporters = match &settings.export.traces {
            Some(otlp) => Some(Exporters::start(otlp, settings.export.batch)?),
            None => None,
        };
        Ok(Self {
            exporters,
            printer: Printer::start(&settings.export)?,
            metrics,
        })
    }

    /// Hands a span to each sink.
    pub fn submit(&self, span: Span) {
        match (&self.exporters, &self.printer) {
            (Some(exporters), Some(printer)) => {
                printer.submit(span.clone());
                exporters.submit(span);
            }
            (Some(exporters), None) => exporters.submit(span),
            (None, Some(printer)) => printer.submit(span),
            (None, None) => {}
        }
    }

    /// Spans that wait or are on their way, if they are exported.
    pub fn waiting(&self) -> Option<usize> {
        self.exporters.as_ref().map(Exporters::waiting)
    }

    /// What became so far of what was exported, by name.
    pub fn exported(&self) -> Vec<(&'static str, u64)> {
        let spans = self
            .exporters
            .iter()
            .flat_map(|exporters| exporters.statistics().pairs());
        let metrics = self.metrics.iter().flat_map(|metrics| metrics.read().pairs());
        spans.chain(metrics).collect()
    }

    /// Done when nobody reads stdout any more.
    pub async fn closed(&self) {
        match &self.printer {
            Some(printer) => printer.closed().await,
            None => std::future::pending().await,
        }
    }

    /// Lets go what is left, for at most `deadline` each.
    pub async fn finish(sinks: Arc<Self>, deadline: Duration) -> Sent {
        let mut sent = Sent {
            export: export::Statistics::default(),
            not_printed: 0,
            metrics: None,
        };
        // Whoever else held the sinks has ended; if not, its spans are worth less than ending now.
        let Some(Self {
            exporters, printer, ..
        }) = Arc::into_inner(sinks)
        else {
            return sent;
        };
        if let Some(printer) = printer {
            sent.not_printed = printer.shutdown(deadline).await;
        }
        if let Some(exporters) = exporters {
            sent.export = exporters.shutdown(deadline).await;
        }
        sent
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let export::Statistics {
            exported,
            dropped,
            failed,
            retries,
        } = self.export;
        write!(
            out,
            "exported={exported} export_dropped={dropped} export_failed={failed} export_retries={retries} \
             not_printed={}",
            self.not_printed
        )?;
        for (name, value) in self.metrics.iter().flat_map(|metrics| metrics.pairs()) {
            write!(out, " {name}={value}")?;
        }
        Ok(())
    }
}
