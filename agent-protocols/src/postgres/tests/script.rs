//! A conversation as a test writes it down.

use crate::{
    chunk::{Moment, Role, Unit},
    exchange::{Detail, Ending, Exchange},
    limits::Limits,
    postgres::PostgresSession,
    session::{Closing, Content, Counts, Desync, Flow, Piece, Session, SessionContext},
};

pub(super) fn context(from_start: bool) -> SessionContext {
    SessionContext {
        role: Role::Client,
        from_start,
        limits: Limits::default(),
        report_noise: false,
    }
}

/// A session and what it gave; every call takes place 10 ns after the one before and lasts 5.
pub(super) struct Script {
    pub(super) session: PostgresSession,
    pub(super) out: Vec<Exchange>,
    pub(super) now: u64,
    offsets: [u64; 2],
}

impl Script {
    pub(super) fn new(context: SessionContext) -> Self {
        Self {
            session: PostgresSession::new(context),
            out: Vec::new(),
            now: 0,
            offsets: [0; 2],
        }
    }

    /// A session in which user and database are known and the server is ready.
    pub(super) fn ready() -> Self {
        let mut script = Self::new(context(true));
        script.client(&startup(&["user", "ann", "database", "shop"]));
        script.server(&[b'R', 0, 0, 0, 8, 0, 0, 0, 0]);
        script.server(&msg(b'S', b"standard_conforming_strings\0on\0"));
        script.server(&[msg(b'K', &[0; 8]), ready()].concat());
        script
    }

    pub(super) fn client(&mut self, bytes: &[u8]) -> &mut Self {
        self.feed(Flow::Request, Content::Bytes(bytes)).unwrap();
        self
    }

    pub(super) fn server(&mut self, bytes: &[u8]) -> &mut Self {
        self.feed(Flow::Response, Content::Bytes(bytes)).unwrap();
        self
    }

    pub(super) fn gap(&mut self, flow: Flow, length: u64) -> &mut Self {
        self.feed(flow, Content::Gap(length)).unwrap();
        self
    }

    pub(super) fn feed(&mut self, flow: Flow, content: Content<'_>) -> Result<(), Desync> {
        self.now += 10;
        let length = match content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Gap(length) => length,
        };
        let offset = &mut self.offsets[usize::from(flow == Flow::Response)];
        let piece = Piece {
            flow,
            offset: *offset,
            content,
            moment: moment(self.now),
        };
        *offset += length;
        self.session.feed(piece, &mut self.out)
    }

    pub(super) fn close(&mut self, closing: Closing) -> &mut Self {
        self.now += 10;
        self.session.close(closing, moment(self.now), &mut self.out);
        self
    }

    pub(super) fn counts(&mut self) -> Counts {
        self.session.take_counts()
    }

    /// The exchanges so far, one line each; they are taken.
    pub(super) fn lines(&mut self) -> Vec<String> {
        self.out.drain(..).map(|exchange| line(&exchange)).collect()
    }
}

pub(super) fn moment(now: u64) -> Moment {
    Moment {
        began: now,
        ended: now + 5,
        unit: Unit {
            pid: 1,
            tid: 2,
            ..Unit::default()
        },
    }
}

/// An exchange in one line: text, then what is worth a word.
pub(super) fn line(exchange: &Exchange) -> String {
    let Detail::Sql(sql) = &exchange.detail else {
        return format!("{exchange:?}");
    };
    let text = match (&sql.text, sql.text_unknown) {
        (Some(text), false) => text.clone(),
        (None, true) => "<unknown>".to_owned(),
        (None, false) => format!("<{}>", sql.operation.as_deref().unwrap_or("empty")),
        (Some(text), true) => format!("{text} <and unknown>"),
    };
    let parts = [
        Some(text),
        sql.statement_name.as_ref().map(|name| format!("name {name}")),
        sql.rows.map(|rows| format!("rows {rows}")),
        sql.error
            .as_ref()
            .map(|error| format!("{} {}", error.code, error.message)),
        (exchange.ending != Ending::Complete).then(|| format!("{:?}", exchange.ending)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" | ")
}

pub(super) fn msg(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

pub(super) fn startup(parameters: &[&str]) -> Vec<u8> {
    let body: Vec<u8> = parameters
        .iter()
        .flat_map(|text| [text.as_bytes(), b"\0"].concat())
        .chain([0])
        .collect();
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &196_608_u32.to_be_bytes(), &body].concat()
}

pub(super) fn query(sql: &str) -> Vec<u8> {
    msg(b'Q', format!("{sql}\0").as_bytes())
}

pub(super) fn parse(name: &str, sql: &str) -> Vec<u8> {
    msg(b'P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

pub(super) fn bind(portal: &str, name: &str) -> Vec<u8> {
    msg(b'B', format!("{portal}\0{name}\0\0\0\0\0\0\0").as_bytes())
}

pub(super) fn execute(portal: &str) -> Vec<u8> {
    msg(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

pub(super) fn describe(kind: char, name: &str) -> Vec<u8> {
    msg(b'D', format!("{kind}{name}\0").as_bytes())
}

pub(super) fn close(kind: char, name: &str) -> Vec<u8> {
    msg(b'C', format!("{kind}{name}\0").as_bytes())
}

pub(super) fn sync() -> Vec<u8> {
    msg(b'S', b"")
}

pub(super) fn tag(tag: &str) -> Vec<u8> {
    msg(b'C', format!("{tag}\0").as_bytes())
}

pub(super) fn row() -> Vec<u8> {
    msg(b'D', &[0, 1, 0, 0, 0, 3, b'a', b'b', b'c'])
}

pub(super) fn columns() -> Vec<u8> {
    msg(b'T', &[0, 0])
}

pub(super) fn ready() -> Vec<u8> {
    msg(b'Z', b"I")
}

/// A message without body, by its type.
pub(super) fn plain(kind: char) -> Vec<u8> {
    msg(u8::try_from(kind).unwrap(), b"")
}

pub(super) fn error(code: &str, message: &str) -> Vec<u8> {
    msg(
        b'E',
        format!("SERROR\0C{code}\0M{message}\0Ddetail 'x'\0\0").as_bytes(),
    )
}

pub(super) fn join(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.concat()
}
