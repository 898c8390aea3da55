//! One process per folder, enforced by the kernel: the lock goes when its holder does, however it dies.

use crate::error::{IoContext, PlatformError};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The lock on a data folder; released when dropped. Two holders in one process exclude each other as well.
#[derive(Debug)]
pub struct DirLock {
    file: File,
    dir: PathBuf,
}

impl DirLock {
    /// Name of the lock file within the folder (as in HDFS, so that two systems never share one folder by mistake of name).
    pub const FILE_NAME: &'static str = "in_use.lock";

    /// Takes the lock of an existing folder at once, or says who has it.
    ///
    /// # Errors
    /// [`PlatformError::Locked`] if another holder lives; otherwise what the system says.
    pub fn acquire(dir: &Path) -> Result<Self, PlatformError> {
        let path = dir.join(Self::FILE_NAME);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).io("open", &path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(PlatformError::Locked { dir: dir.to_owned(), holder: read_holder(&mut file) });
            }
            Err(e) => return Err(e).io("lock", &path),
        }
        file.set_len(0).io("write", &path)?;
        writeln!(file, "{}", std::process::id()).io("write", &path)?;
        Ok(Self { file, dir: dir.to_owned() })
    }

    /// The locked folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Nobody may read a dead holder's name; the kernel drops the lock itself with the file.
        let _ = self.file.set_len(0);
    }
}

/// Who wrote the lock file; the holder may be between taking the lock and writing its name.
fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(64).read_to_string(&mut text) {
        Ok(_) if text.trim().parse::<u32>().is_ok() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    }
}
