//! What lies between the jobs of a chain: folders that are nobody's result, and go with the chain.
//!
//! ```text
//! /tmp/mammoth-mapred-chained-ID/between-0       output of the first job, input of the second
//!                               /job_1_0001      this job writes or reads here
//!                               /abandoned       no further job will
//! ```
//!
//! The driver removes its own at its end. It cannot where it was killed, or left while a job still reads; then the next driver
//! of a chain does, once nobody can need the folder any more.

use crate::error::RuntimeError;
use crate::files::FileSystem;
use crate::task::JobPlan;
use mammoth_client::ClientError;
use mammoth_platform::{Entropy, SystemEntropy};
use mammoth_protocol::jobs::JobId;
use mammoth_protocol::jobs::client::{JobState, JobStatus};
use mammoth_protocol::{DfsPath, ErrorCode};

/// Where the folders are, and how their names begin.
const PARENT: &str = "/tmp";
const PREFIX: &str = "mammoth-mapred-chained-";
/// Entry that says that no driver will come back to the folder.
const ABANDONED: &str = "abandoned";
/// No driver takes longer from the end of one job to the start of the next, milliseconds.
const BETWEEN_JOBS_MS: u64 = 10 * 60 * 1000;
/// Folders that one driver looks at.
const SWEPT_MAX: usize = 100;

/// The folder of one chain, which goes with it.
pub(super) struct Chain<'a> {
    files: &'a dyn FileSystem,
    folder: Option<DfsPath>,
}

impl<'a> Chain<'a> {
    /// Gives the jobs of a chain folders between them, where the program names none, and each the output of the one before as
    /// its input.
    ///
    /// # Errors
    /// None that could be met: the paths are short.
    pub(super) fn link(files: &'a dyn FileSystem, steps: &mut [JobPlan]) -> Result<Self, RuntimeError> {
        let folder = DfsPath::parse(PARENT).and_then(|dir| dir.join(&format!("{PREFIX}{}", SystemEntropy.uuid())));
        let folder = folder.map_err(invalid)?;
        let mut is_needed = false;
        let mut previous: Option<String> = None;
        let count = steps.len();
        for (number, step) in steps.iter_mut().enumerate() {
            if let Some(input) = previous.take() {
                step.inputs = vec![input];
            }
            if step.output.is_none() && number + 1 < count {
                is_needed = true;
                step.output = Some(format!("{folder}/between-{number}"));
            }
            previous.clone_from(&step.output);
        }
        Ok(Self { files, folder: is_needed.then_some(folder) })
    }

    /// Whether there is a folder at all.
    pub(super) fn is_needed(&self) -> bool {
        self.folder.is_some()
    }

    /// Whether this output of a job is only for the next one.
    pub(super) fn holds(&self, output: Option<&str>) -> bool {
        let inside = |folder: &DfsPath| output.is_some_and(|output| output.starts_with(folder.as_str()));
        self.folder.as_ref().is_some_and(inside)
    }

    /// Says that a job writes or reads here, before it does.
    ///
    /// # Errors
    /// The cluster refuses.
    pub(super) fn note(&self, job: JobId) -> Result<(), RuntimeError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        Ok(self.files.mkdirs(&folder.join(&job.to_string()).map_err(invalid)?)?)
    }

    /// Leaves the folder to the next driver, as a job of this one still needs it.
    pub(super) fn abandon(mut self) {
        let Some(folder) = self.folder.take() else { return };
        if let Ok(mark) = folder.join(ABANDONED)
            && let Err(error) = self.files.mkdirs(&mark)
        {
            tracing::warn!(%folder, %error, "a folder between two jobs is left for some time");
        }
    }
}

impl Drop for Chain<'_> {
    fn drop(&mut self) {
        let Some(folder) = &self.folder else { return };
        if let Err(error) = self.files.delete(folder, true) {
            tracing::warn!(%folder, %error, "a folder between two jobs is left");
        }
    }
}

/// Removes the folders that other drivers have left and that no job needs. What cannot be removed, another user's for example,
/// stays: it is nobody's result.
pub(super) fn sweep(files: &dyn FileSystem, now_ms: u64, status: &dyn Fn(JobId) -> Result<JobStatus, ClientError>) {
    let Ok(parent) = DfsPath::parse(PARENT) else { return };
    let entries = files.list(&parent).unwrap_or_default();
    let chained = entries.into_iter().filter(|entry| entry.is_dir && entry.path.name().starts_with(PREFIX));
    for entry in chained.take(SWEPT_MAX) {
        let inside = files.list(&entry.path).unwrap_or_default();
        let names: Vec<&str> = inside.iter().map(|entry| entry.path.name()).collect();
        if is_left(&names, now_ms, status)
            && let Err(error) = files.delete(&entry.path, true)
        {
            tracing::info!(folder = %entry.path, %error, "a folder between two jobs of another driver stays");
        }
    }
}

/// Whether nobody needs a folder with these entries.
fn is_left(names: &[&str], now_ms: u64, status: &dyn Fn(JobId) -> Result<JobStatus, ClientError>) -> bool {
    let jobs: Vec<JobId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let mut last_end_ms = 0;
    for job in &jobs {
        match status(*job).as_ref().map(ended_ms) {
            Ok(Some(at_ms)) => last_end_ms = last_end_ms.max(at_ms),
            // So long ago that it is forgotten.
            Err(error) if error.code() == ErrorCode::FileNotFound => {}
            Ok(None) | Err(_) => return false,
        }
    }
    let is_abandoned = names.contains(&ABANDONED);
    !jobs.is_empty() && (is_abandoned || now_ms.saturating_sub(last_end_ms) > BETWEEN_JOBS_MS)
}

/// When a job ended, or got its id if it was never submitted.
fn ended_ms(status: &JobStatus) -> Option<u64> {
    if status.state.is_final() {
        return Some(status.finished_ms);
    }
    (!was_submitted(status)).then_some(status.submitted_ms)
}

/// Whether the jobtracker has taken a job. One that it has still to read again after a restart is [`JobState::Prep`], too.
pub(super) fn was_submitted(status: &JobStatus) -> bool {
    status.state != JobState::Prep || status.output.is_some()
}

fn invalid(error: mammoth_protocol::path::BadPath) -> RuntimeError {
    RuntimeError::Refused(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;
    use crate::program::watch::testing::status;
    use crate::task::testing::plan;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn steps() -> Vec<JobPlan> {
        let mut first = plan(&["/in"], None);
        first.then = Some(Box::new(plan(&[], Some("/kept"))));
        first.then.as_mut().unwrap().then = Some(Box::new(plan(&["ignored"], Some("/out"))));
        let second = first.clone().into_step(&JobPlan::encode_step(1).unwrap()).unwrap();
        assert_eq!(second.output.as_deref(), Some("/kept"));
        assert!(first.clone().into_step(&JobPlan::encode_step(3).unwrap()).is_err());
        first.into_steps()
    }

    fn left_in_tmp(files: &MemoryFiles) -> usize {
        files.list(&DfsPath::parse(PARENT).unwrap()).map_or(0, |entries| entries.len())
    }

    #[test]
    fn a_chain_passes_its_output_on() {
        let files = MemoryFiles::default();
        let mut steps = steps();
        let chain = Chain::link(&files, &mut steps).unwrap();
        assert!(chain.holds(steps[0].output.as_deref()) && chain.is_needed());
        assert!(!chain.holds(steps[1].output.as_deref()), "the user's own is kept");
        assert_eq!(Some(&steps[1].inputs[0]), steps[0].output.as_ref());
        assert_eq!(steps[2].inputs, ["/kept"]);
        let mut one = vec![plan(&["/in"], Some("/out"))];
        assert!(!Chain::link(&files, &mut one).unwrap().is_needed());
    }

    #[test]
    fn the_folder_goes_with_the_chain_unless_it_is_abandoned() {
        let files = MemoryFiles::default();
        let job = status(JobState::Running, 0.0, 0.0).job;
        let chain = Chain::link(&files, &mut steps()).unwrap();
        chain.note(job).unwrap();
        assert_eq!(left_in_tmp(&files), 1);
        drop(chain);
        assert_eq!(left_in_tmp(&files), 0);
        let chain = Chain::link(&files, &mut steps()).unwrap();
        chain.note(job).unwrap();
        chain.abandon();
        assert_eq!(left_in_tmp(&files), 1);
        sweep(&files, DAY_MS, &|_| Ok(status(JobState::Running, 0.0, 0.0)));
        assert_eq!(left_in_tmp(&files), 1, "a job reads there");
        let done = || JobStatus { finished_ms: DAY_MS, ..status(JobState::Succeeded, 1.0, 1.0) };
        sweep(&files, DAY_MS, &|_| Ok(done()));
        assert_eq!(left_in_tmp(&files), 0);
    }

    #[test]
    fn a_folder_is_left_when_its_jobs_are_over_and_its_driver_must_be_gone() {
        let ended = |finished_ms| JobStatus { finished_ms, ..status(JobState::Failed, 1.0, 0.0) };
        let job = ended(0).job.to_string();
        let forgotten = || ClientError::Remote {
            code: ErrorCode::FileNotFound,
            class: String::new(),
            message: "no such job".to_owned(),
        };
        let judge =
            |names: &[&str], answer: Result<JobStatus, ClientError>| is_left(names, DAY_MS, &|_| answer.clone());
        let names = ["between-0", &job];
        assert!(judge(&names, Ok(ended(DAY_MS - BETWEEN_JOBS_MS - 1))));
        assert!(!judge(&names, Ok(ended(DAY_MS - BETWEEN_JOBS_MS))), "its driver may be about to submit the next");
        assert!(judge(&names, Err(forgotten())));
        assert!(!judge(&names, Err(ClientError::Invalid("who knows".to_owned()))));
        assert!(!judge(&names, Ok(status(JobState::Running, 0.5, 0.0))));
        let prepared = JobStatus { submitted_ms: 1, ..status(JobState::Prep, 0.0, 0.0) };
        assert!(judge(&names, Ok(prepared.clone())), "its driver died before it submitted");
        let to_read_again = JobStatus { output: Some("/o".to_owned()), ..prepared };
        assert!(!judge(&names, Ok(to_read_again)));
        assert!(!judge(&["between-0"], Err(forgotten())), "not as a driver makes it");
    }
}
