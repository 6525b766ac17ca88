//! Statements of a simple Query, and those that prepare and execute by name in SQL.

use super::{
    conversation::Conversation,
    frame::Mark,
    named::{Prepared, Subject},
    pending::Query,
};
use crate::sql;

impl Conversation {
    /// The next statement of a simple Query; `command` is what its result said. Prepares and executes by name in SQL.
    pub(crate) fn query_subject(
        &mut self,
        query: &mut Query,
        command: Option<&str>,
    ) -> Option<(Subject, Mark)> {
        let Some((at, text)) = query.next_statement(self.backslash) else {
            let unknown = query.cut || (query.text.is_empty() && query.results == 0);
            // Behind the text that is known, one place for each.
            let at = if query.results > 1 {
                query.text.len() + query.results as usize
            } else {
                query.at
            };
            return unknown.then(|| (self.unknown_subject(query), statement_mark(query, at)));
        };
        Some((self.text_subject(&text, command), statement_mark(query, at)))
    }

    fn unknown_subject(&self, query: &Query) -> Subject {
        let described = (!query.cut).then(|| sql::describe("", 0, self.backslash));
        Subject {
            name: None,
            described,
        }
    }

    pub(super) fn text_subject(&mut self, text: &str, command: Option<&str>) -> Subject {
        let described = sql::describe(text, self.report.context.limits.query_bytes, self.backslash);
        match described.operation.as_deref() {
            Some("EXECUTE") => {
                let name = sql::statement_name(&described.text);
                let prepared = name.as_deref().and_then(|name| self.statements.get(name));
                let text = prepared
                    .and_then(|prepared| prepared.subject.described.clone())
                    .unwrap_or(described);
                Subject {
                    name: name.map(Into::into),
                    described: Some(text),
                }
            }
            Some("PREPARE") if command == Some("PREPARE") => {
                self.prepare_in_sql(text);
                Subject {
                    name: None,
                    described: Some(described),
                }
            }
            _ => Subject {
                name: None,
                described: Some(described),
            },
        }
    }

    fn prepare_in_sql(&mut self, text: &str) {
        if let Some((name, body)) = sql::prepared_statement(text) {
            let described = Some(sql::describe(
                body,
                self.report.context.limits.query_bytes,
                self.backslash,
            ));
            let subject = Subject {
                name: Some(name.as_str().into()),
                described,
            };
            self.statements.insert(
                &name,
                Prepared {
                    subject,
                    began: None,
                    run: self.run,
                },
            );
        }
    }

    /// What a command that succeeded makes of the statements that are prepared.
    pub(super) fn forget(&mut self, command: &str, subject: &Subject) {
        match (command, subject.described.as_ref()) {
            ("DISCARD", Some(described)) if described.text.to_ascii_uppercase().ends_with("ALL") => {
                self.statements.clear();
            }
            ("DEALLOCATE", Some(described)) => match sql::statement_name(&described.text) {
                Some(name) if name == "all" => self.statements.clear(),
                Some(name) => self.statements.remove(&name),
                None => {}
            },
            _ => {}
        }
    }
}

/// Where a statement of a simple Query begins: one message, but each statement has its own place in it.
pub(super) fn statement_mark(query: &Query, at: usize) -> Mark {
    Mark {
        offset: query.mark.offset + if at == 0 { 0 } else { 5 + at as u64 },
        moment: query.mark.moment,
    }
}
