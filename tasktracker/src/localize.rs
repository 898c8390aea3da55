//! Brings programs and specifications from the file system of the cluster to the local disk: each once, however many attempts
//! want it at the same time, and none under its name before its SHA-256 was found right.
//!
//! Calls block; they belong on threads that may.

use crate::folder::Folder;
use mammoth_platform::durable;
use mammoth_protocol::jobs::JobId;
use mammoth_protocol::jobs::spec::ProgramRef;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Programs that are kept though nobody uses them, and bytes of all.
const PROGRAMS_KEPT: usize = 16;
const PROGRAM_BYTES_KEPT: u64 = 4 << 30;
/// Longest specification.
const SPEC_BYTES_MAX: u64 = 1 << 30;
const BUFFER_BYTES: usize = 1 << 20;

/// Reads files of the cluster.
pub trait Fetch: Send + Sync {
    /// Opens the file `path` of the file system `fs` (a URI) in the name of `user`. Blocks.
    ///
    /// # Errors
    /// One line that says why not.
    fn open(&self, fs: &str, user: &str, path: &str) -> Result<Box<dyn Read + Send>, String>;
}

/// A file to fetch.
struct Wanted<'a> {
    /// What it is, for people.
    what: &'static str,
    fs: &'a str,
    user: &'a str,
    path: &'a str,
    sha256: &'a str,
    /// No more bytes than this are read.
    len_max: u64,
    mode: u32,
}

pub(crate) struct Localizer {
    fetch: Arc<dyn Fetch>,
    folder: Arc<Folder>,
    flights: Mutex<BTreeMap<PathBuf, Arc<Flight>>>,
    leases: Mutex<Leases>,
    /// Digests of the specifications that lie here.
    specs: Mutex<BTreeMap<JobId, String>>,
}

#[derive(Default)]
struct Leases {
    /// By digest: how many use it, and when it was last wanted, on this count.
    of: BTreeMap<String, (usize, u64)>,
    count: u64,
}

/// A program that stays where it is while this lives.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    sha256: String,
    localizer: Arc<Localizer>,
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some((leases, _)) = lock(&self.localizer.leases).of.get_mut(&self.sha256) {
            *leases = leases.saturating_sub(1);
        }
    }
}

/// One fetch, and all who wait for it.
#[derive(Default)]
struct Flight {
    result: Mutex<Option<Result<(), String>>>,
    landed: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Localizer {
    pub(crate) fn new(fetch: Arc<dyn Fetch>, folder: Arc<Folder>) -> Self {
        Self { fetch, folder, flights: Mutex::default(), leases: Mutex::default(), specs: Mutex::default() }
    }

    /// The program on the local disk, executable.
    ///
    /// # Errors
    /// One line: it cannot be had, or is not what its digest says.
    pub(crate) fn program(self: &Arc<Self>, fs: &str, user: &str, program: &ProgramRef) -> Result<Program, String> {
        check_digest(&program.sha256)?;
        let path = self.folder.programs().join(&program.sha256);
        {
            let mut leases = lock(&self.leases);
            leases.count += 1;
            let now = leases.count;
            let (count, used) = leases.of.entry(program.sha256.clone()).or_default();
            *count += 1;
            *used = now;
        }
        let leased = Program { path: path.clone(), sha256: program.sha256.clone(), localizer: Arc::clone(self) };
        let wanted = Wanted {
            what: "program",
            fs,
            user,
            path: &program.path,
            sha256: &program.sha256,
            len_max: program.len,
            mode: 0o755,
        };
        let mut fetched = false;
        self.once(&path, || {
            if path.exists() {
                return Ok(());
            }
            fetched = true;
            self.bring(&wanted, &path)
        })?;
        if fetched {
            self.evict();
        }
        Ok(leased)
    }

    /// The specification of a job on the local disk, in the job's folder, which must be there: a fetch that ends after its job
    /// was dropped leaves nothing.
    ///
    /// # Errors
    /// One line: it cannot be had, or is not what its digest says.
    pub(crate) fn spec(&self, job: JobId, fs: &str, user: &str, path: &str, sha256: &str) -> Result<PathBuf, String> {
        check_digest(sha256)?;
        let target = self.folder.spec(job);
        let wanted = Wanted { what: "specification", fs, user, path, sha256, len_max: SPEC_BYTES_MAX, mode: 0o644 };
        // Whoever waited for another's fetch looks whether that was of the same.
        while lock(&self.specs).get(&job).is_none_or(|known| known != sha256) {
            self.once(&target, || {
                self.bring(&wanted, &target)?;
                lock(&self.specs).insert(job, sha256.to_owned());
                Ok(())
            })?;
        }
        Ok(target)
    }

    /// Forgets the specification of a job whose folder goes.
    pub(crate) fn forget(&self, job: JobId) {
        lock(&self.specs).remove(&job);
    }

    /// Programs on the disk: digest, bytes, and how many use it.
    pub(crate) fn programs(&self) -> Vec<(String, u64, usize)> {
        let found = fs::read_dir(self.folder.programs()).into_iter().flatten().flatten();
        let leases = lock(&self.leases);
        let row = |entry: fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            check_digest(&name).ok()?;
            let users = leases.of.get(&name).map_or(0, |(count, _)| *count);
            Some((name, entry.metadata().ok()?.len(), users))
        };
        found.filter_map(row).collect()
    }

    /// Runs `work` unless somebody is doing the same; then takes over what comes of that.
    fn once(&self, target: &Path, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let waits_for = {
            let mut flights = lock(&self.flights);
            match flights.get(target) {
                Some(flight) => Some(Arc::clone(flight)),
                None => {
                    flights.insert(target.to_owned(), Arc::default());
                    None
                }
            }
        };
        if let Some(flight) = waits_for {
            let landed = flight.landed.wait_while(lock(&flight.result), |result| result.is_none());
            let landed = landed.unwrap_or_else(PoisonError::into_inner);
            return landed.clone().unwrap_or_else(|| Err("it was given up".to_owned()));
        }
        let mut landing = Landing { localizer: self, target, result: Err("it was given up".to_owned()) };
        landing.result = work();
        landing.result.clone()
    }

    fn bring(&self, wanted: &Wanted<'_>, target: &Path) -> Result<(), String> {
        let fail = |reason: String| format!("cannot fetch the {} {}: {reason}", wanted.what, wanted.path);
        let mut source = self.fetch.open(wanted.fs, wanted.user, wanted.path).map_err(fail)?;
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(durable::TMP_SUFFIX);
        let tmp = target.with_file_name(name);
        let written = write(&mut source, &tmp, wanted).and_then(|()| {
            // Only what is whole on the disk has its name: a start after a crash takes a name for the proof.
            durable::rename_synced(&tmp, target).map_err(|error| error.to_string())
        });
        if written.is_err() {
            let _ = fs::remove_file(&tmp);
        }
        written.map_err(fail)
    }

    /// Deletes programs that nobody uses and that were not wanted for the longest time, beyond what is kept.
    fn evict(&self) {
        let mut found = self.programs();
        let mut leases = lock(&self.leases);
        found.sort_by_key(|(name, _, _)| leases.of.get(name).map_or(0, |(_, used)| *used));
        let mut count = found.len();
        let mut bytes: u64 = found.iter().map(|(_, len, _)| *len).sum();
        for (name, len, _) in found {
            if count <= PROGRAMS_KEPT && bytes <= PROGRAM_BYTES_KEPT {
                return;
            }
            if leases.of.get(&name).is_none_or(|(users, _)| *users == 0) {
                leases.of.remove(&name);
                self.folder.trash.discard(&self.folder.programs().join(&name));
                count -= 1;
                bytes = bytes.saturating_sub(len);
            }
        }
    }
}

/// Tells those who wait how a fetch ended, however it does.
struct Landing<'a> {
    localizer: &'a Localizer,
    target: &'a Path,
    result: Result<(), String>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        if let Some(flight) = lock(&self.localizer.flights).remove(self.target) {
            *lock(&flight.result) = Some(self.result.clone());
            flight.landed.notify_all();
        }
    }
}

/// Copies to `tmp`, synced, and compares the digest.
fn write(source: &mut dyn Read, tmp: &Path, wanted: &Wanted<'_>) -> Result<(), String> {
    let _ = fs::remove_file(tmp);
    let text = |error: std::io::Error| error.to_string();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(wanted.mode).open(tmp).map_err(text)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut len = 0_u64;
    loop {
        let read = source.read(&mut buffer).map_err(text)?;
        if read == 0 {
            break;
        }
        let part = buffer.get(..read).unwrap_or_default();
        len = len.saturating_add(read as u64);
        if len > wanted.len_max {
            return Err(format!("it is longer than {} bytes", wanted.len_max));
        }
        digest.update(part);
        file.write_all(part).map_err(text)?;
    }
    let found = hex(&digest.finalize());
    if found != wanted.sha256 {
        return Err(format!("its SHA-256 is {found}, expected {}", wanted.sha256));
    }
    set_mode(&file, wanted.mode).and_then(|()| file.sync_all()).map_err(text)
}

/// The mode as wanted, whatever the umask of this process.
fn set_mode(file: &File, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A digest becomes the name of a file, so nothing else may pass for one.
fn check_digest(text: &str) -> Result<(), String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if text.len() == 64 && digits { Ok(()) } else { Err(format!("not a SHA-256 in lower-case hex: `{text}`")) }
}

#[cfg(test)]
mod tests;
