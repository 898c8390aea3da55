//! What a driver does for a MapReduce job: everything that takes the user's code or can be refused early, then it hands the job
//! over and watches.

use super::JobEntry;
use super::chain::{self, Chain};
use super::environment::Environment;
use super::watch::{self, Ending};
use crate::commit::Committer;
use crate::error::RuntimeError;
use crate::files::{self, DfsFiles, FileSystem};
use crate::task::{JobPlan, expected_outputs};
use crate::upload;
use mammoth_client::JobClient;
use mammoth_platform::{Clock, Settings, Shutdown, SystemClock, keys, signals};
use mammoth_protocol::DfsPath;
use mammoth_protocol::jobs::client::{NewJobReply, SubmitRequest};
use mammoth_protocol::jobs::spec::{InputSplit, JobSpec, ProgramRef, SPEC_VERSION};
use mammoth_protocol::jobs::{JobId, Resources};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

/// Name of the stored specification in the job's staging folder.
const SPEC: &str = "spec";
/// Status of a driver that was interrupted, as a shell shows it.
const INTERRUPTED: u8 = 130;
/// How long the end of a job that is killed is waited for, milliseconds.
const KILL_MS: u64 = 30_000;

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
    /// the watching, not the job, unless that job's output is only for another one that will not follow now.
    ///
    /// # Errors
    /// What was refused before a job ran, or a cluster that is lost meanwhile.
    pub fn run(&self, entry: &JobEntry, plan: JobPlan, args: &[String]) -> Result<ExitCode, RuntimeError> {
        let mut steps = plan.into_steps();
        if let Some(output) = steps.last().and_then(|last| last.output.as_deref()) {
            // Known now, and not only when the jobs before have run.
            Committer::new(&self.files, files::resolve(&self.files, output)?).check_absent()?;
        }
        let chain = Chain::link(&self.files, &mut steps)?;
        if chain.is_needed() {
            chain::sweep(&self.files, SystemClock.now().wall_ms, &|job| self.jobs.status(job));
        }
        let interrupt = Shutdown::new();
        for (step, plan) in steps.into_iter().enumerate() {
            if interrupt.is_triggered() {
                return Ok(ExitCode::from(INTERRUPTED));
            }
            let is_between = chain.holds(plan.output.as_deref());
            let job = self.submit(entry, plan, args, step, &chain, &interrupt)?;
            match watch::watch(&self.jobs, job, &interrupt) {
                Ok(Ending::Succeeded) => {}
                Ok(Ending::Failed) => return Ok(ExitCode::FAILURE),
                Ok(Ending::Interrupted) => {
                    self.interrupted(job, is_between, chain);
                    return Ok(ExitCode::from(INTERRUPTED));
                }
                Err(error) => {
                    chain.abandon();
                    return Err(error);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Leaves a job alone, or ends one whose output nobody would read.
    fn interrupted(&self, job: JobId, is_between: bool, chain: Chain<'_>) {
        if is_between && self.kill(job) {
            eprintln!("Killed job {job}: its output was for a job that will not be submitted now");
            return;
        }
        eprintln!("Job {job} goes on; `mapred job -status {job}` shows it, `mapred job -kill {job}` ends it");
        chain.abandon();
    }

    /// Kills a job and waits until nothing of it writes any more; whether that was seen.
    fn kill(&self, job: JobId) -> bool {
        let deadline = SystemClock.now().monotonic_ms.saturating_add(KILL_MS);
        let mut status = self.jobs.kill(job);
        while let Ok(known) = &status {
            let left = deadline.saturating_sub(SystemClock.now().monotonic_ms);
            if known.state.is_final() || left == 0 {
                return known.state.is_final();
            }
            status = self.jobs.wait_status(job, known.version, left.min(1000));
        }
        false
    }

    /// Checks, cuts, stores and submits a job, by its number in its chain.
    fn submit(
        &self,
        entry: &JobEntry,
        plan: JobPlan,
        args: &[String],
        step: usize,
        chain: &Chain<'_>,
        interrupt: &Shutdown,
    ) -> Result<JobId, RuntimeError> {
        let draft = draft(&self.files, plan, &self.environment.settings)?;
        let user = self.files.client().config().user.clone();
        let NewJobReply { job, staging } = self.jobs.new_job(&user)?;
        let program = upload::store_program(self.files.client())?;
        let spec = JobSpec {
            sdk: JobPlan::encode_step(step)?,
            ..draft.spec(entry.name, args, user, program, self.files.uri())?
        };
        if step == 0 {
            // From here on there is something to clean up.
            signals::on_terminate(interrupt)?;
        }
        chain.note(job)?;
        let committer = Committer::new(&self.files, draft.output.clone());
        committer.setup_job(&job.to_string())?;
        let submitted = self.stage(job, &staging, &spec).and_then(|request| Ok(self.jobs.submit(&request)?));
        if let Err(error) = submitted {
            // The job may have been taken although the answer was lost; then its output is not ours to remove.
            if self.jobs.status(job).is_ok_and(|status| chain::was_submitted(&status)) {
                return Ok(job);
            }
            // The first error counts.
            let _left = committer.abort_job(&expected_outputs(&spec, job));
            let _left = DfsPath::parse(&staging).map(|folder| self.files.delete(&folder, true));
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
