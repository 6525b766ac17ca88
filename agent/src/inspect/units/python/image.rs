//! An ELF file as the loader leaves it: with the addresses in its tables.

use std::{collections::HashMap, fs::File, path::Path};

use object::ReadCache;

use crate::inspect::elf::{Elf, Load, Machine};

/// Largest part of a file that is looked at; `CPython` with all its modules inside has a quarter of it.
const PART_BYTES: u64 = 128 * 1024 * 1024;
/// Longest documentation of a method that is looked at.
const TEXT_BYTES: usize = 256;
/// `ml_flags` of a method that takes an array of arguments (`METH_FASTCALL`, Include/methodobject.h).
pub const METH_FASTCALL: u32 = 0x80;
/// `ml_flags` of a method that takes one argument (`METH_O`).
pub const METH_O: u32 = 0x8;

/// A file as the loader leaves it. Addresses are those of the file; a process has it at a distance from them.
#[derive(Debug)]
pub struct Image {
    /// Its architecture.
    pub machine: Machine,
    /// Whether it is loaded at its own addresses.
    pub is_fixed: bool,
    /// Bytes of its thread-local storage.
    pub thread_local: Option<u64>,
    /// Where the loader stores the file's number among those with thread-local storage.
    pub module_numbers: Vec<u64>,
    symbols: HashMap<String, u64>,
    parts: Vec<(Load, Vec<u8>)>,
    /// Sorted by the address at which they are.
    pointers: Vec<(u64, u64)>,
}

/// A function that Python code can call: one `PyMethodDef` (Include/methodobject.h, the same since 3.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its address.
    pub function: u64,
    /// How it is called: `METH_FASTCALL` and others.
    pub flags: u32,
}

impl Image {
    /// Reads a file; `None` if it is no ELF file of a known architecture.
    pub fn open(path: &Path) -> Option<Self> {
        let data = ReadCache::new(File::open(path).ok()?);
        let elf = Elf::parse(&data)?;
        let parts = elf.loads().into_iter().filter_map(|load| {
            let range = load.offset..load.offset.checked_add(load.size.min(PART_BYTES))?;
            Some((load, elf.bytes(&range, PART_BYTES)?.to_vec()))
        });
        let defined =
            |symbol: crate::inspect::elf::Symbol<'_>| Some((symbol.name.to_owned(), symbol.address?));
        let mut image = Self {
            machine: elf.machine()?,
            is_fixed: elf.is_fixed(),
            thread_local: elf.thread_local(),
            module_numbers: elf.module_numbers(),
            symbols: elf
                .dynamic_symbols()
                .unwrap_or_default()
                .into_iter()
                .filter_map(defined)
                .collect(),
            parts: parts.collect(),
            pointers: Vec::new(),
        };
        image.pointers = if image.is_fixed {
            image.words_in_place()
        } else {
            image.relocated(&elf.relative())
        };
        image.pointers.sort_unstable();
        Some(image)
    }

    #[cfg(test)]
    pub fn of_code(address: u64, code: &[u8]) -> Self {
        let load = Load {
            address,
            offset: 0,
            size: code.len() as u64,
            is_code: true,
        };
        Self {
            machine: Machine::X86_64,
            is_fixed: true,
            thread_local: None,
            module_numbers: Vec::new(),
            symbols: HashMap::new(),
            parts: vec![(load, code.to_vec())],
            pointers: Vec::new(),
        }
    }

    /// A program that is loaded at its own addresses has its pointers in place: all words that could be one.
    fn words_in_place(&self) -> Vec<(u64, u64)> {
        let of_part = |(load, bytes): &(Load, Vec<u8>)| {
            let start = load.address.next_multiple_of(8);
            let skipped = usize::try_from(start - load.address).unwrap_or(usize::MAX);
            let words = bytes.get(skipped..).unwrap_or_default().as_chunks::<8>().0;
            words
                .iter()
                .zip((start..).step_by(8))
                .map(|(word, at)| (at, u64::from_le_bytes(*word)))
                .filter(|(_, target)| self.bytes(*target).is_some())
                .collect::<Vec<_>>()
        };
        let data = self.parts.iter().filter(|(load, _)| !load.is_code);
        data.flat_map(of_part).collect()
    }

    fn relocated(&self, entries: &[(u64, Option<u64>)]) -> Vec<(u64, u64)> {
        entries
            .iter()
            .filter_map(|&(at, target)| Some((at, target.or_else(|| self.word(at))?)))
            .collect()
    }

    /// Address of a dynamic symbol that is defined here.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).copied()
    }

    /// The address that is at an address once the file is loaded.
    pub fn pointer(&self, at: u64) -> Option<u64> {
        let index = self
            .pointers
            .binary_search_by_key(&at, |pointer| pointer.0)
            .ok()?;
        Some(self.pointers.get(index)?.1)
    }

    /// The bytes from an address to the end of its part of the file.
    pub fn bytes(&self, address: u64) -> Option<&[u8]> {
        self.parts.iter().find_map(|(load, bytes)| {
            let within = usize::try_from(address.checked_sub(load.address)?).ok()?;
            bytes.get(within..).filter(|rest| !rest.is_empty())
        })
    }

    /// The code from an address on.
    pub fn code(&self, address: u64) -> Option<&[u8]> {
        self.part(address)?.is_code.then(|| self.bytes(address))?
    }

    /// Eight bytes as they are in the file.
    pub fn word(&self, address: u64) -> Option<u64> {
        let word = self.bytes(address)?.first_chunk()?;
        Some(u64::from_le_bytes(*word))
    }

    /// Four bytes as they are in the file.
    pub fn half_word(&self, address: u64) -> Option<u32> {
        let word = self.bytes(address)?.first_chunk()?;
        Some(u32::from_le_bytes(*word))
    }

    /// Offset in the file of an address.
    pub fn offset(&self, address: u64) -> Option<u64> {
        let load = self.part(address)?;
        (address - load.address).checked_add(load.offset)
    }

    /// Address of an offset in the file that is code.
    pub fn address_of_code(&self, offset: u64) -> Option<u64> {
        // The loader maps whole pages: the mapping may begin before the code.
        let (load, _) = self
            .parts
            .iter()
            .find(|(load, _)| load.is_code && offset < load.offset + load.size)?;
        offset.wrapping_sub(load.offset).wrapping_add(load.address).into()
    }

    fn part(&self, address: u64) -> Option<&Load> {
        let within = |load: &Load| address.checked_sub(load.address).is_some_and(|at| at < load.size);
        self.parts.iter().map(|(load, _)| load).find(|load| within(load))
    }

    /// The text at an address, without the zero that ends it.
    fn text(&self, address: u64) -> Option<&[u8]> {
        let bytes = self.bytes(address)?;
        let bytes = bytes.get(..TEXT_BYTES.min(bytes.len()))?;
        bytes.split(|byte| *byte == 0).next()
    }

    /// The only method of a name whose documentation contains `documented`; in a build without documentation, the only
    /// one of that name.
    pub fn method(&self, name: &str, documented: &str) -> Option<Method> {
        let all = self.methods(name);
        let right = all.iter().filter(|(_, text)| text.contains(documented));
        let plain = all.iter().filter(|(_, text)| text.is_empty());
        only(right).or_else(|| only(plain))
    }

    /// The methods of a name, and their documentation.
    fn methods(&self, name: &str) -> Vec<(Method, String)> {
        let is_name = |bytes: &[u8]| bytes.starts_with(name.as_bytes()) && bytes.get(name.len()) == Some(&0);
        let named = self
            .pointers
            .iter()
            .filter(|(_, target)| self.bytes(*target).is_some_and(is_name));
        named
            .filter_map(|&(at, _)| {
                let method = Method {
                    function: self.pointer(at + 8)?,
                    flags: self.half_word(at + 16)?,
                };
                let text = self.pointer(at + 24).and_then(|text| self.text(text));
                let text = String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
                self.code(method.function).map(|_| (method, text))
            })
            .collect()
    }
}

fn only<'m>(mut methods: impl Iterator<Item = &'m (Method, String)>) -> Option<Method> {
    let (first, _) = methods.next()?;
    methods.all(|(other, _)| other == first).then_some(*first)
}
