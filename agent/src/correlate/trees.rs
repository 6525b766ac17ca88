//! Spans whose trace is not known yet, because their parent's is not; and those whose trace is known, for what comes
//! after them.
//!
//! Nothing may hang on a span that nobody exports. So what would hang on one that is left out hangs where that hangs.

use std::collections::VecDeque;

use foldhash::HashMap;

use super::{
    Absence, Ids, LeftOut, Placed, requests::UnitIds, sdk::Sdks, services::Services,
    trace_context::TraceContext,
};
use crate::{
    capture::Located,
    config::Sampler,
    span::{SpanId, TraceId},
};

/// Spans remembered for children that come late.
const REMEMBERED_MOST: usize = 8192;
/// How long they are, in nanoseconds after their end.
const REMEMBER_NANOS: u64 = 120_000_000_000;

/// All spans under way and some that went.
#[derive(Debug, Default)]
pub(super) struct Trees {
    /// Boxed: most of a map that grows and shrinks all the time is empty places.
    spans: HashMap<u64, Box<Node>>,
    /// Spans in the order in which they came, to be forgotten.
    order: VecDeque<u64>,
    waiting: usize,
}

/// Whose request a span is: the process, when it began, and the units.
pub(super) type Owners = (u32, u64, UnitIds);

/// A span.
#[derive(Debug)]
struct Node {
    id: SpanId,
    ended: u64,
    /// Who owns it, if it is a request.
    owners: Option<Owners>,
    /// What it came with, or carries; boxed, as most have none.
    context: Option<Box<TraceContext>>,
    /// The trace that it takes if it begins one: the one that an SDK began within it.
    claim: Option<Box<Trace>>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its parent is not decided; these wait for it.
    Open(Vec<u64>),
    /// Its parent is decided, but not that one's trace.
    Hanging {
        located: Box<Located>,
        parent: u64,
        children: Vec<u64>,
    },
    /// It went.
    Placed(Place),
}

/// Where something hangs.
#[derive(Clone, Debug)]
struct Place {
    trace: Trace,
    parent: Result<SpanId, Absence>,
}

/// The trace of a span.
#[derive(Clone, Debug)]
struct Trace {
    id: TraceId,
    state: Option<String>,
    sampled: Option<bool>,
    /// That of the process in which it began on this host, if it has one of its own.
    sampler: Option<Sampler>,
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

/// What it takes to place spans, and where they go then.
pub(super) struct Out<'a, I> {
    pub(super) ids: &'a mut I,
    pub(super) sdks: &'a Sdks,
    pub(super) services: &'a Services,
    pub(super) placed: &'a mut Vec<Placed>,
}

impl Trees {
    /// A span began to wait for its place.
    pub(super) fn add(&mut self, span: u64, id: SpanId, ended: u64, context: Option<TraceContext>) {
        self.waiting += 1;
        self.order.push_back(span);
        self.spans.insert(
            span,
            Box::new(Node {
                id,
                ended,
                owners: None,
                context: context.map(Box::new),
                claim: None,
                state: State::Open(Vec::new()),
            }),
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

    /// What a request came with, or a call carries.
    pub(super) fn context(&self, span: u64) -> Option<&TraceContext> {
        self.spans.get(&span)?.context.as_deref()
    }

    /// Whether a request came with this context.
    pub(super) fn came_with(&self, span: u64, context: &TraceContext) -> bool {
        self.context(span)
            .is_some_and(|own| own.trace_id == context.trace_id && own.parent == context.parent)
    }

    /// An SDK began a trace within this span: if nothing came with it, it and what it hangs on are of the same trace.
    pub(super) fn claim(&mut self, span: u64, context: &TraceContext) {
        self.hand_up(span, &Trace::of(context));
    }

    fn hand_up(&mut self, span: u64, trace: &Trace) {
        let mut next = Some(span);
        while let Some(node) = next.and_then(|span| self.spans.get_mut(&span)) {
            if node.context.is_some() || node.claim.is_some() {
                return;
            }
            next = match &node.state {
                State::Open(_) => None,
                State::Hanging { parent, .. } => Some(*parent),
                State::Placed(_) => return,
            };
            node.claim = Some(Box::new(trace.clone()));
        }
    }

    /// The parent of a span is decided. What has its trace by that is handed out.
    pub(super) fn place(
        &mut self,
        span: u64,
        located: Box<Located>,
        parent: Parent,
        out: &mut Out<'_, impl Ids>,
    ) {
        let place = match parent {
            Parent::None(absence) => self.beginning(span, &located, absence, out),
            Parent::Remote(context) => Place {
                trace: Trace::of(&context).sampled_by(out.services.sampler(&located)),
                parent: Ok(context.parent),
            },
            Parent::Span(parent) => match self.spans.get_mut(&parent) {
                Some(node) => match &mut node.state {
                    State::Placed(place) => place.clone(),
                    State::Open(children) | State::Hanging { children, .. } => {
                        children.push(span);
                        self.hang(span, located, parent);
                        return;
                    }
                },
                None => self.beginning(span, &located, Absence::Expired, out),
            },
        };
        self.settle(span, located, place, out);
    }

    /// Lets go everything that hangs: each starts a trace with what hangs on it.
    pub(super) fn finish(&mut self, out: &mut Out<'_, impl Ids>) {
        let mut hanging: Vec<u64> = self
            .spans
            .iter()
            .filter(|(_, node)| matches!(node.state, State::Hanging { .. }))
            .map(|(&span, _)| span)
            .collect();
        hanging.sort_unstable();
        for span in hanging {
            if let Some(located) = self.unhang(span) {
                let place = self.beginning(span, &located, Absence::Expired, out);
                self.settle(span, located, place, out);
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

    /// The place of a span that begins a trace.
    fn beginning(
        &self,
        span: u64,
        located: &Located,
        absence: Absence,
        out: &mut Out<'_, impl Ids>,
    ) -> Place {
        let claim = self
            .spans
            .get(&span)
            .and_then(|node| node.claim.as_deref().cloned());
        let trace = claim.unwrap_or_else(|| Trace::new(out.ids));
        Place {
            trace: trace.sampled_by(out.services.sampler(located)),
            parent: Err(absence),
        }
    }

    /// A span has its place, and so has all that hangs on it.
    fn settle(&mut self, span: u64, located: Box<Located>, place: Place, out: &mut Out<'_, impl Ids>) {
        let mut ready = vec![(span, located, place)];
        while let Some((span, located, place)) = ready.pop() {
            let Some(node) = self.spans.get_mut(&span) else {
                continue;
            };
            self.waiting -= 1;
            let unwanted = || out.services.leaves_out(&located);
            let left_out = out.sdks.leaves_out(&located.exchange).or_else(unwanted);
            let below = match left_out {
                None => place.below(node.id),
                Some(LeftOut::OtherPort) => place.instead(None, Absence::OtherPort),
                Some(_) => place.instead(node.claim.as_deref(), Absence::ExportedBySdk),
            };
            out.placed.push(Placed {
                located,
                trace_id: place.trace.id,
                span_id: node.id,
                parent: place.parent,
                trace_state: place.trace.state,
                sampled: place.trace.sampled,
                sampler: place.trace.sampler,
                left_out,
            });
            let before = std::mem::replace(&mut node.state, State::Placed(below.clone()));
            let (State::Open(children) | State::Hanging { children, .. }) = before else {
                continue;
            };
            for child in children {
                if let Some(located) = self.unhang(child) {
                    ready.push((child, located, below.clone()));
                }
            }
        }
    }

    fn hang(&mut self, span: u64, located: Box<Located>, parent: u64) {
        let Some(node) = self.spans.get_mut(&span) else {
            return;
        };
        if let State::Open(children) = &mut node.state {
            let children = std::mem::take(children);
            node.state = State::Hanging {
                located,
                parent,
                children,
            };
        }
        if let Some(claim) = node.claim.clone() {
            self.hand_up(parent, &claim);
        }
    }

    /// Takes a span that hangs down.
    fn unhang(&mut self, span: u64) -> Option<Box<Located>> {
        let node = self.spans.get_mut(&span)?;
        match std::mem::replace(&mut node.state, State::Open(Vec::new())) {
            State::Hanging {
                located, children, ..
            } => {
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

impl Place {
    /// The place of what hangs on a span that has this place.
    fn below(&self, id: SpanId) -> Self {
        Self {
            trace: self.trace.clone(),
            parent: Ok(id),
        }
    }

    /// The place of what would hang on a span that has this place, but is left out. `began`: the trace that its SDK began
    /// there; `absence`: why it has no parent, if this has none.
    fn instead(&self, began: Option<&Trace>, absence: Absence) -> Self {
        match began {
            Some(began) if began.id != self.trace.id => Self {
                trace: began.clone().sampled_by(self.trace.sampler),
                parent: Err(absence),
            },
            _ => Self {
                trace: self.trace.clone(),
                parent: self.parent.map_err(|_| absence),
            },
        }
    }
}

impl Trace {
    fn new(ids: &mut impl Ids) -> Self {
        Self {
            id: ids.trace_id(),
            state: None,
            sampled: None,
            sampler: None,
        }
    }

    fn sampled_by(self, sampler: Option<Sampler>) -> Self {
        Self { sampler, ..self }
    }

    fn of(context: &TraceContext) -> Self {
        Self {
            id: context.trace_id,
            state: context.trace_state.clone(),
            sampled: Some(context.sampled),
            sampler: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Up to 8,192 spans are remembered, and those that wait: with 300 bytes more for each, the agent took 8 MiB more.
    #[test]
    fn little_is_remembered_of_a_span() {
        assert!(size_of::<Node>() <= 192, "{} bytes", size_of::<Node>());
    }
}
