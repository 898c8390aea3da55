//! One attempt of a task.
//!
//! ```text
//!                       seen               asks           granted
//!   Assigned ─────────────────▶ Running ─────────▶ Asking ─────────▶ Granted
//!      │ ordered to end            │                 │                  │
//!      ├───────────────────────────┴───────┬─────────┘                  │
//!      ▼ never told of it                  ▼ told to end                │ seen ended, or lost
//!    Ended ◀──────────────────────────── Ending                         │
//!      ▲                                                                │
//!      └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! An attempt takes its share of its tracker until it is `Ended`. One that was told to end has lost, whatever it says later.

use super::tally::Tally;
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::tracker::AttemptPhase;
use mammoth_protocol::jobs::{Resources, TrackerId};
use std::sync::Arc;

/// One attempt.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) tracker: TrackerId,
    /// Of the tracker's folder of outputs.
    pub(crate) generation: Uuid,
    /// Host name of the tracker.
    pub(crate) host: Arc<str>,
    /// `host:port` of the tracker's HTTP door.
    pub(crate) http: Arc<str>,
    pub(crate) resources: Resources,
    pub(crate) state: AttemptState,
    /// Wall milliseconds.
    pub(crate) started_ms: u64,
    /// Wall milliseconds; 0 = not yet.
    pub(crate) finished_ms: u64,
    pub(crate) progress: f32,
    pub(crate) phase: Box<str>,
    pub(crate) counters: Tally,
}

/// Where an attempt stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AttemptState {
    /// It was given to a tracker that has not shown it yet.
    Assigned {
        /// An answer to the tracker named it: it may be running.
        offered: bool,
    },
    /// Its tracker has it.
    Running,
    /// Its output is written, and it waits for leave to make it visible.
    Asking,
    /// It alone may make its output visible.
    Granted {
        /// It goes on, so it knows.
        heard: bool,
    },
    /// It was told to end, or will be by the next answer.
    Ending {
        /// Why.
        reason: String,
        /// It has leave to commit, and may be using it.
        granted: bool,
    },
    /// It takes nothing any more.
    Ended(End),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Succeeded,
    /// By itself: it counts.
    Failed(String),
    /// By order, or with its tracker: it does not count.
    Killed(String),
}

/// What can happen to an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Input<'a> {
    /// An answer to its tracker names it.
    Offered,
    /// Its tracker shows it.
    Seen(&'a AttemptPhase),
    /// Its tracker does not show it.
    Absent,
    /// It may commit.
    Grant,
    /// It is no longer wanted.
    End(&'a str),
    /// Its tracker is lost, or a new process.
    Lost(&'a str),
}

/// What an input leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Same,
    Changed,
    /// It asks for leave to commit.
    Asks,
    /// It has just ended.
    Ended,
    /// It was wanted until now, and is not any more; it has not ended.
    Given,
}

impl Attempt {
    /// It has not ended.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.state, AttemptState::Ended(_))
    }

    /// It has not ended and may still succeed.
    pub(crate) fn is_wanted(&self) -> bool {
        !matches!(self.state, AttemptState::Ended(_) | AttemptState::Ending { .. })
    }

    /// It can be ended and run again: it is not about to make its output visible.
    pub(crate) fn may_give_way(&self) -> bool {
        matches!(self.state, AttemptState::Assigned { .. } | AttemptState::Running)
    }

    /// Lets something happen to it.
    pub(crate) fn step(&mut self, input: &Input<'_>) -> Turn {
        use AttemptPhase as P;
        use AttemptState as S;
        let (next, turn) = match (&self.state, input) {
            (S::Ended(_), _) | (S::Ending { .. }, Input::End(_) | Input::Offered | Input::Grant) => return Turn::Same,

            (S::Ending { reason, .. }, Input::Absent | Input::Lost(_)) => (killed(reason), Turn::Ended),
            (S::Ending { reason, .. }, Input::Seen(P::Succeeded { .. } | P::Failed { .. } | P::Killed { .. })) => {
                (killed(reason), Turn::Ended)
            }
            (S::Ending { .. }, Input::Seen(P::Starting | P::Running | P::CommitPending)) => return Turn::Same,

            (S::Assigned { .. }, Input::Offered) => (S::Assigned { offered: true }, Turn::Same),
            (S::Assigned { offered: false }, Input::End(reason)) => (killed(reason), Turn::Ended),
            (S::Assigned { .. }, Input::Absent) => (S::Assigned { offered: false }, Turn::Same),
            (S::Running | S::Asking | S::Granted { .. }, Input::Absent) => {
                (killed("its tasktracker does not have it any more"), Turn::Ended)
            }
            (S::Running | S::Asking | S::Granted { .. }, Input::Offered) => return Turn::Same,
            (
                state @ (S::Assigned { offered: true } | S::Running | S::Asking | S::Granted { .. }),
                Input::End(reason),
            ) => (S::Ending { reason: (*reason).to_owned(), granted: matches!(state, S::Granted { .. }) }, Turn::Given),
            (_, Input::Lost(reason)) => (killed(reason), Turn::Ended),

            (S::Assigned { .. } | S::Running | S::Asking, Input::Grant) => (S::Granted { heard: false }, Turn::Changed),
            (S::Granted { .. }, Input::Grant) => return Turn::Same,

            (S::Assigned { .. } | S::Asking, Input::Seen(P::Starting | P::Running)) => (S::Running, Turn::Changed),
            (S::Running, Input::Seen(P::Starting | P::Running)) => return Turn::Changed,
            (S::Granted { .. }, Input::Seen(P::Starting | P::Running)) => (S::Granted { heard: true }, Turn::Changed),
            (S::Assigned { .. } | S::Running | S::Asking, Input::Seen(P::CommitPending)) => (S::Asking, Turn::Asks),
            // It asks still, or again: whatever was heard before, it does not know.
            (S::Granted { heard: true }, Input::Seen(P::CommitPending)) => (S::Granted { heard: false }, Turn::Changed),
            (S::Granted { heard: false }, Input::Seen(P::CommitPending)) => return Turn::Same,
            (_, Input::Seen(P::Succeeded { .. })) => (S::Ended(End::Succeeded), Turn::Ended),
            (_, Input::Seen(P::Failed { reason })) => (S::Ended(End::Failed(reason.clone())), Turn::Ended),
            (_, Input::Seen(P::Killed { reason })) => (killed(reason), Turn::Ended),
        };
        self.state = next;
        turn
    }

    /// As pages name its state.
    pub(crate) fn state_name(&self) -> &'static str {
        match &self.state {
            AttemptState::Assigned { .. } => "ASSIGNED",
            AttemptState::Running | AttemptState::Granted { .. } | AttemptState::Ending { .. } => "RUNNING",
            AttemptState::Asking => "COMMIT_PENDING",
            AttemptState::Ended(End::Succeeded) => "SUCCEEDED",
            AttemptState::Ended(End::Failed(_)) => "FAILED",
            AttemptState::Ended(End::Killed(_)) => "KILLED",
        }
    }
}

fn killed(reason: &str) -> AttemptState {
    AttemptState::Ended(End::Killed(reason.to_owned()))
}
