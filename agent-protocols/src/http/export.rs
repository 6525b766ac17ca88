//! Requests that export traces: what their bodies tell of.

use super::HttpSession;
use crate::{exchange::Http, otlp};

/// Bytes of a body that are kept at most: as many as capture copies of a request, unless it is told otherwise.
const MOST: usize = 64 * 1024;

/// The body of an export, as far as it came.
#[derive(Debug, Default)]
pub(super) struct Export {
    body: Vec<u8>,
}

impl Export {
    /// A body that a request begins, if the request exports traces: the path that it has by default, after any prefix
    /// (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>).
    pub(super) fn of(request: &Http) -> Option<Self> {
        let path = request.target.split(['?', '#']).next()?;
        (request.method == "POST" && path.ends_with("/v1/traces")).then(Self::default)
    }

    /// Takes the next bytes of the body.
    pub(super) fn take(&mut self, content: &[u8]) {
        let room = MOST - self.body.len();
        self.body.extend_from_slice(&content[..content.len().min(room)]);
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.body.capacity()
    }

    fn is_full(&self) -> bool {
        self.body.len() >= MOST
    }
}

impl HttpSession {
    /// More of a body would not be kept.
    pub(super) fn export_is_full(&mut self) {
        if self.export.as_ref().is_some_and(Export::is_full) {
            self.export_ended();
        }
    }

    /// The body of an export ended, or goes on where nobody sees it.
    pub(super) fn export_ended(&mut self) {
        if let Some(export) = self.export.take() {
            self.exported.add(otlp::exported(&export.body));
        }
    }
}
