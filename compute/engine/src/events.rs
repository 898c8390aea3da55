//! What happened, for whoever wants to know: the jobtracker, a file, tests. There is one stream, written by the driver's thread.

use crate::error::EngineError;
use mammoth_platform::{Clock, SystemClock};
use mammoth_protocol::jobs::event::{AppEvent, TimedEvent};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Events that are kept in memory; older ones are forgotten there.
const KEPT_MAX: usize = 200_000;
/// Events that wait for the jobtracker; beyond it the oldest are dropped, and the log says so.
const UNSENT_MAX: usize = 200_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<TimedEvent>,
    file: Option<File>,
    unsent: Option<VecDeque<TimedEvent>>,
    dropped: u64,
}

impl EventLog {
    /// A log that writes JSON lines to `file`, too; `sent`: somebody takes them with [`Self::take_unsent`].
    pub(crate) fn new(file: Option<&Path>, sent: bool) -> Result<Self, EngineError> {
        let open = |path: &Path| File::create(path).map_err(EngineError::io(format!("events to {}", path.display())));
        let file = file.map(open).transpose()?;
        let state = State { file, unsent: sent.then(VecDeque::new), ..State::default() };
        Ok(Self { state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, event: AppEvent) {
        let event = TimedEvent { at_ms: SystemClock.now().wall_ms, event };
        let mut state = self.state();
        if let Some(file) = &mut state.file
            && let Err(error) = write_line(file, &event)
        {
            tracing::warn!(%error, "events are no longer written to their file");
            state.file = None;
        }
        if let Some(unsent) = &mut state.unsent {
            unsent.push_back(event.clone());
            if unsent.len() > UNSENT_MAX {
                unsent.pop_front();
                state.dropped += 1;
            }
        }
        state.kept.push_back(event);
        if state.kept.len() > KEPT_MAX {
            state.kept.pop_front();
        }
    }

    /// All that is kept, oldest first.
    pub(crate) fn kept(&self) -> Vec<TimedEvent> {
        self.state().kept.iter().cloned().collect()
    }

    /// Takes events that were not taken before: as many as take `max_bytes` as JSON, but at least one, and at most `max`. Whether
    /// those were all is the second answer.
    pub(crate) fn take_unsent(&self, max: usize, max_bytes: usize) -> (Vec<TimedEvent>, bool) {
        let mut state = self.state();
        if state.dropped > 0 {
            tracing::warn!(events = state.dropped, "events were dropped, as the jobtracker did not take them");
            state.dropped = 0;
        }
        let Some(unsent) = &mut state.unsent else { return (Vec::new(), true) };
        let mut bytes = 0_usize;
        let mut fits = |event: &TimedEvent| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(json_len(event).max(1));
            is_first || bytes <= max_bytes
        };
        let count = unsent.iter().take(max).take_while(|event| fits(event)).count();
        (unsent.drain(..count).collect(), unsent.is_empty())
    }
}

fn json_len(event: &TimedEvent) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // One that cannot be written cannot be sent either, which is said where it is tried.
    let _none = serde_json::to_writer(&mut count, event);
    count.0
}

fn write_line(file: &mut File, event: &TimedEvent) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    file.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_leave_in_parts_that_have_a_limit_of_bytes_too() {
        let log = EventLog::new(None, true).unwrap();
        for length in [10, 900, 10, 10, 5000, 10] {
            log.add(AppEvent::AppEnded { failure: Some("x".repeat(length)), accumulators: Default::default() });
        }
        let parts: Vec<(usize, bool)> = std::iter::repeat_with(|| log.take_unsent(3, 1000))
            .map(|(events, is_all)| (events.len(), is_all))
            .take(5)
            .collect();
        assert_eq!(parts, [(1, false), (1, false), (2, false), (1, false), (1, true)]);
        assert_eq!(log.take_unsent(3, 1000), (Vec::new(), true));
    }
}
