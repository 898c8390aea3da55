//! News that change soft state, and what reports and ticks lead to.

use super::command::Command;
use mammoth_protocol::jobs::app::{AppPoll, AppPollReply};
use mammoth_protocol::jobs::spec::JobSpec;
use mammoth_protocol::jobs::tracker::{PollReply, PollRequest, RegisterReply, RegisterRequest};
use mammoth_protocol::jobs::{AppId, JobId, TrackerEpoch, TrackerId};
use std::sync::Arc;

/// News that change soft state, never hard state directly.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A tasktracker introduces itself: [`Answer::Registered`].
    Register(RegisterRequest),
    /// What a tasktracker holds: [`Answer::Orders`], [`Answer::Wait`] or [`Answer::Stale`].
    Poll(PollRequest),
    /// The owner takes the orders for a poll that was told to wait: it was woken, or the wait is over. [`Answer::Orders`]
    /// (perhaps without any), or [`Answer::Stale`] if the tracker has registered anew.
    Collect {
        /// The tracker.
        tracker: TrackerId,
        /// As in the poll.
        epoch: TrackerEpoch,
        /// As in the poll.
        seq: u64,
    },
    /// The connection on which a tasktracker's poll waited has broken: its process has probably ended.
    HungUp {
        /// The tracker.
        tracker: TrackerId,
        /// As in the poll.
        epoch: TrackerEpoch,
        /// As in the poll.
        seq: u64,
    },
    /// A driver lives: [`Answer::App`], or [`Answer::Gone`].
    AppPoll {
        /// Its application.
        app: AppId,
        /// What it says; its `wait_ms` is the owner's business and should be at most a third of the lease, and so are its
        /// events, which are to be stored before they are answered.
        poll: AppPoll,
        /// Tasks done and tasks known, by all events that were stored so far, if the owner has looked.
        tasks: Option<(u64, u64)>,
    },
    /// The specification that a job was submitted with, or why it cannot be had (which fails the job).
    Spec {
        /// The job.
        job: JobId,
        /// Compared with its digest by the owner.
        spec: Result<Arc<JobSpec>, String>,
    },
}

/// What a report or a tick leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// To the sender of the report.
    pub answer: Answer,
    /// To go through `decide` and `apply`, in order, before anything else does.
    pub commands: Vec<Command>,
    /// What the owner should do.
    pub effects: Vec<Effect>,
}

/// The answer to a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Answer {
    /// Nothing to say.
    #[default]
    None,
    /// A registration was taken.
    Registered(RegisterReply),
    /// The tracker is unknown or has registered anew since, or the jobtracker is starting: it shall register (409).
    Stale,
    /// To a poll.
    Orders(PollReply),
    /// Nothing to order yet: keep the poll until [`Effect::Wake`] names its tracker or its time is over, then
    /// [`Report::Collect`].
    Wait,
    /// To a driver.
    App {
        /// The present state; its version tells whether anything changed since the version that the driver knows. If not, and
        /// the driver may wait, keep the poll until [`Effect::AppChanged`] and ask `State::app_poll_reply` then.
        reply: AppPollReply,
    },
    /// The application is not known (404).
    Gone,
}

/// Something for the owner to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// There are orders for this tasktracker: answer its waiting poll.
    Wake(TrackerId),
    /// The job's status has another version.
    JobChanged(JobId),
    /// The application's executors have another version.
    AppChanged(AppId),
    /// Read this specification, compare its digest, and report it.
    LoadSpec {
        /// The job.
        job: JobId,
        /// Path in the file system.
        path: String,
        /// SHA-256 of its bytes, lower-case hex.
        sha256: String,
    },
    /// The job is final. As soon as that is durable its history can be written and its staging folder removed, not before: a
    /// restart would need it again. Its tasks are to be asked for before another edit is applied: the end of the next job may
    /// push them out. Told once, never after a restart.
    JobEnded(JobId),
    /// The application has ended, likewise.
    AppEnded(AppId),
}
