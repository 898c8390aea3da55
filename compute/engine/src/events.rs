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

    /// Takes up to `max` events that were not taken before.
    pub(crate) fn take_unsent(&self, max: usize) -> Vec<TimedEvent> {
        let mut state = self.state();
        if state.dropped > 0 {
            tracing::warn!(events = state.dropped, "events were dropped, as the jobtracker did not take them");
            state.dropped = 0;
        }
        let Some(unsent) = &mut state.unsent else { return Vec::new() };
        let count = unsent.len().min(max);
        unsent.drain(..count).collect()
    }
}

fn write_line(file: &mut File, event: &TimedEvent) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    file.write_all(&line)
}
