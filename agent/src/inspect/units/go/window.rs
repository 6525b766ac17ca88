//! WINDOW: a file read in pieces that are not kept, unlike those of [`object::ReadCache`]: a table of functions can
//! have a hundred megabytes.

use std::{fs::File, io, os::unix::fs::FileExt as _};

/// Bytes that are read at once.
pub const PIECE: usize = 256 * 1024;

/// A piece of a file, which moves to where it is asked.
#[derive(Debug)]
pub struct Window<'a> {
    file: &'a File,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    /// A window that shows nothing yet.
    pub fn new(file: &'a File) -> Self {
        Self {
            file,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// `length` bytes from an offset in the file; `None` if the file ends before or cannot be read.
    pub fn at(&mut self, offset: u64, length: usize) -> Option<&[u8]> {
        if self.within(offset, length).is_none() {
            self.move_to(offset, length.max(PIECE)).ok()?;
        }
        self.within(offset, length)
    }

    fn within(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(length)?)
    }

    fn move_to(&mut self, offset: u64, length: usize) -> io::Result<()> {
        self.start = offset;
        self.bytes.resize(length, 0);
        let mut filled = 0;
        while filled < length {
            match self
                .file
                .read_at(&mut self.bytes[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}
