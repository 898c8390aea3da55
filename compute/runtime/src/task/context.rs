//! What the user's code may ask and tell while a task runs.

use super::meter::{Counter, Meter};
use mammoth_platform::Settings;
use mammoth_protocol::jobs::AttemptId;
use std::sync::Arc;

/// The surroundings of a task. Clones are the same.
#[derive(Clone, Debug)]
pub struct TaskContext {
    attempt: AttemptId,
    settings: Arc<Settings>,
    meter: Meter,
}

impl TaskContext {
    pub(crate) fn new(attempt: AttemptId, settings: Arc<Settings>, meter: Meter) -> Self {
        Self { attempt, settings, meter }
    }

    /// This attempt at the task.
    #[must_use]
    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Which split or partition this task has, from 0.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.attempt.task.index
    }

    /// The job's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The value of any key, if it was given or has a default.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<String> {
        self.settings.raw(key).ok().flatten().map(|(value, _)| value)
    }

    /// A counter that the job shows in the end, summed over its tasks. Looking it up costs more than adding: keep it.
    #[must_use]
    pub fn counter(&self, group: &str, name: &str) -> Counter {
        self.meter.counter(group, name)
    }

    /// Shows that the task goes on, for code that works long on one record.
    pub fn alive(&self) {
        self.meter.alive();
    }
}
