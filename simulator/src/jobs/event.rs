//! What can happen, and the queue of what will.

use mammoth_protocol::jobs::app::{AppPoll, AppPollReply};
use mammoth_protocol::jobs::client::JobStatus;
use mammoth_protocol::jobs::tracker::{PollReply, PollRequest, RegisterReply, RegisterRequest};
use mammoth_protocol::jobs::{AppId, AttemptId, ExecutorId, JobId, TrackerEpoch};

/// Number of a tracker, client or driver.
pub type Index = usize;

/// A message to the jobtracker. `life` is that of the sender's process.
#[derive(Clone, Debug)]
pub enum Request {
    /// A tracker introduces itself.
    Register(Index, u64, RegisterRequest),
    /// A tracker polls.
    Poll(Index, u64, PollRequest),
    /// A client acts.
    Client(Index, u64, Wish),
    /// A driver wants an application.
    NewApp(Index, u64),
    /// Somebody ends an application.
    KillApp(AppId),
    /// A driver lives.
    AppPoll(Index, u64, AppId, AppPoll),
}

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A job id.
    Id,
    /// To hand its job over.
    Submit(JobId),
    /// To know how it is.
    Status(JobId),
    /// To end it.
    Kill(JobId),
}

/// An answer of the jobtracker. `life` is that of the process that it is for.
#[derive(Clone, Debug)]
pub enum Response {
    /// A registration was taken.
    Registered(Index, u64, RegisterReply),
    /// A tracker shall register.
    Stale(Index, u64, TrackerEpoch),
    /// To a poll.
    Orders(Index, u64, TrackerEpoch, PollReply),
    /// A job id.
    Id(Index, u64, JobId),
    /// The job, after what was wished; nothing if it is not known.
    Job(Index, u64, Wish, Option<Box<JobStatus>>),
    /// An application.
    App(Index, u64, AppId),
    /// Its executors; nothing if it is not known.
    Executors(Index, u64, Option<AppPollReply>),
}

/// Something that happens. `life` is that of the process that it is for: an earlier or a later one is not concerned. `plan`
/// is the sender's present plan: events of earlier plans are void.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "fields are told by their types and the words above")]
pub enum Event {
    /// A message arrives at the jobtracker.
    ToJobtracker(Request),
    /// A message of the jobtracker arrives.
    FromJobtracker(Response),
    /// A group of records is on disk.
    Synced { life: u64 },
    /// The jobtracker looks at the time.
    Tick { life: u64 },
    /// One step of a checkpoint.
    Checkpoint { life: u64 },
    /// A poll has waited long enough.
    WaitOver { life: u64, tracker: Index, epoch: TrackerEpoch, seq: u64 },
    /// A specification has been read.
    SpecRead { life: u64, job: JobId },
    /// The jobtracker starts.
    JobtrackerStarts,
    /// A tracker sends, or sends again.
    TrackerActs { tracker: Index, life: u64, plan: u64 },
    /// A tracker starts again.
    TrackerStarts(Index),
    /// An attempt makes its next step.
    AttemptMoves { tracker: Index, life: u64, attempt: AttemptId },
    /// An attempt that was told to end does.
    AttemptDies { tracker: Index, life: u64, attempt: AttemptId },
    /// An executor ends: by order, or by itself.
    ExecutorDies { tracker: Index, life: u64, app: AppId, executor: ExecutorId, by_order: bool },
    /// A tracker has removed what is left of a job.
    JobDropped { tracker: Index, life: u64, job: JobId },
    /// A client makes its next step.
    ClientActs { client: Index, plan: u64 },
    /// A driver makes its next step.
    DriverActs { driver: Index, plan: u64 },
    /// Something breaks.
    Fault,
}
