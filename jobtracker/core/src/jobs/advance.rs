//! What a job waits for next.

use super::task::TaskState;
use super::{Due, Job, Phase, Spec};
use crate::api::{CoreConfig, Ending};
use mammoth_protocol::Now;
use mammoth_protocol::jobs::{TaskId, TaskKind};

/// What of a job can be given to trackers at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    Nothing,
    Tasks,
    /// This one task.
    Only(TaskKind),
    /// Nothing yet, but this one task as soon as an edit is applied.
    Soon(TaskKind),
}

impl Job {
    /// Finds out whether the next edit is due. `has_output`: there is a folder to commit or to tidy up.
    pub(crate) fn advance(&mut self, has_output: bool, config: &CoreConfig, now: Now) {
        if self.due.is_some() {
            return;
        }
        self.due = match (self.phase, &self.spec, self.work.as_deref()) {
            (Phase::Ended, ..) => None,
            (Phase::Running, Spec::Missing(reason), _) => Some(Due::Abort(failed(reason))),
            (Phase::Running, Spec::Here(_), Some(work)) => match &work.failure {
                Some(reason) => Some(Due::Abort(failed(reason))),
                None => work.is_complete().then_some(Due::Commit),
            },
            (Phase::Committing, ..) if !has_output => Some(Due::End),
            (Phase::Committing, Spec::Missing(reason), _) => Some(Due::Abort(failed(reason))),
            (Phase::Committing, Spec::Here(_), Some(work)) => match (&work.failure, &work.commit.state) {
                (Some(reason), _) => Some(Due::Abort(failed(reason))),
                (None, TaskState::Done { .. }) => Some(Due::End),
                (None, TaskState::Pending { .. } | TaskState::Running { .. } | TaskState::Failed) => None,
            },
            (Phase::Aborting { .. }, Spec::Missing(_), _) => Some(Due::End),
            (Phase::Aborting { since_ms }, _, work) => {
                let over = now.monotonic_ms.saturating_sub(since_ms) >= config.abort_wait_ms;
                let quiet = work.is_none_or(|work| work.live.is_empty());
                let done = |state: &TaskState| matches!(state, TaskState::Done { .. } | TaskState::Failed);
                let tidy = work.is_some_and(|work| done(&work.abort.state) || work.failure.is_some());
                let nothing = !has_output || self.is_untouched();
                (over || (quiet && (tidy || nothing))).then_some(Due::End)
            }
            (Phase::Running | Phase::Committing, Spec::Wanted { .. }, _)
            | (Phase::Running | Phase::Committing, Spec::Here(_), None) => None,
        };
    }

    /// What can be given to trackers.
    pub(crate) fn ready(&self, has_output: bool, config: &CoreConfig, now: Now) -> Ready {
        let Some(work) = self.work.as_deref() else { return Ready::Nothing };
        match (&self.due, has_output) {
            (None, _) => {}
            (Some(Due::Commit), true) => return Ready::Soon(TaskKind::Commit),
            (Some(Due::Commit | Due::Abort(_) | Due::End), _) => return Ready::Nothing,
        }
        match self.phase {
            Phase::Running => Ready::Tasks,
            Phase::Committing if has_output && work.commit.is_pending() => Ready::Only(TaskKind::Commit),
            Phase::Aborting { since_ms } if has_output && !self.is_untouched() && work.abort.is_pending() => {
                let waited = now.monotonic_ms.saturating_sub(since_ms) >= config.kill_wait_ms;
                if work.live.is_empty() || waited { Ready::Only(TaskKind::Abort) } else { Ready::Nothing }
            }
            Phase::Committing | Phase::Aborting { .. } | Phase::Ended => Ready::Nothing,
        }
    }

    /// Reduces may start.
    pub(crate) fn reduces_may_start(&self) -> bool {
        let (Some(work), Some(spec)) = (self.work.as_deref(), self.spec()) else { return false };
        let wanted = u64::from(spec.slowstart_percent.min(100)) * work.maps.len() as u64;
        work.pending_maps.is_empty() && u64::from(work.maps_done) * 100 >= wanted
    }

    /// Its tasks run.
    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running && self.due.is_none()
    }

    /// The id of a task of this job.
    pub(crate) fn task_id(&self, kind: TaskKind, index: u32) -> TaskId {
        TaskId { job: self.id, kind, index }
    }

    /// No attempt of it was ever given to anyone.
    fn is_untouched(&self) -> bool {
        !self.has_past && self.work.as_deref().is_none_or(|work| work.started_ms == 0)
    }
}

fn failed(reason: &str) -> Ending {
    Ending { killed: false, reason: reason.to_owned() }
}
