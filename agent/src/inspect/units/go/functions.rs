//! FUNCTIONS: where a Go program has functions of given names, stripped or not.

use std::{fs::File, ops::Range};

use super::window::{PIECE, Window};
use crate::inspect::{
    elf::Elf,
    pclntab::{ALIGN, Addresses, HEADER, Table},
};

/// Offset of `text` in the runtime's `moduledata`: behind a pointer, six slices and three words (Go,
/// src/runtime/symtab.go, 1.26 and 1.27).
const TEXT_IN_MODULE: usize = 8 + 6 * 24 + 3 * 8;

/// Largest part of a table that tells of functions; the largest known programs have a tenth of it.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// The table of functions of a program.
pub struct Functions<'a> {
    file: &'a File,
    table: Table,
    text: u64,
}

/// A function that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, as an index in those that were asked for.
    pub name: usize,
    /// Its virtual addresses.
    pub addresses: Range<u64>,
}

impl<'a> Functions<'a> {
    /// Finds the table.
    pub fn of(elf: &Elf<'_>, file: &'a File) -> Option<Self> {
        let table = Table::of_section(elf).or_else(|| search(elf, file))?;
        let text = match table.addresses {
            Addresses::Absolute => 0,
            Addresses::From(text) => text,
            Addresses::FromModule => text_of_module(elf, &table)?,
        };
        Some(Self { file, table, text })
    }

    /// All functions of these names. A name can have several: assembly that is called by two conventions has a wrapper.
    pub fn named(&self, names: &[&str]) -> Option<Vec<Function>> {
        let offsets = self.offsets_of(names)?;
        let mut entries = Window::new(self.file);
        let mut details = Window::new(self.file);
        let mut found = Vec::new();
        let mut last = 0;
        for index in 0..self.table.count {
            let (addresses, detail) = self.entry(&mut entries, index)?;
            // The linker writes them in the order of addresses; a damaged table would have the file read at random.
            if detail < last {
                return None;
            }
            last = detail;
            let offset = self.name_offset(&mut details, detail)?;
            if let Some((_, name)) = offsets.iter().find(|(known, _)| *known == offset) {
                found.push(Function {
                    name: *name,
                    addresses,
                });
            }
        }
        Some(found)
    }

    /// Where those of the names that are in the table are in it.
    fn offsets_of(&self, names: &[&str]) -> Option<Vec<(u32, usize)>> {
        let mut window = Window::new(self.file);
        let mut found = Vec::new();
        let mut next = self.table.names.clone();
        while next.start < next.end {
            let length = PIECE.min(usize::try_from(next.end - next.start).ok()?);
            let bytes = window.at(next.start, length)?;
            // A name that is cut off is read again at the start of the next piece.
            let whole = bytes.iter().rposition(|byte| *byte == 0)? + 1;
            let mut offset = next.start - self.table.names.start;
            for name in bytes[..whole].split(|byte| *byte == 0) {
                if let Some(index) = names.iter().position(|known| known.as_bytes() == name) {
                    found.push((u32::try_from(offset).ok()?, index));
                }
                offset += name.len() as u64 + 1;
            }
            next.start += whole as u64;
        }
        Some(found)
    }

    /// From where to where a function is, and where the table has more on it.
    fn entry(&self, window: &mut Window<'_>, index: u64) -> Option<(Range<u64>, u64)> {
        let size = self.address_bytes();
        let offset = self.table.functions.start.checked_add(index * 2 * size as u64)?;
        let words = window.at(offset, 3 * size)?;
        let word = |index: usize| number(&words[index * size..][..size]);
        let addresses = self.text.checked_add(word(0))?..self.text.checked_add(word(2))?;
        let detail = Some(word(1)).filter(|detail| *detail < MAX_BYTES)?;
        Some((addresses, self.table.functions.start.checked_add(detail)?))
    }

    /// `nameOff` of the runtime's `_func`, behind the function's address (Go, src/runtime/runtime2.go).
    fn name_offset(&self, window: &mut Window<'_>, detail: u64) -> Option<u32> {
        let bytes = window.at(detail.checked_add(self.address_bytes() as u64)?, 4)?;
        Some(number(bytes) as u32)
    }

    fn address_bytes(&self) -> usize {
        match self.table.addresses {
            Addresses::Absolute => 8,
            Addresses::From(_) | Addresses::FromModule => 4,
        }
    }
}

/// A number of at most 8 bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Since Go 1.26 the table does not say where the code begins; the linker's record of the program does, and its first
/// word is the address of the table.
fn text_of_module(elf: &Elf<'_>, table: &Table) -> Option<u64> {
    let module = elf.bytes(&elf.section(".go.module")?, TEXT_IN_MODULE as u64 + 8)?;
    let table_address = number(module.get(..8)?);
    let is_of_table = elf.at_address(table_address)?.start == table.start;
    let text = module.get(TEXT_IN_MODULE..TEXT_IN_MODULE + 8)?;
    is_of_table.then(|| number(text))
}

/// The table where it has no section of its own: in libraries, and where the C linker puts it into another.
fn search(elf: &Elf<'_>, file: &File) -> Option<Table> {
    let mut window = Window::new(file);
    elf.loaded()
        .into_iter()
        .find_map(|range| search_in(&mut window, &range))
}

fn search_in(window: &mut Window<'_>, range: &Range<u64>) -> Option<Table> {
    let mut start = range.start.next_multiple_of(ALIGN as u64);
    while start < range.end {
        let length = PIECE.min(usize::try_from(range.end - start).ok()?);
        let bytes = window.at(start, length)?;
        // Every table has this in bytes 1 to 5, and few other words do.
        let looks_like = |word: &[u8]| word.get(1..6) == Some(&[0xff, 0xff, 0xff, 0, 0]);
        let candidates = (0..length).step_by(ALIGN).filter(|at| looks_like(&bytes[*at..]));
        let candidates: Vec<u64> = candidates.map(|at| start + at as u64).collect();
        let table = candidates.into_iter().find_map(|candidate| {
            let header = window.at(candidate, HEADER as usize)?;
            Table::parse(header, &(candidate..range.end))
        });
        if table.is_some() {
            return table;
        }
        start += length as u64;
    }
    None
}
