//! Descriptions of the statements seen last.
//!
//! Programs say the same few statements again and again, while parsing one costs more than all the rest of an exchange.
//! The key is the text without its literals: the cache never holds a value, and statements that differ in values only
//! share one entry.

use std::{
    borrow::Borrow,
    cell::RefCell,
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::Described;

/// Most statements remembered, per thread.
const ENTRIES: usize = 4096;
/// Most bytes of text remembered, per thread.
const BYTES: usize = 2 * 1024 * 1024;

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(Cache::new(ENTRIES, BYTES));
}

/// The description of the statement whose text without literals is `text`, made by `describe` if it is not remembered.
pub(crate) fn get_or(text: String, describe: impl FnOnce(String) -> Described) -> Arc<Described> {
    CACHE.with_borrow_mut(|cache| cache.get_or(text, describe))
}

/// Two generations of entries: when the young one is full it becomes the old one, and what was in the old one is
/// forgotten unless it was used meanwhile. Nearly as good as least-recently-used, with no list to maintain.
struct Cache {
    young: HashSet<ByText>,
    old: HashSet<ByText>,
    /// Of the texts of the young generation.
    bytes: usize,
    generation_entries: usize,
    generation_bytes: usize,
}

impl Cache {
    fn new(entries: usize, bytes: usize) -> Self {
        Self {
            young: HashSet::new(),
            old: HashSet::new(),
            bytes: 0,
            generation_entries: entries / 2,
            generation_bytes: bytes / 2,
        }
    }

    fn get_or(&mut self, text: String, describe: impl FnOnce(String) -> Described) -> Arc<Described> {
        if let Some(ByText(known)) = self.young.get(text.as_str()) {
            return Arc::clone(known);
        }
        let described = match self.old.take(text.as_str()) {
            Some(ByText(known)) => known,
            None => Arc::new(describe(text)),
        };
        self.insert(Arc::clone(&described));
        described
    }

    fn insert(&mut self, described: Arc<Described>) {
        let bytes = described.text.len();
        if self.young.len() >= self.generation_entries || self.bytes + bytes > self.generation_bytes {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.young.insert(ByText(described));
    }
}

/// A description that is found by its text.
struct ByText(Arc<Described>);

impl Borrow<str> for ByText {
    fn borrow(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for ByText {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for ByText {}

impl Hash for ByText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: String) -> Described {
        Described {
            text,
            ..Described::default()
        }
    }

    #[test]
    fn the_same_text_is_described_once() {
        let mut cache = Cache::new(8, 1000);
        let first = cache.get_or("a".to_owned(), described);
        let second = cache.get_or("a".to_owned(), |_| panic!("described again"));
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn both_bounds_hold_and_what_is_used_stays() {
        for (entries, bytes) in [(8, 1 << 20), (1 << 20, 64)] {
            let mut cache = Cache::new(entries, bytes);
            let kept = cache.get_or("kept".to_owned(), described);
            for number in 0..1000 {
                cache.get_or(format!("text {number:03}"), described);
                let again = cache.get_or("kept".to_owned(), described);
                assert!(Arc::ptr_eq(&kept, &again));
                assert!(cache.young.len() + cache.old.len() <= entries);
                let held: usize = cache
                    .young
                    .iter()
                    .chain(&cache.old)
                    .map(|entry| entry.0.text.len())
                    .sum();
                assert!(held <= bytes, "{held} bytes");
            }
        }
    }
}
