//! Trackers come and go.

use super::{Liveness, Place, Tracker};
use crate::api::{Answer, CoreConfig};
use crate::apps::ExecutorInput;
use crate::jobs::Input;
use crate::state::State;
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::tracker::{RegisterReply, RegisterRequest};
use mammoth_protocol::jobs::{TrackerEpoch, TrackerId};
use mammoth_protocol::limits::TRACKERS_MAX;
use std::collections::BTreeMap;

/// A tracker that is gone is shown for so long.
const GONE_KEPT_MS: u64 = 24 * 3600 * 1000;

impl State {
    /// A tracker introduces itself. What it was given under an earlier registration is over: it is a new process, or was told
    /// that it is not known. Its outputs stand if the files are the same.
    pub(crate) fn register(&mut self, request: RegisterRequest) -> Answer {
        let id = request.tracker;
        if !self.started || (!self.trackers.contains_key(&id) && !self.make_room_for_tracker()) {
            return Answer::Stale;
        }
        self.take_back(id, "its tasktracker has registered anew");
        self.lose_outputs(id, Some(request.generation));
        self.epochs += 1;
        let epoch = TrackerEpoch(u64::from(self.rows.meta.lives) << 32 | self.epochs);
        let failures = self.trackers.get(&id).map_or(0, |before| before.failures);
        let place =
            Place { tracker: id, host: request.host.into(), http: request.http.into(), generation: request.generation };
        let tracker = Tracker {
            place,
            capacity: request.capacity,
            epoch,
            state: Liveness::Registered,
            heard_ms: self.clock.monotonic_ms,
            hung_up_ms: None,
            seq: 0,
            answered: None,
            waits: false,
            attempts: BTreeMap::new(),
            executors: BTreeMap::new(),
            strays: BTreeMap::new(),
            stray_executors: BTreeMap::new(),
            wants: BTreeMap::new(),
            jobs: Vec::new(),
            apps: Vec::new(),
            told: BTreeMap::new(),
            complaints_taken: 0,
            failures,
        };
        self.trackers.insert(id, tracker);
        let CoreConfig { poll_wait_ms, expiry_ms, .. } = self.config;
        Answer::Registered(RegisterReply { epoch, poll_wait_ms, expiry_ms })
    }

    /// A tracker's connection broke while its last poll waited. It gets no more work until it is heard again.
    pub(crate) fn hung_up(&mut self, id: TrackerId, epoch: TrackerEpoch, seq: u64) {
        let now_ms = self.clock.monotonic_ms;
        if let Some(tracker) = self.trackers.get_mut(&id).filter(|tracker| tracker.is(epoch) && tracker.seq == seq) {
            tracker.waits = false;
            tracker.hung_up_ms.get_or_insert(now_ms);
        }
    }

    /// Trackers that were silent for too long are gone; those that are gone for very long are forgotten.
    pub(crate) fn expire_trackers(&mut self) {
        let now_ms = self.clock.monotonic_ms;
        let silent = |tracker: &Tracker| now_ms.saturating_sub(tracker.heard_ms);
        let CoreConfig { expiry_ms, hang_up_ms, .. } = self.config;
        let why = |tracker: &Tracker| match tracker.hung_up_ms {
            _ if silent(tracker) > expiry_ms => Some(format!("its tasktracker was silent for {expiry_ms} ms")),
            Some(at_ms) if now_ms.saturating_sub(at_ms) > hang_up_ms => {
                Some(format!("its tasktracker broke off and was silent for {hang_up_ms} ms"))
            }
            _ => None,
        };
        let lost = self.trackers.iter().filter(|(_, tracker)| tracker.is_live());
        let lost: Vec<(TrackerId, String)> = lost.filter_map(|(id, tracker)| Some((*id, why(tracker)?))).collect();
        for (id, why) in lost {
            self.take_back(id, &why);
            self.lose_outputs(id, None);
            if let Some(tracker) = self.trackers.get_mut(&id) {
                tracker.state = Liveness::Gone;
                tracker.waits = false;
                tracker.answered = None;
                tracker.strays.clear();
                tracker.stray_executors.clear();
                tracker.told.clear();
            }
        }
        self.trackers.retain(|_, t| t.is_live() || silent(t) <= GONE_KEPT_MS);
    }

    /// Whether there is room for one more, perhaps by forgetting the one that is gone for longest.
    fn make_room_for_tracker(&mut self) -> bool {
        if self.trackers.len() < TRACKERS_MAX {
            return true;
        }
        let gone = self.trackers.iter().filter(|(_, tracker)| !tracker.is_live());
        let oldest = gone.min_by_key(|(id, tracker)| (tracker.heard_ms, **id)).map(|(id, _)| *id);
        oldest.is_some_and(|id| self.trackers.remove(&id).is_some())
    }

    /// Everything that the tracker was given is over.
    fn take_back(&mut self, id: TrackerId, why: &str) {
        let Some(tracker) = self.trackers.get(&id) else { return };
        let attempts: Vec<_> = tracker.attempts.keys().copied().collect();
        let executors: Vec<_> = tracker.executors.keys().copied().collect();
        for attempt in attempts {
            self.feed(attempt, &Input::Lost(why));
        }
        for executor in executors {
            self.feed_executor(executor, &ExecutorInput::Lost(why));
        }
    }

    /// Maps' outputs on a tracker are gone, but for those of the folder that it has now. They are made again where reduces
    /// still need them.
    fn lose_outputs(&mut self, id: TrackerId, present: Option<Uuid>) {
        let Self { jobs, config, clock, news, .. } = self;
        for (number, job) in jobs {
            let Some(work) = job.work_for_reduces() else { continue };
            let gone = work.outputs_where(|output| output.tracker == id && Some(output.generation) != present);
            for (map, attempt) in gone {
                job.output_lost(map, attempt, None, config, *clock);
                news.jobs.insert(*number);
            }
        }
    }
}
