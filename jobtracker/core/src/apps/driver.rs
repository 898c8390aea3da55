//! What drivers say, and what follows.

use super::ExecutorInput;
use crate::api::Ending;
use crate::state::State;
use crate::text::clip;
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply, ExecutorState as Shown};
use mammoth_protocol::jobs::{AppId, ExecutorId};
use mammoth_protocol::limits::REASON_BYTES_MAX;

use super::ExecutorState;

impl State {
    /// Takes a driver's poll in, and what its events so far add up to.
    pub(crate) fn app_poll(&mut self, id: AppId, poll: AppPoll, tasks: Option<(u64, u64)>) {
        let lease_ms = self.config.app_lease_ms;
        let now_ms = self.clock.monotonic_ms;
        let Some(app) = self.apps.get_mut(&id.number).filter(|app| app.id == id && !app.ended) else { return };
        app.lease_until_ms = now_ms.saturating_add(lease_ms);
        if poll.seq < app.seq {
            return;
        }
        if let Some(tasks) = tasks {
            (app.tasks_done, app.tasks_total) = tasks;
        }
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
                ExecutorState::Ended { reason, .. } | ExecutorState::Ending { reason } => Some(reason.clone()),
                ExecutorState::Assigned { .. } | ExecutorState::Running => None,
            },
            tracker_lost: matches!(executor.state, ExecutorState::Ended { tracker_lost: true, .. }),
        });
        Some(AppPollReply {
            version: app.version,
            executors: executors.collect(),
            killed: end.and_then(|end| end.ending.as_ref()).map(|ending| ending.reason.clone()),
            waiting: app.waiting.clone(),
        })
    }
}
