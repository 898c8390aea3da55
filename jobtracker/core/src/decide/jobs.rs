//! Commands about jobs.

use super::Decision;
use crate::api::{Ending, Refusal, Reply};
use crate::rows::{Edit, JobRow, Past, Stage, Submission, pages_of};
use crate::state::State;
use crate::text::clip;
use mammoth_protocol::jobs::client::SubmitRequest;
use mammoth_protocol::jobs::spec::{JobSpec, SPEC_VERSION};
use mammoth_protocol::jobs::{Counters, JobId, Resources};
use mammoth_protocol::limits::{
    JOB_TEXTS_MAX, JOBS_ACTIVE_MAX, JOBS_ENDED_MAX, JOBS_PREPARED_MAX, PRINCIPAL_BYTES_MAX, REASON_BYTES_MAX,
    TASKS_PER_KIND_MAX,
};
use mammoth_protocol::{Now, Seq};

impl State {
    pub(super) fn new_job(&self, now: Now, user: &str) -> Result<Decision, Refusal> {
        if user.len() > PRINCIPAL_BYTES_MAX {
            return Err(Refusal::Invalid("the user's name is too long".to_owned()));
        }
        let meta = &self.rows.meta;
        let number =
            meta.last_job.checked_add(1).ok_or(Refusal::TooMany { what: "job ids", limit: u32::MAX as usize })?;
        let mut edits = vec![Edit::JobAllocated { number, user: user.to_owned(), at_ms: now.wall_ms }];
        let prepared = self.rows.jobs.iter().filter(|(_, row)| row.stage == Stage::Prepared).map(|(number, _)| *number);
        let prepared: Vec<u32> = prepared.collect();
        let beyond = (prepared.len() + 1).saturating_sub(JOBS_PREPARED_MAX);
        edits.extend(prepared.into_iter().take(beyond).map(|number| Edit::JobForgotten { number }));
        Ok(Decision { edits, reply: Reply::Job(JobId { cluster_ms: meta.cluster_ms, number }) })
    }

    pub(super) fn submit(&self, now: Now, request: &SubmitRequest, spec: &JobSpec) -> Result<Decision, Refusal> {
        let SubmitRequest { job, spec: path, sha256 } = request;
        let row = self.job_row(*job).ok_or(Refusal::UnknownJob(*job))?;
        if let Some(before) = row.stage.submission() {
            let same = before.spec == *path && before.sha256 == *sha256;
            return if same { Ok(Decision::done(Vec::new())) } else { Err(Refusal::OtherSpec(*job)) };
        }
        check_spec(spec)?;
        let active = self.rows.jobs.values().filter(|row| row.stage.is_active()).count();
        if active >= JOBS_ACTIVE_MAX {
            return Err(Refusal::TooMany { what: "jobs", limit: JOBS_ACTIVE_MAX });
        }
        // The row's, and those of every launch.
        let texts = [path, sha256, &spec.name, &spec.user, &row.user];
        let texts = texts.into_iter().chain([&spec.fs, &spec.program.path, &spec.program.sha256]).chain(&spec.output);
        if texts.map(String::len).sum::<usize>() > JOB_TEXTS_MAX {
            return Err(Refusal::Invalid(format!("the job's name and paths have more than {JOB_TEXTS_MAX} bytes")));
        }
        let submission = Submission {
            place: self.rows.meta.last_place + 1,
            life: self.rows.meta.lives,
            spec: path.clone(),
            sha256: sha256.clone(),
            name: spec.name.clone(),
            user: spec.user.clone(),
            output: spec.output.clone(),
            maps: u32::try_from(spec.splits.len()).unwrap_or(u32::MAX),
            reduces: spec.reduces,
            submitted_ms: now.wall_ms,
        };
        Ok(Decision::done(vec![Edit::JobSubmitted { number: job.number, submission }]))
    }

    pub(super) fn kill_job(&self, job: JobId, reason: &str) -> Result<Decision, Refusal> {
        let row = self.job_row(job).ok_or(Refusal::UnknownJob(job))?;
        let ending = Ending { killed: true, reason: clip(reason, REASON_BYTES_MAX) };
        Ok(Decision::done(match &row.stage {
            Stage::Prepared => vec![Edit::JobForgotten { number: job.number }],
            Stage::Running(_) | Stage::Committing(..) => {
                let work = self.jobs.get(&job.number).and_then(|job| job.work.as_ref());
                let started_ms = work.map_or(0, |work| work.started_ms);
                let counters = work.map(|work| work.counters()).unwrap_or_default();
                self.begin_abort(job, &ending, started_ms, &counters)
            }
            Stage::Aborting(..) | Stage::Ended { .. } => Vec::new(),
        }))
    }

    pub(super) fn begin_commit(&self, job: JobId, started_ms: u64, counters: &Counters) -> Vec<Edit> {
        let number = job.number;
        match self.job_row(job).map(|row| &row.stage) {
            Some(Stage::Running(_)) => {
                let (pages, mut edits) = page_edits(number, counters);
                edits.insert(0, Edit::JobCommitting { number, started_ms, pages });
                edits
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn begin_abort(&self, job: JobId, ending: &Ending, started_ms: u64, counters: &Counters) -> Vec<Edit> {
        let number = job.number;
        let ending = Ending { killed: ending.killed, reason: clip(&ending.reason, REASON_BYTES_MAX) };
        match self.job_row(job).map(|row| &row.stage) {
            Some(Stage::Running(_)) => {
                let (pages, mut edits) = page_edits(number, counters);
                edits.insert(0, Edit::JobAborting { number, started_ms, pages, ending });
                edits
            }
            Some(Stage::Committing(_, Past { started_ms, pages })) => {
                vec![Edit::JobAborting { number, started_ms: *started_ms, pages: *pages, ending }]
            }
            _ => Vec::new(),
        }
    }

    /// The job is final; the one that ended longest ago goes if there are too many.
    pub(super) fn end_job(&self, now: Now, job: JobId) -> Vec<Edit> {
        let number = job.number;
        if !matches!(self.job_row(job).map(|row| &row.stage), Some(Stage::Committing(..) | Stage::Aborting(..))) {
            return Vec::new();
        }
        let mut edits = vec![Edit::JobEnded { number, at_ms: now.wall_ms }];
        // By the records of their ends: the wall clock may have been set back since.
        let ended = self.rows.jobs.iter().filter(|(_, row)| row.stage.is_ended());
        let mut ended: Vec<(Seq, u32)> = ended.map(|(number, row)| (row.seq, *number)).collect();
        ended.sort_unstable();
        let beyond = (ended.len() + 1).saturating_sub(JOBS_ENDED_MAX);
        for (_, number) in ended.into_iter().take(beyond) {
            let pages = self.rows.counters.range((number, 0)..=(number, u16::MAX)).map(|((_, page), _)| *page);
            edits.extend(pages.map(|page| Edit::CountersForgotten { number, page }));
            edits.push(Edit::JobForgotten { number });
        }
        edits
    }

    /// The row of a job, by its whole id.
    pub(crate) fn job_row(&self, job: JobId) -> Option<&JobRow> {
        self.rows.jobs.get(&job.number).filter(|_| job.cluster_ms == self.rows.meta.cluster_ms)
    }
}

fn page_edits(number: u32, counters: &Counters) -> (u16, Vec<Edit>) {
    let pages = pages_of(counters);
    let count = u16::try_from(pages.len()).unwrap_or(u16::MAX);
    let edit = |(page, counters)| Edit::JobCounters { number, page, counters };
    (count, (0..count).zip(pages).map(edit).collect())
}

/// A specification that tasks can be made of.
fn check_spec(spec: &JobSpec) -> Result<(), Refusal> {
    let invalid = |what: String| Err(Refusal::Invalid(what));
    if spec.version != SPEC_VERSION {
        return invalid(format!("the specification has version {}, and {SPEC_VERSION} is known", spec.version));
    }
    if spec.splits.len() > TASKS_PER_KIND_MAX || spec.reduces as usize > TASKS_PER_KIND_MAX {
        let (maps, reduces) = (spec.splits.len(), spec.reduces);
        return invalid(format!("{maps} maps and {reduces} reduces: at most {TASKS_PER_KIND_MAX} of each"));
    }
    let nothing = |wanted: Resources| wanted.cores == 0 || wanted.memory_mib == 0;
    for (kind, wanted) in [("map", spec.map_resources), ("reduce", spec.reduce_resources)] {
        if nothing(wanted) {
            return invalid(format!("a {kind} cannot be made of {wanted}"));
        }
    }
    Ok(())
}
