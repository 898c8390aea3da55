//! The ends of a job's attempts, in the order in which they became known.

use mammoth_protocol::jobs::AttemptId;
use mammoth_protocol::jobs::client::{AttemptEvent, AttemptEvents};
use mammoth_protocol::limits::{ATTEMPT_EVENTS_MAX, ATTEMPT_EVENTS_PER_ANSWER};
use std::collections::VecDeque;

/// The latest ones; older ones go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    first: u64,
    list: VecDeque<AttemptEvent>,
}

impl Events {
    /// An attempt has ended.
    pub(crate) fn add(&mut self, attempt: AttemptId, status: &str, text: String, tracker: &str) {
        if self.list.len() >= ATTEMPT_EVENTS_MAX {
            self.list.pop_front();
            self.first += 1;
        }
        let seq = self.first + self.list.len() as u64;
        let (status, tracker) = (status.to_owned(), tracker.to_owned());
        self.list.push_back(AttemptEvent { seq, attempt, status, text, tracker });
    }

    /// From a position on.
    pub(crate) fn from(&self, from: u64) -> AttemptEvents {
        let skip = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        AttemptEvents { events: self.list.iter().skip(skip).take(ATTEMPT_EVENTS_PER_ANSWER).cloned().collect() }
    }
}
