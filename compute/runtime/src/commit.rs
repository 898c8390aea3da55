//! Making output visible, by the first version of Hadoop's `FileOutputCommitter`: an attempt writes into a folder of its own,
//! its commit renames that to the task's, and the job's commit moves every task's files into the output folder.
//!
//! ```text
//! OUT/_temporary/0/_temporary/ATTEMPT/part-r-00000     while it is written
//! OUT/_temporary/0/TASK/part-r-00000                   the task has committed
//! OUT/part-r-00000, OUT/_SUCCESS                       the job has committed
//! ```
//!
//! Every step may be repeated after the process that took it died at any point. Who may commit is decided elsewhere: by the
//! jobtracker, or the driver of an application.

#[cfg(test)]
mod tests;

use crate::error::RuntimeError;
use crate::files::{FileInfo, FileSystem};
use mammoth_protocol::{DfsPath, ErrorCode};

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
        Ok(())
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
        if is_committed {
            self.files.delete(&to, true)?;
        }
        Ok(self.files.rename(&from, &to)?)
    }

    /// Removes what an attempt has written.
    ///
    /// # Errors
    /// The cluster refuses.
    pub fn abort_task(&self, attempt: &str) -> Result<(), RuntimeError> {
        self.files.delete(&self.attempt_folder(attempt)?, true)?;
        Ok(())
    }

    /// Moves every task's files into the output folder, removes everything else of the job's and, if `mark`, leaves `_SUCCESS`.
    /// Does nothing before each of `expected` is there.
    ///
    /// # Errors
    /// A task's output is missing; the cluster refuses.
    pub fn commit_job(&self, expected: &[TaskOutput], mark: bool) -> Result<(), RuntimeError> {
        let committed = self.committed()?;
        for output in expected {
            let is_pending = committed.iter().any(|folder| folder.path.name() == output.task);
            let visible = self.out.join(&output.file).map_err(invalid)?;
            if !is_pending && self.files.stat(&visible)?.is_none() {
                let text = format!("the output of {} is missing in {}{}", output.task, self.files.uri(), self.out);
                return Err(RuntimeError::Refused(text));
            }
        }
        for folder in &committed {
            for entry in self.files.list(&folder.path)? {
                self.move_in(&entry, &self.out)?;
            }
        }
        self.files.delete(&self.out.join(PENDING).map_err(invalid)?, true)?;
        if mark {
            self.files.create(&self.out.join(SUCCESS).map_err(invalid)?, true)?.close()?;
        }
        Ok(())
    }

    /// The folders of tasks that have committed.
    fn committed(&self) -> Result<Vec<FileInfo>, RuntimeError> {
        let folder = self.job_folder()?;
        if self.files.stat(&folder)?.is_none() {
            return Ok(Vec::new());
        }
        let mut entries = self.files.list(&folder)?;
        entries.retain(|entry| entry.is_dir && entry.path.name() != PENDING);
        Ok(entries)
    }

    /// Moves a file to a folder, or the files of a folder into the one of the same name there.
    fn move_in(&self, entry: &FileInfo, into: &DfsPath) -> Result<(), RuntimeError> {
        let to = into.join(entry.path.name()).map_err(invalid)?;
        match self.files.stat(&to)? {
            Some(there) if there.is_dir && entry.is_dir => {
                for inner in self.files.list(&entry.path)? {
                    self.move_in(&inner, &to)?;
                }
                return Ok(());
            }
            Some(_) => drop(self.files.delete(&to, true)?),
            None => {}
        }
        Ok(self.files.rename(&entry.path, &to)?)
    }

    /// Removes what the job has left: everything pending, those of `expected` that a commit which was cut short had moved
    /// already, and the folder itself if nothing else is in it.
    ///
    /// # Errors
    /// The cluster refuses.
    pub fn abort_job(&self, expected: &[TaskOutput]) -> Result<(), RuntimeError> {
        self.files.delete(&self.out.join(PENDING).map_err(invalid)?, true)?;
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
