//! Spans whose trace is not known yet, because their parent's is not; and those whose trace is known, for what comes
//! after them.

use std::collections::{HashMap, VecDeque};

use super::{Absence, Ids, Placed, trace_context::TraceContext};
use crate::{
    capture::Located,
    span::{SpanId, TraceId},
};

/// Spans remembered for children that come late.
const REMEMBERED_MOST: usize = 8192;
/// How long they are, in nanoseconds after their end.
const REMEMBER_NANOS: u64 = 120_000_000_000;

/// All spans under way and some that went.
#[derive(Debug, Default)]
pub(super) struct Trees {
    spans: HashMap<u64, Node>,
    /// Spans in the order in which they came, to be forgotten.
    order: VecDeque<u64>,
    waiting: usize,
}

/// Whose request a span is: the process, when it began, and the units.
pub(super) type Owners = (u32, u64, Vec<u64>);

/// A span.
#[derive(Debug)]
struct Node {
    id: SpanId,
    ended: u64,
    /// Who owns it, if it is a request.
    owners: Option<Owners>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its parent is not decided; these wait for it.
    Open(Vec<u64>),
    /// Its parent is decided, but not that one's trace.
    Hanging(Box<Located>, Vec<u64>),
    /// It went.
    Placed(Trace),
}

/// The trace of a span.
#[derive(Clone, Debug)]
struct Trace {
    id: TraceId,
    state: Option<String>,
    sampled: Option<bool>,
}

/// The parent of a span.
#[derive(Debug)]
pub(super) enum Parent {
    /// A span of ours.
    Span(u64),
    /// A span that somebody else told of.
    Remote(TraceContext),
    /// None.
    None(Absence),
}

impl Trees {
    /// A span began to wait for its place.
    pub(super) fn add(&mut self, span: u64, id: SpanId, ended: u64) {
        self.waiting += 1;
        self.order.push_back(span);
        self.spans.insert(
            span,
            Node {
                id,
                ended,
                owners: None,
                state: State::Open(Vec::new()),
            },
        );
    }

    /// Notes who owns a request.
    pub(super) fn owned_by(&mut self, span: u64, owners: Owners) {
        if let Some(node) = self.spans.get_mut(&span) {
            node.owners = Some(owners);
        }
    }

    /// Spans that have no trace yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// The parent of a span is decided. What has its trace by that is handed out.
    pub(super) fn place(
        &mut self,
        span: u64,
        located: Box<Located>,
        parent: Parent,
        ids: &mut impl Ids,
        out: &mut Vec<Placed>,
    ) {
        let (trace, parent) = match parent {
            Parent::None(absence) => (new_trace(ids), Err(absence)),
            Parent::Remote(context) => (
                Trace {
                    id: context.trace_id,
                    state: context.trace_state,
                    sampled: Some(context.sampled),
                },
                Ok(context.parent),
            ),
            Parent::Span(parent) => match self.spans.get_mut(&parent) {
                Some(node) => match &mut node.state {
                    State::Placed(trace) => (trace.clone(), Ok(node.id)),
                    State::Open(children) | State::Hanging(_, children) => {
                        children.push(span);
                        self.hang(span, located);
                        return;
                    }
                },
                None => (new_trace(ids), Err(Absence::Expired)),
            },
        };
        self.settle(span, located, &trace, parent, out);
    }

    /// Lets go everything that hangs: each starts a trace with what hangs on it.
    pub(super) fn finish(&mut self, ids: &mut impl Ids, out: &mut Vec<Placed>) {
        let mut hanging: Vec<u64> = self
            .spans
            .iter()
            .filter(|(_, node)| matches!(node.state, State::Hanging(..)))
            .map(|(&span, _)| span)
            .collect();
        hanging.sort_unstable();
        for span in hanging {
            if let Some(located) = self.unhang(span) {
                let trace = new_trace(ids);
                self.settle(span, located, &trace, Err(Absence::Expired), out);
            }
        }
    }

    /// Forgets spans that nothing will belong to any more: their numbers, and who owned them.
    pub(super) fn forget(&mut self, now: u64) -> Vec<(u64, Owners)> {
        let mut forgotten = Vec::new();
        for _ in 0..self.order.len() {
            let Some(span) = self.order.pop_front() else { break };
            let Some(node) = self.spans.get(&span) else {
                continue;
            };
            if !matches!(node.state, State::Placed(_)) {
                self.order.push_back(span);
                continue;
            }
            let old = now.saturating_sub(node.ended) > REMEMBER_NANOS;
            if !old && self.order.len() < REMEMBERED_MOST {
                self.order.push_front(span);
                break;
            }
            let owners = self.spans.remove(&span).and_then(|node| node.owners);
            forgotten.extend(owners.map(|owners| (span, owners)));
        }
        forgotten
    }

    /// A span has its trace, and so has all that hangs on it.
    fn settle(
        &mut self,
        span: u64,
        located: Box<Located>,
        trace: &Trace,
        parent: Result<SpanId, Absence>,
        out: &mut Vec<Placed>,
    ) {
        let mut ready = vec![(span, located, parent)];
        while let Some((span, located, parent)) = ready.pop() {
            let Some(node) = self.spans.get_mut(&span) else {
                continue;
            };
            let id = node.id;
            let before = std::mem::replace(&mut node.state, State::Placed(trace.clone()));
            self.waiting -= 1;
            out.push(Placed {
                located,
                trace_id: trace.id,
                span_id: id,
                parent,
                trace_state: trace.state.clone(),
                sampled: trace.sampled,
            });
            let (State::Open(children) | State::Hanging(_, children)) = before else {
                continue;
            };
            for child in children {
                if let Some(located) = self.unhang(child) {
                    ready.push((child, located, Ok(id)));
                }
            }
        }
    }

    fn hang(&mut self, span: u64, located: Box<Located>) {
        if let Some(node) = self.spans.get_mut(&span)
            && let State::Open(children) = &mut node.state
        {
            let children = std::mem::take(children);
            node.state = State::Hanging(located, children);
        }
    }

    /// Takes a span that hangs down.
    fn unhang(&mut self, span: u64) -> Option<Box<Located>> {
        let node = self.spans.get_mut(&span)?;
        match std::mem::replace(&mut node.state, State::Open(Vec::new())) {
            State::Hanging(located, children) => {
                node.state = State::Open(children);
                Some(located)
            }
            other => {
                node.state = other;
                None
            }
        }
    }
}

fn new_trace(ids: &mut impl Ids) -> Trace {
    Trace {
        id: ids.trace_id(),
        state: None,
        sampled: None,
    }
}
