//! MEMORY: a process's memory, only ever read, and never trusted: the process goes on while it is read, so that any word may
//! be gone or be another's.

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io,
    os::unix::fs::FileExt as _,
};

/// No mapping is below (`mmap_min_addr`).
const LOWEST: u64 = 4096;
/// What is read at once.
const PAGE: u64 = 4096;
/// Pages that are asked for in one go: objects that belong together are often near each other.
const AHEAD: u64 = 16;
/// Pages that are kept.
const MAX_PAGES: usize = 4096;

/// Bytes by their address.
pub trait Memory {
    /// Fills `bytes` from an address on; `None` if any of it is not there.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Option<()>;

    /// Eight bytes as a number.
    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Some(u64::from_le_bytes(bytes))
    }

    /// Four bytes as a number.
    fn half_word(&self, address: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Some(u32::from_le_bytes(bytes))
    }

    /// One byte.
    fn byte(&self, address: u64) -> Option<u8> {
        let mut bytes = [0];
        self.read(address, &mut bytes)?;
        Some(bytes[0])
    }

    /// A pointer that can be one.
    fn pointer(&self, address: u64) -> Option<u64> {
        self.word(address).filter(|pointer| *pointer >= LOWEST)
    }

    /// Text of `length` bytes; `None` if it is longer than `most` or no UTF-8.
    fn text(&self, address: u64, length: u64, most: u64) -> Option<String> {
        if length > most {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.read(address, &mut bytes)?;
        String::from_utf8(bytes).ok()
    }
}

/// The memory of a live process, as it was when each part of it was read first.
#[derive(Debug)]
pub struct ProcessMemory {
    file: File,
    pages: RefCell<Pages>,
}

/// Pages that were read.
#[derive(Debug, Default)]
struct Pages {
    /// Where each is in `read`; none: it cannot be read.
    known: HashMap<u64, Option<usize>>,
    read: Vec<Box<[u8]>>,
    /// The page that was asked for last, and where it is.
    last: Option<(u64, usize)>,
}

impl ProcessMemory {
    /// That of a process.
    ///
    /// # Errors
    /// When there is no such process, or its memory may not be read.
    pub fn open(pid: u32) -> io::Result<Self> {
        Ok(Self {
            file: File::open(format!("/proc/{pid}/mem"))?,
            pages: RefCell::default(),
        })
    }

    /// Bytes from an address on, as they are now and without keeping them; as many as there are.
    pub fn read_once(&self, address: u64, bytes: &mut [u8]) -> usize {
        self.file.read_at(bytes, address).unwrap_or(0)
    }

    /// Forgets what was read, so that it is read as it is now.
    pub fn refresh(&self) {
        *self.pages.borrow_mut() = Pages::default();
    }

    /// Reads a page and those behind it that can be read with it.
    fn load(&self, pages: &mut Pages, page: u64) {
        if pages.read.len() >= MAX_PAGES {
            *pages = Pages::default();
        }
        let mut bytes = vec![0; (PAGE * AHEAD) as usize];
        let read = self.file.read_at(&mut bytes, page * PAGE).unwrap_or(0);
        for (index, bytes) in bytes[..read].chunks_exact(PAGE as usize).enumerate() {
            let place = pages.read.len();
            if let Entry::Vacant(vacant) = pages.known.entry(page + index as u64) {
                vacant.insert(Some(place));
                pages.read.push(bytes.into());
            }
        }
        pages.known.entry(page).or_insert(None);
    }

    /// Where a page is.
    fn place(&self, pages: &mut Pages, page: u64) -> Option<usize> {
        if let Some((last, place)) = pages.last
            && last == page
        {
            return Some(place);
        }
        if !pages.known.contains_key(&page) {
            self.load(pages, page);
        }
        let place = (*pages.known.get(&page)?)?;
        pages.last = Some((page, place));
        Some(place)
    }
}

impl Memory for ProcessMemory {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Option<()> {
        let pages = &mut *self.pages.borrow_mut();
        let mut filled = 0;
        while filled < bytes.len() {
            let at = address.checked_add(filled as u64)?;
            let place = self.place(pages, at / PAGE)?;
            let known = pages.read.get(place)?.get((at % PAGE) as usize..)?;
            let length = known.len().min(bytes.len() - filled);
            bytes[filled..filled + length].copy_from_slice(&known[..length]);
            filled += length;
        }
        Some(())
    }
}

/// Memory that a test writes: words at addresses.
#[cfg(test)]
#[derive(Debug, Default)]
pub struct Written(std::collections::BTreeMap<u64, u8>);

#[cfg(test)]
impl Written {
    /// Writes bytes.
    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        self.0.extend((address..).zip(bytes.iter().copied()));
    }

    /// Writes words one behind the other.
    pub fn words(&mut self, address: u64, words: &[u64]) {
        for (at, word) in (address..).step_by(8).zip(words) {
            self.put(at, &word.to_le_bytes());
        }
    }
}

#[cfg(test)]
impl Memory for Written {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Option<()> {
        for (at, byte) in (address..).zip(bytes) {
            *byte = *self.0.get(&at)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_memory_across_pages_and_where_there_is_none() {
        let memory = ProcessMemory::open(std::process::id()).unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
        let mut read = vec![0; bytes.len()];
        assert_eq!(memory.read(bytes.as_ptr() as u64, &mut read), Some(()));
        assert_eq!(read, bytes);
        assert_eq!(memory.word(8), None);
        assert_eq!(memory.word(u64::MAX - 3), None);
    }
}
