//! Deleting without waiting for it: a folder is first renamed into the trash, which is at once, and emptied in the background.

use mammoth_platform::durable;
use mammoth_platform::workers::{Waker, Worker, WorkerState};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Pause between two looks at a trash that nobody put anything into.
const IDLE_MS: u64 = 60_000;

/// Takes what is to be deleted.
#[derive(Debug)]
pub(crate) struct Trash {
    dir: PathBuf,
    next: AtomicU64,
    waker: OnceLock<Waker>,
}

impl Trash {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, next: AtomicU64::new(0), waker: OnceLock::new() }
    }

    /// Whom to wake when there is something to delete.
    pub(crate) fn wake_with(&self, waker: Waker) {
        let _ = self.waker.set(waker);
    }

    /// Takes a file or folder away; nothing there is fine.
    pub(crate) fn discard(&self, path: &Path) {
        loop {
            let target = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
            if target.exists() {
                // Left by a former run.
                continue;
            }
            let renamed = durable::rename_unsynced(path, &target);
            if renamed.is_err() && fs::symlink_metadata(path).is_ok() {
                tracing::debug!(path = %path.display(), "not movable to the trash, deleted in place");
                remove_tree(path);
            }
            break;
        }
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// Deletes everything in it.
    pub(crate) fn empty(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            remove_tree(&entry.path());
        }
    }
}

/// Deletes a file or a folder with all in it, folders that their owner closed to himself included.
pub(crate) fn remove_tree(path: &Path) {
    let removed = remove(path).or_else(|error| match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => {
            open_up(path);
            remove(path)
        }
    });
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "not deleted");
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Makes every folder of a tree writable; links are not followed.
fn open_up(path: &Path) {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        if fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir()) {
            let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
            folders.extend(fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
}

/// Empties the trash in the background.
pub(crate) struct TrashWorker(pub(crate) Arc<Trash>);

impl Worker for TrashWorker {
    fn name(&self) -> &'static str {
        "trash"
    }

    fn work(&mut self) -> Result<WorkerState, String> {
        self.0.empty();
        Ok(WorkerState::Idle(IDLE_MS))
    }
}
