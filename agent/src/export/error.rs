//! Why OTLP export cannot be set up.

use std::path::PathBuf;

/// A setting with which no span could ever be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is no URL that can be called.
    #[error(
        "cannot send spans to {endpoint:?}: {reason}; give a URL with scheme, host and port in --otlp-endpoint, \
         such as http://localhost:4317 for gRPC or http://localhost:4318 for HTTP"
    )]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header that cannot be sent.
    #[error(
        "cannot send the header {name:?} to the collector: {reason}; correct OTEL_EXPORTER_OTLP_HEADERS, which takes \
         name=value pairs with commas between them and percent-encoded values"
    )]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file with the authorities to trust is of no use.
    #[error(
        "cannot trust the authorities in {}: {reason}; give a readable PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE",
        path.display()
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The agent's own certificate or key is of no use.
    #[error(
        "cannot use {} to be known to the collector: {reason}; give readable PEM files in both \
         OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY",
        path.display()
    )]
    Own {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// This host has no authorities to trust.
    #[error(
        "cannot check the certificate of {endpoint:?}: {reason}; install the ca-certificates package or give a PEM \
         file in OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    Roots {
        /// The endpoint.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
}

/// An error and its causes in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Several layers of the HTTP stack repeat the text of their cause.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
