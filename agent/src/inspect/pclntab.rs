//! PCLNTAB: Go's table of functions, which stays in stripped executables because panics print it.

use std::ops::Range;

use super::elf::Elf;

/// The start of the table until Go 1.17, for 1.18 and 1.19, and since 1.20 (Go, src/internal/abi/symtab.go).
const MAGICS: [u32; 3] = [0xffff_fffa, 0xffff_fff0, 0xffff_fff1];
/// Where the table is, if it has its own section: the second name is of position-independent programs until Go 1.25.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// Bytes of the longest header.
pub const HEADER: u64 = 8 + 8 * 8;
/// The table is aligned at least to this.
pub const ALIGN: usize = 8;
/// More functions than any program has.
const MAX_FUNCTIONS: u64 = 1 << 24;

/// Where the parts of a table are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where it starts in the file.
    pub start: u64,
    /// The functions' names in the file, each with a zero byte behind it.
    pub names: Range<u64>,
    /// The functions in the file: [`Self::count`] pairs of address and offset from here, an address that ends the last,
    /// and what is at those offsets.
    pub functions: Range<u64>,
    /// Number of functions.
    pub count: u64,
    /// What addresses are relative to.
    pub addresses: Addresses,
}

/// How a table tells addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// As they are, in words of 8 bytes: until Go 1.17.
    Absolute,
    /// From here, in words of 4 bytes: until Go 1.25.
    From(u64),
    /// From `text` in the runtime's `moduledata`, in words of 4 bytes.
    FromModule,
}

impl Table {
    /// The table of the section for it.
    pub fn of_section(elf: &Elf<'_>) -> Option<Self> {
        let section = SECTIONS.iter().find_map(|name| elf.section(name))?;
        Self::parse(elf.bytes(&section, HEADER)?, &section)
    }

    /// The table that begins with `header` and is somewhere in `range`, from its start on. Its header (Go,
    /// src/runtime/symtab.go, `pcHeader`): magic, two zero bytes, the size of an instruction and of a pointer, then
    /// words: functions, files, since 1.18 the start of the code, offsets of the function names, of the compilation
    /// units, of the files, of the tables by address, and of the functions. Since 1.26 the third word is not used.
    pub fn parse(header: &[u8], range: &Range<u64>) -> Option<Self> {
        let word = |index: usize| {
            let bytes = header.get(8 + 8 * index..16 + 8 * index)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let (magic, sizes) = header.get(..8)?.split_at(4);
        let magic = u32::from_le_bytes(magic.try_into().ok()?);
        if !MAGICS.contains(&magic) || !matches!(sizes, [0, 0, 1 | 4, 8]) {
            return None;
        }
        let (addresses, first) = match (magic == MAGICS[0], word(2)?) {
            (true, _) => (Addresses::Absolute, 2),
            (false, 0) => (Addresses::FromModule, 3),
            (false, text) => (Addresses::From(text), 3),
        };
        let at = |index: usize| range.start.checked_add(word(first + index)?);
        let (names, functions) = (at(0)?..at(1)?, at(4)?..range.end);
        let in_order =
            names.start <= names.end && names.end <= functions.start && functions.start <= functions.end;
        let count = word(0)?;
        (in_order && (1..=MAX_FUNCTIONS).contains(&count)).then_some(Self {
            start: range.start,
            names,
            functions,
            count,
            addresses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(magic: u32, words: &[u64]) -> Vec<u8> {
        let mut header = magic.to_le_bytes().to_vec();
        header.extend([0, 0, 1, 8]);
        header.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        header.resize(HEADER as usize, 0);
        header
    }

    #[test]
    fn headers_of_all_versions() {
        let go_1_17 = header(MAGICS[0], &[9, 2, 0x40, 0x80, 0xc0, 0x100, 0x140]);
        let table = Table::parse(&go_1_17, &(1000..2000)).unwrap();
        assert_eq!((table.names, table.functions), (1064..1128, 1320..2000));
        assert_eq!((table.count, table.addresses), (9, Addresses::Absolute));
        for (text, addresses) in [
            (0x40_1000, Addresses::From(0x40_1000)),
            (0, Addresses::FromModule),
        ] {
            let newer = header(MAGICS[2], &[9, 2, text, 0x48, 0x80, 0xc0, 0x100, 0x140]);
            let table = Table::parse(&newer, &(1000..2000)).unwrap();
            assert_eq!((table.names, table.functions), (1072..1128, 1320..2000));
            assert_eq!(table.addresses, addresses);
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        let good = header(MAGICS[1], &[9, 2, 1, 0x48, 0x80, 0xc0, 0x100, 0x140]);
        assert!(Table::parse(&good, &(0..0x1000)).is_some());
        assert_eq!(Table::parse(&good, &(0..0x13f)), None);
        assert_eq!(Table::parse(&good[..70], &(0..0x1000)), None);
        for (at, value) in [
            (0, 0),
            (4, 1),
            (6, 3),
            (7, 4),
            (8, 0),
            (15, 1),
            (39, 0xff),
            (71, 0xff),
        ] {
            let mut damaged = good.clone();
            damaged[at] = value;
            assert_eq!(Table::parse(&damaged, &(0..0x1000)), None, "{at}");
        }
    }
}
