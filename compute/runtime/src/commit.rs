//! Making output visible, by the first version of Hadoop's `FileOutputCommitter`: an attempt writes into a folder of its own,
//! its commit renames that to the task's, and the job's commit moves every task's files into the output folder.
//!
//! ```text
//! OUT/_temporary/0/_temporary/ATTEMPT/part-r-00000     while it is written
//! OUT/_temporary/0/TASK/part-r-00000                   the task has committed
//! OUT/part-r-00000, OUT/_SUCCESS                       the job has committed
//! ```
//!
//! Every step may be repeated after the process that took it died at any point, and two processes may take it at the same time:
//! a process whose tracker was given up, or that was started before the jobtracker was, may still be at it when the next one
//! begins. So a file becomes visible by one rename that replaces, nothing visible is ever deleted by a commit, and what makes
//! a job complete is moved out of `_temporary` as well: when an abort has removed that, a commit that is late finds nothing to
//! move. Who may commit is decided elsewhere: by the jobtracker, or the driver of an application.

#[cfg(test)]
mod tests;

use crate::error::RuntimeError;
use crate::files::{FileInfo, FileSystem};
use mammoth_protocol::{DfsPath, ErrorCode};
use std::collections::{BTreeMap, BTreeSet};

/// Folder of what is not visible yet.
const PENDING: &str = "_temporary";
/// Hadoop numbers the restarts of a job here; ours keep what was committed before.
const FIRST: &str = "0";
/// Tells jobs that start at the same moment apart: only one can create it.
const OWNER: &str = "_owner";
/// Left in the output of a job that succeeded.
const SUCCESS: &str = "_SUCCESS";

/// What one task must have committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOutput {
    /// The task's name, as in [`Committer::commit_task`].
    pub task: String,
    /// The file that it always leaves.
    pub file: String,
}

/// The steps for one output folder.
pub struct Committer<'a> {
    files: &'a dyn FileSystem,
    out: DfsPath,
}

impl<'a> Committer<'a> {
    /// Steps for the folder `out`.
    #[must_use]
    pub fn new(files: &'a dyn FileSystem, out: DfsPath) -> Self {
        Self { files, out }
    }

    fn exists_already(&self) -> RuntimeError {
        RuntimeError::Refused(format!("Output directory {}{} already exists", self.files.uri(), self.out))
    }

    /// Refuses an output that is there already.
    ///
    /// # Errors
    /// It is, or nobody can tell.
    pub fn check_absent(&self) -> Result<(), RuntimeError> {
        match self.files.stat(&self.out)? {
            Some(_) => Err(self.exists_already()),
            None => Ok(()),
        }
    }

    /// Makes the folders, for `owner` alone: of two jobs that start at the same moment one is refused.
    ///
    /// # Errors
    /// The output is there already, or cannot be made.
    pub fn setup_job(&self, owner: &str) -> Result<(), RuntimeError> {
        self.check_absent()?;
        let marker = self.job_folder()?.join(OWNER).map_err(invalid)?;
        let mut sink = self.files.create(&marker, false).map_err(|error| match error.code() {
            ErrorCode::FileAlreadyExists | ErrorCode::AlreadyBeingCreated => self.exists_already(),
            _ => error.into(),
        })?;
        sink.write_all(owner.as_bytes()).map_err(|source| RuntimeError::Io { what: marker.to_string(), source })?;
        sink.close()?;
        // Here alone: an attempt that comes after the job was aborted finds nothing to write into.
        Ok(self.files.mkdirs(&self.job_folder()?.join(PENDING).map_err(invalid)?)?)
    }

    /// Makes an attempt's folder in those that [`Self::setup_job`] made.
    ///
    /// # Errors
    /// The job was aborted meanwhile.
    pub fn setup_task(&self, attempt: &str) -> Result<DfsPath, RuntimeError> {
        let folder = self.attempt_folder(attempt)?;
        self.files.mkdir(&folder)?;
        Ok(folder)
    }

    /// Where an attempt writes.
    ///
    /// # Errors
    /// An output path that is too long or deep.
    pub fn attempt_folder(&self, attempt: &str) -> Result<DfsPath, RuntimeError> {
        self.job_folder()?.join(PENDING).and_then(|dir| dir.join(attempt)).map_err(invalid)
    }

    fn job_folder(&self) -> Result<DfsPath, RuntimeError> {
        self.out.join(PENDING).and_then(|dir| dir.join(FIRST)).map_err(invalid)
    }

    fn task_folder(&self, task: &str) -> Result<DfsPath, RuntimeError> {
        self.job_folder()?.join(task).map_err(invalid)
    }

    /// Makes an attempt's files the task's, whatever an earlier attempt had committed.
    ///
    /// # Errors
    /// The attempt has written nothing; the cluster refuses.
    pub fn commit_task(&self, attempt: &str, task: &str) -> Result<(), RuntimeError> {
        let from = self.attempt_folder(attempt)?;
        let to = self.task_folder(task)?;
        let is_committed = self.files.stat(&to)?.is_some();
        if self.files.stat(&from)?.is_none() {
            // A process that was told twice finds its work done.
            let gone = || RuntimeError::Refused(format!("the output of {attempt} is gone: {from} does not exist"));
            return if is_committed { Ok(()) } else { Err(gone()) };
        }
        if !is_committed {
            return Ok(self.files.rename(&from, &to)?);
        }
        // File by file, so that there is no moment at which the task has no output.
        for entry in self.entries(&from)? {
            self.move_in(&entry, &to)?;
        }
        self.files.delete(&from, true)?;
        Ok(())
    }

    /// Removes what an attempt has written.
    ///
    /// # Errors
    /// The cluster refuses.
    pub fn abort_task(&self, attempt: &str) -> Result<(), RuntimeError> {
        self.files.delete(&self.attempt_folder(attempt)?, true)?;
        Ok(())
    }

    /// Moves every task's files into the output folder, leaves `_SUCCESS` if `mark`, and removes everything else of the job's.
    /// Does nothing before each of `expected` is there, and does not end well before each of them is visible.
    ///
    /// # Errors
    /// A task's output is missing; the cluster refuses.
    pub fn commit_job(&self, expected: &[TaskOutput], mark: bool) -> Result<(), RuntimeError> {
        let mut pending = BTreeMap::new();
        for folder in self.committed()? {
            pending.insert(folder.path.name().to_owned(), self.entries(&folder.path)?);
        }
        // Looked at after the folders: another commit moves files from there to here, never back.
        self.check_visible(expected, &pending)?;
        for entry in pending.into_values().flatten() {
            self.move_in(&entry, &self.out)?;
        }
        self.check_visible(expected, &BTreeMap::new())?;
        if mark {
            self.mark()?;
        }
        self.files.delete(&self.out.join(PENDING).map_err(invalid)?, true)?;
        Ok(())
    }

    /// Refuses if the file of one of `expected` is neither visible nor in its task's folder.
    fn check_visible(
        &self,
        expected: &[TaskOutput],
        pending: &BTreeMap<String, Vec<FileInfo>>,
    ) -> Result<(), RuntimeError> {
        let waits = |output: &TaskOutput| {
            let entries = pending.get(&output.task);
            entries.is_some_and(|entries| entries.iter().any(|entry| entry.path.name() == output.file))
        };
        let rest: Vec<&TaskOutput> = expected.iter().filter(|output| !waits(output)).collect();
        if rest.is_empty() {
            return Ok(());
        }
        let visible = self.entries(&self.out)?;
        let visible: BTreeSet<&str> = visible.iter().map(|entry| entry.path.name()).collect();
        match rest.into_iter().find(|output| !visible.contains(&*output.file)) {
            Some(missing) => {
                let (uri, out) = (self.files.uri(), &self.out);
                Err(RuntimeError::Refused(format!("the output of {} is missing in {uri}{out}", missing.task)))
            }
            None => Ok(()),
        }
    }

    /// Leaves the mark of success, by a rename out of the job's folder: if that is gone, so is the right to leave it.
    fn mark(&self) -> Result<(), RuntimeError> {
        let (made, to) = (self.task_folder(SUCCESS)?, self.out.join(SUCCESS).map_err(invalid)?);
        let left = self.files.create_in(&made).and_then(|sink| sink.close());
        match left.and_then(|_| self.files.replace(&made, &to)) {
            // Another commit of the job was faster, otherwise.
            Err(error) if self.files.stat(&to)?.is_none() => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The folders of tasks that have committed.
    fn committed(&self) -> Result<Vec<FileInfo>, RuntimeError> {
        let mut entries = self.entries(&self.job_folder()?)?;
        entries.retain(|entry| entry.is_dir && entry.path.name() != PENDING);
        Ok(entries)
    }

    /// What is in a folder; nothing if it is gone.
    fn entries(&self, folder: &DfsPath) -> Result<Vec<FileInfo>, RuntimeError> {
        match self.files.list(folder) {
            Err(error) if error.code() == ErrorCode::FileNotFound => Ok(Vec::new()),
            listed => Ok(listed?),
        }
    }

    /// Moves a file to a folder, in place of one of the same name, or the files of a folder into the one of the same name there.
    /// What is not there any more was moved by somebody else.
    fn move_in(&self, entry: &FileInfo, into: &DfsPath) -> Result<(), RuntimeError> {
        let to = into.join(entry.path.name()).map_err(invalid)?;
        if !entry.is_dir {
            let moved = self.files.replace(&entry.path, &to);
            return match moved {
                Err(error) if self.files.stat(&entry.path)?.is_some() || self.files.stat(&to)?.is_none() => {
                    Err(error.into())
                }
                Ok(()) | Err(_) => Ok(()),
            };
        }
        if self.files.stat(&to)?.is_none() {
            match self.files.rename(&entry.path, &to) {
                Ok(()) => return Ok(()),
                Err(error) if self.files.stat(&to)?.is_none() => return Err(error.into()),
                // Somebody else made it in between.
                Err(_) => {}
            }
        }
        for inner in self.entries(&entry.path)? {
            self.move_in(&inner, &to)?;
        }
        Ok(())
    }

    /// Removes what the job has left: everything pending, which no commit can move any more then; what a commit that was cut
    /// short had moved already, of `expected` and the mark of success; and the folder itself if nothing else is in it.
    ///
    /// # Errors
    /// The cluster refuses.
    pub fn abort_job(&self, expected: &[TaskOutput]) -> Result<(), RuntimeError> {
        self.files.delete(&self.out.join(PENDING).map_err(invalid)?, true)?;
        self.files.delete(&self.out.join(SUCCESS).map_err(invalid)?, false)?;
        for output in expected {
            self.files.delete(&self.out.join(&output.file).map_err(invalid)?, true)?;
        }
        match self.files.delete(&self.out, false) {
            Err(error) if error.code() == ErrorCode::PathIsNotEmptyDirectory => Ok(()),
            done => done.map(|_| ()).map_err(RuntimeError::from),
        }
    }
}

fn invalid(error: mammoth_protocol::path::BadPath) -> RuntimeError {
    RuntimeError::Refused(error.to_string())
}
