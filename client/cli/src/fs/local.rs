//! The local disk.
//!
//! Names that are not UTF-8 are reported, never skipped silently. Checksum files (`.name.crc`) are left out of listings, as
//! Hadoop does.

use super::crc::{self, ChecksumFile};
use super::names::Names;
use super::{Access, Entry, FileSystem, Kind, Sink, Status, WriteOptions};
use crate::fault::{Fault, PathIssue};
use mammoth_client::{ContentSummary, FileChecksum, FsStats};
use mammoth_platform::{PlatformError, durable};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The block size that Hadoop reports for local files.
const BLOCK_SIZE: u64 = 32 << 20;

/// Bytes that one write to a file takes at most. Linux takes page-cache pages of up to the size of a write, and on virtual
/// machines that give memory back to their host large ones can cost many times the copying (see `docs/measurements.md`).
const WRITE_PIECE: usize = 64 * 1024;
/// Files from this length on get their room at once, which is cheaper than in pieces.
const RESERVE_FROM: u64 = 1 << 20;

/// The local file system, seen from the process's working folder.
pub(crate) struct LocalFs {
    names: Names,
    working_folder: String,
}

impl LocalFs {
    /// # Errors
    /// A working folder that is gone or whose name is not UTF-8.
    pub(crate) fn new() -> Result<Self, Fault> {
        let folder = std::env::current_dir().map_err(|e| Fault::local(".", &e))?;
        let working_folder = folder.to_str().ok_or_else(|| Fault::path(".", PathIssue::NotUtf8))?.to_owned();
        Ok(Self { names: Names::of_system(), working_folder })
    }

    fn status_of(&self, metadata: &Metadata) -> Status {
        let kind = if metadata.is_dir() { Kind::Folder } else { Kind::File };
        let is_file = kind == Kind::File;
        Status {
            kind,
            len: if is_file { metadata.len() } else { 0 },
            replication: u16::from(is_file),
            block_size: if is_file { BLOCK_SIZE } else { 0 },
            // The mask leaves 10 bits.
            permission: u16::try_from(metadata.mode() & 0o1777).unwrap_or_default(),
            owner: self.names.user(metadata.uid()),
            group: self.names.group(metadata.gid()),
            modified_ms: milliseconds(metadata.mtime(), metadata.mtime_nsec()),
            accessed_ms: milliseconds(metadata.atime(), metadata.atime_nsec()),
            has_acl: false,
            is_erasure_coded: false,
        }
    }
}

fn milliseconds(seconds: i64, nanoseconds: i64) -> u64 {
    let ms = i128::from(seconds) * 1000 + i128::from(nanoseconds) / 1_000_000;
    u64::try_from(ms.max(0)).unwrap_or(u64::MAX)
}

fn timespec(ms: Option<u64>) -> Timespec {
    match ms {
        Some(ms) => Timespec {
            tv_sec: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(ms % 1000 * 1_000_000).unwrap_or_default(),
        },
        None => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
    }
}

fn named(path: &str, error: impl Into<io::Error>) -> Fault {
    Fault::local(path, &error.into())
}

/// Renames without syncing: a copy promises no more than the system's own `cp`.
fn rename(from: &Path, to: &Path) -> Result<(), Fault> {
    durable::rename_unsynced(from, to).map_err(|error| match error {
        PlatformError::Io { source, .. } => named(&to.to_string_lossy(), source),
        other => Fault::Settings(other),
    })
}

impl FileSystem for LocalFs {
    fn uri(&self) -> &str {
        "file://"
    }

    fn working_folder(&self) -> &str {
        &self.working_folder
    }

    fn status(&self, path: &str) -> Result<Option<Status>, Fault> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(self.status_of(&metadata))),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) => Err(named(path, e)),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Fault> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(|e| named(path, e))? {
            let entry = entry.map_err(|e| named(path, e))?;
            let lossy = || format!("{path}/{}", entry.file_name().to_string_lossy());
            let name = entry.file_name().to_str().ok_or_else(|| Fault::path(lossy(), PathIssue::NotUtf8))?.to_owned();
            if crc::is_checksum_name(&name) {
                continue;
            }
            // A link that leads nowhere is listed as what it is; opening it says the rest.
            let metadata = fs::metadata(entry.path()).or_else(|_| entry.metadata()).map_err(|e| named(&lossy(), e))?;
            entries.push(Entry { name, status: self.status_of(&metadata) });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn mkdirs(&self, path: &str, permission: Option<u16>) -> Result<(), Fault> {
        fs::create_dir_all(path).map_err(|e| named(path, e))?;
        permission.map_or(Ok(()), |bits| self.set_permission(path, bits))
    }

    fn delete(&self, path: &str, recursive: bool) -> Result<bool, Fault> {
        let metadata = match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|e| named(path, e))?,
        };
        let result = match (metadata.is_dir(), recursive) {
            (true, true) => fs::remove_dir_all(path),
            (true, false) => fs::remove_dir(path),
            (false, _) => fs::remove_file(path),
        };
        result.map(|()| true).map_err(|e| named(path, e))
    }

    fn rename(&self, from: &str, to: &str) -> Result<bool, Fault> {
        rename(Path::new(from), Path::new(to))?;
        let (sums_from, sums_to) = (crc::beside(Path::new(from)), crc::beside(Path::new(to)));
        if sums_from.exists() {
            rename(&sums_from, &sums_to)?;
        } else if sums_to.exists() {
            // Sums of a file that is no longer there would make Hadoop refuse the new one.
            fs::remove_file(&sums_to).map_err(|e| named(to, e))?;
        }
        Ok(true)
    }

    fn replace(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.rename(from, to).map(|_| ())
    }

    fn rename_to_trash(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.rename(from, to).map(|_| ())
    }

    fn trash_minutes(&self) -> Result<u64, Fault> {
        Ok(0)
    }

    fn open(&self, path: &str, from: u64, _verify: bool) -> Result<Box<dyn Read + Send>, Fault> {
        let mut file = File::open(path).map_err(|e| named(path, e))?;
        if from > 0 {
            file.seek(SeekFrom::Start(from)).map_err(|e| named(path, e))?;
        }
        Ok(Box::new(file))
    }

    fn create(&self, path: &str, options: WriteOptions) -> Result<Box<dyn Sink>, Fault> {
        if let Some(parent) = Path::new(path).parent() {
            fs::create_dir_all(parent).map_err(|e| named(path, e))?;
        }
        let mut open = OpenOptions::new();
        open.write(true).truncate(true);
        if options.overwrite {
            open.create(true);
        } else {
            open.create_new(true);
        }
        let file = open.open(path).map_err(|e| named(path, e))?;
        let sums = options.checksum_file.then(|| (ChecksumFile::new(), crc::beside(Path::new(path))));
        let reserved = options.len.filter(|len| *len >= RESERVE_FROM && reserve(&file, *len)).unwrap_or_default();
        Ok(Box::new(LocalSink { path: path.to_owned(), file, sums, reserved, written: 0 }))
    }

    fn append(&self, path: &str) -> Result<Box<dyn Sink>, Fault> {
        let file = OpenOptions::new().append(true).open(path).map_err(|e| named(path, e))?;
        Ok(Box::new(LocalSink { path: path.to_owned(), file, sums: None, reserved: 0, written: 0 }))
    }

    fn truncate(&self, _path: &str, _len: u64) -> Result<bool, Fault> {
        Err(Fault::Other("truncate is not supported by the local file system".to_owned()))
    }

    fn concat(&self, _target: &str, _sources: &[&str]) -> Result<(), Fault> {
        Err(Fault::Other("concat is not supported by the local file system".to_owned()))
    }

    fn set_permission(&self, path: &str, permission: u16) -> Result<(), Fault> {
        fs::set_permissions(path, Permissions::from_mode(u32::from(permission))).map_err(|e| named(path, e))
    }

    fn set_owner(&self, path: &str, owner: Option<&str>, group: Option<&str>) -> Result<(), Fault> {
        let unknown = |kind: &str, name: &str| Fault::Other(format!("`{path}': unknown {kind} {name}"));
        let find = |name: &str| self.names.user_id(name).ok_or_else(|| unknown("user", name));
        let uid = owner.map(find).transpose()?;
        let find = |name: &str| self.names.group_id(name).ok_or_else(|| unknown("group", name));
        let gid = group.map(find).transpose()?;
        std::os::unix::fs::chown(path, uid, gid).map_err(|e| named(path, e))
    }

    fn set_times(&self, path: &str, modified_ms: Option<u64>, accessed_ms: Option<u64>) -> Result<(), Fault> {
        let times = Timestamps { last_access: timespec(accessed_ms), last_modification: timespec(modified_ms) };
        rustix::fs::utimensat(CWD, path, &times, AtFlags::empty()).map_err(|e| named(path, e))
    }

    fn set_replication(&self, _path: &str, _replication: u16) -> Result<bool, Fault> {
        Ok(true)
    }

    fn replica_counts(&self, _path: &str) -> Result<Vec<usize>, Fault> {
        Ok(Vec::new())
    }

    fn checksum(&self, _path: &str) -> Result<Option<FileChecksum>, Fault> {
        Ok(None)
    }

    fn may(&self, path: &str, access: Access) -> Result<bool, Fault> {
        let wanted = match access {
            Access::Read => rustix::fs::Access::READ_OK,
            Access::Write => rustix::fs::Access::WRITE_OK,
        };
        match rustix::fs::access(path, wanted) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS | rustix::io::Errno::NOENT) => Ok(false),
            Err(e) => Err(named(path, e)),
        }
    }

    fn summary(&self, path: &str) -> Result<ContentSummary, Fault> {
        let mut sum = ContentSummary::default();
        let mut open = vec![PathBuf::from(path)];
        while let Some(path) = open.pop() {
            let shown = path.to_string_lossy();
            let metadata = fs::metadata(&path).map_err(|e| named(&shown, e))?;
            if metadata.is_dir() {
                sum.directory_count += 1;
                for entry in fs::read_dir(&path).map_err(|e| named(&shown, e))? {
                    open.push(entry.map_err(|e| named(&shown, e))?.path());
                }
            } else {
                sum.file_count += 1;
                sum.length += metadata.len();
                sum.space_consumed += metadata.len();
            }
        }
        Ok(sum)
    }

    fn stats(&self) -> Result<FsStats, Fault> {
        let stat = rustix::fs::statvfs("/").map_err(|e| named("/", e))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(FsStats {
            capacity: bytes(stat.f_blocks),
            used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
            remaining: bytes(stat.f_bavail),
            ..FsStats::default()
        })
    }
}

/// Makes room for a file without changing its length; whether that could be done. A disk that is full says so again when it is
/// written to, and one that knows no such thing works without.
fn reserve(file: &File, len: u64) -> bool {
    let reserved = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, len).is_ok();
    if !reserved {
        // A part of it may have been found: it goes back.
        let _ = file.set_len(0);
    }
    reserved
}

/// A local file being written, and its checksums if wanted.
struct LocalSink {
    path: String,
    file: File,
    sums: Option<(ChecksumFile, PathBuf)>,
    /// Bytes for which room was made.
    reserved: u64,
    written: u64,
}

impl Write for LocalSink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.file.write(data.get(..WRITE_PIECE).unwrap_or(data))?;
        self.written += written as u64;
        if let Some((sums, _)) = &mut self.sums {
            sums.update(data.get(..written).unwrap_or_default());
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for LocalSink {
    /// A copy that fails leaves no room behind its end either.
    fn drop(&mut self) {
        if self.written < self.reserved {
            let _ = self.file.set_len(self.written);
        }
    }
}

impl Sink for LocalSink {
    fn finish(mut self: Box<Self>) -> Result<(), Fault> {
        if self.written < self.reserved {
            // The source has become shorter: the room behind its end goes back.
            self.file.set_len(self.written).map_err(|e| named(&self.path, e))?;
            self.reserved = 0;
        }
        if let Some((sums, beside)) = self.sums.take() {
            fs::write(&beside, sums.finish()).map_err(|e| named(&self.path, e))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_at_once_and_what_is_not_used_goes_back() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        let name = path.to_str().unwrap();
        let local = LocalFs::new().unwrap();
        for (said, wrote) in [(3 << 20, 3 << 20), (8 << 20, 100_001), (RESERVE_FROM, 2 << 20), (0, 5), (8 << 20, 0)] {
            let options = WriteOptions { overwrite: true, len: Some(said), ..WriteOptions::default() };
            let mut sink = local.create(name, options).unwrap();
            let data = vec![7; wrote];
            sink.write_all(&data).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), wrote as u64, "room is not length");
            sink.finish().unwrap();
            assert!(fs::read(&path).unwrap() == data, "{said} {wrote}");
            let taken = fs::metadata(&path).unwrap().blocks() * 512;
            assert!(taken <= (wrote as u64).next_multiple_of(1 << 16), "{said} {wrote}: {taken}");
        }
    }
    #[test]
    fn a_copy_that_ends_early_leaves_no_room_behind_its_end() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        let local = LocalFs::new().unwrap();
        let options = WriteOptions { overwrite: true, len: Some(8 << 20), ..WriteOptions::default() };
        let mut sink = local.create(path.to_str().unwrap(), options).unwrap();
        sink.write_all(&[7; 100_001]).unwrap();
        let blocks = || fs::metadata(&path).unwrap().blocks() * 512;
        if blocks() < 8 << 20 {
            eprintln!("skipped: this file system makes no room beforehand");
            return;
        }
        drop(sink);
        assert_eq!(fs::metadata(&path).unwrap().len(), 100_001);
        assert!(blocks() <= 100_001_u64.next_multiple_of(1 << 16), "{}", blocks());
    }
}
