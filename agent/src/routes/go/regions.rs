//! REGIONS: what a process has in its memory, page by page, without touching what it never used.

use std::{fs::File, os::unix::fs::FileExt as _};

use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};

use crate::routes::memory::ProcessMemory;

const PAGE: u64 = 4096;
/// What is read at once.
const PIECE: u64 = 64 * PAGE;
/// `PM_PRESENT` and `PM_SWAP` of /proc/PID/pagemap (Linux, `fs/proc/task_mmu.c`).
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// Most bytes that are searched.
pub const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// Most address space that is looked at for pages.
const MAX_SPACE: u64 = 64 * 1024 * 1024 * 1024;

/// A part of a process's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    start: u64,
    end: u64,
}

/// The data of a process's executable as it was built, and all that it can write to.
#[derive(Debug, Default)]
pub struct Regions {
    /// Parts of the executable that are no code.
    pub data: Vec<Region>,
    /// What is written to: variables and heap.
    pub written: Vec<Region>,
}

impl Regions {
    /// Those of a process.
    pub fn of(pid: u32) -> Option<Self> {
        let process = Process::new(pid as i32).ok()?;
        let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(format!("/proc/{pid}/exe")).ok()?);
        let mut regions = Self::default();
        for map in process.maps().ok()? {
            let of_executable = map.inode == inode && matches!(map.pathname, MMapPath::Path(_));
            let is_anonymous = matches!(
                map.pathname,
                MMapPath::Anonymous | MMapPath::Heap | MMapPath::Other(_)
            );
            let region = Region {
                start: map.address.0,
                end: map.address.1,
            };
            let may = |permission| map.perms.contains(permission);
            if of_executable && may(MMPermissions::READ) && !may(MMPermissions::EXECUTE) {
                regions.data.push(region);
            }
            if (of_executable || is_anonymous) && is_written(&map) {
                regions.written.push(region);
            }
        }
        Some(regions)
    }
}

fn is_written(map: &MemoryMap) -> bool {
    map.perms.contains(MMPermissions::READ | MMPermissions::WRITE)
        && map.perms.contains(MMPermissions::PRIVATE)
}

/// Hands over all words of the regions, piece by piece with the address of the first, and one more word behind each piece
/// where there is one. Pages that the process does not use are left out.
pub fn search(pid: u32, memory: &ProcessMemory, regions: &[Region], mut look: impl FnMut(u64, &[u64])) {
    let pagemap = File::open(format!("/proc/{pid}/pagemap")).ok();
    let (mut space, mut left) = (MAX_SPACE, MAX_BYTES);
    let mut bytes = vec![0; PIECE as usize + 8];
    for region in regions {
        let mut start = region.start;
        while start < region.end && left > 0 && space > 0 {
            let end = region.end.min(start + PIECE);
            space = space.saturating_sub(end - start);
            for (start, end) in used(pagemap.as_ref(), start, end) {
                let wanted = (end - start + 8).min(region.end - start) as usize;
                let read = memory.read_once(start, &mut bytes[..wanted]);
                left = left.saturating_sub(read as u64);
                let words = bytes[..read].as_chunks::<8>().0;
                let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
                look(start, &words);
            }
            start = end;
        }
    }
}

/// The runs of pages that are used between two addresses.
fn used(pagemap: Option<&File>, start: u64, end: u64) -> Vec<(u64, u64)> {
    let mut entries = vec![0; ((end - start) / PAGE * 8) as usize];
    let known = pagemap.is_some_and(|file| file.read_exact_at(&mut entries, start / PAGE * 8).is_ok());
    if !known {
        return vec![(start, end)];
    }
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (at, entry) in (start..end)
        .step_by(PAGE as usize)
        .zip(entries.as_chunks::<8>().0)
    {
        if u64::from_le_bytes(*entry) & (PRESENT | SWAPPED) == 0 {
            continue;
        }
        match runs.last_mut() {
            Some((_, last)) if *last == at => *last = at + PAGE,
            _ => runs.push((at, at + PAGE)),
        }
    }
    runs
}
