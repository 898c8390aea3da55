//! Folders for what a driver without a cluster and its executors write, in the system's folder for temporary files.
//!
//! They go with their driver. One that is killed cannot see to that: its executors do, and what they leave, or a driver that had
//! none left, the next driver removes. A lock that the driver holds tells whether it lives; only folders of the same user with
//! the right name and a lock that nobody holds are ever removed.

use crate::error::EngineError;
use mammoth_platform::{Deadline, DirLock, Entropy, SystemClock, SystemEntropy};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the names of the folders begin.
const PREFIX: &str = "mammoth-rdd-";
/// How they begin until they are locked.
const UNFINISHED: &str = ".mammoth-rdd-";
/// How long it is tried to remove a folder into which others that are ending still write.
const REMOVE_FOR: Duration = Duration::from_secs(2);
/// How long a driver that is being killed may hold its lock when its sockets are closed already.
const RELEASE_FOR: Duration = Duration::from_secs(1);
const REMOVE_STEP: Duration = Duration::from_millis(20);

/// A folder that goes with its owner.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _alive: DirLock,
}

impl Scratch {
    /// A new folder in the system's one for temporary files; removes those of drivers that are no more.
    pub(crate) fn new() -> Result<Self, EngineError> {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(parent: &Path) -> Result<Self, EngineError> {
        let name = format!("{}-{}", std::process::id(), SystemEntropy.uuid());
        let unfinished = parent.join(format!("{UNFINISHED}{name}"));
        let path = parent.join(format!("{PREFIX}{name}"));
        let failed = || EngineError::io(format!("create {}", path.display()));
        fs::create_dir(&unfinished).map_err(failed())?;
        // Nobody may find it under its name without its lock: that would be the sign of a dead driver.
        let alive = DirLock::acquire(&unfinished).map_err(|error| EngineError::Setting(error.to_string()))?;
        #[expect(clippy::disallowed_methods, reason = "nothing in it has to outlive this process")]
        fs::rename(&unfinished, &path).map_err(failed())?;
        sweep(parent, &path);
        Ok(Self { path, _alive: alive })
    }

    /// A folder in it.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, EngineError> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(EngineError::io(format!("create {}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::debug!(%error, folder = %self.path.display(), "a folder for temporary files was left behind");
        }
    }
}

/// A driver's folder, as its executors see it.
#[derive(Debug)]
pub(crate) struct Shared {
    path: PathBuf,
    lock: File,
}

impl Shared {
    /// The folder around one that the driver gave; nothing if that is in no such folder.
    pub(crate) fn around(inner: &Path) -> Option<Self> {
        let path = inner.parent()?.to_owned();
        if !is_named(path.file_name()?) {
            return None;
        }
        let lock = File::open(path.join(DirLock::FILE_NAME)).ok()?;
        Some(Self { path, lock })
    }

    /// Removes the folder, if its driver is dead. Each executor does, so that the last one finds nothing to be added any more.
    pub(crate) fn remove_after_driver(&self) {
        let deadline = Deadline::after(&SystemClock, RELEASE_FOR);
        while self.lock.try_lock_shared().is_err() {
            if deadline.is_over(&SystemClock) {
                return;
            }
            std::thread::sleep(REMOVE_STEP);
        }
        let _next_driver_does = remove(&self.path);
    }
}

fn is_named(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX))
}

fn remove(path: &Path) -> io::Result<()> {
    let deadline = Deadline::after(&SystemClock, REMOVE_FOR);
    loop {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(_) if !deadline.is_over(&SystemClock) => std::thread::sleep(REMOVE_STEP),
            ended => return ended,
        }
    }
}

/// Removes folders of drivers that are no more. What cannot be looked at or removed is somebody else's, or the next one's.
fn sweep(parent: &Path, own: &Path) {
    let Ok(user) = fs::metadata(own).map(|own| own.uid()) else { return };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        // Of the entry itself: a link is not followed.
        let ours = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == user);
        if !ours || !is_named(&entry.file_name()) || path == own {
            continue;
        }
        let Ok(lock) = File::open(path.join(DirLock::FILE_NAME)) else { continue };
        // Held while the folder goes, so that it goes once.
        if lock.try_lock().is_ok() {
            tracing::debug!(folder = %path.display(), "the folder of a dead driver is removed");
            if let Err(error) = remove(&path) {
                tracing::debug!(%error, folder = %path.display(), "the folder of a dead driver cannot be removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_next_driver_removes_what_dead_ones_left_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let living = Scratch::new_in(dir.path()).unwrap();
        living.folder("shuffle").unwrap();
        // A killed process closes its files, and runs no destructor.
        let dead = dir.path().join("mammoth-rdd-1-dead");
        fs::create_dir_all(dead.join("shuffle")).unwrap();
        fs::write(dead.join("shuffle/a.data"), "a").unwrap();
        fs::write(dead.join(DirLock::FILE_NAME), "1\n").unwrap();
        let unlocked = dir.path().join("mammoth-rdd-2-without-a-lock");
        fs::create_dir(&unlocked).unwrap();
        let other = dir.path().join("other-1-dead");
        fs::create_dir(&other).unwrap();
        fs::write(other.join(DirLock::FILE_NAME), "1\n").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join("mammoth-rdd-3-link")).unwrap();
        let next = Scratch::new_in(dir.path()).unwrap();
        let own = |scratch: &Scratch| scratch.path.file_name().unwrap().to_string_lossy().into_owned();
        let mut left = vec![
            own(&living),
            own(&next),
            "mammoth-rdd-2-without-a-lock".to_owned(),
            "mammoth-rdd-3-link".to_owned(),
            "other-1-dead".to_owned(),
        ];
        left.sort();
        assert_eq!(names(dir.path()), left);
        assert!(living.path.join("shuffle").is_dir() && other.join(DirLock::FILE_NAME).is_file());
        drop((living, next));
        assert_eq!(names(dir.path()).len(), 3);
    }

    #[test]
    fn executors_remove_the_folder_of_a_dead_driver_only() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new_in(dir.path()).unwrap();
        let work = scratch.folder("executor-0").unwrap();
        let shared = Shared::around(&work).unwrap();
        shared.remove_after_driver();
        assert!(work.is_dir(), "the driver lives");
        assert!(Shared::around(&scratch.path).is_none(), "no folder of a driver");
        let Scratch { path, .. } = &scratch;
        let dead = dir.path().join("mammoth-rdd-1-dead");
        fs::create_dir(&dead).unwrap();
        fs::copy(path.join(DirLock::FILE_NAME), dead.join(DirLock::FILE_NAME)).unwrap();
        fs::create_dir(dead.join("executor-0")).unwrap();
        let shared = [(); 2].map(|()| Shared::around(&dead.join("executor-0")).unwrap());
        shared[0].remove_after_driver();
        assert!(!dead.exists());
        fs::create_dir(&dead).unwrap();
        shared[1].remove_after_driver();
        assert!(!dead.exists(), "what another one still wrote goes with the last");
    }
}
