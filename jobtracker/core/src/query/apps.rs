//! Questions about applications.

use crate::rows::AppRow;
use crate::state::State;
use mammoth_protocol::jobs::AppId;
use mammoth_protocol::jobs::app::AppStatus;

impl State {
    /// One application; nothing if it is not known (any more).
    #[must_use]
    pub fn app_status(&self, app: AppId) -> Option<AppStatus> {
        let row = self.app_row(app)?;
        Some(self.status_of_app(app.number, row))
    }

    /// All applications that are known, newest first.
    #[must_use]
    pub fn apps(&self) -> Vec<AppStatus> {
        self.rows.apps.iter().rev().map(|(number, row)| self.status_of_app(*number, row)).collect()
    }

    fn status_of_app(&self, number: u32, row: &AppRow) -> AppStatus {
        let app = self.apps.get(&number);
        let (state, reason) = match &row.end {
            None => ("RUNNING", None),
            Some(end) => match &end.ending {
                None => ("SUCCEEDED", None),
                Some(ending) => (if ending.killed { "KILLED" } else { "FAILED" }, Some(ending.reason.clone())),
            },
        };
        let (tasks_done, tasks_total) = match &row.end {
            Some(end) => (end.tasks_done, end.tasks_total),
            None => app.map_or((0, 0), |app| (app.tasks_done, app.tasks_total)),
        };
        AppStatus {
            app: self.app_id(number),
            name: row.record.name.clone(),
            user: row.record.user.clone(),
            state: state.to_owned(),
            started_ms: row.record.created_ms,
            finished_ms: row.end.as_ref().map_or(0, |end| end.finished_ms),
            reason,
            executors: app.map_or(0, |app| app.wanted()) as u32,
            tasks_done,
            tasks_total,
        }
    }
}
