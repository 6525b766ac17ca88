//! The way to the collector: one connection for all resources.

use std::{collections::HashMap, sync::Arc, time::Duration};

use opentelemetry_http::{HttpClient, hyper::HyperClient};
use opentelemetry_otlp::{
    ExporterBuildError, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
    WithTonicConfig as _,
};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use tonic::{
    Request, Status,
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
    transport::{Channel, Endpoint},
};

use crate::config::{Compression, Otlp, Protocol};

use super::{
    attempts::{Attempts, Observed},
    error::{Error, chain},
    tls,
};

/// Longer than any round lasts: rounds are bounded by their caller.
const NO_DEADLINE: Duration = Duration::from_hours(1);

/// The way to the collector.
#[derive(Debug)]
pub(super) struct Transport {
    endpoint: String,
    compression: Compression,
    headers: MetadataMap,
    wire: Wire,
}

#[derive(Debug)]
enum Wire {
    Grpc(Channel),
    Http(Arc<dyn HttpClient>),
}

impl Transport {
    /// Prepares the way; connects with the first request.
    pub(super) fn new(otlp: &Otlp) -> Result<Self, Error> {
        let secure = is_secure(&otlp.endpoint)?;
        let wire = match otlp.protocol {
            Protocol::Grpc => Wire::Grpc(channel(otlp, secure)?),
            Protocol::HttpProtobuf if secure => Wire::Http(tls::http_client(otlp)?),
            Protocol::HttpProtobuf => {
                Wire::Http(Arc::new(HyperClient::with_default_connector(otlp.timeout, None)))
            }
        };
        let transport = Self {
            endpoint: otlp.endpoint.clone(),
            compression: otlp.compression,
            headers: headers(otlp)?,
            wire,
        };
        transport
            .exporter(&Resource::builder_empty().build(), &Arc::default())
            .map_err(|error| invalid(&otlp.endpoint, &error))?;
        Ok(transport)
    }

    /// An exporter for one request of `resource`. It makes one attempt, and a second one after a pause if the answer
    /// allows it; the pause is what the collector asked for, if it did.
    pub(super) fn exporter(
        &self,
        resource: &Resource,
        attempts: &Arc<Attempts>,
    ) -> Result<SpanExporter, ExporterBuildError> {
        let mut exporter = match &self.wire {
            Wire::Grpc(channel) => self.grpc(channel, attempts)?,
            Wire::Http(client) => self.http(client, attempts)?,
        };
        exporter.set_resource(resource);
        Ok(exporter)
    }

    fn grpc(&self, channel: &Channel, attempts: &Arc<Attempts>) -> Result<SpanExporter, ExporterBuildError> {
        let attempts = Arc::clone(attempts);
        let builder = SpanExporter::builder()
            .with_tonic()
            .with_channel(channel.clone())
            .with_metadata(self.headers.clone())
            .with_interceptor(move |request: Request<()>| -> Result<_, Status> {
                attempts.begin();
                Ok(request)
            })
            .with_retry_policy(once_more())
            .with_timeout(NO_DEADLINE);
        match self.compression {
            Compression::None => builder.build(),
            Compression::Gzip => builder
                .with_compression(opentelemetry_otlp::Compression::Gzip)
                .build(),
        }
    }

    fn http(
        &self,
        client: &Arc<dyn HttpClient>,
        attempts: &Arc<Attempts>,
    ) -> Result<SpanExporter, ExporterBuildError> {
        let builder = SpanExporter::builder()
            .with_http()
            .with_http_client(Observed::new(client, attempts))
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(&self.endpoint)
            .with_headers(self.http_headers())
            .with_retry_policy(once_more())
            .with_timeout(NO_DEADLINE);
        match self.compression {
            Compression::None => builder.build(),
            Compression::Gzip => builder
                .with_compression(opentelemetry_otlp::Compression::Gzip)
                .build(),
        }
    }

    /// The headers as the HTTP exporter wants them: it percent-decodes their values.
    fn http_headers(&self) -> HashMap<String, String> {
        self.headers
            .as_ref()
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.replace('%', "%25"))))
            .collect()
    }
}

/// One repetition, after which the caller decides.
fn once_more() -> RetryPolicy {
    RetryPolicy::recommended().with_max_retries(1)
}

/// The connection for gRPC, made when the first request needs it.
pub(super) fn channel(otlp: &Otlp, secure: bool) -> Result<Channel, Error> {
    let mut endpoint = Endpoint::from_shared(otlp.endpoint.clone())
        .map_err(|error| invalid(&otlp.endpoint, &error))?
        .connect_timeout(otlp.timeout)
        .timeout(otlp.timeout);
    if secure {
        endpoint = endpoint
            .tls_config(tls::grpc(otlp)?)
            .map_err(|error| tls::no_roots(otlp, chain(&error)))?;
    }
    Ok(endpoint.connect_lazy())
}

/// Whether the endpoint is `https`; an error when it is not `http` either.
pub(super) fn is_secure(endpoint: &str) -> Result<bool, Error> {
    let scheme = endpoint
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("https") => Ok(true),
        Some("http") => Ok(false),
        Some(_) | None => Err(Error::Endpoint {
            endpoint: endpoint.to_owned(),
            reason: "it does not begin with http:// or https://".to_owned(),
        }),
    }
}

pub(super) fn headers(otlp: &Otlp) -> Result<MetadataMap, Error> {
    let mut headers = MetadataMap::new();
    for (name, value) in &otlp.headers {
        let invalid = |reason: &str| Error::Header {
            name: name.clone(),
            reason: reason.to_owned(),
        };
        let key = AsciiMetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes())
            .map_err(|_| invalid("this is not a header's name"))?;
        let value = AsciiMetadataValue::try_from(value.as_str())
            .map_err(|_| invalid("its value has characters that a header cannot carry"))?;
        headers.insert(key, value);
    }
    Ok(headers)
}

pub(super) fn invalid(endpoint: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    Error::Endpoint {
        endpoint: endpoint.to_owned(),
        reason: chain(error),
    }
}
