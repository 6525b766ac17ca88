//! An OTLP receiver that takes, refuses or delays as a test wants, over gRPC or HTTP, plain or with TLS.

use std::{
    collections::VecDeque,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Response,
    body::Incoming,
    header::HeaderMap,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::{ResourceSpans, Span},
};
use prost::Message as _;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Code, Status, codec::CompressionEncoding};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::config::Protocol;

/// Long enough for a loaded machine; a test that passes never waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Name of spans whose requests are never taken, and never refused for good.
pub(super) const POISON: &str = "POISON";

/// What the receiver answers to one request; it takes what no answer was written down for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// Come back later, without saying when.
    Unavailable,
    /// Come back after this time.
    Throttle(Duration),
    /// Never.
    Refuse,
    /// None at all.
    Hang,
    /// All but this many spans.
    Reject(i64),
}

/// One request as it came.
pub(super) struct Received {
    pub(super) request: ExportTraceServiceRequest,
    pub(super) headers: HeaderMap,
    pub(super) path: String,
    pub(super) at: Instant,
}

impl Received {
    pub(super) fn resources(&self) -> &[ResourceSpans] {
        &self.request.resource_spans
    }

    pub(super) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.resources()
            .iter()
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| &scope.spans)
    }
}

/// The receiver; it ends when it is dropped.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    received: mpsc::UnboundedReceiver<Received>,
    task: JoinHandle<()>,
}

/// What both protocols do with a request.
#[derive(Clone)]
struct Book {
    received: mpsc::UnboundedSender<Received>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

/// A certificate for `localhost` and its key, both PEM.
pub(super) struct Certificate {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Certificate {
    pub(super) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }
}

impl Receiver {
    /// Listens on any free port.
    pub(super) async fn start(protocol: Protocol, answers: &[Answer]) -> Self {
        Self::start_at(protocol, (Ipv4Addr::LOCALHOST, 0).into(), answers, None).await
    }

    /// Listens at `address`, with TLS if there is a certificate.
    pub(super) async fn start_at(
        protocol: Protocol,
        address: SocketAddr,
        answers: &[Answer],
        certificate: Option<&Certificate>,
    ) -> Self {
        let acceptor = certificate.map(|certificate| acceptor(protocol, certificate, None));
        Self::listen(protocol, address, answers, acceptor).await
    }

    /// Listens with TLS for those alone that have the certificate of `caller`.
    pub(super) async fn start_for(
        protocol: Protocol,
        certificate: &Certificate,
        caller: &Certificate,
    ) -> Self {
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let acceptor = acceptor(protocol, certificate, Some(caller));
        Self::listen(protocol, address, &[], Some(acceptor)).await
    }

    async fn listen(
        protocol: Protocol,
        address: SocketAddr,
        answers: &[Answer],
        acceptor: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let book = Book {
            received: sender,
            answers,
        };
        let task = tokio::spawn(serve(protocol, listener, book, acceptor));
        Self {
            address,
            received,
            task,
        }
    }

    /// The next request.
    pub(super) async fn next(&mut self) -> Received {
        let next = tokio::time::timeout(PATIENCE, self.received.recv()).await;
        next.expect("a request within the patience")
            .expect("a running receiver")
    }

    /// Requests until they have brought `count` spans.
    pub(super) async fn until(&mut self, count: usize) -> Vec<Received> {
        let mut all = Vec::new();
        let mut spans = 0;
        while spans < count {
            let received = self.next().await;
            spans += received.spans().count();
            all.push(received);
        }
        assert_eq!(spans, count);
        all
    }

    /// True when no request came that was not asked for.
    pub(super) fn is_idle(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Book {
    fn enter(&self, request: ExportTraceServiceRequest, headers: HeaderMap, path: &str) -> Option<Answer> {
        let poison = request.resource_spans[0].scope_spans[0].spans[0].name == POISON;
        let received = Received {
            request,
            headers,
            path: path.to_owned(),
            at: Instant::now(),
        };
        // The test may have ended.
        let _ = self.received.send(received);
        if poison {
            Some(Answer::Unavailable)
        } else {
            self.answers.lock().unwrap().pop_front()
        }
    }
}

#[tonic::async_trait]
impl TraceService for Book {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        match self.enter(request, metadata.into_headers(), "") {
            None => Ok(tonic::Response::new(ExportTraceServiceResponse::default())),
            Some(Answer::Reject(spans)) => Ok(tonic::Response::new(partly(spans))),
            Some(Answer::Hang) => std::future::pending().await,
            Some(Answer::Unavailable) => Err(Status::unavailable("not yet")),
            Some(Answer::Refuse) => Err(Status::invalid_argument("never")),
            Some(Answer::Throttle(pause)) => Err(Status::with_error_details(
                Code::ResourceExhausted,
                "too fast",
                ErrorDetails::with_retry_info(Some(pause)),
            )),
        }
    }
}

async fn serve(protocol: Protocol, listener: TcpListener, book: Book, acceptor: Option<TlsAcceptor>) {
    // A set, so that the connections end with the receiver.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (book, acceptor) = (book.clone(), acceptor.clone());
        connections.spawn(async move {
            match acceptor {
                None => converse(protocol, TokioIo::new(stream), book).await,
                // A client that does not trust the receiver goes away.
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(protocol, TokioIo::new(stream), book).await;
                    }
                }
            }
        });
    }
}

/// One connection to its end; a client that goes away is no error of the receiver.
async fn converse(protocol: Protocol, stream: impl Read + Write + Unpin + Send + 'static, book: Book) {
    let _ = match protocol {
        Protocol::Grpc => {
            let service = TraceServiceServer::new(book).accept_compressed(CompressionEncoding::Gzip);
            let server = http2::Builder::new(TokioExecutor::new());
            server
                .serve_connection(stream, TowerToHyperService::new(service))
                .await
        }
        Protocol::HttpProtobuf => {
            let service = service_fn(move |request| answer_http(book.clone(), request));
            http1::Builder::new().serve_connection(stream, service).await
        }
    };
}

async fn answer_http(
    book: Book,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<hyper::body::Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut plain = body.to_vec();
    if head.headers.contains_key("content-encoding") {
        plain.clear();
        flate2::read::GzDecoder::new(&body[..])
            .read_to_end(&mut plain)
            .unwrap();
    }
    let request = ExportTraceServiceRequest::decode(&plain[..]).unwrap();
    let mut answer = ExportTraceServiceResponse::default();
    let response = match book.enter(request, head.headers, head.uri.path()) {
        None => Response::builder().status(200),
        Some(Answer::Reject(spans)) => {
            answer = partly(spans);
            Response::builder().status(200)
        }
        Some(Answer::Hang) => std::future::pending().await,
        Some(Answer::Unavailable) => Response::builder().status(503),
        Some(Answer::Refuse) => Response::builder().status(400),
        Some(Answer::Throttle(pause)) => Response::builder()
            .status(429)
            .header("retry-after", pause.as_secs()),
    };
    Ok(response.body(answer.encode_to_vec().into()).unwrap())
}

fn partly(rejected_spans: i64) -> ExportTraceServiceResponse {
    let error_message = "too old".to_owned();
    ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans,
            error_message,
        }),
    }
}

fn acceptor(protocol: Protocol, certificate: &Certificate, caller: Option<&Certificate>) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match caller {
        None => config.with_no_client_auth(),
        Some(caller) => {
            let mut roots = rustls::RootCertStore::empty();
            let caller = CertificateDer::from_pem_slice(caller.certificate.as_bytes()).unwrap();
            roots.add(caller).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = config.with_single_cert(chain, key).unwrap();
    if protocol == Protocol::Grpc {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    TlsAcceptor::from(Arc::new(config))
}
