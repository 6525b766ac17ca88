//! What Go's linker leaves in an executable, stripped or not.

use std::ops::Range;

use super::{elf::Elf, imports, pclntab::Table};
use crate::discover::{Syscall, SyscallSet};

/// Start of the build information (Go, src/debug/buildinfo/buildinfo.go).
const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
/// The build information is aligned to this.
const ALIGN: usize = 16;
/// Bytes of its header.
const HEADER: usize = 32;
/// As much of the writable segment as is searched when there are no section headers.
const SEARCH_BYTES: u64 = 1024 * 1024;
/// Longest module list that is read: a line for each dependency.
const TEXT_BYTES: u64 = 1024 * 1024;
/// Length of each of the two marks around the module list (`modinfo`, src/cmd/go/internal/modload/build.go).
const MARK: usize = 16;
/// The main package's path when it was built from a list of files.
const FROM_FILES: &str = "command-line-arguments";
/// As much of the table of function names as is looked at in one go.
const NAMES_BYTES: u64 = 256 * 1024;

/// How a Go executable was built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoBuild {
    /// Go's version, for example `1.24.4`.
    pub version: String,
    /// Path of the main package if it is known and within the main module, else of the main module.
    pub module: Option<String>,
}

/// How the executable was built, if it is Go's.
pub fn build(elf: &Elf<'_>) -> Option<GoBuild> {
    let start = start_of_build_info(elf)?;
    let header = elf.bytes(&start, HEADER as u64)?;
    let (flags, pointer_bytes) = (header[15], header[14]);
    // Since Go 1.18 the two texts follow the header; before, it has pointers to them.
    let (version, modules) = if flags & 2 != 0 {
        let texts = elf.bytes(&start, TEXT_BYTES)?.get(HEADER..)?;
        let (version, rest) = with_length(texts)?;
        (version, with_length(rest).map(|(modules, _)| modules))
    } else if pointer_bytes == 8 {
        let text = |at: Range<usize>| string_at(elf, u64_of(elf, header.get(at)?)?);
        (text(16..24)?, text(24..32))
    } else {
        return None;
    };
    let version = std::str::from_utf8(version).ok()?;
    Some(GoBuild {
        version: version.trim_start_matches("go").split(' ').next()?.to_owned(),
        module: modules.and_then(between_marks).and_then(module),
    })
}

/// The system calls for socket I/O that the program can use; `None` if its table of function names is not found.
///
/// Go calls the kernel itself, through small functions of the packages syscall, internal/poll and golang.org/x: those
/// that are not linked are not used. Names stay in a stripped executable, and those of inlined functions too, because
/// panics print them.
pub fn syscalls(elf: &Elf<'_>) -> Option<SyscallSet> {
    let mut names = Table::of_section(elf)?.names;
    // Every socket is read and written by these two, through internal/poll.
    let mut used: SyscallSet = [Syscall::Read, Syscall::Write].into_iter().collect();
    while names.start < names.end {
        let bytes = elf.bytes(&names, NAMES_BYTES)?;
        let end = if bytes.len() as u64 == names.end - names.start {
            bytes.len()
        } else {
            // What is cut off is read again at the start of the next piece.
            bytes.iter().rposition(|byte| *byte == 0)? + 1
        };
        let piece = bytes[..end]
            .split(|byte| *byte == 0)
            .filter_map(|name| std::str::from_utf8(name).ok());
        piece
            .filter_map(imports::of_go)
            .for_each(|syscall| used.insert(syscall));
        names.start += end as u64;
    }
    Some(used)
}

fn start_of_build_info(elf: &Elf<'_>) -> Option<Range<u64>> {
    let (range, search) = match elf.section(".go.buildinfo") {
        Some(range) => (range, HEADER as u64),
        None => (elf.writable()?, SEARCH_BYTES),
    };
    let bytes = elf.bytes(&range, search)?;
    let at = bytes.chunks(ALIGN).position(|chunk| chunk.starts_with(MAGIC))? * ALIGN;
    // The texts can end behind the section's own end, in the same segment.
    Some(range.start + at as u64..range.end.max(range.start + at as u64 + HEADER as u64))
}

/// A text after its length as a variable-length number, and what follows it.
fn with_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes.get(index + 1..)?.split_at_checked(length);
        }
    }
    None
}

/// The text of a Go string, which is a pointer and a length.
fn string_at<'a>(elf: &Elf<'a>, address: u64) -> Option<&'a [u8]> {
    let string = elf.bytes(&elf.at_address(address)?, 16)?;
    let (start, length) = (u64_of(elf, string.get(..8)?)?, u64_of(elf, string.get(8..)?)?);
    elf.bytes(&elf.at_address(start)?, length.min(TEXT_BYTES))
}

/// The module list, which stands between two marks of bytes that are no text.
fn between_marks(modules: &[u8]) -> Option<&str> {
    let inner = modules.get(MARK..modules.len().checked_sub(MARK)?)?;
    std::str::from_utf8(inner).ok()
}

fn u64_of(elf: &Elf<'_>, bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.try_into().ok()?;
    Some(match elf.endian() {
        object::Endianness::Little => u64::from_le_bytes(bytes),
        object::Endianness::Big => u64::from_be_bytes(bytes),
    })
}

/// The path from the lines `path PACKAGE` and `mod MODULE VERSION SUM`.
fn module(modules: &str) -> Option<String> {
    let line = |kind: &str| {
        modules
            .lines()
            .find_map(|line| line.strip_prefix(kind)?.strip_prefix('\t')?.split('\t').next())
    };
    let package = line("path").filter(|path| *path != FROM_FILES);
    let module = line("mod").filter(|path| *path != FROM_FILES);
    package.or(module).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_names_a_program_better_than_its_module() {
        let list = "path\tgithub.com/acme/shop/cmd/cart\nmod\tgithub.com/acme/shop\tv1.0.0\th1:x\nbuild\t-compiler=gc\n";
        assert_eq!(module(list).as_deref(), Some("github.com/acme/shop/cmd/cart"));
        let files = "path\tcommand-line-arguments\nmod\tshop\t(devel)\t\n";
        assert_eq!(module(files).as_deref(), Some("shop"));
        assert_eq!(module("path\tcommand-line-arguments\n"), None);
        assert_eq!(module(""), None);
    }

    /// An executable as Go 1.17 made them, reduced to one segment without section headers.
    fn executable_of_go_1_17() -> Vec<u8> {
        const BASE: u64 = 0x40_0000;
        const LENGTH: usize = 0x400;
        let mut file = vec![0; LENGTH];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &2_u16.to_le_bytes()); // executable
        put(18, &62_u16.to_le_bytes()); // x86-64
        put(20, &1_u32.to_le_bytes());
        put(32, &64_u64.to_le_bytes()); // program headers
        put(52, &64_u16.to_le_bytes());
        put(54, &56_u16.to_le_bytes());
        put(56, &1_u16.to_le_bytes());
        put(58, &64_u16.to_le_bytes());
        put(64, &1_u32.to_le_bytes()); // PT_LOAD
        put(68, &6_u32.to_le_bytes()); // readable, writable
        put(80, &BASE.to_le_bytes());
        put(96, &(LENGTH as u64).to_le_bytes());
        put(104, &(LENGTH as u64).to_le_bytes());
        let modules = [
            &[0xff; 16],
            &b"path\tshop\nmod\texample.com/shop\tv1\t\n"[..],
            &[0xff; 16],
        ]
        .concat();
        put(0x100, MAGIC);
        put(0x10e, &[8, 0]);
        for (at, address) in [(0x110, 0x140_u64), (0x118, 0x150), (0x140, 0x180), (0x150, 0x1a0)] {
            put(at, &(BASE + address).to_le_bytes());
        }
        put(0x148, &8_u64.to_le_bytes());
        put(0x158, &(modules.len() as u64).to_le_bytes());
        put(0x180, b"go1.17.5");
        put(0x1a0, &modules);
        file
    }

    #[test]
    fn before_1_18_the_texts_are_elsewhere() {
        let path = std::env::temp_dir().join(format!("sidelight-go117-{}", std::process::id()));
        std::fs::write(&path, executable_of_go_1_17()).unwrap();
        let data = object::ReadCache::new(std::fs::File::open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        let expected = GoBuild {
            version: "1.17.5".to_owned(),
            module: Some("shop".to_owned()),
        };
        assert_eq!(build(&Elf::parse(&data).unwrap()), Some(expected));
    }

    #[test]
    fn lengths_are_of_variable_length() {
        assert_eq!(with_length(b"\x03abcd"), Some((&b"abc"[..], &b"d"[..])));
        let mut long = vec![0x80, 0x01];
        long.extend([b'x'; 130]);
        assert_eq!(
            with_length(&long).map(|(text, rest)| (text.len(), rest.len())),
            Some((128, 2))
        );
        assert_eq!(with_length(b"\x05abc"), None);
        assert_eq!(with_length(b"\xff\xff\xff\xff\xff\xff"), None);
    }
}
