//! A live process: its files and its memory.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::image::Image;
use crate::inspect::mapped::{self, Mapped};

/// A live process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    /// What it has mapped as code.
    pub files: Vec<Mapped>,
    memory: Option<File>,
}

/// A file that the process has loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The file.
    pub image: Image,
    /// Where it can be opened from here.
    pub path: PathBuf,
    /// Where the process sees it.
    pub shown: PathBuf,
    distance: u64,
}

impl Process {
    /// Looks at a process.
    pub fn new(pid: u32) -> Self {
        Self {
            pid,
            files: mapped::files(pid),
            memory: File::open(format!("/proc/{pid}/mem")).ok(),
        }
    }

    /// Eight bytes of its memory.
    pub fn word(&self, address: u64) -> Option<u64> {
        let mut word = [0; 8];
        self.memory.as_ref()?.read_exact_at(&mut word, address).ok()?;
        Some(u64::from_le_bytes(word))
    }

    /// Two `int`s of its memory.
    pub fn half_words(&self, address: u64) -> Option<(u32, u32)> {
        let word = self.word(address)?;
        Some((word as u32, (word >> 32) as u32))
    }

    /// The first mapped file whose name is right.
    pub fn file(&self, is_right: impl Fn(&str) -> bool) -> Option<&Mapped> {
        self.files.iter().find(|file| file.name().is_some_and(&is_right))
    }

    /// Its executable.
    pub fn executable(&self) -> Option<&Mapped> {
        let shown = self.executable_path()?;
        self.files.iter().find(|file| file.shown == shown)
    }

    /// Where it sees its executable.
    pub fn executable_path(&self) -> Option<PathBuf> {
        mapped::executable(self.pid)
    }

    /// Where a path of the process's can be opened from here.
    pub fn path(&self, shown: &Path) -> PathBuf {
        let relative = shown.strip_prefix("/").unwrap_or(shown);
        Path::new(&format!("/proc/{}/root", self.pid)).join(relative)
    }

    /// The first words of its command line that are absolute paths: the interpreter, and a script of an environment.
    pub fn command_paths(&self) -> Vec<PathBuf> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let words = line.split(|byte| *byte == 0).take(2);
        words
            .map(|word| PathBuf::from(&*String::from_utf8_lossy(word)))
            .filter(|path| path.is_absolute())
            .collect()
    }

    /// A variable of the environment that it was started with.
    pub fn variable(&self, name: &str) -> Option<PathBuf> {
        let all = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let value = all
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        Some(PathBuf::from(&*String::from_utf8_lossy(value)))
    }
}

impl Loaded {
    /// Reads a mapped file, and where the process has it.
    pub fn open(file: &Mapped) -> Option<Self> {
        let image = Image::open(&file.path)?;
        let distance = if image.is_fixed {
            0
        } else {
            file.address.wrapping_sub(image.address_of_code(file.offset)?)
        };
        Some(Self {
            image,
            path: file.path.clone(),
            shown: file.shown.clone(),
            distance,
        })
    }

    /// Where an address of the file is in the process.
    pub fn live(&self, address: u64) -> u64 {
        address.wrapping_add(self.distance)
    }

    /// Where a dynamic symbol of the file is in the process.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        Some(self.live(self.image.symbol(name)?))
    }
}
