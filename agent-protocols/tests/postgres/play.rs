//! Feeds a recorded conversation to a session.

use agent_protocols::{
    Detail, Exchange, Limits, Moment, Role,
    exchange::{Ending, Sql},
    postgres::PostgresSession,
    session::{Closing, Content, Counts, Flow, Piece, Session, SessionContext},
};

/// What one call moved: whole, in parts, or with parts missing.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) flow: Flow,
    pub(crate) bytes: Vec<u8>,
}

/// A part of a call: this many bytes, seen or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) length: usize,
    pub(crate) seen: bool,
}

pub(crate) fn context(role: Role) -> SessionContext {
    SessionContext {
        role,
        from_start: true,
        limits: Limits::default(),
        report_noise: false,
    }
}

/// The call with this number, as a moment: 1000 ns each.
pub(crate) fn moment(number: usize) -> Moment {
    let began = 1000 * number as u64;
    Moment {
        began,
        ended: began + 500,
        ..Moment::default()
    }
}

/// The exchanges of a conversation whose calls come in the parts that `split` says, and what was counted.
pub(crate) fn play(
    context: SessionContext,
    calls: &[Call],
    mut split: impl FnMut(usize, &Call) -> Vec<Part>,
) -> (Vec<Exchange>, Counts) {
    let mut session = PostgresSession::new(context);
    let mut out = Vec::new();
    let mut offsets = [0; 2];
    for (number, call) in calls.iter().enumerate() {
        let offset = &mut offsets[usize::from(call.flow == Flow::Response)];
        let mut rest = call.bytes.as_slice();
        for part in split(number, call) {
            let (now, later) = rest.split_at(part.length);
            rest = later;
            let seen = if part.seen {
                Content::Bytes(now)
            } else {
                Content::Gap(now.len() as u64)
            };
            let piece = Piece {
                flow: call.flow,
                offset: *offset,
                content: seen,
                moment: moment(number),
            };
            *offset += now.len() as u64;
            session.feed(piece, &mut out).unwrap();
        }
        assert!(rest.is_empty());
    }
    session.close(Closing::Both, moment(calls.len()), &mut out);
    (out, session.take_counts())
}

pub(crate) fn whole(_: usize, call: &Call) -> Vec<Part> {
    vec![Part {
        length: call.bytes.len(),
        seen: true,
    }]
}

pub(crate) fn sql(exchange: &Exchange) -> &Sql {
    match &exchange.detail {
        Detail::Sql(sql) => sql,
        Detail::Http(_) => panic!("not SQL: {exchange:?}"),
    }
}

/// An exchange in one line: the calls (from 0) in which it began and ended, its summary, then the rest.
pub(crate) fn shown(exchange: &Exchange) -> String {
    let sql = sql(exchange);
    let parts = [
        Some(format!("{}-{}", exchange.started / 1000, exchange.ended / 1000)),
        Some(sql.summary.clone().unwrap_or_default()),
        Some(
            sql.text
                .clone()
                .unwrap_or_else(|| if sql.text_unknown { "(unknown)" } else { "(none)" }.to_owned()),
        ),
        sql.statement_name.as_ref().map(|name| format!("name {name}")),
        sql.rows.map(|rows| format!("rows {rows}")),
        sql.error
            .as_ref()
            .map(|error| format!("{} {}", error.code, error.message)),
        (exchange.ending != Ending::Complete).then(|| format!("{:?}", exchange.ending)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" | ")
}
