//! One attempt to hand metrics over.

use std::{io::Write as _, sync::Arc, time::Duration};

use flate2::{Compression as Level, write::GzEncoder};
use opentelemetry_http::{Bytes, HttpClient, Request, Response, hyper::HyperClient};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    metrics_service_client::MetricsServiceClient,
};
use prost::Message as _;
use tonic::{Code, Status, codec::CompressionEncoding, metadata::MetadataMap, transport::Channel};
use tonic_types::StatusExt as _;

use super::super::{
    error::{Error, chain},
    tls, transport,
};
use crate::config::{Compression, Otlp, Protocol};

const PROTOBUF: &str = "application/x-protobuf";
/// An answer's text that is worth showing.
const SHOWN_MOST: usize = 200;

/// The way to the collector, for metrics.
#[derive(Debug)]
pub(super) struct Sender {
    endpoint: String,
    compression: Compression,
    headers: MetadataMap,
    timeout: Duration,
    wire: Wire,
}

#[derive(Debug)]
enum Wire {
    Grpc(Channel),
    Http(Arc<dyn HttpClient>),
}

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The collector took it, maybe without some of its points.
    Taken {
        /// Points that it left out.
        rejected: u64,
        /// What it says.
        message: String,
    },
    /// It will never take it.
    Refused(String),
    /// It may take it later.
    NotYet {
        /// Why not now.
        reason: String,
        /// The pause that it asked for.
        after: Option<Duration>,
    },
}

impl Sender {
    /// Prepares the way; connects with the first request. No attempt lasts longer than `timeout`.
    pub(super) fn new(otlp: &Otlp, timeout: Duration) -> Result<Self, Error> {
        let secure = transport::is_secure(&otlp.endpoint)?;
        let wire = match otlp.protocol {
            Protocol::Grpc => Wire::Grpc(transport::channel(otlp, secure)?),
            Protocol::HttpProtobuf if secure => Wire::Http(tls::http_client(otlp)?),
            Protocol::HttpProtobuf => {
                Wire::Http(Arc::new(HyperClient::with_default_connector(otlp.timeout, None)))
            }
        };
        if let Err(error) = Request::post(&otlp.endpoint).body(()) {
            return Err(transport::invalid(&otlp.endpoint, &error));
        }
        Ok(Self {
            endpoint: otlp.endpoint.clone(),
            compression: otlp.compression,
            headers: transport::headers(otlp)?,
            timeout: otlp.timeout.min(timeout),
            wire,
        })
    }

    /// Where it leads.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends a request once.
    pub(super) async fn send(&self, request: &ExportMetricsServiceRequest) -> Outcome {
        let attempt = async {
            match &self.wire {
                Wire::Grpc(channel) => self.grpc(channel, request).await,
                Wire::Http(client) => self.http(client.as_ref(), request).await,
            }
        };
        tokio::time::timeout(self.timeout, attempt)
            .await
            .unwrap_or_else(|_| Outcome::NotYet {
                reason: format!("no answer within {:?}", self.timeout),
                after: None,
            })
    }

    async fn grpc(&self, channel: &Channel, message: &ExportMetricsServiceRequest) -> Outcome {
        let mut client = MetricsServiceClient::new(channel.clone());
        if self.compression == Compression::Gzip {
            client = client
                .send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip);
        }
        let mut request = tonic::Request::new(message.clone());
        *request.metadata_mut() = self.headers.clone();
        match client.export(request).await {
            Ok(answer) => taken(answer.into_inner()),
            Err(status) => of_status(&status),
        }
    }

    async fn http(&self, client: &dyn HttpClient, message: &ExportMetricsServiceRequest) -> Outcome {
        let request = match self.http_request(message) {
            Ok(request) => request,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        match client.send_bytes(request).await {
            Ok(answer) => of_answer(&answer),
            Err(error) => Outcome::NotYet {
                reason: chain(error.as_ref()),
                after: None,
            },
        }
    }

    fn http_request(
        &self,
        message: &ExportMetricsServiceRequest,
    ) -> Result<Request<Bytes>, Box<dyn std::error::Error>> {
        let mut request = Request::post(&self.endpoint).header("content-type", PROTOBUF);
        for (name, value) in self.headers.as_ref() {
            request = request.header(name, value);
        }
        let mut body = message.encode_to_vec();
        if self.compression == Compression::Gzip {
            request = request.header("content-encoding", "gzip");
            let mut encoder = GzEncoder::new(Vec::new(), Level::default());
            encoder.write_all(&body)?;
            body = encoder.finish()?;
        }
        Ok(request.body(Bytes::from(body))?)
    }
}

fn taken(answer: ExportMetricsServiceResponse) -> Outcome {
    let ExportMetricsPartialSuccess {
        rejected_data_points,
        error_message,
    } = answer.partial_success.unwrap_or_default();
    Outcome::Taken {
        rejected: u64::try_from(rejected_data_points).unwrap_or_default(),
        message: error_message,
    }
}

/// By <https://opentelemetry.io/docs/specs/otlp/#failures>.
fn of_status(status: &Status) -> Outcome {
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let reason = format!("{}: {}", status.code(), status.message());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Outcome::NotYet { reason, after },
        Code::ResourceExhausted if after.is_some() => Outcome::NotYet { reason, after },
        // Not the collector's word: tonic says so of a connection that broke off (tonic 0.14, `Status::from_error`).
        Code::Unknown if std::error::Error::source(status).is_some() => Outcome::NotYet { reason, after },
        _ => Outcome::Refused(reason),
    }
}

/// By <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>.
fn of_answer(answer: &Response<Bytes>) -> Outcome {
    let status = answer.status();
    if status.is_success() {
        // An answer that is not what it should be says nothing against what was taken.
        return taken(ExportMetricsServiceResponse::decode(&answer.body()[..]).unwrap_or_default());
    }
    let after = answer
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let said = String::from_utf8_lossy(answer.body());
    let said: String = said
        .chars()
        .filter(|letter| !letter.is_control())
        .take(SHOWN_MOST)
        .collect();
    let reason = format!("HTTP status {status} {said}").trim_end().to_owned();
    match status.as_u16() {
        429 | 502 | 503 | 504 => Outcome::NotYet { reason, after },
        _ => Outcome::Refused(reason),
    }
}
