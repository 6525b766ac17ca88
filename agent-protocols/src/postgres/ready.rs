//! `ReadyForQuery`, and results of which bytes are missing.

use super::{
    conversation::Conversation,
    failure::{ServerMessage, function_call},
    frame::{Frame, Mark},
    message::{command_tag, error_fields},
    named::Subject,
    pending::Item,
    report::Outcome,
};
use crate::exchange::{Ending, Exchange};

/// Whether results can be counted off.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a connection")]
pub(crate) enum Results {
    /// Every message since the last `ReadyForQuery` was seen.
    Counted,
    /// Some were not; the last result that was seen since.
    Lossy(Option<Tail>),
}

/// The last result before a `ReadyForQuery` when bytes before it are missing.
#[derive(Clone, Debug)]
pub(crate) enum Tail {
    Complete {
        command: String,
        rows: Option<u64>,
        ended: u64,
        mark: Mark,
    },
    Failed {
        error: Box<(ServerMessage, u64)>,
        mark: Mark,
    },
}

impl Conversation {
    /// `ReadyForQuery`.
    pub(super) fn ready(&mut self, frame: Frame<'_>, out: &mut Vec<Exchange>) {
        let first = !std::mem::replace(&mut self.is_ready, true);
        self.end_suspended(out);
        match std::mem::replace(&mut self.results, Results::Counted) {
            Results::Lossy(last) => self.ready_after_loss(last, frame.ended, out),
            Results::Counted if self.pending.ready_to_come() == 0 => {
                if !first {
                    self.report.counts.orphan_responses += 1;
                }
                self.answered_until = frame.ended;
            }
            Results::Counted => self.end_batch(frame.ended, out),
        }
        self.report.response = None;
        self.data_rows = Some(0);
    }

    /// Takes the first batch from the queue; what has had no answer in it gets none.
    fn end_batch(&mut self, ended: u64, out: &mut Vec<Exchange>) {
        while let Some(front) = self.pending.front_mut() {
            if let Item::TooMany { ready, open } = front {
                *ready = ready.saturating_sub(1);
                if *ready == 0 && !*open {
                    self.pending.pop();
                }
                return;
            }
            if let Item::Lost = front {
                return self.abandon_all(Ending::Unseen, ended, out);
            }
            let last = front.is_ready();
            match self.pending.pop() {
                Some(Item::Query(query)) if query.results > 0 || query.failed => {}
                Some(item) => self.abandon(item, Ending::Unseen, ended, out),
                None => {}
            }
            if last {
                return;
            }
        }
    }

    /// Bytes before this `ReadyForQuery` are missing. With one batch under way it ends that one, and the result directly
    /// before it is that of the batch's last statement. With more, nobody can say which one it ends.
    fn ready_after_loss(&mut self, tail: Option<Tail>, ended: u64, out: &mut Vec<Exchange>) {
        match self.pending.ready_to_come() {
            0 => self.answered_until = ended,
            1 => self.end_batch_with(tail, ended, out),
            _ => self.abandon_all(Ending::Unseen, ended, out),
        }
    }

    fn end_batch_with(&mut self, tail: Option<Tail>, ended: u64, out: &mut Vec<Exchange>) {
        let mut calls = Vec::new();
        while let Some(item) = self.pending.pop() {
            let last = item.is_ready();
            match item {
                Item::Execute { call, .. } => calls.push((call.subject, call.began)),
                Item::FunctionCall(mark) => calls.push((function_call(), mark)),
                Item::Query(query) if query.failed => {}
                Item::Query(mut query) => {
                    while let Some(call) = self.query_subject(&mut query, None) {
                        calls.push(call);
                        if query.at >= query.text.len() {
                            break;
                        }
                    }
                }
                _ => {}
            }
            if last {
                break;
            }
        }
        let only = calls.len() == 1;
        let Some((subject, began)) = calls.pop() else {
            return;
        };
        for (subject, began) in calls {
            self.report.finish(
                &subject,
                began,
                Outcome::without_result(Ending::Unseen, ended),
                out,
            );
        }
        let outcome = match tail {
            Some(Tail::Complete {
                command,
                rows,
                ended,
                mark,
            }) if is_result_of(&command, &subject) => {
                self.report.response.get_or_insert(mark);
                self.forget(&command, &subject);
                Outcome::complete(rows, ended)
            }
            Some(Tail::Failed { error, mark }) if only => {
                self.report.response.get_or_insert(mark);
                Outcome::failed(error.0.about(&subject), error.1)
            }
            _ => Outcome::without_result(Ending::Unseen, ended),
        };
        self.report.finish(&subject, began, outcome, out);
    }
}

/// Keeps the last result seen while bytes are missing.
pub(super) fn note(tail: &mut Option<Tail>, frame: Frame<'_>) {
    let (mark, ended) = (frame.start, frame.ended);
    match frame.kind {
        b'C' => {
            let (command, rows) = command_tag(frame.body);
            *tail = Some(Tail::Complete {
                command: command.to_owned(),
                rows,
                ended,
                mark,
            });
        }
        b'E' => {
            let said = ServerMessage::new(&error_fields(frame.body));
            *tail = Some(Tail::Failed {
                error: Box::new((said, ended)),
                mark,
            });
        }
        _ => {}
    }
}

/// A command tag can be that of this statement: the four that change or read rows say so themselves.
fn is_result_of(command: &str, subject: &Subject) -> bool {
    match subject
        .described
        .as_ref()
        .and_then(|described| described.operation.as_deref())
    {
        Some(operation @ ("SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE")) => command == operation,
        _ => true,
    }
}
