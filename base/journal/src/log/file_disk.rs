//! Segments as files of one folder.
//!
//! The open one has room ahead of its records: zeros that were written before. To sync a write into it, the file system writes
//! the data alone, while a file that grows costs a write of its inode each time, about as long as that of the data.

use super::disk::{LogDisk, segment_name, segment_of_name};
use crate::error::JournalError;
use mammoth_platform::{IoContext, durable};
use mammoth_protocol::Seq;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Room that is made at a time, in bytes: as much as there are records, within these bounds. The room of a small log takes no
/// space worth speaking of, and a busy one makes some once in about a thousand records.
const ROOM: std::ops::RangeInclusive<u64> = 16 * 1024..=256 * 1024;
/// What it is made of.
static ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

/// A folder of segments. The caller holds the folder's lock.
#[derive(Debug)]
pub struct FileDisk {
    dir: PathBuf,
    open: Option<Open>,
}

/// The segment that is open for appending.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    /// Where the next record belongs.
    len: u64,
    /// Where the room behind it ends.
    room_end: u64,
}

impl Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        if self.len > self.room_end {
            self.make_room();
        }
        Ok(())
    }

    /// Makes room, as far as the disk has some: a log on a full disk does without, until a record does not fit either. (On a file
    /// system that finds out only when it syncs, the room may be what does not fit.)
    fn make_room(&mut self) {
        self.room_end = self.len;
        let end = self.len + self.len.clamp(*ROOM.start(), *ROOM.end());
        while self.room_end < end {
            let part = usize::try_from(end - self.room_end).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            match self.file.write_at(&ZEROS[..part], self.room_end) {
                Ok(written) if written > 0 => self.room_end += written as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Takes the room back, durably: a segment that another one follows ends with its last record.
    fn end(&self) -> Result<(), JournalError> {
        if self.room_end > self.len {
            shorten(&self.file, &self.path, self.len)?;
        }
        Ok(())
    }
}

fn shorten(file: &File, path: &Path, len: u64) -> Result<(), JournalError> {
    file.set_len(len).io("cut", path)?;
    Ok(file.sync_all().io("sync", path)?)
}

impl FileDisk {
    /// The segments in `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: None }
    }

    fn path(&self, segment: Seq) -> PathBuf {
        self.dir.join(segment_name(segment))
    }

    fn open(&mut self) -> Result<&mut Open, JournalError> {
        let closed = || JournalError::Incomplete { what: "no segment is open for appending".to_owned() };
        self.open.as_mut().ok_or_else(closed)
    }
}

impl LogDisk for FileDisk {
    fn segments(&self) -> Result<Vec<Seq>, JournalError> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.dir).io("list", &self.dir)? {
            let name = entry.io("list", &self.dir)?.file_name();
            segments.extend(name.to_str().and_then(segment_of_name));
        }
        segments.sort_unstable();
        Ok(segments)
    }

    fn read(&self, segment: Seq) -> Result<Box<dyn Read + '_>, JournalError> {
        let path = self.path(segment);
        Ok(Box::new(File::open(&path).io("open", &path)?))
    }

    fn create(&mut self, segment: Seq, header: &[u8]) -> Result<(), JournalError> {
        if let Some(open) = self.open.take() {
            open.end()?;
        }
        let path = self.path(segment);
        durable::replace(&path, header)?;
        let file = OpenOptions::new().write(true).open(&path).io("open", &path)?;
        let len = header.len() as u64;
        self.open = Some(Open { path, file, len, room_end: len });
        Ok(())
    }

    fn cut(&mut self, segment: Seq, length: u64) -> Result<(), JournalError> {
        let path = self.path(segment);
        let file = OpenOptions::new().write(true).open(&path).io("open", &path)?;
        shorten(&file, &path, length)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let open = self.open()?;
        Ok(open.append(bytes).io("append to the edit log", &open.path)?)
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let open = self.open()?;
        Ok(open.file.sync_data().io("sync the edit log", &open.path)?)
    }

    fn remove(&mut self, segment: Seq) -> Result<(), JournalError> {
        Ok(durable::remove_synced(&self.path(segment))?)
    }
}
