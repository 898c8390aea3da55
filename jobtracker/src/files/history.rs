//! Events of applications and histories of jobs, in the jobtracker's folder: `history/<application id>.jsonl` grows while the
//! application runs, `history/<job id>.json` is written when the job ends. The newest are kept.

use mammoth_platform::{IoContext, PlatformError, durable};
use mammoth_protocol::jobs::client::{JobStatus, TaskStatus};
use mammoth_protocol::jobs::event::TimedEvent;
use mammoth_protocol::jobs::fold::AppFold;
use mammoth_protocol::jobs::{AppId, JobId};
use mammoth_protocol::{ErrorCode, FsError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Histories that are kept here; those in the file system are nobody's to delete.
const KEPT: usize = 200;

/// The history of a job.
#[derive(Serialize, Deserialize)]
struct JobHistory {
    status: JobStatus,
    tasks: Vec<TaskStatus>,
}

/// See the module.
pub(super) struct History {
    dir: PathBuf,
    /// Applications that told something since the start, folded.
    folds: BTreeMap<AppId, AppFold>,
}

impl History {
    pub(super) fn open(dir: &Path) -> Result<Self, PlatformError> {
        let dir = dir.join("history");
        fs::create_dir_all(&dir).io("create", &dir)?;
        let mut history = Self { dir, folds: BTreeMap::new() };
        history.trim();
        Ok(history)
    }

    fn app_file(&self, app: AppId) -> PathBuf {
        self.dir.join(format!("{app}.jsonl"))
    }

    fn job_file(&self, job: JobId) -> PathBuf {
        self.dir.join(format!("{job}.json"))
    }

    pub(super) fn events(&mut self, app: AppId, events: &[TimedEvent]) {
        let fold = self.folds.entry(app).or_insert_with(|| read_fold(&self.dir.join(format!("{app}.jsonl"))));
        let mut lines = Vec::new();
        for event in events {
            fold.add(event);
            if serde_json::to_writer(&mut lines, event).is_ok() {
                lines.push(b'\n');
            }
        }
        let path = self.app_file(app);
        let appended =
            OpenOptions::new().create(true).append(true).open(&path).and_then(|mut file| file.write_all(&lines));
        if let Err(error) = appended {
            tracing::error!(%error, path = %path.display(), "events of an application were not kept");
        }
    }

    /// The file of the whole history.
    pub(super) fn app_ended(&mut self, app: AppId) -> Option<PathBuf> {
        self.folds.remove(&app);
        self.trim();
        Some(self.app_file(app)).filter(|path| path.exists())
    }

    pub(super) fn job_ended(&mut self, status: &JobStatus, tasks: &[TaskStatus]) -> Option<PathBuf> {
        let path = self.job_file(status.job);
        let history = JobHistory { status: status.clone(), tasks: tasks.to_vec() };
        let json = serde_json::to_vec(&history).unwrap_or_default();
        self.trim();
        match durable::replace(&path, &json) {
            Ok(()) => Some(path),
            Err(error) => {
                tracing::error!(%error, "the history of a job was not kept");
                None
            }
        }
    }

    pub(super) fn tasks(&self, job: JobId) -> Result<Vec<TaskStatus>, FsError> {
        let Ok(bytes) = fs::read(self.job_file(job)) else { return Ok(Vec::new()) };
        let history: JobHistory = serde_json::from_slice(&bytes)
            .map_err(|error| FsError::new(ErrorCode::Io, format!("the history of {job} cannot be read: {error}")))?;
        Ok(history.tasks)
    }

    pub(super) fn lines(&self, app: AppId) -> Result<Vec<u8>, FsError> {
        fs::read(self.app_file(app))
            .map_err(|_| FsError::new(ErrorCode::FileNotFound, format!("nothing is known of {app}")))
    }

    pub(super) fn fold(&self, app: AppId) -> Result<AppFold, FsError> {
        match self.folds.get(&app) {
            Some(fold) => Ok(fold.clone()),
            None => Ok(read_fold(&self.app_file(app))),
        }
    }

    /// Removes the oldest histories beyond [`KEPT`].
    fn trim(&mut self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let mut files: Vec<_> = entries
            .flatten()
            .filter(|entry| is_history(&entry.path()))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        let surplus = files.len().saturating_sub(KEPT);
        for (_, path) in &files[..surplus] {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(%error, path = %path.display(), "an old history stays");
            }
        }
    }
}

/// Whether a file is one that was written here: the folder may have been somebody's before.
fn is_history(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.parse::<JobId>().is_ok() || stem.parse::<AppId>().is_ok()
}

/// Lines that a crash cut short are left out.
fn read_fold(path: &Path) -> AppFold {
    let bytes = fs::read(path).unwrap_or_default();
    let mut fold = AppFold::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(event) = serde_json::from_slice::<TimedEvent>(line) {
            fold.add(&event);
        }
    }
    fold
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::jobs::event::AppEvent;

    const APP: AppId = AppId { cluster_ms: 1, number: 1 };

    fn skipped(stage: u32) -> TimedEvent {
        TimedEvent { at_ms: 1, event: AppEvent::StageSkipped { stage } }
    }

    #[test]
    fn events_survive_a_restart_and_a_torn_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut history = History::open(dir.path()).expect("opened");
        history.events(APP, &[skipped(1), skipped(2)]);
        let path = history.app_file(APP);
        OpenOptions::new().append(true).open(&path).and_then(|mut f| f.write_all(b"{\"at_m")).expect("torn");
        let mut history = History::open(dir.path()).expect("opened again");
        assert_eq!(history.fold(APP).expect("folded").stages.len(), 2);
        history.events(APP, &[skipped(3)]);
        assert!(history.app_ended(APP).is_some());
        assert!(history.lines(APP).expect("lines").starts_with(b"{"));
        assert!(history.lines(AppId { number: 2, ..APP }).is_err());
    }

    #[test]
    fn only_the_newest_histories_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut history = History::open(dir.path()).expect("opened");
        for number in 0..=KEPT as u32 + 5 {
            history.events(AppId { number, ..APP }, &[skipped(1)]);
        }
        history.trim();
        assert_eq!(fs::read_dir(&history.dir).expect("listed").count(), KEPT);
    }
}
