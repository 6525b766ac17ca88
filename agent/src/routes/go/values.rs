//! VALUES: strings, slices and maps of Go, read from memory.

use crate::routes::memory::Memory;

/// Longest string that is read: of a path or a method.
const MAX_STRING: u64 = 4096;
/// Most elements of a slice or a map.
const MAX_ELEMENTS: u64 = 1 << 16;
/// Slots of a bucket or a group (`MapBucketCount`, `MapGroupSlots`; Go, src/internal/abi).
const SLOTS: u64 = 8;
/// The first version that has Swiss tables for maps (src/internal/runtime/maps).
const SWISS: u32 = 24;
/// The least `tophash` of an entry (`minTopHash`, src/runtime/map.go until 1.23).
const LEAST_TOP_HASH: u8 = 5;
/// `sameSizeGrow` in `hmap.flags`.
const SAME_SIZE: u8 = 8;

/// The values of a Go program of version 1.`minor`.
#[derive(Clone, Copy, Debug)]
pub struct Values<'m, M> {
    /// Where they are.
    pub memory: &'m M,
    /// Version of Go.
    pub minor: u32,
}

impl<M: Memory> Values<'_, M> {
    /// A string: a pointer and a length.
    pub fn string(&self, at: u64) -> Option<String> {
        let length = self.memory.word(at.checked_add(8)?)?;
        if length == 0 {
            return Some(String::new());
        }
        self.memory.text(self.memory.pointer(at)?, length, MAX_STRING)
    }

    /// Addresses of the elements of a slice: a pointer, a length and a capacity.
    pub fn slice(&self, at: u64, size: u64) -> Option<Vec<u64>> {
        let length = self.memory.word(at.checked_add(8)?)?;
        let capacity = self.memory.word(at.checked_add(16)?)?;
        if length == 0 {
            return Some(Vec::new());
        }
        if length > capacity || length > MAX_ELEMENTS {
            return None;
        }
        let start = self.memory.pointer(at)?;
        start.checked_add(length * size)?;
        Some((0..length).map(|index| start + index * size).collect())
    }

    /// Addresses of the keys and elements of a map, of which `at` has the pointer; keys and elements have multiples of 8
    /// bytes.
    pub fn map(&self, at: u64, key: u64, element: u64) -> Option<Vec<(u64, u64)>> {
        match self.memory.word(at)? {
            0 => Some(Vec::new()),
            map if self.minor >= SWISS => self.swiss_map(map, key, element),
            map => self.old_map(map, key, element),
        }
    }

    /// `hmap` of src/runtime/map.go: while it grows, what has not been moved is in the old buckets.
    fn old_map(&self, map: u64, key: u64, element: u64) -> Option<Vec<(u64, u64)>> {
        let (flags, logarithm) = (
            self.memory.byte(map.checked_add(8)?)?,
            self.memory.byte(map.checked_add(9)?)?,
        );
        let count = 1_u64
            .checked_shl(logarithm.into())
            .filter(|count| *count <= MAX_ELEMENTS)?;
        let mut entries = Vec::new();
        self.buckets(self.memory.word(map + 16)?, count, (key, element), &mut entries)?;
        let old = if flags & SAME_SIZE != 0 { count } else { count / 2 };
        self.buckets(self.memory.word(map + 24)?, old, (key, element), &mut entries)?;
        Some(entries)
    }

    fn buckets(
        &self,
        buckets: u64,
        count: u64,
        (key, element): (u64, u64),
        entries: &mut Vec<(u64, u64)>,
    ) -> Option<()> {
        if buckets == 0 {
            return Some(());
        }
        let size = SLOTS + SLOTS * (key + element) + 8;
        for index in 0..count {
            let mut bucket = buckets.checked_add(index * size)?;
            while bucket != 0 && (entries.len() as u64) < MAX_ELEMENTS {
                for slot in 0..SLOTS {
                    if self.memory.byte(bucket.checked_add(slot)?)? >= LEAST_TOP_HASH {
                        let keys = bucket + SLOTS;
                        entries.push((keys + slot * key, keys + SLOTS * key + slot * element));
                    }
                }
                bucket = self.memory.word(bucket + size - 8)?;
            }
        }
        Some(())
    }

    /// `Map` of src/internal/runtime/maps/map.go: one group, or a directory of tables, in which a table can be several times.
    fn swiss_map(&self, map: u64, key: u64, element: u64) -> Option<Vec<(u64, u64)>> {
        let directory = self.memory.word(map.checked_add(16)?)?;
        let length = self.memory.word(map.checked_add(24)?)?;
        let mut entries = Vec::new();
        if directory == 0 || length > MAX_ELEMENTS {
            return (directory == 0).then_some(entries);
        }
        if length == 0 {
            self.group(directory, (key, element), &mut entries)?;
            return Some(entries);
        }
        let mut last = 0;
        for index in 0..length {
            let table = self.memory.pointer(directory.checked_add(index * 8)?)?;
            if table == last {
                continue;
            }
            last = table;
            let groups = self.memory.pointer(table.checked_add(16)?)?;
            let mask = self.memory.word(table.checked_add(24)?)?;
            for index in 0..=Some(mask).filter(|mask| *mask < MAX_ELEMENTS)? {
                let size = 8 + SLOTS * (key + element);
                self.group(groups.checked_add(index * size)?, (key, element), &mut entries)?;
            }
        }
        Some(entries)
    }

    /// A byte for each slot, its highest bit clear if the slot is used; then the slots (without the experiment
    /// `mapsplitgroup` of 1.27, which is off by default).
    fn group(&self, group: u64, (key, element): (u64, u64), entries: &mut Vec<(u64, u64)>) -> Option<()> {
        for slot in 0..SLOTS {
            if self.memory.byte(group.checked_add(slot)?)? & 0x80 == 0 {
                let at = group + 8 + slot * (key + element);
                entries.push((at, at + key));
            }
        }
        Some(())
    }
}
