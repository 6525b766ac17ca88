//! What the client says.

use super::{
    conversation::Conversation,
    frame::{Frame, Mark},
    message::{self, string},
    named::{Portal, Prepared, Subject},
    pending::{Call, Item, Query},
};
use crate::{
    exchange::{Ending, Exchange},
    sql,
};

/// Stands for the name of a portal that is missing: no name has a zero byte.
const UNKNOWN: &str = "\0";

impl Conversation {
    /// Takes a message of the client.
    pub(crate) fn request(&mut self, frame: Frame<'_>, out: &mut Vec<Exchange>) {
        match frame.kind {
            b'Q' => self.query(frame),
            b'P' => self.parse(frame),
            b'B' => self.bind(frame),
            b'D' => self.describe(frame),
            b'E' => self.execute(frame),
            b'C' => self.close_named(frame),
            b'F' => self.push(Item::FunctionCall(frame.start)),
            // A server that copies in ignores Sync, see CopyGetData in PostgreSQL's commands/copyfromparse.c.
            b'S' if !self.copying_in => {
                self.skipping = false;
                self.push(Item::Sync);
            }
            b'c' | b'f' => self.copying_in = false,
            _ => {}
        }
        if matches!(frame.kind, b'Q' | b'S' | b'F') && frame.start.moment.began < self.answered_until {
            // Its response was reported before the request itself: nothing will answer it any more.
            self.abandon_all(Ending::Unseen, self.answered_until, out);
        }
    }

    fn push(&mut self, item: Item) {
        if self.skipping && !item.is_ready() {
            return;
        }
        let counts = matches!(
            item,
            Item::Query(_) | Item::Execute { .. } | Item::FunctionCall(_)
        );
        if !self.pending.push(item) && counts {
            self.report.counts.over_limit += 1;
        }
    }

    fn query(&mut self, frame: Frame<'_>) {
        let (text, _) = string(frame.body);
        let cut = frame.cut && !frame.body.contains(&0);
        self.skipping = false;
        // A simple Query destroys the unnamed statement and the unnamed portal.
        self.statements.remove("");
        self.portals.remove("");
        self.push(Item::Query(Query {
            mark: frame.start,
            text: String::from_utf8_lossy(text).into_owned(),
            cut,
            at: 0,
            results: 0,
            failed: false,
        }));
    }

    fn parse(&mut self, frame: Frame<'_>) {
        let Some((name, rest)) = message::name(frame.body) else {
            return self.nameless(frame.start);
        };
        let (text, _) = string(rest);
        let known = !(text.is_empty() && frame.cut);
        let described = known.then(|| {
            let max_bytes = self.report.context.limits.query_bytes;
            sql::describe(&String::from_utf8_lossy(text), max_bytes, self.backslash)
        });
        let subject = Subject {
            name: (!name.is_empty()).then(|| name.as_ref().into()),
            described,
        };
        let call = Call {
            subject: subject.clone(),
            began: frame.start,
        };
        let prepared = Prepared {
            subject,
            began: Some(frame.start),
            run: self.run,
        };
        let (number, dropped) = self.statements.insert(&name, prepared);
        self.report.counts.over_limit += dropped;
        self.push(Item::Parse {
            call,
            number: Some(number),
        });
    }

    /// A Parse whose name is missing: it may have replaced the unnamed statement.
    fn nameless(&mut self, began: Mark) {
        self.statements.remove("");
        self.push(Item::Parse {
            call: Call {
                subject: Subject::default(),
                began,
            },
            number: None,
        });
    }

    /// The call began with the Parse if no answer came in between. The unnamed statement is made to be executed at
    /// once, so there its Parse is the beginning also when drivers wait for its answer first (lib/pq does).
    fn bind(&mut self, frame: Frame<'_>) {
        let names =
            message::name(frame.body).and_then(|(portal, rest)| Some((portal, message::name(rest)?.0)));
        let Some((portal, name)) = names else {
            // Any portal may have got a new meaning.
            self.portals.clear();
            return self.push(Item::Bind(Call {
                subject: Subject::default(),
                began: frame.start,
            }));
        };
        let (subject, began) = self.prepared(&name, frame.start);
        let bound = Portal {
            subject: subject.clone(),
            began: Some(began),
        };
        self.report.counts.over_limit += self.portals.insert(&portal, bound).1;
        self.push(Item::Bind(Call { subject, began }));
    }

    fn prepared(&mut self, name: &str, mark: Mark) -> (Subject, Mark) {
        let run = self.run;
        match self.statements.get_mut(name) {
            Some(prepared) => {
                let began = prepared
                    .began
                    .take()
                    .filter(|_| name.is_empty() || prepared.run == run);
                (prepared.subject.clone(), began.unwrap_or(mark))
            }
            None => (
                Subject {
                    name: (!name.is_empty()).then(|| name.into()),
                    described: None,
                },
                mark,
            ),
        }
    }

    fn describe(&mut self, frame: Frame<'_>) {
        let subject = match frame
            .body
            .split_first()
            .and_then(|(kind, name)| Some((kind, message::name(name)?.0)))
        {
            Some((b'S', name)) => self
                .statements
                .get(&name)
                .map(|prepared| prepared.subject.clone()),
            Some((_, name)) => self.portals.get(&name).map(|portal| portal.subject.clone()),
            None => None,
        };
        self.push(Item::Describe(Call {
            subject: subject.unwrap_or_default(),
            began: frame.start,
        }));
    }

    fn execute(&mut self, frame: Frame<'_>) {
        let name = message::name(frame.body).map(|(name, _)| name);
        let portal = name.as_ref().and_then(|name| self.portals.get_mut(name));
        let call = match portal {
            Some(portal) => Call {
                subject: portal.subject.clone(),
                began: portal.began.take().unwrap_or(frame.start),
            },
            None => Call {
                subject: Subject::default(),
                began: frame.start,
            },
        };
        self.push(Item::Execute {
            call,
            portal: name.as_deref().unwrap_or(UNKNOWN).into(),
        });
    }

    fn close_named(&mut self, frame: Frame<'_>) {
        let closed = frame
            .body
            .split_first()
            .and_then(|(kind, name)| Some((kind, message::name(name)?.0)));
        let portal = match closed {
            Some((b'P', name)) => {
                self.portals.remove(&name);
                Some(name.as_ref().into())
            }
            Some((_, name)) => {
                self.statements.remove(&name);
                None
            }
            None => {
                self.portals.clear();
                None
            }
        };
        self.push(Item::Close { portal });
    }
}
