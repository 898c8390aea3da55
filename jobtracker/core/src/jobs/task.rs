//! One task.
//!
//! ```text
//!              assigned           succeeded
//!   Pending ──────────▶ Running ───────────▶ Done
//!      ▲   ◀──────────── │  │                 │
//!      │  killed, failed    │ failed too often│ output lost (maps)
//!      │                    ▼                 │
//!      │                 Failed               │
//!      └──────────────────────────────────────┘
//! ```

use super::attempt::{Attempt, AttemptState, End};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::{Resources, TaskKind, TrackerId};

/// Ended attempts of which a task keeps details; killed ones beyond go, oldest first.
const ATTEMPTS_KEPT: usize = 20;

/// One task.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) kind: TaskKind,
    pub(crate) index: u32,
    pub(crate) state: TaskState,
    /// Number of the next attempt.
    pub(crate) next: u32,
    /// Attempts that failed.
    pub(crate) failures: u32,
    /// Trackers where they did.
    pub(crate) failed_on: Vec<TrackerId>,
    /// Oldest first.
    pub(crate) attempts: Vec<Attempt>,
    /// The successful attempt whose counters are in the job's sums.
    pub(crate) counted: Option<u32>,
}

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// It waits for a tracker.
    Pending {
        /// Since then, monotonic milliseconds.
        since_ms: u64,
    },
    /// This attempt may bring it to its end; others may still be ending.
    Running {
        /// The attempt's number.
        attempt: u32,
    },
    /// It is done.
    Done {
        /// By this attempt.
        attempt: u32,
        /// Which left a map's output here.
        output: Output,
    },
    /// It failed too often.
    Failed,
}

/// Where a map's output lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) tracker: TrackerId,
    pub(crate) generation: Uuid,
}

/// What can happen to a task.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TaskInput {
    /// An attempt was given to a tracker.
    Assigned(u32),
    /// An attempt has ended, or is not wanted any more.
    Over(u32, Over),
    /// The output of an attempt is gone.
    OutputLost(u32),
}

/// How an attempt is over for its task.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    Succeeded(Output),
    Failed,
    Killed,
}

impl Task {
    pub(crate) fn new(kind: TaskKind, index: u32, first: u32, now_ms: u64) -> Self {
        Self {
            kind,
            index,
            state: TaskState::Pending { since_ms: now_ms },
            next: first,
            failures: 0,
            failed_on: Vec::new(),
            attempts: Vec::new(),
            counted: None,
        }
    }

    /// Lets something happen; whether the task's state has changed.
    pub(crate) fn step(&mut self, input: TaskInput, attempts_max: u32, now_ms: u64) -> bool {
        let next = match (&self.state, input) {
            (TaskState::Pending { .. }, TaskInput::Assigned(attempt)) => TaskState::Running { attempt },
            (TaskState::Running { attempt }, TaskInput::Over(number, over)) if *attempt == number => match over {
                Over::Succeeded(output) => TaskState::Done { attempt: number, output },
                Over::Failed if self.failures >= attempts_max => TaskState::Failed,
                Over::Failed | Over::Killed => TaskState::Pending { since_ms: now_ms },
            },
            (TaskState::Done { attempt, .. }, TaskInput::OutputLost(number)) if *attempt == number => {
                if self.failures >= attempts_max { TaskState::Failed } else { TaskState::Pending { since_ms: now_ms } }
            }
            // What happens to an attempt that the task has given up changes nothing, nor does the loss of an old output.
            (TaskState::Pending { .. }, TaskInput::Over(..) | TaskInput::OutputLost(_))
            | (TaskState::Running { .. }, TaskInput::Assigned(_) | TaskInput::Over(..) | TaskInput::OutputLost(_))
            | (TaskState::Done { .. }, TaskInput::Assigned(_) | TaskInput::Over(..) | TaskInput::OutputLost(_))
            | (TaskState::Failed, TaskInput::Assigned(_) | TaskInput::Over(..) | TaskInput::OutputLost(_)) => {
                return false;
            }
        };
        self.state = next;
        true
    }

    pub(crate) fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.number == number)
    }

    pub(crate) fn attempt_mut(&mut self, number: u32) -> Option<&mut Attempt> {
        self.attempts.iter_mut().rev().find(|attempt| attempt.number == number)
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, TaskState::Pending { .. })
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, TaskState::Done { .. })
    }

    /// An attempt other than `but` that has not ended has leave to commit.
    pub(crate) fn another_may_commit(&self, but: u32) -> bool {
        let may = |attempt: &Attempt| match attempt.state {
            AttemptState::Granted { .. } => true,
            AttemptState::Ending { granted, .. } => granted,
            AttemptState::Assigned { .. } | AttemptState::Running | AttemptState::Asking | AttemptState::Ended(_) => {
                false
            }
        };
        self.attempts.iter().any(|attempt| attempt.number != but && may(attempt))
    }

    /// Forgets details of old attempts that were killed.
    pub(crate) fn prune(&mut self) {
        while self.attempts.len() > ATTEMPTS_KEPT {
            let killed = |attempt: &Attempt| matches!(attempt.state, AttemptState::Ended(End::Killed(_)));
            let Some(at) = self.attempts.iter().position(killed) else { return };
            self.attempts.remove(at);
        }
    }

    /// How long it has waited for a tracker, milliseconds; 0 if it does not.
    pub(crate) fn waits_for_ms(&self, now_ms: u64) -> u64 {
        match self.state {
            TaskState::Pending { since_ms } => now_ms.saturating_sub(since_ms),
            TaskState::Running { .. } | TaskState::Done { .. } | TaskState::Failed => 0,
        }
    }

    /// 0 to 1.
    pub(crate) fn progress(&self) -> f32 {
        match &self.state {
            TaskState::Pending { .. } | TaskState::Failed => 0.0,
            TaskState::Running { attempt } => self.attempt(*attempt).map_or(0.0, |attempt| attempt.progress),
            TaskState::Done { .. } => 1.0,
        }
    }
}

/// What a task of a kind takes.
pub(crate) fn resources_of(kind: TaskKind, spec: &mammoth_protocol::jobs::spec::JobSpec) -> Resources {
    let (map, reduce) = (spec.map_resources, spec.reduce_resources);
    match kind {
        TaskKind::Map => map,
        TaskKind::Reduce => reduce,
        // Renames and deletions: little work, wherever a map would have fitted.
        TaskKind::Commit | TaskKind::Abort => {
            Resources { cores: 1.min(map.cores), memory_mib: 256.min(map.memory_mib) }
        }
    }
}
