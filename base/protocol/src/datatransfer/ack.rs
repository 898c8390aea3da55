//! Acknowledgements of packets: one status for each node of a pipeline, nearest first.
//!
//! Each status stands twice in the message: in `reply`, and in the low four bits of `flag`, whose bits five and six tell
//! congestion. Newer clients read the flags if there are any, so both lists always have the same length here.

use crate::hadoop::hdfs::{PipelineAckProto, Status};
use crate::limits::REPLICATION_MAX;
use crate::wire::WireError;

const STATUS_MASK: u32 = 0xf;
const CONGESTION_SHIFT: u32 = 5;
const CONGESTION_MASK: u32 = 0x3;

/// Whether a node is overloaded, as it tells upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// The node does not say.
    #[default]
    Unknown,
    /// It could say and is not.
    No,
    /// It is.
    Yes,
}

/// One flag of an acknowledgement.
#[must_use]
pub fn flag(status: Status, congestion: Congestion) -> u32 {
    let bits = match congestion {
        Congestion::Unknown => 0,
        Congestion::No => 1,
        Congestion::Yes => 3,
    };
    (status as u32 & STATUS_MASK) | (bits << CONGESTION_SHIFT)
}

/// Reads one flag. A status that we do not know counts as an error.
#[must_use]
pub fn parse_flag(flag: u32) -> (Status, Congestion) {
    let congestion = match (flag >> CONGESTION_SHIFT) & CONGESTION_MASK {
        0 => Congestion::Unknown,
        3 => Congestion::Yes,
        _ => Congestion::No,
    };
    (status((flag & STATUS_MASK).cast_signed()), congestion)
}

fn status(code: i32) -> Status {
    Status::try_from(code).unwrap_or(Status::Error)
}

/// Fills `ack` for a node: its own status, then those from downstream, if there is a downstream. Reuses its memory.
pub fn fill(ack: &mut PipelineAckProto, seqno: i64, own: Status, downstream: Option<&PipelineAckProto>) {
    ack.seqno = seqno;
    ack.downstream_ack_time_nanos = None;
    ack.reply.clear();
    ack.flag.clear();
    ack.reply.push(own as i32);
    ack.flag.push(flag(own, Congestion::Unknown));
    for status in downstream.into_iter().flat_map(statuses) {
        ack.reply.push(status as i32);
        ack.flag.push(flag(status, Congestion::Unknown));
    }
}

/// The statuses, nearest node first.
pub fn statuses(ack: &PipelineAckProto) -> impl Iterator<Item = Status> + '_ {
    let (flags, replies) = if ack.flag.is_empty() { (&[][..], &ack.reply[..]) } else { (&ack.flag[..], &[][..]) };
    flags.iter().map(|flag| parse_flag(*flag).0).chain(replies.iter().map(|code| status(*code)))
}

/// The nearest node that did not succeed: its position and its status; `None` if all did.
#[must_use]
pub fn first_failure(ack: &PipelineAckProto) -> Option<(usize, Status)> {
    statuses(ack).enumerate().find(|(_, status)| *status != Status::Success)
}

/// Whether the statuses are those of a pipeline of `nodes` datanodes.
///
/// # Errors
/// [`WireError::Unexpected`] if there are none, or more than nodes. Fewer are right where a node failed: what was downstream
/// of it is unknown.
pub fn check(ack: &PipelineAckProto, nodes: usize) -> Result<(), WireError> {
    let count = statuses(ack).count();
    let allowed = nodes.min(usize::from(REPLICATION_MAX));
    if count == 0 || count > allowed || (count < nodes && first_failure(ack).is_none()) {
        let found = i64::try_from(count).unwrap_or(i64::MAX);
        return Err(WireError::unexpected("number of statuses in an acknowledgement", found));
    }
    Ok(())
}
