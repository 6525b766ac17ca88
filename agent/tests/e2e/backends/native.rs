//! Native histograms in Prometheus: alone, and together with classic ones.

use std::{collections::HashSet, net::SocketAddr};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Counts, ask, checked, counts, exemplars, load, prometheus_with};
use crate::{
    harness::{
        agent::{self, Agent},
        lab::Lab,
        ports,
        span::Span,
        until,
    },
    otlp_metrics::server,
};

const REQUESTS: usize = 2_000;
const SECONDS: &str = "http_server_request_duration_seconds";
const QUANTILES: [f64; 3] = [0.1, 0.5, 0.99];

/// Prometheus scrapes the same page twice: once for native histograms alone, once for both.
pub(super) fn histograms(lab: &Lab) -> Result<()> {
    let server = server(lab)?;
    let scraped = ports::local(ports::free()?);
    let job = |name: &str, more: &str| {
        format!(
            "- job_name: {name}\n  honor_labels: true\n  {more}\n  static_configs: [{{targets: ['{scraped}'], labels: {{scrape: {name}}}}}]\n"
        )
    };
    let jobs =
        job("native", "scrape_classic_histograms: false") + &job("both", "scrape_classic_histograms: true");
    let features = "exemplar-storage,native-histograms";
    let (_prometheus, prometheus) = prometheus_with(lab, "prometheus-native", &jobs, features)?;
    let pid = server.pid().to_string();
    let mut command = agent::command(&["attach", "--output", "json", "--pid", &pid]);
    command
        .args(["--prometheus", &scraped.to_string()])
        .env("SIDELIGHT_METRICS_BUCKETS", "exponential");
    let agent = Agent::start(command)?;
    let answered = load(&server, REQUESTS)?;
    for scrape in ["native", "both"] {
        let of = |function: &str, name: &str| {
            counts(prometheus, &format!("{function}({name}{{scrape=\"{scrape}\"}})"))
        };
        until(&format!("all requests in histograms of {scrape}"), || {
            (of("histogram_count", SECONDS).ok()? == answered).then_some(())
        })
        .with_context(|| format!("{:?} and not {answered:?}", of("histogram_count", SECONDS)))?;
        let classic = of("", &format!("{SECONDS}_count"))?;
        let expected = if scrape == "both" {
            answered.clone()
        } else {
            Counts::new()
        };
        ensure!(classic == expected, "classic ones of {scrape}: {classic:?}");
    }
    let found = exemplars(prometheus, &format!("{SECONDS}{{scrape=\"native\"}}"))?;
    checked(scraped)?;
    agent.wait_for("the spans of all requests", REQUESTS, Span::is_served)?;
    let spans = agent.spans()?;
    let made: HashSet<_> = spans
        .iter()
        .map(|span| (span.trace_id.clone(), span.span_id.clone()))
        .collect();
    ensure!(!found.is_empty() && found.is_subset(&made), "{found:?}");
    let mut seconds = spans.iter().map(Span::seconds).collect::<Result<Vec<f64>>>()?;
    seconds.sort_by(f64::total_cmp);
    for scrape in ["native", "both"] {
        agree(prometheus, scrape, &seconds).with_context(|| scrape.to_owned())?;
    }
    agent.stop().map(drop)
}

/// Buckets and quantiles are those of the spans' durations.
fn agree(prometheus: SocketAddr, scrape: &str, seconds: &[f64]) -> Result<()> {
    let sum = format!("sum({SECONDS}{{scrape=\"{scrape}\"}})");
    let data = value(prometheus, &sum)?;
    let histogram = &data["histogram"][1];
    let buckets = histogram["buckets"].as_array().context("no buckets")?;
    let buckets = buckets.iter().map(Bucket::read).collect::<Result<Vec<_>>>()?;
    for bucket in &buckets {
        let inside = seconds.iter().filter(|value| bucket.holds(**value)).count();
        ensure!(
            inside == bucket.count as usize && inside > 0,
            "{inside} spans in {bucket:?}"
        );
        ensure!(bucket.upper / bucket.lower < 1.1, "{bucket:?} is coarse");
    }
    let total: f64 = buckets.iter().map(|bucket| bucket.count).sum();
    ensure!(total as usize == seconds.len(), "{total} in all buckets");
    for quantile in QUANTILES {
        let data = value(prometheus, &format!("histogram_quantile({quantile},{sum})"))?;
        let estimated: f64 = data["value"][1].as_str().context("no quantile")?.parse()?;
        let rank = (quantile * seconds.len() as f64).ceil() as usize;
        let exact = seconds.get(rank - 1).context("no such rank")?;
        let bucket = buckets
            .iter()
            .find(|bucket| bucket.holds(*exact))
            .context("no bucket")?;
        ensure!(
            bucket.lower <= estimated && estimated <= bucket.upper,
            "the quantile {quantile} is {exact}, in {bucket:?}, and not {estimated}"
        );
    }
    Ok(())
}

/// The only series that an expression has.
fn value(prometheus: SocketAddr, expression: &str) -> Result<Value> {
    let mut data = ask(prometheus, &format!("/api/v1/query?query={expression}"))?;
    let series = data["result"].as_array_mut().context("no result")?;
    ensure!(series.len() == 1, "{expression}: {series:?}");
    series.pop().context("no series")
}

/// A bucket as Prometheus' interface has it.
#[derive(Debug)]
struct Bucket {
    lower: f64,
    upper: f64,
    count: f64,
}

impl Bucket {
    fn read(bucket: &Value) -> Result<Self> {
        let number = |place: usize| -> Result<f64> {
            let text = bucket[place].as_str().with_context(|| bucket.to_string())?;
            Ok(text.parse()?)
        };
        Ok(Self {
            lower: number(1)?,
            upper: number(2)?,
            count: number(3)?,
        })
    }

    fn holds(&self, value: f64) -> bool {
        self.lower < value && value <= self.upper
    }
}
