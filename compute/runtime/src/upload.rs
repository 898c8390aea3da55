//! The program of a job: this process's own image, stored in the cluster once however many jobs use it, and the check that a
//! file is a program for this machine at all.

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
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

/// The image that this process runs, even if its file was replaced or deleted since.
const OWN_IMAGE: &str = "/proc/self/exe";
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

fn own_digest() -> Result<(String, u64), RuntimeError> {
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

/// Bytes of an ELF header that tell which machine a program is for.
const HEADER: usize = 20;
const MAGIC: &[u8] = b"\x7fELF";

/// Refuses a file that this machine cannot run as a program.
///
/// # Errors
/// One line that names the file and what is wrong with it.
pub fn check_program(path: &Path) -> Result<(), RuntimeError> {
    let own = header_of(Path::new(OWN_IMAGE))?;
    let refuse = |why: String| RuntimeError::Refused(format!("{}: {why}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refuse("no such program".to_owned()),
        _ => refuse(error.to_string()),
    })?;
    if !metadata.is_file() {
        return Err(refuse("not a program: it is not a regular file".to_owned()));
    }
    let header = header_of(path)?;
    judge(&header, &own).map_err(refuse)?;
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(refuse(format!("not executable; run chmod +x {}", path.display())));
    }
    Ok(())
}

fn header_of(path: &Path) -> Result<Vec<u8>, RuntimeError> {
    let mut header = Vec::new();
    let mut file = open(path)?;
    file.seek(SeekFrom::Start(0)).map_err(local(path))?;
    file.take(HEADER as u64).read_to_end(&mut header).map_err(local(path))?;
    Ok(header)
}

/// What is wrong with a header, if anything, beside that of a program that runs here.
fn judge(header: &[u8], own: &[u8]) -> Result<(), String> {
    if header.starts_with(b"#!") {
        return Err("a script is no job program; use mapred streaming for scripts".to_owned());
    }
    if !header.starts_with(MAGIC) {
        return Err("not a program: it has no ELF header".to_owned());
    }
    if header.len() < HEADER {
        return Err("not a program: its ELF header is cut short".to_owned());
    }
    let field = |of: &[u8], at: usize| of.get(at).copied().unwrap_or_default();
    let word = |of: &[u8], at: usize| match field(of, 5) {
        2 => u16::from_be_bytes([field(of, at), field(of, at + 1)]),
        _ => u16::from_le_bytes([field(of, at), field(of, at + 1)]),
    };
    if !matches!(word(header, 16), 2 | 3) {
        return Err("not a program: an ELF file of another kind, such as an object file".to_owned());
    }
    let same = (4..6).all(|at| field(header, at) == field(own, at)) && word(header, 18) == word(own, 18);
    if same {
        return Ok(());
    }
    Err(format!(
        "built for {} ({}-bit), this machine is {} ({}-bit)",
        machine(word(header, 18)),
        u32::from(field(header, 4)) * 32,
        machine(word(own, 18)),
        u32::from(field(own, 4)) * 32,
    ))
}

fn machine(number: u16) -> String {
    match number {
        3 => "x86".to_owned(),
        21 => "powerpc64".to_owned(),
        22 => "s390x".to_owned(),
        40 => "arm".to_owned(),
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => "riscv".to_owned(),
        other => format!("machine {other}"),
    }
}
