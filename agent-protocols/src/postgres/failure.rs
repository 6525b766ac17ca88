//! Errors: which request failed, and what may be said of it.

use std::sync::Arc;

use super::{
    conversation::Conversation,
    frame::Frame,
    message::{ErrorFields, error_fields},
    named::Subject,
    pending::{Call, Item},
    report::Outcome,
    statement::statement_mark,
};
use crate::{
    exchange::{Exchange, SqlError},
    sql::{Described, ServerError},
};

/// What an `ErrorResponse` said, kept until the statement is known to which it belongs.
#[derive(Clone, Debug)]
pub(crate) struct ServerMessage {
    code: String,
    message: String,
    names: [String; 5],
    file: String,
}

impl ServerMessage {
    pub(super) fn new(fields: &ErrorFields<'_>) -> Self {
        Self {
            code: fields.code.to_owned(),
            message: fields.message.clone(),
            names: fields.names.map(str::to_owned),
            file: fields.file.to_owned(),
        }
    }

    pub(super) fn about(&self, subject: &Subject) -> SqlError {
        let names = self.names.each_ref().map(String::as_str);
        let error = ServerError {
            code: &self.code,
            message: &self.message,
            names,
            file: &self.file,
        };
        let statement = subject
            .described
            .as_ref()
            .map(|described| described.text.as_str());
        SqlError {
            code: sql_state(&self.code),
            message: error.sanitized_message(statement),
        }
    }
}

/// A code that is none is not passed on: it might be anything.
fn sql_state(code: &str) -> String {
    let is_code = code.len() == 5
        && code
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    if is_code { code.to_owned() } else { String::new() }
}

/// What stands for the statement of a `FunctionCall` message, which has none.
pub(crate) fn function_call() -> Subject {
    let call = Some("CALL".to_owned());
    let described = Described {
        text: String::new(),
        operation: call.clone(),
        table: None,
        summary: call,
    };
    Subject {
        name: None,
        described: Some(Arc::new(described)),
    }
}

impl Conversation {
    /// `ErrorResponse`: the first request that has no answer failed; what follows it up to the next Sync is not executed.
    pub(super) fn error(&mut self, frame: Frame<'_>, out: &mut Vec<Exchange>) {
        let fields = error_fields(frame.body);
        let said = ServerMessage::new(&fields);
        self.copying_in = false;
        match self.pending.front_mut() {
            Some(Item::Query(_)) => return self.query_error(&said, fields.position, frame.ended, out),
            Some(Item::TooMany { .. } | Item::Lost) => return,
            // A session that ends while nobody asks for anything, or that never began.
            None | Some(Item::Sync) => return self.orphan(),
            _ => {}
        }
        let failed = self.pending.pop();
        if let Some(Item::Parse { number, .. }) = &failed {
            self.statements.remove_number(*number);
        }
        let call = match failed {
            Some(Item::Parse { call, .. } | Item::Bind(call) | Item::Describe(call)) => Some(call),
            Some(Item::Execute { call, portal }) => Some(self.resumed(call, &portal).0),
            Some(Item::FunctionCall(began)) => {
                let call = Call {
                    subject: function_call(),
                    began,
                };
                let error = said.about(&call.subject);
                self.report.finish(
                    &call.subject,
                    call.began,
                    Outcome::failed(error, frame.ended),
                    out,
                );
                self.pending.restore_sync();
                return;
            }
            _ => None,
        };
        if let Some(call) = call {
            let error = said.about(&call.subject);
            self.report.finish(
                &call.subject,
                call.began,
                Outcome::failed(error, frame.ended),
                out,
            );
        }
        self.skip_to_sync();
    }

    fn query_error(
        &mut self,
        said: &ServerMessage,
        position: Option<usize>,
        ended: u64,
        out: &mut Vec<Exchange>,
    ) {
        let Some(Item::Query(query)) = self.pending.front_mut() else {
            return;
        };
        let found = query.statement_at(position, self.backslash);
        query.failed = true;
        let mark = found
            .as_ref()
            .map_or(query.mark, |(at, _)| statement_mark(query, *at));
        let subject = found.map_or_else(Subject::default, |(_, text)| self.text_subject(&text, None));
        let error = said.about(&subject);
        self.report
            .finish(&subject, mark, Outcome::failed(error, ended), out);
    }

    /// Requests that the server skips make no exchange: they were never executed.
    fn skip_to_sync(&mut self) {
        loop {
            match self.pending.front_mut() {
                None => {
                    self.skipping = true;
                    return;
                }
                Some(
                    Item::Sync | Item::Query(_) | Item::FunctionCall(_) | Item::Lost | Item::TooMany { .. },
                ) => return,
                Some(Item::Parse { number, .. }) => {
                    let number = *number;
                    self.statements.remove_number(number);
                }
                Some(_) => {}
            }
            self.pending.pop();
        }
    }
}
