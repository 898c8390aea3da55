//! What is known of the outputs of one job's maps, for the reduces that run here.
//!
//! The jobtracker numbers the events. Its numbers begin anew when it restarts; then everything here is void, and a reduce is
//! told only what differs from what it was told before.

use mammoth_protocol::jobs::tracker::OutputEvent;
use std::collections::BTreeMap;

/// The events of one job.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    /// Counts how often the list began anew.
    era: u64,
    /// Number of the first event of the list; nothing before the first one came.
    base: Option<u64>,
    /// Each with whether it says no more than was known when it came.
    events: Vec<(OutputEvent, bool)>,
    /// Length of the list before it began anew.
    len_before: usize,
    /// The last event about each map, of all times.
    latest: BTreeMap<u32, OutputEvent>,
}

/// What a poll asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    era: u64,
    pub(crate) from: u64,
}

/// Up to where a reduce was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    era: u64,
    at: usize,
    /// It was told everything since there are events of the job.
    whole: bool,
    /// Of the present list it knows what is marked as known.
    skips: bool,
}

impl Outputs {
    /// What the next poll asks for.
    pub(crate) fn wanted(&self) -> Asked {
        Asked { era: self.era, from: self.base.map_or(0, |base| base.saturating_add(self.events.len() as u64)) }
    }

    /// Takes an answer to a poll that asked so; tells whether anything is new.
    pub(crate) fn take(&mut self, asked: Asked, from: u64, events: Vec<OutputEvent>) -> bool {
        let wanted = self.wanted();
        if asked.era != wanted.era {
            return false;
        }
        let skipped = if from == asked.from {
            // Two polls may have asked for the same.
            match wanted.from.checked_sub(from) {
                Some(known) => known,
                None => return false,
            }
        } else if asked == wanted {
            self.void();
            0
        } else {
            return false;
        };
        self.base.get_or_insert(from);
        let before = self.events.len();
        for event in events.into_iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX)) {
            let known = self.latest.get(&map_of(&event)) == Some(&event);
            if !known {
                self.latest.insert(map_of(&event), event.clone());
            }
            self.events.push((event, known));
        }
        self.events.len() > before
    }

    /// Begins anew.
    pub(crate) fn void(&mut self) {
        if self.base.is_some() {
            self.era += 1;
            self.base = None;
            self.len_before = self.events.len();
            self.events.clear();
        }
    }

    /// The position of a reduce that was told nothing yet.
    pub(crate) fn start(&self) -> Cursor {
        Cursor { era: self.era, at: 0, whole: self.era == 0, skips: false }
    }

    /// The next events for a reduce, at most `max`.
    pub(crate) fn after(&self, cursor: &mut Cursor, max: usize) -> Vec<OutputEvent> {
        if cursor.era != self.era {
            cursor.whole &= cursor.era + 1 == self.era && cursor.at == self.len_before;
            cursor.skips = cursor.whole;
            cursor.era = self.era;
            cursor.at = 0;
        }
        let mut found = Vec::new();
        while let Some((event, known)) = self.events.get(cursor.at) {
            if found.len() >= max {
                break;
            }
            cursor.at += 1;
            if !(cursor.skips && *known) {
                found.push(event.clone());
            }
        }
        found
    }
}

fn map_of(event: &OutputEvent) -> u32 {
    match event {
        OutputEvent::Ready { attempt, .. } | OutputEvent::Lost { attempt } => attempt.task.index,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mammoth_protocol::Uuid;
    use mammoth_protocol::jobs::{AttemptId, JobId, TaskId, TaskKind};

    fn attempt(index: u32, number: u32) -> AttemptId {
        let job = JobId { cluster_ms: 5, number: 1 };
        AttemptId { task: TaskId { job, kind: TaskKind::Map, index }, number }
    }

    fn ready(index: u32, number: u32) -> OutputEvent {
        OutputEvent::Ready { attempt: attempt(index, number), server: "h:1".to_owned(), generation: Uuid(7) }
    }

    #[test]
    fn events_reach_every_reduce_once_and_in_order() {
        let mut outputs = Outputs::default();
        let mut early = outputs.start();
        let asked = outputs.wanted();
        assert_eq!(asked.from, 0);
        assert!(outputs.take(asked, 0, vec![ready(0, 0), ready(1, 0)]));
        assert_eq!(outputs.after(&mut early, 1), [ready(0, 0)]);
        // The answer to a second poll that had asked for the same, with one event more.
        assert!(outputs.take(asked, 0, vec![ready(0, 0), ready(1, 0), ready(2, 0)]));
        assert!(!outputs.take(asked, 0, vec![ready(0, 0)]));
        assert_eq!(outputs.wanted().from, 3);
        assert_eq!(outputs.after(&mut early, 9), [ready(1, 0), ready(2, 0)]);
        assert!(outputs.after(&mut early, 9).is_empty());
        assert_eq!(outputs.after(&mut outputs.start(), 9).len(), 3);
    }

    #[test]
    fn a_list_that_begins_anew_tells_only_what_differs() {
        let mut outputs = Outputs::default();
        let mut told = outputs.start();
        assert!(outputs.take(outputs.wanted(), 0, vec![ready(0, 0), ready(1, 0)]));
        assert_eq!(outputs.after(&mut told, 9).len(), 2);
        let asked = outputs.wanted();
        // Not what was asked for: the jobtracker has forgotten, and counts from elsewhere.
        assert!(outputs.take(asked, 1 << 32, vec![ready(0, 0), ready(1, 1)]));
        assert_eq!(outputs.wanted().from, (1 << 32) + 2);
        assert_eq!(outputs.after(&mut told, 9), [ready(1, 1)]);
        assert_eq!(outputs.after(&mut outputs.start(), 9), [ready(0, 0), ready(1, 1)]);
        assert!(!outputs.take(asked, 2, vec![ready(9, 9)]), "an answer from before");
    }

    #[test]
    fn who_was_not_told_everything_is_told_all() {
        let mut outputs = Outputs::default();
        let mut behind = outputs.start();
        assert!(outputs.take(outputs.wanted(), 0, vec![ready(0, 0), ready(1, 0)]));
        assert_eq!(outputs.after(&mut behind, 1).len(), 1);
        outputs.void();
        assert_eq!(outputs.wanted().from, 0);
        let mut late = outputs.start();
        outputs.void();
        assert!(outputs.take(outputs.wanted(), 0, vec![ready(1, 0)]));
        assert_eq!(outputs.after(&mut behind, 9), [ready(1, 0)]);
        assert_eq!(outputs.after(&mut late, 9), [ready(1, 0)]);
        outputs.void();
        assert!(outputs.take(outputs.wanted(), 5, vec![ready(0, 0), ready(1, 0)]));
        assert_eq!(outputs.after(&mut late, 9), [ready(0, 0), ready(1, 0)], "it was never told of map 0");
    }
}
