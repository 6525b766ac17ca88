//! An ELF file of 64 bits, read in pieces: executables can have hundreds of megabytes.

use std::{fs::File, ops::Range};

use object::{
    Endianness, ReadCache, ReadRef as _, StringTable,
    elf::{
        DT_NEEDED, Dyn64, EM_AARCH64, EM_X86_64, ET_EXEC, FileHeader64, PF_X, PT_INTERP, PT_LOAD, PT_TLS,
        ProgramHeader64, R_AARCH64_RELATIVE, R_AARCH64_TLS_DTPMOD, R_X86_64_DTPMOD64, R_X86_64_RELATIVE,
        Rela64, SHF_ALLOC, SHT_DYNSYM, Sym64,
    },
    read::elf::{
        Dyn as _, FileHeader as _, ProgramHeader as _, Rela as _, SectionHeader as _, SectionTable, Sym as _,
    },
};

/// Largest table that is read as a whole; the largest known (of browsers and of Node.js) have a tenth of it.
const TABLE_BYTES: u64 = 64 * 1024 * 1024;

/// Size of a page on x86-64; where pages are larger, segments are aligned to those.
const PAGE: u64 = 4096;

type Data<'a> = &'a ReadCache<File>;

/// An ELF file of 64 bits.
pub struct Elf<'a> {
    endian: Endianness,
    machine: u16,
    is_fixed: bool,
    segments: &'a [ProgramHeader64<Endianness>],
    sections: SectionTable<'a, FileHeader64<Endianness>, Data<'a>>,
    data: Data<'a>,
}

/// A part of the file that is loaded, zeroed memory behind it not counted.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Its virtual address.
    pub address: u64,
    /// Its offset in the file.
    pub offset: u64,
    /// Its bytes in the file.
    pub size: u64,
    /// Whether it is code.
    pub is_code: bool,
}

/// A processor architecture that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    X86_64,
    /// arm64.
    Arm64,
}

/// A dynamic symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its virtual address; `None`: it is defined elsewhere.
    pub address: Option<u64>,
}

impl<'a> Elf<'a> {
    /// Reads the headers; `None` if it is no ELF file of 64 bits.
    pub fn parse(data: Data<'a>) -> Option<Self> {
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        Some(Self {
            endian,
            machine: header.e_machine(endian),
            is_fixed: header.e_type(endian) == ET_EXEC,
            segments: header.program_headers(endian, data).ok()?,
            sections: header.sections(endian, data).ok()?,
            data,
        })
    }

    /// Whether a loader completes it: a program with an interpreter, or a library.
    pub fn is_dynamic(&self) -> bool {
        let has_interpreter = self
            .segments
            .iter()
            .any(|segment| segment.p_type(self.endian) == PT_INTERP);
        // A static-PIE program has a dynamic section too, but needs no other file.
        has_interpreter
            || !self.needed().is_empty()
            || self.dynamic_symbols().is_some_and(|symbols| symbols.len() > 1)
    }

    /// The libraries that it is linked to.
    pub fn needed(&self) -> Vec<String> {
        self.try_needed().unwrap_or_default()
    }

    fn try_needed(&self) -> Option<Vec<String>> {
        let (entries, link): (&[Dyn64<Endianness>], _) =
            self.sections.dynamic(self.endian, self.data).ok()??;
        let strings = self.sections.strings(self.endian, self.data, link).ok()?;
        let libraries = entries
            .iter()
            .filter(|entry| entry.tag32(self.endian) == Some(DT_NEEDED));
        Some(
            libraries
                .filter_map(|entry| strings.get(u32::try_from(entry.d_val(self.endian)).ok()?).ok())
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect(),
        )
    }

    /// All dynamic symbols, if it has such a table.
    pub fn dynamic_symbols(&self) -> Option<Vec<Symbol<'a>>> {
        let endian = self.endian;
        let table = self
            .sections
            .iter()
            .find(|section| section.sh_type(endian) == SHT_DYNSYM)?;
        let names = self.sections.section(table.link(endian)).ok()?;
        if table.sh_size(endian) > TABLE_BYTES || names.sh_size(endian) > TABLE_BYTES {
            return None;
        }
        let symbols: &[Sym64<Endianness>] = table.data_as_array(endian, self.data).ok()?;
        let names = names.data(endian, self.data).ok()?;
        // Over the bytes in memory: over the file, each name would be a read of its own.
        let names = StringTable::new(names, 0, names.len() as u64);
        let resolve = |symbol: &Sym64<Endianness>| {
            Some(Symbol {
                name: std::str::from_utf8(symbol.name(endian, names).ok()?).ok()?,
                address: (!symbol.is_undefined(endian)).then(|| symbol.st_value(endian)),
            })
        };
        Some(symbols.iter().filter_map(resolve).collect())
    }

    /// Where a section is in the file.
    pub fn section(&self, name: &str) -> Option<Range<u64>> {
        let (_, section) = self.sections.section_by_name(self.endian, name.as_bytes())?;
        let (offset, size) = section.file_range(self.endian)?;
        Some(offset..offset.checked_add(size)?)
    }

    /// Where the first writable part of the program is in the file.
    pub fn writable(&self) -> Option<Range<u64>> {
        let is_writable = |segment: &&ProgramHeader64<Endianness>| {
            segment.p_type(self.endian) == PT_LOAD && segment.p_flags(self.endian) & object::elf::PF_W != 0
        };
        let (offset, size) = self.segments.iter().find(is_writable)?.file_range(self.endian);
        Some(offset..offset.checked_add(size)?)
    }

    /// Where the parts of the program that come from the file are in it.
    pub fn loaded(&self) -> Vec<Range<u64>> {
        self.segments
            .iter()
            .filter(|segment| segment.p_type(self.endian) == PT_LOAD)
            .filter_map(|segment| {
                let (offset, size) = segment.file_range(self.endian);
                Some(offset..offset.checked_add(size)?)
            })
            .collect()
    }

    /// What is to be added to its virtual addresses in a process that has the code at an offset in the file mapped at
    /// an address.
    pub fn bias(&self, mapped_at: u64, offset: u64) -> Option<u64> {
        let code = self.segments.iter().find(|segment| {
            let (start, size) = segment.file_range(self.endian);
            // A mapping begins at the start of a page.
            let start = start & !(PAGE - 1);
            segment.p_type(self.endian) == PT_LOAD
                && segment.p_flags(self.endian) & PF_X != 0
                && (start..start.saturating_add(size).saturating_add(PAGE)).contains(&offset)
        })?;
        let address = code
            .p_vaddr(self.endian)
            .wrapping_add(offset)
            .wrapping_sub(code.p_offset(self.endian));
        Some(mapped_at.wrapping_sub(address))
    }

    /// Where the bytes from a virtual address to the end of its segment are in the file.
    pub fn at_address(&self, address: u64) -> Option<Range<u64>> {
        self.segments
            .iter()
            .filter(|segment| segment.p_type(self.endian) == PT_LOAD)
            .find_map(|segment| {
                let (offset, size) = segment.file_range(self.endian);
                let within = address
                    .checked_sub(segment.p_vaddr(self.endian))
                    .filter(|within| *within < size)?;
                Some(offset.checked_add(within)?..offset.checked_add(size)?)
            })
    }

    /// The first bytes of a range of the file, at most `length`.
    pub fn bytes(&self, range: &Range<u64>, length: u64) -> Option<&'a [u8]> {
        let length = length.min(range.end.checked_sub(range.start)?);
        self.data.read_bytes_at(range.start, length).ok()
    }

    /// The byte order of its numbers.
    pub fn endian(&self) -> Endianness {
        self.endian
    }

    /// The architecture that it is for.
    pub fn machine(&self) -> Option<Machine> {
        match self.machine {
            EM_X86_64 => Some(Machine::X86_64),
            EM_AARCH64 => Some(Machine::Arm64),
            _ => None,
        }
    }

    /// Whether it is loaded at its own addresses.
    pub fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// The parts that are loaded.
    pub fn loads(&self) -> Vec<Load> {
        let endian = self.endian;
        self.segments
            .iter()
            .filter(|segment| segment.p_type(endian) == PT_LOAD)
            .map(|segment| Load {
                address: segment.p_vaddr(endian),
                offset: segment.p_offset(endian),
                size: segment.p_filesz(endian),
                is_code: segment.p_flags(endian) & PF_X != 0,
            })
            .collect()
    }

    /// Bytes of its thread-local storage.
    pub fn thread_local(&self) -> Option<u64> {
        let endian = self.endian;
        self.segments
            .iter()
            .find(|segment| segment.p_type(endian) == PT_TLS)
            .map(|segment| segment.p_memsz(endian))
    }

    /// Where the loader stores addresses in the file itself, and which; `None`: the one that is there already.
    pub fn relative(&self) -> Vec<(u64, Option<u64>)> {
        let endian = self.endian;
        let kind = match self.machine {
            EM_AARCH64 => R_AARCH64_RELATIVE,
            _ => R_X86_64_RELATIVE,
        };
        let with_addend = self.relocations(kind).map(|(at, addend)| (at, Some(addend)));
        let packed = self
            .sections
            .iter()
            .filter(|section| section.sh_size(endian) <= TABLE_BYTES)
            .filter_map(|section| section.relr(endian, self.data).ok()?)
            .flatten()
            .map(|at| (at, None));
        with_addend.chain(packed).collect()
    }

    /// Where the loader stores the file's number among those with thread-local storage.
    pub fn module_numbers(&self) -> Vec<u64> {
        let kind = match self.machine {
            EM_AARCH64 => R_AARCH64_TLS_DTPMOD,
            _ => R_X86_64_DTPMOD64,
        };
        self.relocations(kind).map(|(at, _)| at).collect()
    }

    fn relocations(&self, kind: u32) -> impl Iterator<Item = (u64, u64)> {
        let endian = self.endian;
        self.sections
            .iter()
            .filter(move |section| {
                section.sh_flags(endian) & u64::from(SHF_ALLOC) != 0 && section.sh_size(endian) <= TABLE_BYTES
            })
            .filter_map(move |section| Some(section.rela(endian, self.data).ok()??.0))
            .flatten()
            .filter(move |entry: &&Rela64<Endianness>| entry.r_type(endian, false) == kind)
            .map(move |entry| (entry.r_offset(endian), entry.r_addend(endian) as u64))
    }
}
