//! Whether a span has the parent that its own text names.

use std::collections::HashMap;

use crate::harness::span::Span;

/// Enough for every chain of spans here; a longer one is a circle.
const DEEPEST: usize = 8;

/// What a span's parent is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Absent,
    /// With what is wrong about it.
    Wrong(String),
}

/// All spans of a run.
pub(crate) struct Judge<'a> {
    by_id: HashMap<&'a str, &'a Span>,
    /// Whether the agent counted drops: then the span of a parent may be missing.
    lossy: bool,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(spans: &'a [Span], lossy: bool) -> Self {
        let by_id = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
        Self { by_id, lossy }
    }

    /// A call belongs below the SERVER span of the request that it names, in its own process.
    pub(crate) fn call(&self, span: &Span, request: &str) -> Verdict {
        if span.parent_span_id.is_empty() {
            return Verdict::Absent;
        }
        let mut at = span;
        for _ in 0..DEEPEST {
            let parent = match self.parent(at) {
                Ok(parent) => parent,
                Err(verdict) => return verdict,
            };
            if parent.kind == "SERVER" {
                return check(
                    parent.pid() == span.pid() && named_by_path(parent.path()) == Some(request),
                    parent,
                );
            }
            at = parent;
        }
        Verdict::Wrong("its parents go round in a circle".to_owned())
    }

    /// A request that another watched process sent belongs below the CLIENT span of exactly that request.
    pub(crate) fn joined(&self, span: &Span) -> Verdict {
        if span.parent_span_id.is_empty() {
            return Verdict::Absent;
        }
        match self.parent(span) {
            Ok(parent) => check(
                parent.kind == "CLIENT" && parent.text("url.full").ends_with(span.path()),
                parent,
            ),
            Err(verdict) => verdict,
        }
    }

    /// A request that came from outside has no parent.
    pub(crate) fn outer(&self, span: &Span) -> Verdict {
        if span.parent_span_id.is_empty() {
            return Verdict::Right;
        }
        match self.parent(span) {
            Ok(parent) => check(false, parent),
            Err(verdict) => verdict,
        }
    }

    fn parent(&self, span: &Span) -> Result<&'a Span, Verdict> {
        let id = span.parent_span_id.as_str();
        match self.by_id.get(id) {
            Some(parent) if parent.trace_id == span.trace_id => Ok(parent),
            Some(parent) => Err(Verdict::Wrong(format!(
                "its parent is of another trace: {parent:?}"
            ))),
            None if self.lossy => Err(Verdict::Absent),
            None => Err(Verdict::Wrong(format!("its parent {id:?} is no span of the run"))),
        }
    }
}

fn check(right: bool, parent: &Span) -> Verdict {
    if right {
        Verdict::Right
    } else {
        Verdict::Wrong(format!("it is below {parent:?}"))
    }
}

/// The request that a call names: `SELECT … AS r_NAME`, or `…/leaf/NAME/NUMBER`.
pub(crate) fn named(span: &Span) -> Option<&str> {
    if span.is_query() {
        let (_, rest) = span.query().split_once(" AS r_")?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        return rest.get(..end.unwrap_or(rest.len()));
    }
    let (_, path) = span.text("url.full").split_once("//")?.1.split_once('/')?;
    span.is_sent().then(|| named_by_path(path))?
}

/// The request in the path `/WAY/NAME` or `/leaf/NAME/NUMBER`.
pub(crate) fn named_by_path(path: &str) -> Option<&str> {
    path.trim_start_matches('/').split('/').nth(1)
}
