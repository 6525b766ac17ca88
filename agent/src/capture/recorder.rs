//! Recordings: all that the ring buffer gave, in a file, for bug reports and tests.
//!
//! A recording is a header ([`MAGIC`], then the sizes of the events' fixed parts, by which one of another version is
//! told) and the records, each after its length; all numbers are 32 bits, little-endian.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use agent_common::{CloseEvent, DataEvent, OpenEvent, ProcessEvent};

/// What a recording begins with; the last two characters are the version of its form.
pub const MAGIC: &[u8; 16] = b"sidelight rec 01";
/// The sizes that records must have been written with.
pub const SIZES: [u32; 4] = [
    size_of::<OpenEvent>() as u32,
    size_of::<DataEvent>() as u32,
    size_of::<CloseEvent>() as u32,
    size_of::<ProcessEvent>() as u32,
];
/// What was captured is nobody else's business.
const OWNER_ONLY: u32 = 0o600;

/// Writes what the ring buffer gives.
pub struct Recorder {
    path: PathBuf,
    /// None after a failure.
    out: Option<BufWriter<File>>,
}

impl Recorder {
    /// A recording in this file, which is emptied first.
    pub fn start(path: &Path) -> Self {
        let mut recorder = Self {
            path: path.to_owned(),
            out: None,
        };
        match begin(path) {
            Ok(out) => {
                tracing::warn!(path = %path.display(), "recording all that is captured, passwords and personal data included");
                recorder.out = Some(out);
            }
            Err(error) => recorder.give_up(&error),
        }
        recorder
    }

    /// Writes a record.
    pub fn record(&mut self, record: &[u8]) {
        self.attempt(|out| {
            out.write_all(&(record.len() as u32).to_le_bytes())?;
            out.write_all(record)
        });
    }

    /// Hands all that was written to the operating system.
    pub fn flush(&mut self) {
        self.attempt(BufWriter::flush);
    }

    fn attempt(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        if let Some(out) = &mut self.out
            && let Err(error) = write(out)
        {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &io::Error) {
        let path = self.path.display();
        tracing::warn!(%path, %error, "nothing (more) is recorded; everything else goes on");
        if let Some(out) = self.out.take() {
            // Dropping it would try to write once more.
            let _ = out.into_parts();
        }
    }
}

fn begin(path: &Path) -> io::Result<BufWriter<File>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(OWNER_ONLY);
    let mut out = BufWriter::new(options.open(path)?);
    out.write_all(MAGIC)?;
    for size in SIZES {
        out.write_all(&size.to_le_bytes())?;
    }
    Ok(out)
}

/// The records of a recording.
///
/// # Errors
/// When it is none, or one of another version.
#[cfg(test)]
pub fn records(recording: &[u8]) -> Result<Vec<&[u8]>, String> {
    let sizes: Vec<u8> = SIZES.iter().flat_map(|size| size.to_le_bytes()).collect();
    let mut rest = recording
        .strip_prefix(MAGIC)
        .ok_or("this is no recording, or one of another form")?
        .strip_prefix(sizes.as_slice())
        .ok_or("the events of this recording have other sizes: record it again")?;
    let mut records = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let (record, after) = after
            .split_at_checked(length)
            .ok_or("the recording's last record is cut off")?;
        records.push(record);
        rest = after;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use std::{env, fs, os::unix::fs::PermissionsExt as _, process};

    use super::*;

    #[test]
    fn what_was_recorded_is_read_again() {
        let path = env::temp_dir().join(format!("sidelight-recorder-{}", process::id()));
        let mut recorder = Recorder::start(&path);
        recorder.record(b"one");
        recorder.record(b"");
        recorder.flush();
        let recording = fs::read(&path);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        fs::remove_file(&path).unwrap();
        let recording = recording.unwrap();
        assert_eq!(records(&recording).unwrap(), [&b"one"[..], b""]);
        assert_eq!(mode & 0o777, OWNER_ONLY);
        assert!(records(&recording[..recording.len() - 5]).is_err());
        assert!(records(b"something else").is_err());
    }

    #[test]
    fn a_full_disk_ends_the_recording_alone() {
        let mut recorder = Recorder::start(Path::new("/dev/full"));
        for _ in 0..100 {
            recorder.record(&[7; 1000]);
        }
        assert!(recorder.out.is_none());
        recorder.record(b"and on");
        recorder.flush();
    }

    #[test]
    fn a_place_that_does_not_exist_is_no_failure_of_the_agent() {
        let mut recorder = Recorder::start(Path::new("/nonexistent/recording"));
        assert!(recorder.out.is_none());
        recorder.record(b"something");
    }
}
