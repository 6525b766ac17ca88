//! Prepared statements and portals of a connection.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::frame::Mark;
use crate::sql::Described;

/// A statement as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    /// Name of the prepared statement; none for the unnamed one.
    pub(crate) name: Option<Arc<str>>,
    /// None when it was prepared before the agent came or its text was lost.
    pub(crate) described: Option<Arc<Described>>,
}

/// A prepared statement.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) subject: Subject,
    /// Where the call of the client began that prepared it, until an execution takes it over as its own beginning.
    pub(crate) began: Option<Mark>,
    /// Number of the client's run that prepared it.
    pub(crate) run: u64,
}

/// A portal: a statement with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Portal {
    pub(crate) subject: Subject,
    /// Where the call of the client began, until an execution takes it over.
    pub(crate) began: Option<Mark>,
}

/// Something that counts against a bound of bytes.
pub(crate) trait Weigh {
    fn bytes(&self) -> usize;
}

impl Weigh for Prepared {
    fn bytes(&self) -> usize {
        self.subject
            .described
            .as_ref()
            .map_or(0, |described| described.text.len())
    }
}

impl Weigh for Portal {
    fn bytes(&self) -> usize {
        0
    }
}

/// Things by name, bounded: the one that was put in first goes first.
#[derive(Debug)]
pub(crate) struct Named<T> {
    by_name: HashMap<Arc<str>, (u64, T)>,
    by_age: BTreeMap<u64, Arc<str>>,
    next: u64,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl<T: Weigh> Named<T> {
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            by_name: HashMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
            bytes: 0,
            max_entries,
            max_bytes,
        }
    }

    pub(crate) fn held_bytes(&self) -> usize {
        self.by_name.capacity() * size_of::<(Arc<str>, (u64, T))>() + self.bytes
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.by_name.get(name).map(|(_, thing)| thing)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.by_name.get_mut(name).map(|(_, thing)| thing)
    }

    /// Puts it in and returns its number, and how many others had to go.
    pub(crate) fn insert(&mut self, name: &str, thing: T) -> (u64, u64) {
        self.remove(name);
        let name: Arc<str> = name.into();
        let number = self.next;
        self.next += 1;
        self.bytes += thing.bytes() + name.len();
        self.by_age.insert(number, Arc::clone(&name));
        self.by_name.insert(name, (number, thing));
        let mut dropped = 0;
        while self.by_age.len() > self.max_entries.max(1)
            || (self.bytes > self.max_bytes && self.by_age.len() > 1)
        {
            let Some((_, oldest)) = self.by_age.first_key_value() else {
                break;
            };
            let oldest = Arc::clone(oldest);
            self.remove(&oldest);
            dropped += 1;
        }
        (number, dropped)
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some((name, (number, thing))) = self.by_name.remove_entry(name) {
            self.by_age.remove(&number);
            self.bytes -= thing.bytes() + name.len();
        }
    }

    /// Removes it if it still is the one that was put in with this number.
    pub(crate) fn remove_number(&mut self, number: Option<u64>) {
        if let Some(name) = number.and_then(|number| self.by_age.get(&number).cloned()) {
            self.remove(&name);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.by_name.clear();
        self.by_age.clear();
        self.bytes = 0;
    }
}
