//! The tracker's folder on the local disk: what lies where, and putting it in order at start.
//!
//! ```text
//! DIR/in_use.lock
//! DIR/VERSION                              whose folder this is
//! DIR/generation                           drawn at each start; names the shuffle files of this run
//! DIR/programs/<sha256>                    executables, verified when they got their name
//! DIR/jobs/<job>/spec                      the job's specification, verified
//! DIR/jobs/<job>/work/<attempt>/           working folder, goes with the attempt
//! DIR/jobs/<job>/shuffle/<output>.{data,index}
//! DIR/apps/<application>/{work/<executor>/, shuffle/}
//! DIR/logs/<job or application>/<attempt or executor>/{stdout,stderr}
//! DIR/trash/                               being deleted
//! ```
//!
//! Programs and logs outlive a run. Everything else is of one run only: what a former run left is deleted at start.

mod indexes;
mod trash;
mod version;

pub(crate) use indexes::Indexes;
pub(crate) use trash::{Trash, TrashWorker};
pub(crate) use version::parse as parse_version;

use crate::error::Result;
use crate::names::{ChildId, Owner};
use mammoth_platform::{DirLock, Entropy, IoContext, durable};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::{JobId, TrackerId};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Jobs and applications whose logs are kept.
const LOGS_KEPT: usize = 100;

/// The folder, locked for this tracker.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    /// Drawn when the folder was formatted.
    pub(crate) tracker: TrackerId,
    /// Drawn at this start.
    pub(crate) generation: Uuid,
    pub(crate) trash: Arc<Trash>,
    pub(crate) indexes: Indexes,
    _lock: DirLock,
}

impl Folder {
    /// Takes the folder, formats a new one, and sets aside what a former run left in it. `before` is called once the folder is
    /// known to be free and before anything in it is touched.
    ///
    /// # Errors
    /// A folder in use, of another version, or that cannot be written.
    pub(crate) fn open(root: &Path, entropy: &dyn Entropy, before: impl FnOnce(TrackerId)) -> Result<Self> {
        durable::create_dir_synced(root)?;
        let root = fs::canonicalize(root).io("find", root)?;
        let lock = DirLock::acquire(&root)?;
        let tracker = version::read_or_format(&root.join("VERSION"), entropy)?;
        before(tracker);
        let generation = entropy.uuid();
        let trash = Arc::new(Trash::new(root.join("trash")));
        let folder = Self { root, tracker, generation, trash, indexes: Indexes::default(), _lock: lock };
        for name in ["programs", "logs", "trash"] {
            make_dir(&folder.root.join(name))?;
        }
        for name in ["jobs", "apps"] {
            let path = folder.root.join(name);
            folder.trash.discard(&path);
            make_dir(&path)?;
        }
        // What a crash kept from getting its name.
        for entry in fs::read_dir(folder.programs()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(durable::TMP_SUFFIX) {
                folder.trash.discard(&entry.path());
            }
        }
        // Not synced: the next start draws another one, whatever it finds here.
        let path = folder.root.join("generation");
        fs::write(&path, format!("{generation}\n")).io("write", &path)?;
        folder.prune_logs(&[]);
        Ok(folder)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn programs(&self) -> PathBuf {
        self.root.join("programs")
    }

    /// Everything of a job or application but its logs.
    pub(crate) fn owned(&self, owner: Owner) -> PathBuf {
        match owner {
            Owner::Job(job) => self.root.join("jobs").join(job.to_string()),
            Owner::App(app) => self.root.join("apps").join(app.to_string()),
        }
    }

    pub(crate) fn spec(&self, job: JobId) -> PathBuf {
        self.owned(Owner::Job(job)).join("spec")
    }

    pub(crate) fn shuffle(&self, owner: Owner) -> PathBuf {
        self.owned(owner).join("shuffle")
    }

    pub(crate) fn work(&self, child: ChildId) -> PathBuf {
        self.owned(child.owner()).join("work").join(child.name())
    }

    pub(crate) fn logs(&self, child: ChildId) -> PathBuf {
        self.root.join("logs").join(child.owner().to_string()).join(child.name())
    }

    /// Makes the folder of a job or application.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn adopt(&self, owner: Owner) -> Result<()> {
        make_dir(&self.owned(owner))
    }

    /// Makes the folders of a process anew: an empty one to work in, one for shuffle files, one for logs.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn prepare(&self, child: ChildId) -> Result<()> {
        let work = self.work(child);
        if work.exists() {
            self.trash.discard(&work);
        }
        make_dir(&work.join("tmp"))?;
        make_dir(&self.shuffle(child.owner()))?;
        make_dir(&self.logs(child))
    }

    /// Deletes what a process leaves besides what it was asked for: its working folder, and the shuffle files of an attempt
    /// that did not succeed.
    pub(crate) fn clean_up(&self, child: ChildId, succeeded: bool) {
        self.trash.discard(&self.work(child));
        if let (ChildId::Attempt(attempt), false) = (child, succeeded) {
            let prefix = format!("{attempt}.");
            let entries = fs::read_dir(self.shuffle(child.owner())).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
                self.trash.discard(&entry.path());
            }
        }
    }

    /// Forgets all but the newest logs; those of `held` are kept in any case.
    pub(crate) fn prune_logs(&self, held: &[Owner]) {
        let held: Vec<String> = held.iter().map(ToString::to_string).collect();
        let mut found: Vec<_> = fs::read_dir(self.root.join("logs"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry)))
            .filter(|(_, entry)| !held.iter().any(|owner| entry.file_name().to_string_lossy() == owner.as_str()))
            .collect();
        found.sort_by_key(|(modified, _)| *modified);
        let excess = found.len().saturating_sub(LOGS_KEPT.saturating_sub(held.len()));
        for (_, entry) in found.into_iter().take(excess) {
            self.trash.discard(&entry.path());
        }
    }
}

fn make_dir(path: &Path) -> Result<()> {
    Ok(fs::create_dir_all(path).io("create folder", path)?)
}

#[cfg(test)]
mod tests;
