//! Requests that wait for something to happen: polls of tasktrackers and drivers, and watchers of jobs.

use mammoth_protocol::jobs::app::AppPollReply;
use mammoth_protocol::jobs::client::JobStatus;
use mammoth_protocol::jobs::tracker::PollReply;
use mammoth_protocol::jobs::{AppId, JobId, TrackerEpoch, TrackerId};
use mammoth_web::mailbox::Way;
use std::collections::BTreeMap;

/// A tasktracker's poll.
pub(super) struct TrackerPoll {
    pub(super) epoch: TrackerEpoch,
    pub(super) seq: u64,
    pub(super) until_ms: u64,
    pub(super) answer: Way<Option<PollReply>>,
}

/// A driver's poll.
pub(super) struct DriverPoll {
    pub(super) known: u64,
    pub(super) until_ms: u64,
    pub(super) answer: Way<AppPollReply>,
}

/// Somebody who watches a job.
pub(super) struct Watcher {
    pub(super) version: u64,
    pub(super) until_ms: u64,
    pub(super) answer: Way<JobStatus>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Parked {
    pub(super) trackers: BTreeMap<TrackerId, TrackerPoll>,
    pub(super) apps: BTreeMap<AppId, DriverPoll>,
    pub(super) jobs: BTreeMap<JobId, Vec<Watcher>>,
}

impl Parked {
    /// When the first of them has waited long enough, monotonic milliseconds.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let trackers = self.trackers.values().map(|poll| poll.until_ms);
        let apps = self.apps.values().map(|poll| poll.until_ms);
        let jobs = self.jobs.values().flatten().map(|watcher| watcher.until_ms);
        trackers.chain(apps).chain(jobs).min()
    }

    /// Tasktrackers whose polls have waited long enough.
    pub(super) fn due_trackers(&self, now_ms: u64) -> Vec<TrackerId> {
        self.trackers.iter().filter(|(_, poll)| poll.until_ms <= now_ms).map(|(id, _)| *id).collect()
    }

    /// Takes out the polls of tasktrackers that nobody waits for any more: their connections broke.
    pub(super) fn take_hung_up(&mut self) -> Vec<(TrackerId, TrackerPoll)> {
        self.trackers.extract_if(.., |_, poll| poll.answer.is_closed()).collect()
    }

    /// Applications whose drivers' polls have waited long enough.
    pub(super) fn due_apps(&self, now_ms: u64) -> Vec<AppId> {
        self.apps.iter().filter(|(_, poll)| poll.until_ms <= now_ms).map(|(id, _)| *id).collect()
    }

    /// Takes out the watchers of a job who have waited long enough, or know another version than `version`.
    pub(super) fn take_watchers(&mut self, job: JobId, version: Option<u64>, now_ms: u64) -> Vec<Watcher> {
        let Some(watchers) = self.jobs.get_mut(&job) else { return Vec::new() };
        let ready = |watcher: &mut Watcher| watcher.until_ms <= now_ms || Some(watcher.version) != version;
        let taken = watchers.extract_if(.., ready).collect();
        if watchers.is_empty() {
            self.jobs.remove(&job);
        }
        taken
    }

    /// Jobs that are watched.
    pub(super) fn watched(&self) -> Vec<JobId> {
        self.jobs.keys().copied().collect()
    }
}
