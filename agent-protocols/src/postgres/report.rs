//! From a finished statement to an exchange.

use super::{frame::Mark, named::Subject, noise};
use crate::{
    exchange::{Detail, Ending, Exchange, Sql, SqlError},
    session::{Counts, SessionContext},
};

/// `db.system.name` of PostgreSQL.
const SYSTEM: &str = "postgresql";

/// How a statement ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) ending: Ending,
    pub(crate) rows: Option<u64>,
    pub(crate) error: Option<SqlError>,
    /// Nanoseconds of the monotonic clock.
    pub(crate) ended: u64,
}

impl Outcome {
    pub(crate) fn complete(rows: Option<u64>, ended: u64) -> Self {
        Self {
            ending: Ending::Complete,
            rows,
            error: None,
            ended,
        }
    }

    pub(crate) fn failed(error: SqlError, ended: u64) -> Self {
        Self {
            ending: Ending::Complete,
            rows: None,
            error: Some(error),
            ended,
        }
    }

    pub(crate) fn without_result(ending: Ending, ended: u64) -> Self {
        Self {
            ending,
            rows: None,
            error: None,
            ended,
        }
    }
}

/// Makes exchanges of finished statements.
#[derive(Debug)]
pub(crate) struct Reporter {
    pub(crate) context: SessionContext,
    pub(crate) counts: Counts,
    pub(crate) namespace: Option<String>,
    pub(crate) user: Option<String>,
    /// Where the response began that belongs to the next statement to finish.
    pub(crate) response: Option<Mark>,
}

impl Reporter {
    pub(crate) fn new(context: SessionContext) -> Self {
        Self {
            context,
            counts: Counts::default(),
            namespace: None,
            user: None,
            response: None,
        }
    }

    /// Reports a finished statement, unless it is noise that did not fail: a COMMIT that the server refuses is news.
    pub(crate) fn finish(
        &mut self,
        subject: &Subject,
        began: Mark,
        outcome: Outcome,
        out: &mut Vec<Exchange>,
    ) {
        let response = self.response.take();
        if subject
            .described
            .as_ref()
            .is_some_and(|described| noise::is_noise(described))
        {
            self.counts.noise += 1;
            if !self.context.report_noise && outcome.error.is_none() {
                return;
            }
        }
        out.push(Exchange {
            role: self.context.role,
            started: began.moment.began,
            ended: outcome.ended.max(began.moment.began),
            request_unit: began.moment.unit,
            response_unit: response.map(|mark| mark.moment.unit),
            request_offset: began.offset,
            response_offset: response.map(|mark| mark.offset),
            ending: outcome.ending,
            detail: Detail::Sql(self.sql(subject, outcome.rows, outcome.error)),
        });
    }

    fn sql(&self, subject: &Subject, rows: Option<u64>, error: Option<SqlError>) -> Sql {
        let described = subject.described.as_deref();
        Sql {
            system: SYSTEM,
            text: described
                .map(|described| described.text.clone())
                .filter(|text| !text.is_empty()),
            text_unknown: described.is_none(),
            summary: described.and_then(|described| described.summary.clone()),
            operation: described.and_then(|described| described.operation.clone()),
            table: described.and_then(|described| described.table.clone()),
            statement_name: subject.name.as_deref().map(str::to_owned),
            namespace: self.namespace.clone(),
            user: self.user.clone(),
            rows,
            error,
        }
    }
}
