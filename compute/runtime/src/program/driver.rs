//! What a driver does for a MapReduce job: everything that takes the user's code or can be refused early, then it hands the job
//! over and watches.

use super::JobEntry;
use super::environment::Environment;
use super::watch::{self, Ending};
use crate::commit::Committer;
use crate::error::RuntimeError;
use crate::files::{self, DfsFiles, FileSystem};
use crate::task::{JobPlan, expected_outputs};
use crate::upload;
use mammoth_client::JobClient;
use mammoth_platform::{Entropy, Settings, SystemEntropy, keys};
use mammoth_protocol::DfsPath;
use mammoth_protocol::jobs::client::{JobState, NewJobReply, SubmitRequest};
use mammoth_protocol::jobs::spec::{InputSplit, JobSpec, ProgramRef, SPEC_VERSION};
use mammoth_protocol::jobs::{JobId, Resources};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

/// Name of the stored specification in the job's staging folder.
const SPEC: &str = "spec";
/// Status of a driver that was interrupted, as a shell shows it.
const INTERRUPTED: u8 = 130;
/// Where what lies between the jobs of a chain is, and how its name begins.
const CHAINED: &str = "/tmp/mammoth-mapred-chained";

/// A connection to the cluster on behalf of a user.
#[derive(Debug)]
pub struct Driver {
    environment: Environment,
    files: DfsFiles,
    jobs: JobClient,
}

/// A job that is complete but for what the jobtracker gives it.
struct Draft {
    plan: JobPlan,
    settings: Settings,
    output: DfsPath,
    splits: Vec<InputSplit>,
    reduces: u32,
}

impl Driver {
    /// A driver for the cluster of the environment. Connects when it must.
    ///
    /// # Errors
    /// Nobody named the file system or the jobtracker.
    pub fn new(environment: Environment) -> Result<Self, RuntimeError> {
        let files = DfsFiles::new(environment.client()?);
        let jobs = environment.job_client()?;
        Ok(Self { environment, files, jobs })
    }

    /// Submits a job, or one after the other those of a chain, and watches each to its end; the status for `main`. Ctrl-C ends
    /// the watching, not the job.
    ///
    /// # Errors
    /// What was refused before a job ran, or a cluster that is lost meanwhile.
    pub fn run(&self, entry: &JobEntry, plan: JobPlan, args: &[String]) -> Result<ExitCode, RuntimeError> {
        let mut steps = plan.into_steps();
        if let Some(output) = steps.last().and_then(|last| last.output.as_deref()) {
            // Known now, and not only when the jobs before have run.
            Committer::new(&self.files, files::resolve(&self.files, output)?).check_absent()?;
        }
        let chain = Chain { files: &self.files, folders: link_steps(&mut steps)? };
        let last = steps.len() - 1;
        for (step, plan) in steps.into_iter().enumerate() {
            let job = self.submit(entry, plan, args, step)?;
            match watch::watch(&self.jobs, job)? {
                Ending::Succeeded => {}
                Ending::Failed => return Ok(ExitCode::FAILURE),
                Ending::Interrupted => {
                    let rest = if step < last { "; the jobs after it will not be submitted" } else { "" };
                    eprintln!(
                        "Job {job} goes on; `mapred job -status {job}` shows it, `mapred job -kill {job}` ends it{rest}"
                    );
                    chain.keep();
                    return Ok(ExitCode::from(INTERRUPTED));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Checks, cuts, stores and submits a job, by its number in its chain.
    fn submit(&self, entry: &JobEntry, plan: JobPlan, args: &[String], step: usize) -> Result<JobId, RuntimeError> {
        let draft = draft(&self.files, plan, &self.environment.settings)?;
        let user = self.files.client().config().user.clone();
        let NewJobReply { job, staging } = self.jobs.new_job(&user)?;
        let program = upload::store_program(self.files.client())?;
        let spec = JobSpec {
            sdk: JobPlan::encode_step(step)?,
            ..draft.spec(entry.name, args, user, program, self.files.uri())?
        };
        let committer = Committer::new(&self.files, draft.output.clone());
        committer.setup_job(&job.to_string())?;
        let submitted = self.stage(job, &staging, &spec).and_then(|request| Ok(self.jobs.submit(&request)?));
        if let Err(error) = submitted {
            // The job may have been taken although the answer was lost; then its output is not ours to remove.
            if self.jobs.status(job).is_ok_and(|status| status.state != JobState::Prep) {
                return Ok(job);
            }
            let _first_error_counts = committer.abort_job(&expected_outputs(&spec, job));
            return Err(error);
        }
        Ok(job)
    }

    fn stage(&self, job: JobId, staging: &str, spec: &JobSpec) -> Result<SubmitRequest, RuntimeError> {
        let corrupt = |why: String| RuntimeError::Corrupt { what: "job specification".to_owned(), why };
        let bytes = postcard::to_stdvec(spec).map_err(|error| corrupt(error.to_string()))?;
        let folder = DfsPath::parse(staging).map_err(|error| corrupt(error.to_string()))?;
        let path = folder.join(SPEC).map_err(|error| corrupt(error.to_string()))?;
        let mut sink = self.files.create(&path, true)?;
        sink.write_all(&bytes).map_err(|source| RuntimeError::Io { what: path.to_string(), source })?;
        sink.close()?;
        Ok(SubmitRequest { job, spec: path.to_string(), sha256: upload::sha256_hex(&bytes) })
    }
}

/// Gives the jobs of a chain folders between them, where the program names none, and each the output of the one before as its
/// input. The folders that are not the user's.
fn link_steps(steps: &mut [JobPlan]) -> Result<Vec<DfsPath>, RuntimeError> {
    let mut folders = Vec::new();
    let mut previous: Option<String> = None;
    let count = steps.len();
    for (number, step) in steps.iter_mut().enumerate() {
        if let Some(input) = previous.take() {
            step.inputs = vec![input];
        }
        if step.output.is_none() && number + 1 < count {
            let folder = format!("{CHAINED}-{}", SystemEntropy.uuid());
            folders.push(DfsPath::parse(&folder).map_err(|error| RuntimeError::Refused(error.to_string()))?);
            step.output = Some(folder);
        }
        previous.clone_from(&step.output);
    }
    Ok(folders)
}

/// The folders between the jobs of a chain, which go with it.
struct Chain<'a> {
    files: &'a DfsFiles,
    folders: Vec<DfsPath>,
}

impl Chain<'_> {
    /// Leaves them: a job still writes there.
    fn keep(mut self) {
        self.folders.clear();
    }
}

impl Drop for Chain<'_> {
    fn drop(&mut self) {
        for folder in &self.folders {
            if let Err(error) = self.files.delete(folder, true) {
                tracing::warn!(%folder, %error, "a folder between two jobs is left");
            }
        }
    }
}

/// Everything about a job that can be known, or refused, before the cluster hears of it.
fn draft(files: &dyn FileSystem, plan: JobPlan, settings: &Settings) -> Result<Draft, RuntimeError> {
    let settings = plan.effective_settings(settings)?;
    let output = plan.output.as_deref().ok_or_else(|| RuntimeError::Refused("Output directory not set.".to_owned()))?;
    let output = files::resolve(files, output)?;
    Committer::new(files, output.clone()).check_absent()?;
    let reduces = plan.reduces(&settings)?;
    let splits = plan.format.splits(files, &plan.inputs, &settings)?;
    Ok(Draft { plan, settings, output, splits, reduces })
}

impl Draft {
    fn spec(
        &self,
        entry: &str,
        args: &[String],
        user: String,
        program: ProgramRef,
        fs: String,
    ) -> Result<JobSpec, RuntimeError> {
        let settings = &self.settings;
        let resources = |cores, memory| {
            let (cores, memory_mib) = (settings.int(cores)?, settings.int(memory)?);
            Ok::<Resources, RuntimeError>(Resources { cores, memory_mib })
        };
        let slowstart = settings.float(keys::MAPREDUCE_JOB_REDUCE_SLOWSTART)?;
        Ok(JobSpec {
            version: SPEC_VERSION,
            name: self.plan.name.clone(),
            user,
            program,
            entry: entry.to_owned(),
            args: args.to_vec(),
            sdk: Vec::new(),
            settings: given(settings)?,
            fs,
            splits: self.splits.clone(),
            reduces: self.reduces,
            output: Some(self.output.to_string()),
            map_resources: resources(keys::MAPREDUCE_MAP_CPU_VCORES, keys::MAPREDUCE_MAP_MEMORY_MB)?,
            reduce_resources: resources(keys::MAPREDUCE_REDUCE_CPU_VCORES, keys::MAPREDUCE_REDUCE_MEMORY_MB)?,
            map_attempts_max: settings.int(keys::MAPREDUCE_MAP_MAXATTEMPTS)?,
            reduce_attempts_max: settings.int(keys::MAPREDUCE_REDUCE_MAXATTEMPTS)?,
            task_timeout_ms: settings.millis(keys::MAPREDUCE_TASK_TIMEOUT)?,
            slowstart_percent: percent(slowstart),
        })
    }
}

/// All settings that anybody gave, with their variables replaced: a task has another environment.
fn given(settings: &Settings) -> Result<BTreeMap<String, String>, RuntimeError> {
    let mut all = BTreeMap::new();
    for (name, _, _) in settings.iter() {
        if let Some((value, _)) = settings.raw(name)? {
            all.insert(name.to_owned(), value);
        }
    }
    Ok(all)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share between 0 and 1")]
fn percent(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * 100.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;
    use crate::task::testing::plan;
    use mammoth_platform::settings::Environment as Variables;

    fn settings(pairs: &[&str]) -> Settings {
        let mut settings = Settings::new(Variables::default());
        for pair in pairs {
            settings.add_pair(pair).unwrap();
        }
        settings
    }

    fn store() -> MemoryFiles {
        let files = MemoryFiles::with_block_size(8);
        files.put(&DfsPath::parse("/in/a").unwrap(), *b"one two three four five\n");
        files
    }

    #[test]
    fn a_specification_holds_what_tasks_and_jobtracker_need() {
        let settings = settings(&["mapreduce.job.reduces=3", "mapreduce.map.memory.mb=512", "my.own=${user.name}"]);
        let draft = draft(&store(), plan(&["/in"], Some("/out")), &settings).unwrap();
        let args = vec!["x".to_owned()];
        let spec = draft.spec("job", &args, "ann".to_owned(), ProgramRef::default(), "hdfs://h:1".to_owned()).unwrap();
        assert_eq!((spec.splits.len(), spec.reduces, spec.slowstart_percent), (3, 3, 5));
        assert_eq!((spec.map_resources.memory_mib, spec.reduce_resources.memory_mib), (512, 1024));
        assert_eq!((spec.output.as_deref(), spec.args.as_slice()), (Some("/out"), args.as_slice()));
        assert_eq!(spec.settings["mapreduce.job.reduces"], "3");
        assert_eq!(spec.settings["my.own"], "");
        let bytes = postcard::to_stdvec(&spec).unwrap();
        assert_eq!(postcard::from_bytes::<JobSpec>(&bytes).unwrap(), spec);
    }

    #[test]
    fn a_chain_passes_its_output_on() {
        let mut first = plan(&["/in"], None);
        first.then = Some(Box::new(plan(&[], Some("/kept"))));
        first.then.as_mut().unwrap().then = Some(Box::new(plan(&["ignored"], Some("/out"))));
        let second = first.clone().into_step(&JobPlan::encode_step(1).unwrap()).unwrap();
        assert_eq!(second.output.as_deref(), Some("/kept"));
        assert!(first.clone().into_step(&JobPlan::encode_step(3).unwrap()).is_err());
        let mut steps = first.into_steps();
        let folders = link_steps(&mut steps).unwrap();
        assert_eq!(folders.len(), 1, "the user's own is kept");
        assert_eq!(steps[0].output.as_deref(), Some(folders[0].as_str()));
        assert_eq!(
            (&steps[1].inputs, steps[2].inputs.as_slice()),
            (&vec![folders[0].to_string()], &["/kept".to_owned()][..])
        );
    }

    #[test]
    fn what_cannot_be_is_refused_before_the_cluster_hears_of_it() {
        let files = store();
        let refuse = |inputs: &[&str], output: Option<&str>, pairs: &[&str]| {
            draft(&files, plan(inputs, output), &settings(pairs)).err().map(|error| error.to_string()).unwrap()
        };
        assert_eq!(refuse(&["/in"], Some("/in"), &[]), "Output directory memory://local/in already exists");
        assert_eq!(refuse(&["/nope"], Some("/out"), &[]), "Input path does not exist: memory://local/nope");
        assert_eq!(refuse(&["/in"], None, &[]), "Output directory not set.");
        assert!(refuse(&["/in"], Some("/out"), &["mapreduce.job.reduces=0"]).contains("mapreduce.job.reduces"));
        assert!(refuse(&["/in"], Some("/out"), &["mapreduce.job.reduces=-1"]).contains("-1"));
    }
}
