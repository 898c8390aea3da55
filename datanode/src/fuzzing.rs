//! The parsers of what lies on a datanode's disks, for the fuzz targets: nothing else calls them by these names.

use crate::store::fuzzing as store;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// A file in memory, and a name by which it can be opened.
fn file(bytes: &[u8]) -> (File, PathBuf) {
    let made = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(made.expect("memory for a file"));
    file.write_all(bytes).expect("memory for a file");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    (file, path)
}

/// Length of the valid part of an unfinished replica.
///
/// # Errors
/// Files that cannot be read.
pub fn valid_prefix(data: &[u8], meta: &[u8]) -> Result<u64, crate::DatanodeError> {
    let ((_data, data), (_meta, meta)) = (file(data), file(meta));
    store::valid_prefix(&data, &meta)
}

/// Whether a replica of `len` bytes is what its checksums say.
#[must_use]
pub fn verify(data: &[u8], meta: &[u8], len: u64) -> bool {
    let ((_data, data), (_meta, meta)) = (file(data), file(meta));
    store::verify(&data, &meta, len)
}

/// Reads the name of a replica's file; what is read is written the same again.
pub fn file_name(text: &str) {
    store::file_name(text);
}

/// Reads a text as the `VERSION` of a volume.
pub fn version_file(text: &str) {
    let (_file, path) = file(text.as_bytes());
    store::version_file(&path);
}

/// Reads bytes as what a volume remembers.
pub fn volume_memory(bytes: &[u8]) {
    store::volume_memory(bytes);
}
