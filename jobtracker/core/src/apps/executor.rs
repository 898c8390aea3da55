//! One executor.
//!
//! ```text
//!   Assigned ──seen──▶ Running ──ordered──▶ Ending ──seen ended, absent, lost──▶ Ended
//!      │                  └──────────── ended by itself, absent, lost ─────────────▲
//!      └───────────────────────────────────────────────────────────────────────────┘
//! ```

use mammoth_protocol::jobs::{Resources, TrackerId};
use std::sync::Arc;

/// One executor. It takes its share of its tracker until it is `Ended`.
#[derive(Clone, Debug)]
pub(crate) struct Executor {
    pub(crate) tracker: TrackerId,
    /// Host name of its tracker.
    pub(crate) host: Arc<str>,
    pub(crate) resources: Resources,
    /// Monotonic milliseconds.
    pub(crate) granted_ms: u64,
    pub(crate) state: ExecutorState,
}

/// Where an executor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExecutorState {
    /// It was given to a tracker that has not shown it yet.
    Assigned {
        /// An answer to the tracker named it.
        offered: bool,
    },
    /// Its tracker has it.
    Running,
    /// It was told to end, or will be by the next answer.
    Ending {
        /// Why.
        reason: String,
    },
    /// It takes nothing any more.
    Ended {
        /// Why.
        reason: String,
        /// With its tracker, and all that lay there.
        tracker_lost: bool,
    },
}

/// What can happen to an executor.
#[derive(Clone, Debug)]
pub(crate) enum ExecutorInput<'a> {
    /// An answer to its tracker names it.
    Offered,
    /// Its tracker shows it; if it has ended, why.
    Seen(Option<&'a str>),
    /// Its tracker does not show it.
    Absent,
    /// It is no longer wanted.
    End(&'a str),
    /// Its tracker is lost, or a new process.
    Lost(&'a str),
}

/// What an input leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecutorTurn {
    Same,
    Changed,
    Ended {
        /// Without an order, and with its tracker alive.
        by_itself: bool,
    },
}

impl Executor {
    /// It has not ended.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.state, ExecutorState::Ended { .. })
    }

    /// It has not ended and is not told to.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self.state, ExecutorState::Assigned { .. } | ExecutorState::Running)
    }

    /// Its tracker shall start it.
    pub(crate) fn is_to_launch(&self) -> bool {
        matches!(self.state, ExecutorState::Assigned { .. })
    }

    /// Its tracker shall end it: why.
    pub(crate) fn is_to_end(&self) -> Option<&str> {
        match &self.state {
            ExecutorState::Ending { reason } => Some(reason),
            ExecutorState::Assigned { .. } | ExecutorState::Running | ExecutorState::Ended { .. } => None,
        }
    }

    /// Lets something happen to it.
    pub(crate) fn step(&mut self, input: &ExecutorInput<'_>) -> ExecutorTurn {
        use ExecutorInput as I;
        use ExecutorState as S;
        let by_order = ExecutorTurn::Ended { by_itself: false };
        let by_itself = ExecutorTurn::Ended { by_itself: true };
        let ended = |reason: &str| S::Ended { reason: reason.to_owned(), tracker_lost: matches!(input, I::Lost(_)) };
        let (next, turn) = match (&self.state, input) {
            (S::Ended { .. }, _) | (S::Ending { .. }, I::Offered | I::End(_) | I::Seen(None)) => {
                return ExecutorTurn::Same;
            }
            (S::Running, I::Offered | I::Seen(None)) => return ExecutorTurn::Same,
            (S::Ending { reason }, I::Seen(Some(_)) | I::Absent | I::Lost(_)) => (ended(reason), by_order),
            (S::Assigned { .. }, I::Offered) => (S::Assigned { offered: true }, ExecutorTurn::Same),
            (S::Assigned { .. }, I::Seen(None)) => (S::Running, ExecutorTurn::Changed),
            (S::Assigned { .. }, I::Absent) => (S::Assigned { offered: false }, ExecutorTurn::Same),
            (S::Assigned { offered: false }, I::End(reason)) => (ended(reason), by_order),
            (S::Assigned { .. } | S::Running, I::End(reason)) => {
                (S::Ending { reason: (*reason).to_owned() }, ExecutorTurn::Changed)
            }
            (S::Assigned { .. } | S::Running, I::Seen(Some(reason))) => (ended(reason), by_itself),
            (S::Running, I::Absent) => (ended("its tasktracker does not have it any more"), by_order),
            (S::Assigned { .. } | S::Running, I::Lost(reason)) => (ended(reason), by_order),
        };
        self.state = next;
        turn
    }
}
