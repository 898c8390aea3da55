//! Everything that can happen.

use crate::balancer::Move;
use mammoth_namenode_core::api::{Answer, Command, Outcome, Query, Reply};
use mammoth_protocol::internal::{DnCommand, FullReportSlice, HeartbeatRequest, IncrementalReport, RegisterRequest};
use mammoth_protocol::{Block, CallId, DatanodeId, Epoch, FsError, Seq, Term};

/// Number of a fake datanode or client.
pub type Index = usize;

/// A message to the namenode.
#[derive(Clone, Debug)]
pub enum Request {
    /// A client's change.
    Command {
        /// Who.
        client: Index,
        /// The same over all retries.
        call: CallId,
        /// What.
        command: Command,
        /// The transport doubled it.
        copy: bool,
    },
    /// A client's question.
    Query {
        /// Who.
        client: Index,
        /// The same over all retries.
        call: CallId,
        /// What.
        query: Query,
    },
    /// A client lives.
    Renew {
        /// Its name.
        name: String,
    },
    /// A datanode introduces itself.
    Register(Index, RegisterRequest),
    /// A datanode lives.
    Heartbeat(Index, HeartbeatRequest),
    /// Changes of its volumes; reports of one datanode are numbered.
    Incremental(Index, u64, IncrementalReport),
    /// A part of the list of all that is on a volume.
    Full(Index, u64, FullReportSlice),
    /// A client read bad bytes from this datanode.
    Bad(DatanodeId, Block),
    /// The end of a block recovery.
    CommitSync(Index, mammoth_protocol::internal::CommitBlockSync),
}

impl Request {
    /// Marks it as a copy.
    pub fn is_copy(&mut self) {
        if let Self::Command { copy, .. } = self {
            *copy = true;
        }
    }

    /// Whether the namenode remembers it, so that a repetition is answered as the first copy was.
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        matches!(self, Self::Command { command, .. } if crate::namenode::is_remembered(command))
    }
}

/// A message from the namenode.
#[derive(Clone, Debug)]
pub enum Response {
    /// To a client.
    Reply {
        /// Whom.
        client: Index,
        /// Which call.
        call: CallId,
        /// What came of it.
        result: Result<Reply, FsError>,
    },
    /// To a client.
    Answer {
        /// Whom.
        client: Index,
        /// Which call.
        call: CallId,
        /// What came of it.
        result: Result<Answer, FsError>,
    },
    /// To a datanode: taken in.
    Registered(Index, Epoch, Term),
    /// To a datanode: its orders, and how much of the log is durable.
    Orders(Index, Term, Seq, Outcome),
    /// To a datanode: its report of this number has arrived.
    Taken(Index, Term, u64, Outcome),
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message reaches the namenode.
    ToNamenode(Request),
    /// A message leaves the namenode's host and reaches its addressee.
    FromNamenode(Response),
    /// The namenode's log has synced what was handed to it.
    Synced {
        /// Of which life of the namenode.
        life: u64,
    },
    /// The namenode looks at the clock.
    Tick {
        /// Of which life of the namenode.
        life: u64,
    },
    /// A step of the checkpoint.
    Checkpoint {
        /// Of which life of the namenode.
        life: u64,
    },
    /// The namenode dies at a moment that was chosen for it.
    NamenodeDies {
        /// Of which life of the namenode.
        life: u64,
    },
    /// The namenode starts again.
    NamenodeStarts,
    /// A datanode's heartbeat is due.
    HeartbeatDue(Index),
    /// A datanode sends what has changed, or again what was not answered.
    ReportDue(Index),
    /// A datanode carries out an order that it got in this term and registration.
    Order(Index, Term, Epoch, DnCommand),
    /// The bytes of a replica that the balancer moves have arrived.
    MoveEnds(Move),
    /// A datanode starts again.
    DatanodeStarts(Index),
    /// A client makes its next step, or repeats the call that was not answered.
    ClientStep {
        /// Which.
        client: Index,
        /// Steps of an earlier plan are void.
        plan: u64,
    },
    /// The administrator ends safe mode.
    SafeModeEnds,
    /// Something breaks.
    Fault,
}
