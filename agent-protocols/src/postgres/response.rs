//! What the server says.

use super::{
    conversation::{Conversation, Suspended},
    failure::function_call,
    frame::Frame,
    message::{self, command_tag, string},
    named::Subject,
    pending::{Call, Item, Query},
    ready::{Results, note},
    report::Outcome,
};
use crate::{
    exchange::Exchange,
    sql::{self, Backslash},
};

impl Conversation {
    /// Takes a message of the server.
    pub(crate) fn response(&mut self, frame: Frame<'_>, out: &mut Vec<Exchange>) {
        if frame.kind == b'S' {
            self.parameter(frame.body);
        }
        if message::is_asynchronous(frame.kind) {
            return;
        }
        if frame.kind == b'Z' {
            return self.ready(frame, out);
        }
        self.mark_response(frame.start);
        if let Results::Lossy(last) = &mut self.results {
            return note(last, frame);
        }
        self.drop_stale_sync(frame.kind);
        match frame.kind {
            b'D' => self.data_rows = self.data_rows.map(|rows| rows + 1),
            b'1' => self.acknowledge(|item| matches!(item, Item::Parse { .. })),
            b'2' => self.acknowledge(|item| matches!(item, Item::Bind(_))),
            b'3' => self.closed(out),
            b'T' | b'n' => {
                if matches!(self.pending.front_mut(), Some(Item::Describe(_))) {
                    self.pending.pop();
                }
            }
            b'G' => self.copy_in(),
            b'C' => self.complete(frame, out),
            b'I' => self.empty(frame.ended, out),
            b's' => self.suspend(frame.ended),
            b'E' => self.error(frame, out),
            b'V' => self.function_result(frame.ended, out),
            _ => {}
        }
    }

    fn parameter(&mut self, body: &[u8]) {
        if let (b"standard_conforming_strings", value) = string(body) {
            self.backslash = if string(value).0 == b"on" {
                Backslash::Plain
            } else {
                Backslash::Escapes
            };
        }
    }

    /// Only `ReadyForQuery` or an error answers a Sync: with another answer, the Sync at the front is one that the server
    /// never saw (bytes of the request were missing), and the answer belongs behind it.
    fn drop_stale_sync(&mut self, kind: u8) {
        while kind != b'E' && self.pending.len() > 1 && matches!(self.pending.front_mut(), Some(Item::Sync)) {
            self.pending.pop();
        }
    }

    fn acknowledge(&mut self, fits: impl Fn(&Item) -> bool) {
        if self.pending.front_mut().is_some_and(|item| fits(item)) {
            self.pending.pop();
        } else if !matches!(self.pending.front_mut(), Some(Item::TooMany { .. })) {
            self.report.counts.orphan_responses += 1;
        }
    }

    fn closed(&mut self, out: &mut Vec<Exchange>) {
        if let Some(Item::Close { portal: Some(portal) }) = self.pending.front_mut() {
            let portal = std::mem::take(portal);
            if let Some(at) = self
                .suspended
                .iter()
                .position(|suspended| suspended.portal == portal)
            {
                let Suspended {
                    call, rows, ended, ..
                } = self.suspended.remove(at);
                self.report
                    .finish(&call.subject, call.began, Outcome::complete(rows, ended), out);
            }
        }
        self.acknowledge(|item| matches!(item, Item::Close { .. }));
    }

    /// While the server copies in it ignores the Sync that clients such as libpq have already sent behind Execute.
    fn copy_in(&mut self) {
        self.copying_in = true;
        if let Some(Item::Execute { .. }) = self.pending.front_mut() {
            self.pending.swallow_sync();
        }
    }

    /// `CommandComplete`.
    fn complete(&mut self, frame: Frame<'_>, out: &mut Vec<Exchange>) {
        let (command, rows) = command_tag(frame.body);
        self.copying_in = false;
        let outcome = Outcome::complete(rows, frame.ended);
        match self.pending.front_mut() {
            Some(Item::Query(_)) => self.complete_query(command, outcome, out),
            Some(Item::Execute { .. }) => {
                if let Some(Item::Execute { call, portal }) = self.pending.pop() {
                    let (call, before) = self.resumed(call, &portal);
                    let rows = rows.zip(before).map(|(now, before)| now + before);
                    self.forget(command, &call.subject);
                    self.report
                        .finish(&call.subject, call.began, Outcome { rows, ..outcome }, out);
                }
            }
            Some(Item::TooMany { .. }) => self.report.response = None,
            _ => self.orphan(),
        }
        self.data_rows = Some(0);
    }

    fn complete_query(&mut self, command: &str, outcome: Outcome, out: &mut Vec<Exchange>) {
        let Some(Item::Query(query)) = self.pending.front_mut() else {
            return;
        };
        query.results += 1;
        let mut query = std::mem::replace(
            query,
            Query {
                text: String::new(),
                ..*query
            },
        );
        let found = self.query_subject(&mut query, Some(command));
        if let Some(Item::Query(slot)) = self.pending.front_mut() {
            *slot = query;
        }
        match found {
            Some((subject, mark)) => {
                self.forget(command, &subject);
                self.report.finish(&subject, mark, outcome, out);
            }
            None => self.orphan(),
        }
    }

    pub(super) fn orphan(&mut self) {
        self.report.response = None;
        self.report.counts.orphan_responses += 1;
    }

    /// `EmptyQueryResponse`: a ping.
    fn empty(&mut self, ended: u64, out: &mut Vec<Exchange>) {
        let outcome = Outcome::complete(None, ended);
        match self.pending.front_mut() {
            Some(Item::Query(query)) => {
                query.results += 1;
                let mark = query.mark;
                let subject = Subject {
                    name: None,
                    described: Some(sql::describe("", 0, self.backslash)),
                };
                self.report.finish(&subject, mark, outcome, out);
            }
            Some(Item::Execute { .. }) => {
                if let Some(Item::Execute { call, .. }) = self.pending.pop() {
                    self.report.finish(&call.subject, call.began, outcome, out);
                }
            }
            Some(Item::TooMany { .. }) => {}
            _ => self.orphan(),
        }
    }

    /// `PortalSuspended`: the next Execute of the portal in this batch goes on with the same exchange.
    fn suspend(&mut self, ended: u64) {
        match self.pending.front_mut() {
            Some(Item::Execute { .. }) => {
                if let Some(Item::Execute { call, portal }) = self.pending.pop() {
                    let (call, before) = self.resumed(call, &portal);
                    let rows = self.data_rows.zip(before).map(|(now, before)| now + before);
                    if self.suspended.len() < self.report.context.limits.pending_requests {
                        self.suspended.push(Suspended {
                            call,
                            portal,
                            rows,
                            ended,
                        });
                    } else {
                        self.report.counts.over_limit += 1;
                    }
                }
            }
            Some(Item::TooMany { .. }) => {}
            _ => self.orphan(),
        }
        self.data_rows = Some(0);
    }

    /// The call of the first Execute of this portal in the batch, and the rows that it gave so far.
    pub(super) fn resumed(&mut self, call: Call, portal: &str) -> (Call, Option<u64>) {
        match self
            .suspended
            .iter()
            .position(|suspended| *suspended.portal == *portal)
        {
            Some(at) => {
                let Suspended { call, rows, .. } = self.suspended.remove(at);
                (call, rows)
            }
            None => (call, Some(0)),
        }
    }

    fn function_result(&mut self, ended: u64, out: &mut Vec<Exchange>) {
        match self.pending.front_mut() {
            Some(Item::FunctionCall(mark)) => {
                let mark = *mark;
                self.pending.pop();
                self.pending.restore_sync();
                self.report
                    .finish(&function_call(), mark, Outcome::complete(None, ended), out);
            }
            Some(Item::TooMany { .. }) => {}
            _ => self.orphan(),
        }
    }
}
