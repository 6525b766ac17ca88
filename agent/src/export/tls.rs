//! Whom to trust when the collector is reached over TLS: the system's authorities or given ones; cryptography by ring.

use std::{path::Path, sync::Arc};

use hyper_rustls::{ConfigBuilderExt as _, HttpsConnectorBuilder};
use opentelemetry_http::{HttpClient, hyper::HyperClient};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tonic::transport::{Certificate, ClientTlsConfig};

use crate::config::Otlp;

use super::error::{Error, chain};

/// TLS of the gRPC connection.
pub(super) fn grpc(otlp: &Otlp) -> Result<ClientTlsConfig, Error> {
    let Some(path) = &otlp.certificate else {
        return Ok(ClientTlsConfig::new().with_native_roots());
    };
    let pem = read(path)?;
    authorities(path, &pem)?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

/// The client for HTTP over TLS.
pub(super) fn http_client(otlp: &Otlp) -> Result<Arc<dyn HttpClient>, Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| no_roots(otlp, chain(&error)))?;
    let config = match &otlp.certificate {
        Some(path) => config.with_root_certificates(authorities(path, &read(path)?)?),
        None => config
            .with_native_roots()
            .map_err(|error| no_roots(otlp, chain(&error)))?,
    };
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config.with_no_client_auth())
        .https_only()
        .enable_http1()
        .build();
    Ok(Arc::new(HyperClient::new(connector, otlp.timeout, None)))
}

/// The host has no authorities with which the collector could be checked.
pub(super) fn no_roots(otlp: &Otlp, reason: String) -> Error {
    Error::Roots {
        endpoint: otlp.endpoint.clone(),
        reason,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| unusable(path, &error))
}

/// The authorities of a PEM file; at least one.
fn authorities(path: &Path, pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unusable(path, &error))?;
        roots.add(certificate).map_err(|error| unusable(path, &error))?;
    }
    if roots.is_empty() {
        let reason = "it has no certificate".to_owned();
        return Err(Error::Certificate {
            path: path.to_owned(),
            reason,
        });
    }
    Ok(roots)
}

fn unusable(path: &Path, error: &(dyn std::error::Error + 'static)) -> Error {
    Error::Certificate {
        path: path.to_owned(),
        reason: chain(error),
    }
}
