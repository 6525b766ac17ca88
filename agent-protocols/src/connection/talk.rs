//! What is said on a connection: finds the protocol, keeps its session, gives up when there is none.

use super::{
    ConnectionContext, ConnectionCounts,
    early::Early,
    opening::{Opened, Opening, Prefix},
};
use crate::{
    chunk::{Direction, Moment, Role},
    detect::Protocol,
    exchange::{Exchange, Http},
    otlp::Exported,
    session::{Closing, Content, Desync, Flow, Piece, Session, SessionContext, Verdict},
    stream::Ordered,
};

/// Both directions of a connection, in order, on their way to a session.
pub(super) struct Talk {
    context: ConnectionContext,
    /// As the kernel told it, or else as it showed: who sends requests is the client.
    role: Role,
    phase: Phase,
    early: Early,
    /// The last that was fed of this call is a gap before it. What follows dates the gap, so it must not wait.
    follows_gap: bool,
    /// The peer's close, when it was seen before the request that the last bytes answer.
    early_close: Option<Moment>,
    /// Runs in a row that were not understood.
    strikes: u8,
    counts: ConnectionCounts,
    /// What exports told of and nobody was told yet.
    exported: Exported,
}

enum Phase {
    Opening(Opening),
    Session {
        session: Box<dyn Session>,
        name: &'static str,
    },
    /// Nothing more is to be learnt, for the named reason.
    Over(&'static str),
}

/// Runs in a row that may be unknown before the stream is given up.
const STRIKES: u8 = 5;

impl Talk {
    pub(super) fn new(context: ConnectionContext) -> Self {
        Self {
            context,
            role: context.role,
            phase: Phase::Opening(Opening::default()),
            early: Early::default(),
            follows_gap: false,
            early_close: None,
            strikes: 0,
            counts: ConnectionCounts::default(),
            exported: Exported::default(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// What is taken from here on comes with another call.
    pub(super) fn next_call(&mut self) {
        self.follows_gap = false;
    }

    /// Takes the next bytes (or a gap) of one direction.
    pub(super) fn take(&mut self, direction: Direction, ordered: Ordered<'_>, out: &mut Vec<Exchange>) {
        if self.role != Role::Client {
            self.feed(direction, ordered, out);
            return;
        }
        self.early.count_event();
        match direction {
            Direction::Received if self.early.is_empty() && (self.follows_gap || self.expects_response()) => {
                self.follows_gap = matches!(ordered.content, Content::Gap(_));
                self.feed(direction, ordered, out);
            }
            Direction::Received if !self.is_over() => self.early.keep(ordered),
            Direction::Received => {}
            Direction::Sent => {
                // What was received before this was written answers something else.
                self.release_early(out, |talk| talk.early.first() < Some(ordered.moment.began));
                self.feed(direction, ordered, out);
                self.release_early(out, Self::expects_response);
            }
        }
        if self.early.is_overdue() {
            self.release_early(out, |_| true);
        }
    }

    pub(super) fn close(&mut self, closing: Closing, moment: Moment, out: &mut Vec<Exchange>) {
        if closing == Closing::ByPeer && !self.early.is_empty() {
            self.early_close = Some(moment);
            return;
        }
        if closing == Closing::Both {
            self.release_early(out, |_| true);
        }
        self.close_session(closing, moment, out);
    }

    pub(super) fn verdict(&self) -> Verdict {
        match &self.phase {
            Phase::Opening(_) => Verdict::default(),
            Phase::Session { session, .. } => session.verdict(),
            Phase::Over(_) => Verdict {
                ignore: true,
                ..Verdict::default()
            },
        }
    }

    pub(super) fn protocol(&self) -> Option<&'static str> {
        match &self.phase {
            Phase::Opening(_) => None,
            Phase::Session { name, .. } | Phase::Over(name) => Some(name),
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        let phase = match &self.phase {
            Phase::Opening(opening) => opening.held_bytes(),
            Phase::Session { session, .. } => session.held_bytes(),
            Phase::Over(_) => 0,
        };
        phase + self.early.held_bytes()
    }

    pub(super) fn take_counts(&mut self) -> ConnectionCounts {
        self.collect_counts();
        std::mem::take(&mut self.counts)
    }

    pub(super) fn has_exchanges(&self) -> bool {
        match &self.phase {
            Phase::Opening(_) => true,
            Phase::Session { session, .. } => session.has_exchanges(),
            Phase::Over(_) => false,
        }
    }

    pub(super) fn open_requests(&self, see: &mut dyn FnMut(&Http)) {
        if let Phase::Session { session, .. } = &self.phase {
            session.open_requests(see);
        }
    }

    pub(super) fn take_exported(&mut self) -> Option<(Role, Exported)> {
        self.collect_exported();
        let exported = std::mem::take(&mut self.exported);
        (!exported.is_nothing()).then_some((self.role, exported))
    }

    fn expects_response(&self) -> bool {
        match &self.phase {
            Phase::Opening(_) => false,
            Phase::Session { session, .. } => session.expects_response(),
            Phase::Over(_) => true,
        }
    }

    /// Feeds what was received early, while `may` says so.
    fn release_early(&mut self, out: &mut Vec<Exchange>, may: impl Fn(&Self) -> bool) {
        while !self.early.is_empty() && may(self) {
            if let Some(kept) = self.early.take() {
                self.feed(Direction::Received, kept.ordered(), out);
            }
        }
        if self.early.is_empty()
            && let Some(moment) = self.early_close.take()
        {
            self.close_session(Closing::ByPeer, moment, out);
        }
    }

    fn close_session(&mut self, closing: Closing, moment: Moment, out: &mut Vec<Exchange>) {
        if let Phase::Session { session, .. } = &mut self.phase {
            session.close(closing, moment, out);
        }
    }

    fn feed(&mut self, direction: Direction, ordered: Ordered<'_>, out: &mut Vec<Exchange>) {
        let asked = self.role == Role::Unknown || Flow::of(self.role, direction) == Flow::Request;
        match &mut self.phase {
            Phase::Session { .. } => self.feed_session(direction, ordered, out),
            Phase::Over(_) => {}
            Phase::Opening(opening) => {
                let role = resolve(self.role, direction);
                let context = session_context(&self.context, role, ordered.offset);
                match opening.take(direction, asked, ordered, context) {
                    Opened::Waiting => {}
                    Opened::Unknown => self.strike(),
                    Opened::Tls => self.encrypted(),
                    Opened::Protocol { protocol, before } => {
                        self.role = role;
                        self.start(protocol, direction, &before, ordered, out);
                    }
                }
            }
        }
    }

    /// Starts a session and feeds it what led to it.
    fn start(
        &mut self,
        protocol: &'static Protocol,
        direction: Direction,
        before: &Prefix,
        ordered: Ordered<'_>,
        out: &mut Vec<Exchange>,
    ) {
        let offset = before.offset().unwrap_or(ordered.offset);
        let context = session_context(&self.context, self.role, offset);
        self.phase = Phase::Session {
            session: (protocol.start)(context),
            name: protocol.name,
        };
        for piece in before.pieces().chain([ordered]) {
            self.feed_session(direction, piece, out);
        }
    }

    fn feed_session(&mut self, direction: Direction, ordered: Ordered<'_>, out: &mut Vec<Exchange>) {
        let Phase::Session { session, .. } = &mut self.phase else {
            return;
        };
        let Ordered {
            offset,
            content,
            moment,
        } = ordered;
        let piece = Piece {
            flow: Flow::of(self.role, direction),
            offset,
            content,
            moment,
        };
        let before = out.len();
        let fed = session.feed(piece, out);
        if out.len() > before {
            self.strikes = 0;
        }
        if let Err(desync) = fed {
            self.leave(desync, direction);
        }
    }

    /// The session gave up.
    fn leave(&mut self, desync: Desync, direction: Direction) {
        self.collect_counts();
        self.collect_exported();
        match desync {
            Desync::NotThisProtocol => {
                self.counts.wrong_guesses += 1;
                self.role = self.context.role;
                self.phase = Phase::Opening(Opening::at_next_run(direction));
                self.strike();
            }
            Desync::Encrypted => self.encrypted(),
            Desync::HandedOver => self.end("upgraded"),
            Desync::NothingToLearn => self.end(self.protocol().unwrap_or("unknown")),
        }
    }

    fn strike(&mut self) {
        self.strikes += 1;
        if self.strikes >= STRIKES {
            self.counts.unknown += 1;
            self.end("unknown");
        }
    }

    fn encrypted(&mut self) {
        self.counts.encrypted += 1;
        self.end("tls");
    }

    fn end(&mut self, why: &'static str) {
        self.phase = Phase::Over(why);
        self.early = Early::default();
    }

    fn collect_exported(&mut self) {
        if let Phase::Session { session, .. } = &mut self.phase {
            self.exported.add(session.take_exported());
        }
    }

    fn collect_counts(&mut self) {
        if let Phase::Session { session, .. } = &mut self.phase {
            self.counts.session.add(session.take_counts());
        }
    }
}

/// The role, when `direction` is taken for the request flow.
fn resolve(role: Role, direction: Direction) -> Role {
    match (role, direction) {
        (Role::Unknown, Direction::Sent) => Role::Client,
        (Role::Unknown, Direction::Received) => Role::Server,
        (known, _) => known,
    }
}

fn session_context(context: &ConnectionContext, role: Role, offset: u64) -> SessionContext {
    SessionContext {
        role,
        from_start: offset == 0,
        limits: context.limits,
        report_noise: context.report_noise,
    }
}
