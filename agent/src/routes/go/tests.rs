//! Values and routers of Go, as a test writes them.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::routes::{
    memory::Written,
    table::{Asked, router::Router},
};

/// Memory in which things are put one behind the other.
#[derive(Default)]
struct Heap {
    memory: Written,
    used: u64,
}

impl Heap {
    fn place(&mut self, size: u64) -> u64 {
        let at = 0x10_0000 + self.used;
        self.used += size.next_multiple_of(8);
        at
    }

    fn words(&mut self, words: &[u64]) -> u64 {
        let at = self.place(8 * words.len() as u64);
        self.memory.words(at, words);
        at
    }

    /// Pointer and length of a text.
    fn text(&mut self, text: &str) -> [u64; 2] {
        let at = self.place(text.len() as u64);
        self.memory.put(at, text.as_bytes());
        [at, text.len() as u64]
    }

    /// A `routingNode` with these children.
    fn node(&mut self, pattern: Option<&str>, handler: [u64; 2], children: &[(&str, u64)]) -> u64 {
        let pattern = pattern.map_or(0, |text| {
            let text = self.text(text);
            self.words(&text)
        });
        let entries: Vec<u64> = children
            .iter()
            .flat_map(|(key, child)| {
                let [text, length] = self.text(key);
                [text, length, *child]
            })
            .collect();
        let (list, count) = (self.words(&entries), children.len() as u64);
        self.words(&[pattern, handler[0], handler[1], list, count, count, 0, 0, 0])
    }

    /// A `ServeMux` of Go 1.24 whose tree has only the leaves of these patterns.
    fn mux(&mut self, patterns: &[(&str, [u64; 2])]) -> u64 {
        let leaves: Vec<(&str, u64)> = patterns
            .iter()
            .map(|(pattern, handler)| ("x", self.node(Some(pattern), *handler, &[])))
            .collect();
        let root = self.node(None, [0, 0], &leaves);
        let mut words = vec![0; 3];
        words.extend((0..9).map(|index| self.memory.word(root + 8 * index).unwrap()));
        // The index, and the old mux with its mutex.
        words.extend([0; 12]);
        self.words(&words)
    }
}

const TABLE: u64 = 0x7000;

fn read(heap: &Heap, minor: u32, muxes: &[u64], root: u64) -> Option<Router> {
    let values = Values {
        memory: &heap.memory,
        minor,
    };
    let tables = HashMap::from([(TABLE, Kind::ServeMux)]);
    let routers: BTreeMap<u64, Kind> = muxes.iter().map(|mux| (*mux, Kind::ServeMux)).collect();
    let mut reader = Reader::new(values, &tables, &routers);
    let router = reader.router(Kind::ServeMux, root, 0);
    for mux in muxes {
        assert_eq!(reader.is_nested(*mux), *mux != root);
    }
    router
}

fn route(router: &Router, path: &str) -> Option<String> {
    let asked = Asked {
        method: "GET",
        path,
        host: "",
    };
    router.route(&asked).map(|route| route.to_string())
}

#[test]
fn a_mux_in_a_mux() {
    let mut heap = Heap::default();
    let inner = heap.mux(&[("GET /users/{id}", [1, 1])]);
    // `http.StripPrefix`: its code, and what it captured.
    let [text, length] = heap.text("/api");
    let closure = heap.words(&[0x4000, text, length, TABLE, inner, 0, 0, 0]);
    let outer = heap.mux(&[
        ("GET /albums/{id}", [1, 1]),
        ("/api/", [0x6000, closure]),
        ("/direct/", [TABLE, inner]),
    ]);
    let router = read(&heap, 24, &[inner, outer], outer).unwrap();
    assert_eq!(route(&router, "/albums/7").as_deref(), Some("/albums/{id}"));
    assert_eq!(route(&router, "/api/users/7").as_deref(), Some("/api/users/{id}"));
    assert_eq!(route(&router, "/api/x").as_deref(), Some("/api/"));
    assert_eq!(route(&router, "/direct/users/7").as_deref(), Some("/direct/"));
}

#[test]
fn routers_that_lead_to_themselves_and_memory_that_ends() {
    let mut heap = Heap::default();
    let mux = heap.mux(&[("/a/", [1, 1])]);
    // The handler of its only leaf is the mux itself.
    let entries = heap.memory.word(mux + 24 + 24).unwrap();
    let leaf = heap.memory.word(entries + 16).unwrap();
    heap.memory.words(leaf + 8, &[TABLE, mux]);
    let values = Values {
        memory: &heap.memory,
        minor: 24,
    };
    let tables = HashMap::from([(TABLE, Kind::ServeMux)]);
    let routers = BTreeMap::from([(mux, Kind::ServeMux)]);
    let mut reader = Reader::new(values, &tables, &routers);
    let router = reader.router(Kind::ServeMux, mux, 0).unwrap();
    assert_eq!(route(&router, "/a/b").as_deref(), Some("/a/"));
    assert_eq!(reader.router(Kind::ServeMux, 0x9000, 0), None);
    assert_eq!(reader.router(Kind::Gin, mux, 0), None);
    assert_eq!(reader.router(Kind::Echo, mux, 0), None);
    assert_eq!(reader.router(Kind::Chi, mux, 0), None);
}

#[test]
fn maps_of_both_kinds() {
    let mut heap = Heap::default();
    // `hmap`: two buckets, of the second an overflow; the old bucket has one entry that was not moved.
    let bucket = |heap: &mut Heap, top: [u8; 8], overflow: u64| {
        let at = heap.place(208);
        heap.memory.put(at, &[0; 208]);
        heap.memory.put(at, &top);
        heap.memory.words(at + 200, &[overflow]);
        at
    };
    let overflow = bucket(&mut heap, [9, 0, 0, 0, 0, 0, 0, 0], 0);
    let first = bucket(&mut heap, [5, 1, 0, 200, 0, 0, 0, 0], 0);
    let second = bucket(&mut heap, [0; 8], overflow);
    assert_eq!(second, first + 208);
    let old = bucket(&mut heap, [2, 3, 4, 77, 0, 0, 0, 0], 0);
    let map = heap.words(&[4, 1 << 8, first, old]);
    let pointer = heap.words(&[map]);
    let values = |minor| Values {
        memory: &heap.memory,
        minor,
    };
    let entries = values(23).map(pointer, 16, 8).unwrap();
    let expected = [
        (first + 8, first + 136),
        (first + 8 + 48, first + 136 + 24),
        (overflow + 8, overflow + 136),
        (old + 8 + 48, old + 136 + 24),
    ];
    assert_eq!(entries, expected);

    // One group with two entries; then two tables, of which one is twice in the directory.
    let mut heap = Heap::default();
    let group = heap.place(8 + 8 * 24);
    heap.memory
        .put(group, &[0x11, 0x80, 0xfe, 0x7f, 0x80, 0x80, 0x80, 0x80]);
    let small = heap.words(&[2, 0, group, 0]);
    let table = heap.words(&[0, 0, group, 0]);
    let other = heap.words(&[0, 0, group, 0]);
    let directory = heap.words(&[table, table, other, other]);
    let large = heap.words(&[4, 0, directory, 4]);
    let pointers = heap.words(&[small, large, 0]);
    let values = Values {
        memory: &heap.memory,
        minor: 24,
    };
    let entries = [(group + 8, group + 24), (group + 8 + 72, group + 24 + 72)];
    assert_eq!(values.map(pointers, 16, 8).unwrap(), entries);
    assert_eq!(
        values.map(pointers + 8, 16, 8).unwrap(),
        [entries, entries].concat()
    );
    assert_eq!(values.map(pointers + 16, 16, 8).unwrap(), []);
}
