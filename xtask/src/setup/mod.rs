//! What the demo and the tests stand on: looked for on the machine, else installed below `target/tools`.

pub(crate) mod apt;
pub(crate) mod backends;
pub(crate) mod bpf_linker;
pub(crate) mod collector;
pub(crate) mod cross;
pub(crate) mod go;
pub(crate) mod k6;
pub(crate) mod mounts;
pub(crate) mod packages;
pub(crate) mod postgres;
pub(crate) mod private_apt;
pub(crate) mod python;
pub(crate) mod rust_src;
pub(crate) mod validators;
pub(crate) mod versions;
pub(crate) mod witnesses;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// An installation below `target/tools` that knows what it was made from.
pub(crate) struct Stamp<'a> {
    folder: &'a Path,
    wanted: String,
}

impl<'a> Stamp<'a> {
    const FILE: &'static str = ".made-from";

    pub(crate) fn new(folder: &'a Path, ingredients: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for ingredient in ingredients {
            hash.update((ingredient.len() as u64).to_le_bytes());
            hash.update(ingredient);
        }
        Self {
            folder,
            wanted: format!("{:x}", hash.finalize()),
        }
    }

    pub(crate) fn is_current(&self) -> bool {
        fs::read_to_string(self.folder.join(Self::FILE)).is_ok_and(|found| found == self.wanted)
    }

    /// Removes what an older or interrupted installation left.
    pub(crate) fn clear(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(self.folder).with_context(|| format!("removing {}", self.folder.display()))?;
        }
        fs::create_dir_all(self.folder).with_context(|| format!("creating {}", self.folder.display()))
    }

    /// Written last: its presence says that the installation is whole.
    pub(crate) fn write(&self) -> Result<()> {
        let file = self.folder.join(Self::FILE);
        fs::write(&file, &self.wanted).with_context(|| format!("writing {}", file.display()))
    }
}
