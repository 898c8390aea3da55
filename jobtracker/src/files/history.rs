//! Events of applications and histories of jobs, in the jobtracker's folder: `history/<application id>.jsonl` grows while the
//! application runs, `history/<job id>.json` is written when the job ends. The newest are kept.
//!
//! Each line of an application is an event with the number of the poll that brought it (`batch`). A poll that was not answered
//! comes again, perhaps to the next process: what is known of it by then, some of its events perhaps, is not stored twice.

use mammoth_platform::{IoContext, PlatformError, durable};
use mammoth_protocol::jobs::client::{JobStatus, TaskStatus};
use mammoth_protocol::jobs::event::TimedEvent;
use mammoth_protocol::jobs::fold::AppFold;
use mammoth_protocol::jobs::{AppId, JobId};
use mammoth_protocol::{ErrorCode, FsError};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Histories that are kept here; those in the file system are nobody's to delete.
const KEPT: usize = 200;

/// The history of a job.
#[derive(Serialize, Deserialize)]
struct JobHistory {
    status: JobStatus,
    tasks: Vec<TaskStatus>,
}

/// A line of an application.
#[derive(Serialize)]
struct Line<'a> {
    batch: u64,
    #[serde(flatten)]
    event: &'a TimedEvent,
}

/// The number on it.
#[derive(Deserialize)]
struct Numbered {
    #[serde(default)]
    batch: u64,
}

/// What an application has told so far.
#[derive(Default)]
struct Told {
    fold: AppFold,
    /// The last batch, and how many events of it are stored.
    batch: u64,
    events: usize,
}

impl Told {
    /// All whole lines of a file, and how long they are; there need be none.
    fn read(path: &Path) -> io::Result<(Self, u64)> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let whole = whole_lines(&bytes);
        let mut told = Self::default();
        for line in whole.split(|byte| *byte == b'\n') {
            let Ok(event) = serde_json::from_slice::<TimedEvent>(line) else { continue };
            let batch = serde_json::from_slice::<Numbered>(line).map_or(0, |numbered| numbered.batch);
            told.add(batch, &event);
        }
        Ok((told, whole.len() as u64))
    }

    /// As [`Told::read`]; a line that a crash cut short goes, so that the next one begins as a line.
    fn load(path: &Path) -> io::Result<Self> {
        let (told, whole) = Self::read(path)?;
        if fs::metadata(path).is_ok_and(|file| file.len() > whole) {
            OpenOptions::new().write(true).open(path)?.set_len(whole)?;
        }
        Ok(told)
    }

    fn add(&mut self, batch: u64, event: &TimedEvent) {
        self.fold.add(event);
        self.events = if batch == self.batch { self.events + 1 } else { 1 };
        self.batch = batch;
    }
}

/// All bytes up to the end of the last line that has one.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}

/// See the module.
pub(super) struct History {
    dir: PathBuf,
    /// Applications that told something since the start.
    told: BTreeMap<AppId, Told>,
}

impl History {
    pub(super) fn open(dir: &Path) -> Result<Self, PlatformError> {
        let dir = dir.join("history");
        fs::create_dir_all(&dir).io("create", &dir)?;
        let mut history = Self { dir, told: BTreeMap::new() };
        history.trim();
        Ok(history)
    }

    fn app_file(&self, app: AppId) -> PathBuf {
        self.dir.join(format!("{app}.jsonl"))
    }

    fn job_file(&self, job: JobId) -> PathBuf {
        self.dir.join(format!("{job}.json"))
    }

    /// Stores the events of a batch, those that are not stored yet; tasks done and known by all events so far.
    ///
    /// # Errors
    /// The disk refuses: the batch may come again.
    pub(super) fn events(&mut self, app: AppId, batch: u64, events: &[TimedEvent]) -> Result<(u64, u64), FsError> {
        let path = self.app_file(app);
        match self.append(app, batch, events, &path) {
            Ok(tasks) => Ok(tasks),
            Err(error) => {
                // Some of it may be there. Whoever looks next reads what is.
                self.told.remove(&app);
                tracing::error!(%error, path = %path.display(), "events of an application were not kept");
                Err(FsError::new(ErrorCode::Retriable, format!("the events of {app} cannot be kept: {error}")))
            }
        }
    }

    fn append(&mut self, app: AppId, batch: u64, events: &[TimedEvent], path: &Path) -> io::Result<(u64, u64)> {
        let told = match self.told.entry(app) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Told::load(path)?),
        };
        let stored = match batch.cmp(&told.batch) {
            Ordering::Less => events.len(),
            Ordering::Equal => told.events,
            Ordering::Greater => 0,
        };
        let rest = events.get(stored..).unwrap_or_default();
        if !rest.is_empty() {
            let mut lines = Vec::new();
            for event in rest {
                serde_json::to_writer(&mut lines, &Line { batch, event })?;
                lines.push(b'\n');
            }
            OpenOptions::new().create(true).append(true).open(path)?.write_all(&lines)?;
            rest.iter().for_each(|event| told.add(batch, event));
        }
        Ok(told.fold.progress())
    }

    /// The file of the whole history.
    pub(super) fn app_ended(&mut self, app: AppId) -> Option<PathBuf> {
        self.told.remove(&app);
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
        let bytes = fs::read(self.app_file(app))
            .map_err(|_| FsError::new(ErrorCode::FileNotFound, format!("nothing is known of {app}")))?;
        Ok(whole_lines(&bytes).to_vec())
    }

    pub(super) fn fold(&self, app: AppId) -> Result<AppFold, FsError> {
        match self.told.get(&app) {
            Some(told) => Ok(told.fold.clone()),
            None => Told::read(&self.app_file(app))
                .map(|(told, _)| told.fold)
                .map_err(|error| FsError::new(ErrorCode::Io, format!("the events of {app} cannot be read: {error}"))),
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

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::jobs::event::AppEvent;

    const APP: AppId = AppId { cluster_ms: 1, number: 1 };

    fn skipped(stage: u32) -> TimedEvent {
        TimedEvent { at_ms: 1, event: AppEvent::StageSkipped { stage } }
    }

    fn stages(history: &History) -> Vec<u32> {
        let lines = history.lines(APP).expect("lines");
        let events = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let stage = |event| match event {
            TimedEvent { event: AppEvent::StageSkipped { stage }, .. } => stage,
            other => panic!("{other:?}"),
        };
        events.map(|line| stage(serde_json::from_slice(line).expect("clients read every line"))).collect()
    }

    #[test]
    fn events_survive_a_restart_and_a_torn_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut history = History::open(dir.path()).expect("opened");
        history.events(APP, 1, &[skipped(1), skipped(2)]).expect("kept");
        let path = history.app_file(APP);
        OpenOptions::new().append(true).open(&path).and_then(|mut f| f.write_all(b"{\"at_m")).expect("torn");
        let mut history = History::open(dir.path()).expect("opened again");
        assert_eq!(history.fold(APP).expect("folded").stages.len(), 2);
        assert_eq!(stages(&history), [1, 2]);
        history.events(APP, 2, &[skipped(3)]).expect("kept");
        assert_eq!(stages(&history), [1, 2, 3], "the torn line takes nothing with it");
        assert!(history.app_ended(APP).is_some());
        assert!(history.lines(AppId { number: 2, ..APP }).is_err());
    }

    #[test]
    fn a_poll_that_comes_again_is_stored_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut history = History::open(dir.path()).expect("opened");
        let batches = [vec![skipped(1)], vec![skipped(2), skipped(3), skipped(4)]];
        for (number, batch) in (1..).zip(&batches) {
            for _ in 0..2 {
                history.events(APP, number, batch).expect("kept");
            }
        }
        assert_eq!(stages(&history), [1, 2, 3, 4]);
        // The jobtracker was killed before it answered, and in the midst of writing.
        let path = history.app_file(APP);
        let file = OpenOptions::new().write(true).open(&path).expect("opened");
        file.set_len(file.metadata().expect("there").len() - 3).expect("cut");
        let mut history = History::open(dir.path()).expect("opened again");
        assert_eq!(stages(&history), [1, 2, 3]);
        history.events(APP, 1, &batches[0]).expect("an old one");
        history.events(APP, 2, &batches[1]).expect("kept");
        assert_eq!(stages(&history), [1, 2, 3, 4]);
    }

    #[test]
    fn tasks_are_counted_over_restarts() {
        let dir = tempfile::tempdir().expect("a folder");
        let submitted = AppEvent::StageSubmitted {
            stage: 1,
            generation: 0,
            name: "s".to_owned(),
            parents: Vec::new(),
            shuffle: None,
            partitions: vec![0, 1, 2],
            total: 3,
        };
        let events = [TimedEvent { at_ms: 1, event: submitted }];
        let mut history = History::open(dir.path()).expect("opened");
        assert_eq!(history.events(APP, 1, &events).expect("kept"), (0, 3));
        let mut history = History::open(dir.path()).expect("opened again");
        assert_eq!(history.events(APP, 2, &[skipped(2)]).expect("kept"), (0, 3));
    }

    #[test]
    fn a_disk_that_refuses_is_told_and_the_batch_may_come_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut history = History::open(dir.path()).expect("opened");
        let path = history.app_file(APP);
        fs::create_dir(&path).expect("in the way");
        let refused = history.events(APP, 1, &[skipped(1)]).expect_err("no file can be there");
        assert_eq!(refused.code, ErrorCode::Retriable);
        fs::remove_dir(&path).expect("out of the way");
        history.events(APP, 1, &[skipped(1)]).expect("kept");
        assert_eq!(stages(&history), [1]);
    }

    #[test]
    fn only_the_newest_histories_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut history = History::open(dir.path()).expect("opened");
        for number in 0..=KEPT as u32 + 5 {
            history.events(AppId { number, ..APP }, 1, &[skipped(1)]).expect("kept");
        }
        history.trim();
        assert_eq!(fs::read_dir(&history.dir).expect("listed").count(), KEPT);
    }
}
