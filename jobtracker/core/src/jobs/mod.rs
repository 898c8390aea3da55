//! Jobs, their tasks and attempts: the soft side of job rows.
//!
//! ```text
//!             all tasks done           committed
//!   Running ─────────────────▶ Committing ─────▶ Ended
//!      │  failed, killed           │ failed        ▲
//!      └──────────▶ Aborting ◀─────┘               │
//!                      └───────────────────────────┘ tidied up, or given up
//! ```
//!
//! A job's phase is its row's stage: it changes when an edit is applied. What calls for the next edit is [`Due`].

mod advance;
mod attempt;
mod events;
mod feed;
mod outputs;
mod tally;
mod task;
#[cfg(test)]
mod tests;
mod work;

pub(crate) use advance::Ready;
pub(crate) use attempt::{Attempt, AttemptState, End, Input};
pub(crate) use events::Events;
pub(crate) use feed::Fed;
#[cfg(test)]
pub(crate) use outputs::Outputs;
pub(crate) use task::{Output, Task, TaskState, resources_of};
pub(crate) use work::Work;

use crate::api::Ending;
use crate::rows::{Stage, Submission};
use mammoth_protocol::Now;
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::{JobId, TrackerId};
use mammoth_protocol::limits::ATTEMPTS_PER_TASK_MAX;
use std::sync::Arc;

/// The soft side of a submitted job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    /// Place in the queue.
    pub(crate) place: u64,
    pub(crate) phase: Phase,
    /// Grows with every change of its status.
    pub(crate) version: u64,
    pub(crate) spec: Spec,
    /// Tasks; there as soon as the specification is.
    pub(crate) work: Option<Box<Work>>,
    pub(crate) events: Events,
    /// The edit that it waits for.
    pub(crate) due: Option<Due>,
    /// A tracker that is kept free for its next task, which fitted nowhere.
    pub(crate) reserved: Option<TrackerId>,
    /// Since when its next task fits no tracker at all, monotonic milliseconds.
    pub(crate) unfit_ms: Option<u64>,
    /// Attempts of earlier lives may have left something.
    pub(crate) has_past: bool,
    first: u32,
    events_base: u64,
}

/// How far it is; see [`Stage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    Committing,
    Aborting {
        /// Monotonic milliseconds.
        since_ms: u64,
    },
    Ended,
}

/// A specification, which the owner reads.
#[derive(Clone, Debug)]
pub(crate) enum Spec {
    Wanted {
        /// When it was asked for, monotonic milliseconds.
        asked_ms: Option<u64>,
    },
    Here(Arc<JobSpec>),
    Missing(String),
}

/// The edit that a job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Commit,
    Abort(Ending),
    End,
}

impl Job {
    /// The soft side of a job at a stage of its row; nothing for one that was not submitted.
    pub(crate) fn new(id: JobId, stage: &Stage, life: u32, now: Now) -> Option<Self> {
        let submission = stage.submission()?;
        let phase = match stage {
            Stage::Prepared => return None,
            Stage::Running(_) => Phase::Running,
            Stage::Committing(..) => Phase::Committing,
            Stage::Aborting(..) => Phase::Aborting { since_ms: now.monotonic_ms },
            Stage::Ended { .. } => Phase::Ended,
        };
        let lives = life.saturating_sub(submission.life);
        Some(Self {
            id,
            place: submission.place,
            phase,
            version: u64::from(life) << 32,
            spec: Spec::Wanted { asked_ms: None },
            work: None,
            events: Events::default(),
            due: None,
            reserved: None,
            unfit_ms: None,
            has_past: lives > 0,
            first: lives.saturating_mul(ATTEMPTS_PER_TASK_MAX),
            events_base: u64::from(lives) << 32,
        })
    }

    /// Something of its status is different.
    pub(crate) fn touch(&mut self) {
        self.version += 1;
    }

    /// The specification, if it is here.
    pub(crate) fn spec(&self) -> Option<&Arc<JobSpec>> {
        match &self.spec {
            Spec::Here(spec) => Some(spec),
            Spec::Wanted { .. } | Spec::Missing(_) => None,
        }
    }

    /// Takes the specification, or the news that there is none.
    pub(crate) fn take_spec(&mut self, spec: Result<Arc<JobSpec>, String>, submission: &Submission, now: Now) {
        if !matches!(self.spec, Spec::Wanted { .. }) || self.phase == Phase::Ended {
            return;
        }
        let fits = |spec: &JobSpec| spec.splits.len() == submission.maps as usize && spec.reduces == submission.reduces;
        self.spec = match spec {
            Ok(spec) if fits(&spec) => {
                let tasks = self.phase == Phase::Running;
                self.work = Some(Box::new(Work::new(&spec, tasks, self.first, self.events_base, now)));
                Spec::Here(spec)
            }
            Ok(_) => Spec::Missing("the specification is not the one that was submitted".to_owned()),
            Err(reason) => Spec::Missing(reason),
        };
        self.touch();
    }
}
