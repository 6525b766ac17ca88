//! Columns on stdout.

use std::io::{self, Write};

use anyhow::Context as _;
use serde::Serialize;

/// Rows of `N` columns, each as wide as its widest cell.
#[derive(Debug)]
pub struct Table<const N: usize>(Vec<[String; N]>);

impl<const N: usize> Table<N> {
    /// A table with its heading.
    pub fn new(heading: [&str; N]) -> Self {
        Self(vec![heading.map(str::to_owned)])
    }

    /// Adds a row.
    pub fn push(&mut self, row: [String; N]) {
        self.0.push(row);
    }

    /// Writes all rows.
    ///
    /// # Errors
    ///
    /// Fails when `out` does.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = |column: usize| {
            self.0
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        for row in &self.0 {
            let padded = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            let line = padded.collect::<Vec<_>>().join("  ");
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Writes to stdout; a reader that has seen enough (`| head`) is no error.
///
/// # Errors
///
/// Fails when stdout cannot be written to.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("stdout cannot be written to")
        }
        _ => Ok(()),
    }
}

/// Writes a value as JSON, for people too.
///
/// # Errors
///
/// Fails when `out` does.
pub fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
