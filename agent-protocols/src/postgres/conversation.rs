//! Which answer belongs to which request.
//!
//! The server answers in order, so requests wait in a queue and each answer belongs to the first one that it fits.
//! `ReadyForQuery` is the hard point of synchronisation: it answers exactly one Query, Sync or `FunctionCall`, and all that
//! waits before that one has had its answer or never will.

use super::{
    failure::function_call,
    frame::Mark,
    named::{Named, Portal, Prepared},
    pending::{Call, Item, Pending},
    ready::Results,
    report::{Outcome, Reporter},
};
use crate::{
    exchange::{Ending, Exchange},
    session::SessionContext,
    sql::Backslash,
};

/// Query texts and statements that one connection may hold, in multiples of the longest text kept.
const TEXTS: usize = 32;

/// State of the conversation between client and server.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) report: Reporter,
    pub(crate) pending: Pending,
    pub(crate) statements: Named<Prepared>,
    pub(crate) portals: Named<Portal>,
    /// Number of the client's run: what it sends until the server answers.
    pub(crate) run: u64,
    /// An error came, and the Sync up to which the server skips was not yet seen.
    pub(crate) skipping: bool,
    /// The server reads COPY data.
    pub(crate) copying_in: bool,
    /// Portals that stopped at their row limit in this batch.
    pub(crate) suspended: Vec<Suspended>,
    /// `DataRow` messages since the last result; none when bytes are missing.
    pub(crate) data_rows: Option<u64>,
    pub(crate) results: Results,
    /// A `ReadyForQuery` was seen.
    pub(crate) is_ready: bool,
    /// When the last `ReadyForQuery` came that answered no known request.
    pub(crate) answered_until: u64,
    pub(crate) backslash: Backslash,
}

/// A portal that stopped at its row limit.
#[derive(Debug)]
pub(crate) struct Suspended {
    pub(crate) call: Call,
    pub(crate) portal: Box<str>,
    /// Rows so far, if all were seen.
    pub(crate) rows: Option<u64>,
    /// When it stopped.
    pub(crate) ended: u64,
}

impl Conversation {
    pub(crate) fn new(context: SessionContext) -> Self {
        let limits = &context.limits;
        let bytes = limits.query_bytes.saturating_mul(TEXTS);
        Self {
            report: Reporter::new(context),
            pending: Pending::new(limits.pending_requests, bytes),
            statements: Named::new(limits.statements, bytes),
            portals: Named::new(limits.statements, bytes),
            run: 0,
            skipping: false,
            copying_in: false,
            suspended: Vec::new(),
            data_rows: Some(0),
            results: Results::Counted,
            is_ready: false,
            answered_until: 0,
            backslash: Backslash::Unknown,
        }
    }

    /// Memory held for requests, statements and portals, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.pending.held_bytes() + self.statements.held_bytes() + self.portals.held_bytes()
    }

    /// The client speaks again after the server did.
    pub(crate) fn begin_run(&mut self) {
        self.run += 1;
        self.pending.begin_run();
    }

    /// Bytes of the response are missing: results can no longer be counted off up to the next `ReadyForQuery`.
    pub(crate) fn lose_response(&mut self) {
        if let Results::Counted = self.results {
            self.results = Results::Lossy(None);
        }
        self.data_rows = None;
    }

    /// Bytes of the request are missing. While the client copies in they are data; otherwise they may be any requests,
    /// and what was bound to the portals and to the unnamed statement may have changed. Names are given once.
    pub(crate) fn lose_request(&mut self) {
        if !std::mem::take(&mut self.copying_in) {
            self.pending.lose();
            self.portals.clear();
            self.statements.remove("");
        }
        self.skipping = false;
    }

    /// The response goes on at the start of a run: it answers the client's last run, all older requests are done with.
    pub(crate) fn resume_response(&mut self, ended: u64, out: &mut Vec<Exchange>) {
        self.results = Results::Counted;
        self.data_rows = Some(0);
        self.report.response = None;
        self.end_suspended(out);
        for _ in 0..self.pending.older() {
            if let Some(item) = self.pending.pop() {
                self.abandon(item, Ending::Unseen, ended, out);
            }
        }
    }

    /// All requests that wait end without a result.
    pub(crate) fn abandon_all(&mut self, ending: Ending, ended: u64, out: &mut Vec<Exchange>) {
        self.end_suspended(out);
        let executes = self.pending.executes();
        while let Some(item) = self.pending.pop() {
            match item {
                // The client waits for the preparation and would have executed next.
                Item::Parse { call, .. } if !executes && ending != Ending::Unseen => {
                    self.report.finish(
                        &call.subject,
                        call.began,
                        Outcome::without_result(ending, ended),
                        out,
                    );
                }
                item => self.abandon(item, ending, ended, out),
            }
        }
    }

    /// A request ends without a result: if it executes something that is an exchange.
    pub(crate) fn abandon(&mut self, item: Item, ending: Ending, ended: u64, out: &mut Vec<Exchange>) {
        let outcome = Outcome::without_result(ending, ended);
        match item {
            Item::Query(query) if query.failed => {}
            Item::Query(mut query) => {
                let at = query.at;
                if let Some((subject, mark)) = self.query_subject(&mut query, None)
                    && (at == 0 || ending != Ending::Unseen)
                {
                    self.report.finish(&subject, mark, outcome, out);
                }
            }
            Item::Execute { call, .. } => self.report.finish(&call.subject, call.began, outcome, out),
            Item::FunctionCall(mark) => {
                self.report.finish(&function_call(), mark, outcome, out);
            }
            Item::Parse { .. }
            | Item::Bind(_)
            | Item::Describe(_)
            | Item::Close { .. }
            | Item::Sync
            | Item::Lost
            | Item::TooMany { .. } => {}
        }
    }

    /// Portals that stopped at their limit are done with the batch.
    pub(crate) fn end_suspended(&mut self, out: &mut Vec<Exchange>) {
        for Suspended {
            call, rows, ended, ..
        } in std::mem::take(&mut self.suspended)
        {
            self.report
                .finish(&call.subject, call.began, Outcome::complete(rows, ended), out);
        }
    }

    /// Remembers where the response to the next result begins.
    pub(crate) fn mark_response(&mut self, mark: Mark) {
        self.report.response.get_or_insert(mark);
    }
}
