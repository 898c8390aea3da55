//! Files that survive a power cut: the only place that renames.
//!
//! Linux promises nothing about a new file or name until both the file and its folder are synced, so every function here
//! returns only after both are. A failed sync is never tried again by this module: the caller must treat it as final.

mod lock;
#[cfg(test)]
mod tests;

pub use lock::DirLock;

use crate::error::{IoContext, PlatformError};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Ends the name of a file that is being written and not yet in place; leftovers may be deleted.
pub const TMP_SUFFIX: &str = ".tmp";

/// Replaces `path` with a file of `bytes`: after a crash at any moment it holds either the old or the new bytes, whole.
///
/// # Errors
/// Any failed step; the file at `path` is then the old one (or, if only the folder's sync failed, either).
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), PlatformError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(TMP_SUFFIX);
    let tmp = path.with_file_name(name);
    let write = || -> Result<(), PlatformError> {
        let mut file = File::create(&tmp).io("create", &tmp)?;
        file.write_all(bytes).io("write", &tmp)?;
        file.sync_all().io("sync", &tmp)?;
        rename_synced(&tmp, path)
    };
    let result = write();
    if result.is_err() {
        // Best effort: a leftover is harmless, and the first error is the one to report.
        let _ = fs::remove_file(&tmp);
    }
    result
}

/// Renames and syncs the folders on both sides. The contents of `from` must be synced before.
///
/// # Errors
/// Any failed step.
pub fn rename_synced(from: &Path, to: &Path) -> Result<(), PlatformError> {
    rename_unsynced(from, to)?;
    let parent = parent_of(to);
    sync_dir(parent)?;
    let from_parent = parent_of(from);
    if from_parent != parent {
        sync_dir(from_parent)?;
    }
    Ok(())
}

/// Renames within a file system, atomically but without syncing: for callers that sync a batch of renames with one
/// [`sync_dir`], or that promise no durability (a replica that is closed but not yet hardened).
///
/// # Errors
/// What the system says.
#[expect(clippy::disallowed_methods, reason = "this is the door that the rule points to")]
pub fn rename_unsynced(from: &Path, to: &Path) -> Result<(), PlatformError> {
    fs::rename(from, to).io("rename", from)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> Result<(), PlatformError> {
    File::open(dir).io("open folder", dir)?.sync_all().io("sync folder", dir)
}

/// Creates a folder and all above it that are missing, each durable in its parent. An existing folder is fine.
///
/// # Errors
/// Any failed step; a file in the way.
pub fn create_dir_synced(dir: &Path) -> Result<(), PlatformError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = parent_of(dir);
    create_dir_synced(parent)?;
    match fs::create_dir(dir) {
        Ok(()) => sync_dir(parent),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(e) => Err(e).io("create folder", dir),
    }
}

/// Deletes a file and makes its absence durable. A missing file is fine.
///
/// # Errors
/// Any failed step.
pub fn remove_synced(path: &Path) -> Result<(), PlatformError> {
    match fs::remove_file(path) {
        Ok(()) => sync_dir(parent_of(path)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).io("delete", path),
    }
}

/// Opens a file that is readable by its owner only, for secrets; then as [`replace`].
///
/// # Errors
/// As [`replace`].
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), PlatformError> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(TMP_SUFFIX);
    let tmp = path.with_file_name(name);
    // A leftover could carry wider permissions, which opening would keep.
    match fs::remove_file(&tmp) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).io("delete", &tmp),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&tmp).io("create", &tmp)?;
    file.write_all(bytes).io("write", &tmp)?;
    file.sync_all().io("sync", &tmp)?;
    rename_synced(&tmp, path)
}

/// The folder that holds `path`; `.` for a bare name.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}
