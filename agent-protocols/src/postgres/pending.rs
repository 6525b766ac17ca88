//! What the client asked for and the server has not answered yet.

use std::collections::VecDeque;

use super::{frame::Mark, named::Subject};
use crate::sql::{self, Backslash};

/// A number of answers that is not known.
const MANY: u64 = 1 << 32;

/// One request that waits for its answer.
#[derive(Debug)]
pub(crate) enum Item {
    Query(Query),
    /// `number` tells the statement in [`Named`](super::named::Named), if its name is known.
    Parse {
        call: Call,
        number: Option<u64>,
    },
    Bind(Call),
    /// Answered by `RowDescription` or `NoData`.
    Describe(Call),
    Execute {
        call: Call,
        portal: Box<str>,
    },
    Close {
        portal: Option<Box<str>>,
    },
    FunctionCall(Mark),
    /// Answered by `ReadyForQuery`, as Query and `FunctionCall` are in the end.
    Sync,
    /// Requests of which nothing is known, as bytes are missing: what is behind them cannot be counted off.
    Lost,
    /// Requests beyond the bound: so many `ReadyForQuery` end them, and `open` tells that more follows before a Sync.
    TooMany {
        ready: u64,
        open: bool,
    },
}

/// A statement and where the client's call began.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) subject: Subject,
    pub(crate) began: Mark,
}

/// A simple Query: its statements run one after the other.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) mark: Mark,
    pub(crate) text: String,
    /// `text` is not all of it.
    pub(crate) cut: bool,
    /// Where in `text` the statements begin that have no result yet.
    pub(crate) at: usize,
    /// Results so far.
    pub(crate) results: u64,
    pub(crate) failed: bool,
}

impl Query {
    /// The next statement and where it stands in the text; moves behind it.
    pub(crate) fn next_statement(&mut self, backslash: Backslash) -> Option<(usize, String)> {
        let rest = self.text.get(self.at..)?;
        let statement = sql::statements(rest, backslash).next()?;
        let found = (self.at + statement.start, statement.text.to_owned());
        self.at = (found.0 + statement.text.len() + 1).min(self.text.len());
        Some(found)
    }

    /// The statement at a position in characters from 1 (as an error names it), or else the next one.
    pub(crate) fn statement_at(
        &mut self,
        position: Option<usize>,
        backslash: Backslash,
    ) -> Option<(usize, String)> {
        let place = position.and_then(|position| self.text.char_indices().nth(position.saturating_sub(1)));
        let mut found = self.next_statement(backslash)?;
        while let Some((place, _)) = place
            && place > found.0 + found.1.len()
            && let Some(next) = self.next_statement(backslash)
        {
            found = next;
        }
        Some(found)
    }
}

/// The queue of requests, bounded in number and in bytes.
#[derive(Debug)]
pub(crate) struct Pending {
    items: VecDeque<Item>,
    /// Requests at the front that were sent before the client's last run began.
    older: usize,
    text_bytes: usize,
    max_items: usize,
    max_text_bytes: usize,
}

impl Pending {
    pub(crate) fn new(max_items: usize, max_text_bytes: usize) -> Self {
        Self {
            items: VecDeque::new(),
            older: 0,
            text_bytes: 0,
            max_items,
            max_text_bytes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.items.capacity() * size_of::<Item>() + self.text_bytes
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut Item> {
        self.items.front_mut()
    }

    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.older = self.older.saturating_sub(1);
        self.text_bytes -= item.text_bytes();
        Some(item)
    }

    /// Appends a request; false if there is no room and it was left out.
    pub(crate) fn push(&mut self, item: Item) -> bool {
        let ends = item.is_ready();
        if let Some(Item::TooMany { ready, open }) = self.items.back_mut() {
            *ready += u64::from(ends);
            *open = !ends;
            return false;
        }
        // A call is up to six messages; a Sync alone needs no room worth counting but must not be lost either.
        let full = self.items.len() >= self.max_items.saturating_mul(6)
            || self.text_bytes + item.text_bytes() > self.max_text_bytes;
        if full {
            self.items.push_back(Item::TooMany {
                ready: u64::from(ends),
                open: !ends,
            });
            return false;
        }
        self.text_bytes += item.text_bytes();
        self.items.push_back(item);
        true
    }

    /// A run of the client begins: what is queued now is older than it.
    pub(crate) fn begin_run(&mut self) {
        self.older = self.items.len();
    }

    /// Requests that were sent before the client's last run.
    pub(crate) fn older(&self) -> usize {
        self.older
    }

    /// How many `ReadyForQuery` are to come; [`MANY`] when nobody knows.
    pub(crate) fn ready_to_come(&self) -> u64 {
        let count = |item: &Item| match item {
            Item::TooMany { ready, .. } => *ready,
            Item::Lost => MANY,
            item => u64::from(item.is_ready()),
        };
        self.items.iter().map(count).sum()
    }

    /// Requests may follow here that are not seen.
    pub(crate) fn lose(&mut self) {
        if !matches!(self.items.back(), Some(Item::Lost)) {
            self.push(Item::Lost);
        }
    }

    /// Leaves out the first Sync behind the front: a server that copies in swallows it.
    pub(crate) fn swallow_sync(&mut self) {
        if let Some(at) = self.items.iter().position(|item| matches!(item, Item::Sync)) {
            self.items.remove(at);
            self.older -= usize::from(at < self.older);
        }
    }

    /// A `FunctionCall` was answered: its `ReadyForQuery` is still to come.
    pub(crate) fn restore_sync(&mut self) {
        self.items.push_front(Item::Sync);
    }

    /// A statement is to be executed.
    pub(crate) fn executes(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Execute { .. }))
    }
}

impl Item {
    /// `ReadyForQuery` ends it.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self, Self::Query(_) | Self::FunctionCall(_) | Self::Sync)
    }

    fn text_bytes(&self) -> usize {
        match self {
            Self::Query(query) => query.text.len(),
            _ => 0,
        }
    }
}
