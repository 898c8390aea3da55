//! Tasktrackers: who lives, what each holds and was granted.
//!
//! A tracker's orders are never queued. They follow from what it shall do (attempts and executors granted to it, ended jobs)
//! and what its last poll held; what is lost is said again.

mod orders;
mod poll;
mod register;

use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::tracker::PollReply;
use mammoth_protocol::jobs::{AppId, AttemptId, ExecutorId, JobId, Resources, TrackerEpoch, TrackerId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An order that takes a while to show an effect is said again after so long.
pub(crate) const REPEAT_MS: u64 = 1_000;

/// An executor, wherever it is.
pub(crate) type ExecutorKey = (AppId, ExecutorId);

/// One tasktracker.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    pub(crate) place: Place,
    pub(crate) capacity: Resources,
    pub(crate) epoch: TrackerEpoch,
    pub(crate) state: Liveness,
    /// When it was last heard of, monotonic milliseconds.
    pub(crate) heard_ms: u64,
    /// When the connection on which its last poll waited broke, monotonic milliseconds.
    pub(crate) hung_up_ms: Option<u64>,
    /// The last poll taken in; 0 = none of this registration.
    pub(crate) seq: u64,
    /// The answer that it got, if it got one.
    pub(crate) answered: Option<PollReply>,
    /// That poll waits for orders.
    pub(crate) waits: bool,
    /// What its live attempts take.
    pub(crate) attempts: BTreeMap<AttemptId, Resources>,
    /// What its live executors take.
    pub(crate) executors: BTreeMap<ExecutorKey, Resources>,
    /// Attempts that its last poll held and that are not live attempts of it.
    pub(crate) strays: BTreeMap<AttemptId, Stray>,
    /// Executors likewise.
    pub(crate) stray_executors: BTreeMap<ExecutorKey, Stray>,
    /// From its last poll.
    pub(crate) wants: BTreeMap<JobId, u64>,
    /// From its last poll.
    pub(crate) jobs: Vec<JobId>,
    /// From its last poll.
    pub(crate) apps: Vec<AppId>,
    /// Orders that need time, and when they were said, monotonic milliseconds.
    pub(crate) told: BTreeMap<Told, u64>,
    /// Complaints of fetches with a lower number were taken in under this registration.
    pub(crate) complaints_taken: u64,
    /// Attempts that failed there, ever.
    pub(crate) failures: u32,
}

/// Where something runs, or an output lies.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) tracker: TrackerId,
    pub(crate) host: Arc<str>,
    /// `host:port` of its HTTP door.
    pub(crate) http: Arc<str>,
    pub(crate) generation: Uuid,
}

/// Whether a tracker is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// It has registered and not polled since: what it holds is unknown, and it is given nothing.
    Registered,
    Live,
    Gone,
}

/// Something on a tracker that the jobtracker does not want there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stray {
    pub(crate) ended: bool,
    pub(crate) resources: Resources,
}

/// An order that needs time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    Kill(AttemptId),
    Grant(AttemptId),
    KillExecutor(ExecutorKey),
    DropJob(JobId),
    DropApp(AppId),
}

impl Tracker {
    /// What is taken, by what was granted and by what should not be there.
    pub(crate) fn used(&self) -> Resources {
        let granted = self.attempts.values().chain(self.executors.values());
        let strays = self.strays.values().chain(self.stray_executors.values());
        let strays = strays.filter(|stray| !stray.ended).map(|stray| &stray.resources);
        granted.chain(strays).fold(Resources::default(), |sum, taken| sum.plus(*taken))
    }

    /// What can be granted now.
    pub(crate) fn free(&self) -> Resources {
        match self.state {
            Liveness::Live if self.hung_up_ms.is_none() => self.capacity.less(self.used()),
            Liveness::Live | Liveness::Registered | Liveness::Gone => Resources::default(),
        }
    }

    /// It is heard of.
    pub(crate) fn is_live(&self) -> bool {
        self.state != Liveness::Gone
    }
}
