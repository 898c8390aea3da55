//! Segments as files of one folder.

use super::disk::{LogDisk, segment_name, segment_of_name};
use crate::error::JournalError;
use mammoth_platform::{IoContext, durable};
use mammoth_protocol::Seq;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A folder of segments. The caller holds the folder's lock.
#[derive(Debug)]
pub struct FileDisk {
    dir: PathBuf,
    open: Option<(PathBuf, File)>,
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

    fn open(&mut self) -> Result<(&Path, &mut File), JournalError> {
        match &mut self.open {
            Some((path, file)) => Ok((path, file)),
            None => Err(JournalError::Incomplete { what: "no segment is open for appending".to_owned() }),
        }
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
        let path = self.path(segment);
        durable::replace(&path, header)?;
        let file = OpenOptions::new().append(true).open(&path).io("open", &path)?;
        self.open = Some((path, file));
        Ok(())
    }

    fn cut(&mut self, segment: Seq, length: u64) -> Result<(), JournalError> {
        let path = self.path(segment);
        let file = OpenOptions::new().write(true).open(&path).io("open", &path)?;
        file.set_len(length).io("cut", &path)?;
        file.sync_all().io("sync", &path)?;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let (path, file) = self.open()?;
        Ok(file.write_all(bytes).io("append to the edit log", path)?)
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let (path, file) = self.open()?;
        Ok(file.sync_data().io("sync the edit log", path)?)
    }

    fn remove(&mut self, segment: Seq) -> Result<(), JournalError> {
        Ok(durable::remove_synced(&self.path(segment))?)
    }
}
