//! Which cells the matrix has, and why some make no sense.

use std::time::Duration;

/// Who is harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    Namenode,
    First,
    Middle,
    Last,
    Client,
}

/// What is going on when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Create,
    FirstPacket,
    MidBlock,
    BlockEnd,
    Hflush,
    Close,
    Append,
    Truncate,
    Recovery,
    Replication,
    FullReport,
    Checkpoint,
}

/// How it is harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Kill,
    Stop,
}

impl Victim {
    const ALL: [Self; 5] = [Self::Namenode, Self::First, Self::Middle, Self::Last, Self::Client];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Namenode => "namenode",
            Self::First => "first datanode",
            Self::Middle => "middle datanode",
            Self::Last => "last datanode",
            Self::Client => "client",
        }
    }

    /// Its place in the pipeline.
    pub(super) fn place(self) -> Option<usize> {
        match self {
            Self::Namenode | Self::Client => None,
            Self::First => Some(0),
            Self::Middle => Some(1),
            Self::Last => Some(2),
        }
    }
}

impl Moment {
    pub(super) const ALL: [Self; 12] = [
        Self::Create,
        Self::FirstPacket,
        Self::MidBlock,
        Self::BlockEnd,
        Self::Hflush,
        Self::Close,
        Self::Append,
        Self::Truncate,
        Self::Recovery,
        Self::Replication,
        Self::FullReport,
        Self::Checkpoint,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::FirstPacket => "first packet",
            Self::MidBlock => "mid-block",
            Self::BlockEnd => "block end",
            Self::Hflush => "hflush",
            Self::Close => "close",
            Self::Append => "append",
            Self::Truncate => "truncate",
            Self::Recovery => "recovery",
            Self::Replication => "re-replication",
            Self::FullReport => "full report",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// How the moment is met.
    pub(super) fn how(self) -> &'static str {
        match self {
            Self::Create => "`create` is carried out and logged, its answer held back",
            Self::FirstPacket => "100,000 bytes of the first packet have passed to the first datanode, no more do",
            Self::MidBlock => "two packets of a block of four are in all three replicas' files, the third is not full",
            Self::BlockEnd => "all three replicas are finalized, the acknowledgement of that is held back",
            Self::Hflush => "all three replicas' files have the bytes, the acknowledgement is held back",
            Self::Close => "`complete` is carried out and logged, its answer held back",
            Self::Append => "`append` is carried out and logged, its answer held back",
            Self::Truncate => {
                "`truncate`, inside a block, is carried out and logged, its answer held back; the replicas are being cut"
            }
            Self::Recovery => {
                "the replicas of a dead writer's block have agreed; half of the message that says so has passed to the namenode"
            }
            Self::Replication => {
                "100,000 bytes of a third replica have passed to its datanode (the last), from another one (the first)"
            }
            Self::FullReport => "half of a datanode's (the first) full report has passed to the namenode",
            Self::Checkpoint => "the log has begun its new segment for a checkpoint, the old ones are not deleted yet",
        }
    }
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Stop => "SIGSTOP",
        }
    }
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) moment: Moment,
    pub(super) victim: Victim,
    pub(super) mode: Mode,
}

impl Cell {
    /// Why it cannot make sense, if it cannot.
    pub(super) fn reason(self) -> Option<&'static str> {
        use Moment as M;
        use Victim as V;
        match (self.moment, self.victim) {
            (M::Create, V::Middle | V::Last) => {
                Some("no block, so no pipeline yet; any datanode is as good as the first")
            }
            (M::Replication, V::Middle) => Some("a copy has two ends"),
            (M::Replication, V::Client) => Some("no client takes part"),
            (M::FullReport, V::Middle | V::Last) => Some("a report comes from one datanode"),
            (M::FullReport, V::Client) => Some("no client takes part"),
            (M::Checkpoint, V::First | V::Middle | V::Last) => Some("the namenode's alone, no datanode takes part"),
            (M::Checkpoint, V::Client) => Some("the namenode's alone, no client takes part"),
            _ => None,
        }
    }

    /// Whether stopping the victim differs from killing it: somebody waits for it at that moment, or it comes back to what
    /// has gone on without it.
    fn worth_stopping(moment: Moment, victim: Victim) -> bool {
        use Moment as M;
        match victim {
            Victim::Namenode => matches!(moment, M::Create | M::Close | M::Append | M::Recovery),
            Victim::Client => matches!(moment, M::MidBlock | M::Hflush),
            _ => matches!(moment, M::FirstPacket | M::MidBlock | M::BlockEnd | M::Hflush | M::Recovery),
        }
    }
}

/// All cells, in the order of the table.
pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for moment in Moment::ALL {
        cells.extend(Victim::ALL.map(|victim| Cell { moment, victim, mode: Mode::Kill }));
        let stopped = Victim::ALL.into_iter().filter(|victim| Cell::worth_stopping(moment, *victim));
        cells.extend(stopped.map(|victim| Cell { moment, victim, mode: Mode::Stop }));
    }
    cells
}

/// What a cell saw.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) cell: Cell,
    /// What clients had been told before the harm.
    pub(super) acknowledged: String,
    /// From the harm until all that was acknowledged could be read, the restart of a killed namenode included.
    pub(super) readable: Duration,
    /// From the harm until the file was closed, and somebody else had appended to it.
    pub(super) writable: Duration,
}
