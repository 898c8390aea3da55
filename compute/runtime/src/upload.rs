//! The program of a job: this process's own image, stored in the cluster once however many jobs use it.

#[cfg(test)]
mod tests;

use crate::error::{RuntimeError, local};
use crate::files::{DfsFiles, FileSystem};
use mammoth_client::DfsClient;
use mammoth_platform::{Entropy, SystemEntropy};
use mammoth_protocol::DfsPath;
use mammoth_protocol::jobs::spec::{ProgramRef, STAGING};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::OnceLock;

/// The image that this process runs, even if its file was replaced or deleted since.
pub const OWN_IMAGE: &str = "/proc/self/exe";
/// Bytes copied at once.
const CHUNK: usize = 1 << 20;
/// Everybody may add programs, nobody may replace another's.
const SHARED_FOLDER: u16 = 0o1777;

/// Digest and length of the own image: it does not change while the process runs.
static OWN: OnceLock<(String, u64)> = OnceLock::new();

/// Lower-case hex of the SHA-256 of some bytes.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    let mut text = String::with_capacity(digest.len() * 2);
    for byte in digest {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// Stores the image of this process in the cluster, unless it is there already.
///
/// # Errors
/// The image cannot be read, or the cluster refuses.
pub fn store_program(client: &DfsClient) -> Result<ProgramRef, RuntimeError> {
    let shared = |path: &DfsPath| client.set_permission(path, SHARED_FOLDER);
    let (sha256, len) = own_digest()?;
    let program = store_image(&DfsFiles::new(client.clone()), &sha256, len, &|| open(Path::new(OWN_IMAGE)), &|path| {
        // It is another user's folder if this fails, and made for all.
        drop(shared(path));
    })?;
    Ok(program)
}

fn open(path: &Path) -> Result<File, RuntimeError> {
    File::open(path).map_err(local(path))
}

/// SHA-256 in lower-case hex and length of the image that this process runs. Computed once.
///
/// # Errors
/// The image cannot be read.
pub fn own_digest() -> Result<(String, u64), RuntimeError> {
    if let Some(known) = OWN.get() {
        return Ok(known.clone());
    }
    let digest = digest_of(&mut open(Path::new(OWN_IMAGE))?)?;
    Ok(OWN.get_or_init(|| digest).clone())
}

fn digest_of(file: &mut impl Read) -> Result<(String, u64), RuntimeError> {
    let mut sha = Sha256::new();
    let mut len = 0;
    copy(file, &mut |bytes| {
        sha.update(bytes);
        len += bytes.len() as u64;
        Ok(())
    })?;
    Ok((hex(&sha.finalize()), len))
}

fn copy(from: &mut impl Read, to: &mut dyn FnMut(&[u8]) -> Result<(), RuntimeError>) -> Result<(), RuntimeError> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to(buffer.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(RuntimeError::Io { what: OWN_IMAGE.to_owned(), source }),
        }
    }
}

/// Stores an image under its digest: written under a name of its own, then renamed, so that nobody sees half of it.
fn store_image<R: Read>(
    files: &dyn FileSystem,
    sha256: &str,
    len: u64,
    open: &dyn Fn() -> Result<R, RuntimeError>,
    share: &dyn Fn(&DfsPath),
) -> Result<ProgramRef, RuntimeError> {
    let invalid = |error: mammoth_protocol::path::BadPath| RuntimeError::Refused(error.to_string());
    let staging = DfsPath::parse(STAGING).map_err(invalid)?;
    let folder = staging.join("programs").map_err(invalid)?;
    let path = folder.join(sha256).map_err(invalid)?;
    let program = ProgramRef { sha256: sha256.to_owned(), path: path.to_string(), len };
    let is_there = |path: &DfsPath| Ok::<bool, RuntimeError>(files.stat(path)?.is_some_and(|info| info.len == len));
    if is_there(&path)? {
        return Ok(program);
    }
    if files.stat(&folder)?.is_none() {
        files.mkdirs(&folder)?;
        let mut above = Some(folder.clone());
        while let Some(dir) = above.filter(|dir| dir.starts_with(&staging)) {
            share(&dir);
            above = dir.parent();
        }
    }
    let unfinished = folder.join(&format!(".{sha256}.{}", SystemEntropy.uuid())).map_err(invalid)?;
    let written = write_image(files, &unfinished, open()?);
    let stored = match written {
        Ok(written) if written == len => files.rename(&unfinished, &path).map_err(RuntimeError::from),
        Ok(written) => Err(RuntimeError::Corrupt {
            what: unfinished.to_string(),
            why: format!("{written} bytes were written of {len}"),
        }),
        Err(error) => Err(error),
    };
    if let Err(error) = stored {
        // The first error is the one to report; a leftover only takes space.
        let _leftover = files.delete(&unfinished, false);
        // Another driver with the same program was faster.
        return if is_there(&path)? { Ok(program) } else { Err(error) };
    }
    Ok(program)
}

fn write_image(files: &dyn FileSystem, path: &DfsPath, mut image: impl Read) -> Result<u64, RuntimeError> {
    let mut sink = files.create(path, true)?;
    copy(&mut image, &mut |bytes| {
        sink.write_all(bytes).map_err(|source| RuntimeError::Io { what: path.to_string(), source })
    })?;
    Ok(sink.close()?)
}
