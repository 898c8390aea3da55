//! After anything has happened: what follows at once, and what is handed out.

use super::State;
use crate::api::{Answer, Command, Effect, InternalCommand, Outcome};
use crate::jobs::{Due, Spec};
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::{JobId, TrackerId};
use std::sync::Arc;

impl State {
    /// The specification of a job has come, or will not.
    pub(crate) fn take_spec(&mut self, job: JobId, spec: Result<Arc<JobSpec>, String>) {
        let submission = self.rows.jobs.get(&job.number).and_then(|row| row.stage.submission());
        let known = self.jobs.get_mut(&job.number).filter(|known| known.id == job);
        if let (Some(submission), Some(known)) = (submission, known) {
            known.take_spec(spec, submission, self.clock);
            self.news.jobs.insert(job.number);
        }
    }

    /// Asks the owner for specifications that jobs lack.
    pub(crate) fn ask_for_specs(&mut self) {
        let now_ms = self.clock.monotonic_ms;
        let retry_ms = self.config.spec_retry_ms;
        for (number, job) in self.jobs.iter_mut().filter(|(_, job)| !job.is_final()) {
            let Spec::Wanted { asked_ms } = &mut job.spec else { continue };
            if asked_ms.is_some_and(|asked_ms| now_ms.saturating_sub(asked_ms) < retry_ms) {
                continue;
            }
            *asked_ms = Some(now_ms);
            let submission = self.rows.jobs.get(number).and_then(|row| row.stage.submission());
            if let Some(submission) = submission {
                let (path, sha256) = (submission.spec.clone(), submission.sha256.clone());
                self.news.effects.push(Effect::LoadSpec { job: job.id, path, sha256 });
            }
        }
    }

    /// Whether a job has an output folder, which is committed or tidied up.
    pub(crate) fn has_output(&self, number: u32) -> bool {
        let submission = self.rows.jobs.get(&number).and_then(|row| row.stage.submission());
        submission.is_some_and(|submission| submission.output.is_some())
    }

    /// Lets everything follow that follows at once. `all`: from the time as well, not only from what has changed.
    pub(crate) fn settle(&mut self, all: bool) {
        if !self.started {
            return;
        }
        self.advance_jobs(all);
        let apps: Vec<u32> =
            if all { self.apps.keys().copied().collect() } else { self.news.apps.iter().copied().collect() };
        for app in &apps {
            self.trim_executors(*app);
        }
        if all {
            self.find_unfit();
            self.preempt();
        }
        self.schedule();
        for app in apps {
            self.explain_waiting(app);
        }
        self.advance_jobs(false);
    }

    fn advance_jobs(&mut self, all: bool) {
        let numbers: Vec<u32> = if all {
            self.jobs.iter().filter(|(_, job)| !job.is_final()).map(|(number, _)| *number).collect()
        } else {
            self.news.jobs.iter().copied().collect()
        };
        for number in numbers {
            let has_output = self.has_output(number);
            if let Some(job) = self.jobs.get_mut(&number) {
                job.advance(has_output, &self.config, self.clock);
            }
        }
    }

    /// What is handed out. `all`: look at all jobs, applications and trackers, not only at those that have changed.
    pub(crate) fn outcome(&mut self, answer: Answer, all: bool) -> Outcome {
        let news = std::mem::take(&mut self.news);
        let jobs: Vec<u32> =
            if all { self.jobs.keys().copied().collect() } else { news.jobs.iter().copied().collect() };
        let apps: Vec<u32> =
            if all { self.apps.keys().copied().collect() } else { news.apps.iter().copied().collect() };
        let due = jobs.into_iter().filter_map(|number| self.due_of_job(number));
        let commands = due.chain(apps.into_iter().filter_map(|number| self.due_of_app(number)));
        let commands = commands.map(Command::Internal).collect();
        let mut effects = news.effects;
        effects.extend(news.jobs.iter().map(|number| Effect::JobChanged(self.job_id(*number))));
        effects.extend(news.apps.iter().map(|number| Effect::AppChanged(self.app_id(*number))));
        let now_ms = self.clock.monotonic_ms;
        let wants = |id: &TrackerId| {
            let wanted = |job: &JobId| news.jobs.contains(&job.number);
            all || news.trackers.contains(id)
                || self.trackers.get(id).is_some_and(|tracker| tracker.wants.keys().any(wanted))
        };
        let waiting = self.trackers.iter().filter(|(_, tracker)| tracker.waits).map(|(id, _)| *id);
        let wake: Vec<TrackerId> = waiting.filter(|id| wants(id) && self.has_orders(*id, now_ms)).collect();
        effects.extend(wake.into_iter().map(Effect::Wake));
        Outcome { answer, commands, effects }
    }

    fn due_of_job(&self, number: u32) -> Option<InternalCommand> {
        let job = self.jobs.get(&number)?;
        let started_ms = || job.work.as_ref().map_or(0, |work| work.started_ms);
        let counters = || job.work.as_ref().map(|work| work.counters()).unwrap_or_default();
        let id = job.id;
        Some(match job.due.as_ref()? {
            Due::Commit => InternalCommand::BeginCommit { job: id, started_ms: started_ms(), counters: counters() },
            Due::Abort(ending) => InternalCommand::BeginAbort {
                job: id,
                ending: ending.clone(),
                started_ms: started_ms(),
                counters: counters(),
            },
            Due::End => InternalCommand::EndJob { job: id },
        })
    }

    fn due_of_app(&self, number: u32) -> Option<InternalCommand> {
        let app = self.apps.get(&number)?;
        let ending = app.due.clone()?;
        let (tasks_done, tasks_total) = (app.tasks_done, app.tasks_total);
        Some(InternalCommand::EndApp { app: app.id, ending, tasks_done, tasks_total })
    }
}
