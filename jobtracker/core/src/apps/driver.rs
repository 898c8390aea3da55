//! What drivers say, and what follows.

use super::{App, ExecutorInput};
use crate::api::{Answer, Ending};
use crate::state::State;
use crate::text::clip;
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply, ExecutorState as Shown};
use mammoth_protocol::jobs::event::{AppEvent, TaskOutcome, TimedEvent};
use mammoth_protocol::jobs::{AppId, ExecutorId};
use mammoth_protocol::limits::REASON_BYTES_MAX;

use super::ExecutorState;

impl State {
    /// Takes a driver's poll in; the events that were not taken before.
    pub(crate) fn app_poll(&mut self, id: AppId, poll: AppPoll) -> Option<Vec<TimedEvent>> {
        let lease_ms = self.config.app_lease_ms;
        let now_ms = self.clock.monotonic_ms;
        let app = self.apps.get_mut(&id.number).filter(|app| app.id == id)?;
        if app.ended {
            return Some(Vec::new());
        }
        app.lease_until_ms = now_ms.saturating_add(lease_ms);
        if poll.seq < app.seq {
            return Some(Vec::new());
        }
        let fresh = poll.seq > app.seq;
        app.seq = poll.seq;
        if let Some(end) = poll.ended {
            let reason = |text: String| Ending { killed: false, reason: clip(&text, REASON_BYTES_MAX) };
            app.due.get_or_insert(end.failure.map(reason));
        }
        if poll.target > 0 && (poll.executor.cores == 0 || poll.executor.memory_mib == 0) {
            let reason = format!("an executor cannot be made of {}", poll.executor);
            app.due.get_or_insert(Some(Ending { killed: false, reason }));
        }
        app.target = poll.target;
        app.resources = poll.executor;
        self.news.apps.insert(id.number);
        for executor in poll.release {
            self.feed_executor((id, executor), &ExecutorInput::End("its driver released it"));
        }
        if fresh {
            if let Some(app) = self.apps.get_mut(&id.number) {
                app.count(&poll.events);
            }
            Some(poll.events)
        } else {
            Some(Vec::new())
        }
    }

    /// Ends executors beyond the target, youngest first, and all of an application that has ended.
    pub(crate) fn trim_executors(&mut self, number: u32) {
        let Some(app) = self.apps.get(&number) else { return };
        let id = app.id;
        let (target, why) = match (app.ended, app.seq) {
            (true, _) => (0, "its application has ended"),
            // Nothing is known of what the driver wants before its first poll in this life.
            (false, 0) => return,
            (false, _) => (app.target as usize, "its driver wants fewer"),
        };
        let wanted = app.executors.iter().filter(|(_, executor)| executor.is_wanted()).map(|(id, _)| *id);
        let beyond: Vec<ExecutorId> = wanted.skip(target).collect();
        for executor in beyond {
            self.feed_executor((id, executor), &ExecutorInput::End(why));
        }
    }

    /// Finds applications whose driver is gone.
    pub(crate) fn expire_apps(&mut self) {
        let now_ms = self.clock.monotonic_ms;
        let lease_ms = self.config.app_lease_ms;
        for app in self.apps.values_mut().filter(|app| !app.ended) {
            app.forgive(&self.config, now_ms);
            if now_ms > app.lease_until_ms && app.due.is_none() {
                let reason = format!("its driver was silent for {lease_ms} ms");
                app.due = Some(Some(Ending { killed: false, reason }));
            }
        }
    }

    /// The answer to a driver.
    pub(crate) fn app_answer(&self, id: AppId, taken: Option<Vec<TimedEvent>>) -> Answer {
        match (taken, self.app_poll_reply(id)) {
            (Some(events), Some(reply)) => Answer::App { reply, events },
            (None, _) | (_, None) => Answer::Gone,
        }
    }

    /// What a driver is told of its executors now; nothing if the application is not known (any more).
    #[must_use]
    pub fn app_poll_reply(&self, id: AppId) -> Option<AppPollReply> {
        let app = self.apps.get(&id.number).filter(|app| app.id == id)?;
        let end = self.rows.apps.get(&id.number)?.end.as_ref();
        let executors = app.executors.iter().map(|(id, executor)| Shown {
            executor: *id,
            host: executor.host.to_string(),
            resources: executor.resources,
            ended: match &executor.state {
                ExecutorState::Ended { reason } | ExecutorState::Ending { reason } => Some(reason.clone()),
                ExecutorState::Assigned { .. } | ExecutorState::Running => None,
            },
        });
        Some(AppPollReply {
            version: app.version,
            executors: executors.collect(),
            killed: end.and_then(|end| end.ending.as_ref()).map(|ending| ending.reason.clone()),
            waiting: app.waiting.clone(),
        })
    }
}

impl App {
    fn count(&mut self, events: &[TimedEvent]) {
        for event in events {
            match &event.event {
                AppEvent::StageSubmitted { partitions, .. } => self.tasks_total += partitions.len() as u64,
                AppEvent::TaskEnded { outcome: TaskOutcome::Success, .. } => self.tasks_done += 1,
                _ => {}
            }
        }
    }
}
