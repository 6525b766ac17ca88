//! An OTLP receiver: enough of a collector to see what arrives.

mod grpc;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    trace::v1::ResourceSpans,
};
use prost::Message as _;

use super::until;

/// A running receiver; it ends with the tests.
pub(crate) struct Collector {
    port: u16,
    received: Arc<Mutex<Vec<ResourceSpans>>>,
}

impl Collector {
    /// Listens on a port of its own, for requests over HTTP.
    pub(crate) fn start() -> Result<Self> {
        let (listener, collector) = Self::listen()?;
        let shared = Arc::clone(&collector.received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A connection that breaks shows as spans that do not arrive.
                std::thread::spawn(move || while receive(&stream, &shared).is_ok() {});
            }
        });
        Ok(collector)
    }

    /// Listens on a port of its own, for calls over gRPC.
    pub(crate) fn start_grpc() -> Result<Self> {
        let (listener, collector) = Self::listen()?;
        grpc::serve(listener, Arc::clone(&collector.received))?;
        Ok(collector)
    }

    fn listen() -> Result<(TcpListener, Self)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for the collector")?;
        let port = listener.local_addr()?.port();
        let received = Arc::default();
        Ok((listener, Self { port, received }))
    }

    /// Its address as `--otlp-endpoint` wants it.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What arrived, once that satisfies.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        satisfied: impl Fn(&[ResourceSpans]) -> bool,
    ) -> Result<Vec<ResourceSpans>> {
        until(what, || {
            let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
            satisfied(&received).then(|| received.clone())
        })
    }
}

/// One request of an exporter.
fn receive(stream: &TcpStream, received: &Mutex<Vec<ResourceSpans>>) -> Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(
            reader.read_line(&mut line)? > 0,
            "the exporter closed the connection"
        );
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    let posts = |path: &str| head.first().is_some_and(|line| line.starts_with(path));
    let are_metrics = posts("post /v1/metrics ");
    ensure!(
        are_metrics || posts("post /v1/traces "),
        "neither spans nor metrics: {head:?}"
    );
    ensure!(
        head.contains(&"content-type: application/x-protobuf".to_owned()),
        "not protobuf: {head:?}"
    );
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "))
        .context("no length")?;
    let mut body = vec![0; length.parse()?];
    reader.read_exact(&mut body)?;
    if head.contains(&"content-encoding: gzip".to_owned()) {
        let compressed = std::mem::take(&mut body);
        GzDecoder::new(&compressed[..]).read_to_end(&mut body)?;
    }
    // An empty answer is the same for both.
    if !are_metrics {
        let request = ExportTraceServiceRequest::decode(&body[..])?;
        received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(request.resource_spans);
    }
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    let mut writer = stream;
    writer.write_all(head.as_bytes())?;
    writer.write_all(&answer)?;
    Ok(())
}
