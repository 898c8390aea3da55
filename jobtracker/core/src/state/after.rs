//! What an applied edit means for soft state.

use super::{Queued, State};
use crate::api::Effect;
use crate::apps::App;
use crate::jobs::{Input, Job, Phase, Spec};
use crate::rows::Edit;
use crate::trackers::Stray;
use mammoth_protocol::Seq;
use mammoth_protocol::jobs::{AppId, JobId};

impl State {
    /// The id of a job's number.
    pub(crate) fn job_id(&self, number: u32) -> JobId {
        JobId { cluster_ms: self.rows.meta.cluster_ms, number }
    }

    /// The id of an application's number.
    pub(crate) fn app_id(&self, number: u32) -> AppId {
        AppId { cluster_ms: self.rows.meta.cluster_ms, number }
    }

    /// An edit was applied, live.
    pub(crate) fn after(&mut self, edit: &Edit) {
        match edit {
            Edit::Started { .. } => self.begin_life(),
            Edit::JobSubmitted { number, .. } => self.enter_job(*number),
            Edit::JobCommitting { number, .. } => {
                self.change_phase(*number, Phase::Committing, "its job has what it needs");
            }
            Edit::JobAborting { number, ending, .. } => {
                let since_ms = self.clock.monotonic_ms;
                let why = if ending.killed { "its job was killed" } else { "its job failed" };
                self.change_phase(*number, Phase::Aborting { since_ms }, why);
            }
            Edit::JobEnded { number, .. } => self.job_ended(*number),
            Edit::JobForgotten { number } => self.forget_job(*number),
            Edit::AppCreated { number, .. } => self.enter_app(*number),
            Edit::AppEnded { number, .. } => self.app_ended(*number),
            Edit::AppForgotten { number } => self.forget_app(*number),
            Edit::JobAllocated { .. } | Edit::JobCounters { .. } | Edit::CountersForgotten { .. } => {}
        }
    }

    fn begin_life(&mut self) {
        self.started = true;
        self.began_ms = self.clock.monotonic_ms;
        let jobs: Vec<u32> = self.rows.jobs.keys().copied().collect();
        let apps: Vec<u32> = self.rows.apps.keys().copied().collect();
        for number in jobs {
            self.enter_job(number);
        }
        for number in apps {
            self.enter_app(number);
        }
    }

    fn enter_job(&mut self, number: u32) {
        let id = self.job_id(number);
        let life = self.rows.meta.lives;
        let Some(row) = self.rows.jobs.get(&number) else { return };
        let Some(job) = Job::new(id, &row.stage, life, self.clock) else { return };
        if row.stage.is_active() {
            self.queue.insert(job.place, Queued::Job(number));
        }
        self.jobs.insert(number, job);
        self.news.jobs.insert(number);
    }

    fn change_phase(&mut self, number: u32, phase: Phase, why: &str) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        job.phase = phase;
        job.due = None;
        job.unfit_ms = None;
        if let Some(work) = job.work.as_deref_mut() {
            work.failure = None;
        }
        job.touch();
        for attempt in job.live_attempts() {
            self.feed(attempt, &Input::End(why));
        }
        self.news.jobs.insert(number);
    }

    fn job_ended(&mut self, number: u32) {
        self.change_phase(number, Phase::Ended, "its job has ended");
        let id = self.job_id(number);
        if let Some(job) = self.jobs.get(&number) {
            self.queue.remove(&job.place);
        }
        let holding = self.trackers.iter().filter(|(_, tracker)| tracker.jobs.contains(&id)).map(|(id, _)| *id);
        self.news.trackers.extend(holding);
        self.news.effects.push(Effect::JobEnded(id));
        self.prune_ended_tasks(number);
    }

    /// Ended jobs keep their tasks for the pages, the latest ones, up to a limit; the one that has just ended in any case, as
    /// its history is about to be written.
    fn prune_ended_tasks(&mut self, latest: u32) {
        let tasks = |job: &Job| job.work.as_ref().map(|work| work.maps.len() + work.reduces.len());
        let ended = self.jobs.iter().filter(|(_, job)| job.is_final());
        // The last edit of a row that has ended is its end; the wall clock may have been set back since.
        let ended = ended.filter_map(|(number, job)| Some((self.rows.jobs.get(number)?.seq, *number, tasks(job)?)));
        let mut ended: Vec<(Seq, u32, usize)> = ended.collect();
        ended.sort_unstable_by(|a, b| b.cmp(a));
        let mut kept = 0;
        for (_, number, tasks) in ended {
            kept += tasks;
            if kept > self.config.ended_tasks_max && number != latest {
                self.drop_work(number);
            }
        }
    }

    /// Forgets a job's tasks, and what they were made of. What still runs of them is ended as something unknown.
    fn drop_work(&mut self, number: u32) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        job.spec = Spec::Wanted { asked_ms: None };
        let Some(work) = job.work.take() else { return };
        for (attempt, tracker) in &work.live {
            let Some(tracker) = self.trackers.get_mut(tracker) else { continue };
            if let Some(resources) = tracker.attempts.remove(attempt) {
                tracker.strays.insert(*attempt, Stray { ended: false, resources });
            }
        }
    }

    fn forget_job(&mut self, number: u32) {
        self.drop_work(number);
        self.jobs.remove(&number);
    }

    fn enter_app(&mut self, number: u32) {
        let id = self.app_id(number);
        let Some(row) = self.rows.apps.get(&number) else { return };
        let app = App::new(id, row, self.rows.meta.lives, &self.config, self.clock);
        if row.end.is_none() {
            self.queue.insert(app.place, Queued::App(number));
        }
        self.apps.insert(number, app);
        self.news.apps.insert(number);
    }

    fn app_ended(&mut self, number: u32) {
        let id = self.app_id(number);
        let Some(app) = self.apps.get_mut(&number) else { return };
        app.ended = true;
        app.due = None;
        app.waiting = None;
        app.touch();
        self.queue.remove(&app.place);
        let holding = self.trackers.iter().filter(|(_, tracker)| tracker.apps.contains(&id)).map(|(id, _)| *id);
        self.news.trackers.extend(holding);
        self.news.apps.insert(number);
        self.news.effects.push(Effect::AppEnded(id));
        self.trim_executors(number);
    }

    fn forget_app(&mut self, number: u32) {
        let Some(app) = self.apps.remove(&number) else { return };
        for (executor, held) in &app.executors {
            let Some(tracker) = self.trackers.get_mut(&held.tracker) else { continue };
            if let Some(resources) = tracker.executors.remove(&(app.id, *executor)) {
                tracker.stray_executors.insert((app.id, *executor), Stray { ended: false, resources });
            }
        }
    }
}
