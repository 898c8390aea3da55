//! Commands about applications of the in-memory mode.

use super::Decision;
use crate::api::{Ending, Refusal, Reply};
use crate::rows::{AppRecord, AppRow, Edit};
use crate::state::State;
use crate::text::clip;
use mammoth_protocol::jobs::app::{NewAppReply, NewAppRequest};
use mammoth_protocol::jobs::{AppId, Resources};
use mammoth_protocol::limits::{JOB_TEXTS_MAX, JOBS_ACTIVE_MAX, JOBS_ENDED_MAX, REASON_BYTES_MAX};
use mammoth_protocol::{Now, Seq};

impl State {
    pub(super) fn new_app(&self, now: Now, request: &NewAppRequest) -> Result<Decision, Refusal> {
        let NewAppRequest { name, user, fs, program, driver, secret, settings } = request;
        let running = self.rows.apps.values().filter(|row| row.end.is_none()).count();
        if running >= JOBS_ACTIVE_MAX {
            return Err(Refusal::TooMany { what: "applications", limit: JOBS_ACTIVE_MAX });
        }
        let texts = [name, user, fs, &program.sha256, &program.path, driver, secret];
        let texts = texts.into_iter().chain(settings.iter().flat_map(|(key, value)| [key, value]));
        if texts.map(|text| text.len() + 4).sum::<usize>() > JOB_TEXTS_MAX {
            let what = format!("the application's names and settings have more than {JOB_TEXTS_MAX} bytes");
            return Err(Refusal::Invalid(what));
        }
        let meta = &self.rows.meta;
        let limit = u32::MAX as usize;
        let number = meta.last_app.checked_add(1).ok_or(Refusal::TooMany { what: "application ids", limit })?;
        let record = AppRecord {
            place: meta.last_place + 1,
            life: meta.lives,
            name: name.clone(),
            user: user.clone(),
            fs: fs.clone(),
            program: program.clone(),
            driver: driver.clone(),
            secret: secret.clone(),
            settings: settings.clone(),
            created_ms: now.wall_ms,
        };
        let app = AppId { cluster_ms: meta.cluster_ms, number };
        let reply = NewAppReply { app, lease_ms: self.config.app_lease_ms, cluster: self.capacity() };
        Ok(Decision { edits: vec![Edit::AppCreated { number, record }], reply: Reply::App(reply) })
    }

    pub(super) fn kill_app(&self, now: Now, app: AppId, reason: &str) -> Result<Decision, Refusal> {
        self.app_row(app).ok_or(Refusal::UnknownApp(app))?;
        let (done, total) = self.apps.get(&app.number).map_or((0, 0), |app| (app.tasks_done, app.tasks_total));
        let ending = Ending { killed: true, reason: reason.to_owned() };
        Ok(Decision::done(self.end_app(now, app, Some(&ending), done, total)))
    }

    /// The application has ended; the one that ended longest ago goes if there are too many.
    pub(super) fn end_app(
        &self,
        now: Now,
        app: AppId,
        ending: Option<&Ending>,
        tasks_done: u64,
        tasks_total: u64,
    ) -> Vec<Edit> {
        if self.app_row(app).is_none_or(|row| row.end.is_some()) {
            return Vec::new();
        }
        let number = app.number;
        let cut = |ending: &Ending| Ending { killed: ending.killed, reason: clip(&ending.reason, REASON_BYTES_MAX) };
        let ending = ending.map(cut);
        let mut edits = vec![Edit::AppEnded { number, at_ms: now.wall_ms, ending, tasks_done, tasks_total }];
        // By the records of their ends: the wall clock may have been set back since.
        let ended = self.rows.apps.iter().filter(|(_, row)| row.end.is_some());
        let mut ended: Vec<(Seq, u32)> = ended.map(|(number, row)| (row.seq, *number)).collect();
        ended.sort_unstable();
        let beyond = (ended.len() + 1).saturating_sub(JOBS_ENDED_MAX);
        edits.extend(ended.into_iter().take(beyond).map(|(_, number)| Edit::AppForgotten { number }));
        edits
    }

    /// The row of an application, by its whole id.
    pub(crate) fn app_row(&self, app: AppId) -> Option<&AppRow> {
        self.rows.apps.get(&app.number).filter(|_| app.cluster_ms == self.rows.meta.cluster_ms)
    }

    /// What all live trackers have.
    pub(crate) fn capacity(&self) -> Resources {
        let live = self.trackers.values().filter(|tracker| tracker.is_live());
        live.fold(Resources::default(), |sum, tracker| sum.plus(tracker.capacity))
    }
}
