//! Whom to trust when the collector is reached over TLS, the system's authorities or given ones, and by what it knows the agent;
//! cryptography by ring.

use std::{path::Path, sync::Arc};

use hyper_rustls::{ConfigBuilderExt as _, HttpsConnectorBuilder};
use opentelemetry_http::{HttpClient, hyper::HyperClient};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::config::Otlp;

use super::error::{Error, chain};

/// TLS of the gRPC connection.
pub(super) fn grpc(otlp: &Otlp) -> Result<ClientTlsConfig, Error> {
    let config = match &otlp.certificate {
        None => ClientTlsConfig::new().with_native_roots(),
        Some(path) => {
            let pem = read(path)?;
            authorities(path, &pem)?;
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
        }
    };
    Ok(match Own::read(otlp)? {
        None => config,
        Some(own) => config.identity(Identity::from_pem(own.certificate_pem, own.key_pem)),
    })
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
    let config = match Own::read(otlp)? {
        None => config.with_no_client_auth(),
        Some(own) => own.present(config)?,
    };
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
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

/// By what the agent itself is known to the collector.
struct Own<'a> {
    certificate: &'a Path,
    certificate_pem: Vec<u8>,
    key: &'a Path,
    key_pem: Vec<u8>,
}

impl<'a> Own<'a> {
    /// Nothing if nothing is given; both files have to be.
    fn read(otlp: &'a Otlp) -> Result<Option<Self>, Error> {
        let (certificate, key) = match (&otlp.client_certificate, &otlp.client_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(path), None) | (None, Some(path)) => {
                return Err(Error::Own {
                    path: path.clone(),
                    reason: "certificate and key are needed together, and only one of them is given"
                        .to_owned(),
                });
            }
        };
        let own = Self {
            certificate,
            certificate_pem: std::fs::read(certificate).map_err(|error| no_use(certificate, &error))?,
            key,
            key_pem: std::fs::read(key).map_err(|error| no_use(key, &error))?,
        };
        own.parts()?;
        Ok(Some(own))
    }

    fn parts(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate_pem).collect();
        let chain = chain.map_err(|error| no_use(self.certificate, &error))?;
        if chain.is_empty() {
            return Err(Error::Own {
                path: self.certificate.to_owned(),
                reason: "it has no certificate".to_owned(),
            });
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key_pem).map_err(|error| no_use(self.key, &error))?;
        Ok((chain, key))
    }

    fn present(&self, config: ConfigBuilder<ClientConfig, WantsClientCert>) -> Result<ClientConfig, Error> {
        let (chain, key) = self.parts()?;
        config
            .with_client_auth_cert(chain, key)
            .map_err(|error| no_use(self.key, &error))
    }
}

fn no_use(path: &Path, error: &(dyn std::error::Error + 'static)) -> Error {
    Error::Own {
        path: path.to_owned(),
        reason: chain(error),
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
