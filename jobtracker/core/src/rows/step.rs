//! What each edit does to its row.

use super::{AppEnded, AppRow, Edit, JobRow, Meta, Past, RowKey, Rows, Stage};
use mammoth_protocol::Seq;
use mammoth_protocol::journaled::CorruptRow;

impl Edit {
    /// The row that it changes.
    pub(crate) fn key(&self) -> RowKey {
        match self {
            Self::Started { .. } => RowKey::Meta,
            Self::JobAllocated { number, .. }
            | Self::JobSubmitted { number, .. }
            | Self::JobCommitting { number, .. }
            | Self::JobAborting { number, .. }
            | Self::JobEnded { number, .. }
            | Self::JobForgotten { number } => RowKey::Job(*number),
            Self::JobCounters { number, page, .. } | Self::CountersForgotten { number, page } => {
                RowKey::Counters(*number, *page)
            }
            Self::AppCreated { number, .. } | Self::AppEnded { number, .. } | Self::AppForgotten { number } => {
                RowKey::App(*number)
            }
        }
    }
}

impl Rows {
    /// Applies an edit of record `seq`.
    pub(crate) fn apply(&mut self, seq: Seq, edit: &Edit) {
        self.raise(edit);
        let key = edit.key();
        if self.loading && self.row_seq(key).is_some_and(|row| row >= seq) {
            return;
        }
        self.touched.insert(key);
        match edit {
            Edit::Started { at_ms } => {
                let meta = &mut self.meta;
                let cluster_ms = if meta.cluster_ms == 0 { (*at_ms).max(1) } else { meta.cluster_ms };
                *meta = Meta { seq, cluster_ms, lives: meta.lives.saturating_add(1), ..*meta };
            }
            Edit::JobAllocated { number, user, at_ms } => {
                let row = JobRow { seq, user: user.clone(), allocated_ms: *at_ms, stage: Stage::Prepared };
                self.jobs.insert(*number, row);
            }
            Edit::JobSubmitted { .. }
            | Edit::JobCommitting { .. }
            | Edit::JobAborting { .. }
            | Edit::JobEnded { .. } => {
                self.change_job(seq, key, edit);
            }
            Edit::JobCounters { number, page, counters } => {
                self.counters.insert((*number, *page), (seq, counters.clone()));
            }
            Edit::JobForgotten { number } => drop(self.jobs.remove(number)),
            Edit::CountersForgotten { number, page } => drop(self.counters.remove(&(*number, *page))),
            Edit::AppCreated { number, record } => {
                self.apps.insert(*number, AppRow { seq, record: record.clone(), end: None });
            }
            Edit::AppEnded { number, at_ms, ending, tasks_done, tasks_total } => {
                let Some(row) = self.apps.get_mut(number) else { return self.missing(seq, key) };
                let (tasks_done, tasks_total) = (*tasks_done, *tasks_total);
                row.end = Some(AppEnded { finished_ms: *at_ms, ending: ending.clone(), tasks_done, tasks_total });
                row.seq = seq;
            }
            Edit::AppForgotten { number } => drop(self.apps.remove(number)),
        }
    }

    fn change_job(&mut self, seq: Seq, key: RowKey, edit: &Edit) {
        let RowKey::Job(number) = key else { return };
        let Some(row) = self.jobs.get_mut(&number) else { return self.missing(seq, key) };
        let stage = std::mem::replace(&mut row.stage, Stage::Prepared);
        let next = match (stage, edit) {
            (Stage::Prepared, Edit::JobSubmitted { submission, .. }) => Ok(Stage::Running(submission.clone())),
            (Stage::Running(submission), Edit::JobCommitting { started_ms, pages, .. }) => {
                Ok(Stage::Committing(submission, Past { started_ms: *started_ms, pages: *pages }))
            }
            (
                Stage::Running(submission) | Stage::Committing(submission, _),
                Edit::JobAborting { started_ms, pages, ending, .. },
            ) => Ok(Stage::Aborting(submission, Past { started_ms: *started_ms, pages: *pages }, ending.clone())),
            (Stage::Committing(submission, past), Edit::JobEnded { at_ms, .. }) => {
                Ok(Stage::Ended { submission, past, ending: None, finished_ms: *at_ms })
            }
            (Stage::Aborting(submission, past, ending), Edit::JobEnded { at_ms, .. }) => {
                Ok(Stage::Ended { submission, past, ending: Some(ending), finished_ms: *at_ms })
            }
            (stage, _) => Err(stage),
        };
        row.seq = seq;
        match next {
            Ok(stage) => row.stage = stage,
            Err(stage) => {
                row.stage = stage;
                self.mismatch(format!("record {seq} does not fit row {key:?}"));
            }
        }
    }

    /// Counts that creating edits raise, whatever has become of their rows.
    fn raise(&mut self, edit: &Edit) {
        let meta = &mut self.meta;
        let before = (meta.last_job, meta.last_app, meta.last_place);
        match edit {
            Edit::JobAllocated { number, .. } => meta.last_job = meta.last_job.max(*number),
            Edit::JobSubmitted { submission, .. } => meta.last_place = meta.last_place.max(submission.place),
            Edit::AppCreated { number, record } => {
                meta.last_app = meta.last_app.max(*number);
                meta.last_place = meta.last_place.max(record.place);
            }
            _ => {}
        }
        if before != (meta.last_job, meta.last_app, meta.last_place) {
            self.touched.insert(RowKey::Meta);
        }
    }

    fn row_seq(&self, key: RowKey) -> Option<Seq> {
        match key {
            RowKey::Meta => Some(self.meta.seq),
            RowKey::Job(number) => self.jobs.get(&number).map(|row| row.seq),
            RowKey::Counters(number, page) => self.counters.get(&(number, page)).map(|(seq, _)| *seq),
            RowKey::App(number) => self.apps.get(&number).map(|row| row.seq),
        }
    }

    /// An edit of a row that is not there. On replay a later edit, still to come, removed it; live it is a bug.
    fn missing(&mut self, seq: Seq, key: RowKey) {
        debug_assert!(self.loading, "record {seq} changes row {key:?}, which does not exist");
    }

    /// An edit that does not fit its row. Live, `decide` has checked everything, so it is a bug; on replay, the log or the
    /// checkpoint was changed by somebody else, and loading ends with an error.
    fn mismatch(&mut self, what: String) {
        debug_assert!(self.loading, "{what}");
        self.damage.get_or_insert(CorruptRow { what });
    }
}
