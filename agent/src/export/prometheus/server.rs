//! The HTTP server of the endpoint.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::accept::Wanted;
use crate::metrics::Asker;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MOST: usize = 32;
/// How long a client may take for the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// After an error of `accept`, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";

/// What answers requests.
#[derive(Clone)]
struct Answers {
    asker: Asker,
    ready: Arc<AtomicBool>,
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, asker: Asker, ready: Arc<AtomicBool>) {
    let answers = Answers { asker, ready };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    // It is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    converse(stream, answers).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a scrape could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, answers: Answers) {
    let answer = service_fn(move |request| {
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.answer(&request).await) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = conversation.await {
        tracing::debug!(%error, "a scrape broke off");
    }
}

impl Answers {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return said(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        }
        match request.uri().path() {
            "/metrics" => self.metrics(request.headers()).await,
            "/healthz" if self.asker.is_answered().await => said(StatusCode::OK, "ok\n"),
            "/healthz" => said(
                StatusCode::SERVICE_UNAVAILABLE,
                "the capture thread does not answer\n",
            ),
            "/readyz" if self.ready.load(Ordering::Relaxed) => said(StatusCode::OK, "ready\n"),
            "/readyz" => said(StatusCode::SERVICE_UNAVAILABLE, "not attached yet\n"),
            _ => said(StatusCode::NOT_FOUND, "see /metrics, /healthz, /readyz\n"),
        }
    }

    async fn metrics(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let accepted = headers
            .get(header::ACCEPT)
            .and_then(|accept| accept.to_str().ok());
        let wanted = Wanted::accepted(accepted.unwrap_or_default());
        match self.asker.snapshot().await {
            Some(snapshot) => response(StatusCode::OK, wanted.content_type(), wanted.page(&snapshot)),
            None => said(
                StatusCode::SERVICE_UNAVAILABLE,
                "the capture thread does not answer\n",
            ),
        }
    }
}

fn said(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, TEXT, text.as_bytes().to_vec())
}

fn response(status: StatusCode, content_type: &'static str, page: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(page)));
    *response.status_mut() = status;
    let value = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
