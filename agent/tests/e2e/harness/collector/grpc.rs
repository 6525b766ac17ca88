//! The same over gRPC.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::ResourceSpans,
};
use tonic::{Request, Response, Status, codec::CompressionEncoding};

/// Takes what comes, until the tests end.
pub(super) fn serve(listener: TcpListener, received: Arc<Mutex<Vec<ResourceSpans>>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime for the collector")?;
    listener.set_nonblocking(true)?;
    std::thread::spawn(move || runtime.block_on(accept(listener, Shelf(received))));
    Ok(())
}

async fn accept(listener: TcpListener, shelf: Shelf) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TraceServiceServer::new(shelf.clone()).accept_compressed(CompressionEncoding::Gzip);
        tokio::spawn(async move {
            let server = http2::Builder::new(TokioExecutor::new());
            let service = TowerToHyperService::new(service);
            // A connection that breaks shows as spans that do not arrive.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Where spans are put.
#[derive(Clone)]
struct Shelf(Arc<Mutex<Vec<ResourceSpans>>>);

#[async_trait::async_trait]
impl TraceService for Shelf {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(request.into_inner().resource_spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
