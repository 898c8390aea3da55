//! What a replica is worth. One function, so that there is one answer.

use super::odd::Replica;
use super::table::Entry;
use mammoth_protocol::internal::ReplicaState;

/// The worth of a replica in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Finalized, of the right stamp and length, and nobody found fault with its bytes.
    Good,
    /// Never to be read while there is a good one, and to be deleted once there are enough.
    Bad,
    /// Nothing to hold against it, but it does not count (yet).
    Unsettled,
}

/// Judges a replica as if its volume served and no deletion were ordered.
pub(super) fn judge(entry: &Entry, replica: &Replica) -> Verdict {
    if !entry.complete {
        return Verdict::Unsettled;
    }
    if replica.corrupt || replica.stamp != entry.stamp {
        return Verdict::Bad;
    }
    match replica.state {
        ReplicaState::Finalized if replica.len == entry.len => Verdict::Good,
        ReplicaState::Finalized | ReplicaState::Rwr => Verdict::Bad,
        // The tail of a pipeline that is closing: its `Received` event comes in a moment.
        ReplicaState::Rbw | ReplicaState::Rur => Verdict::Unsettled,
    }
}
