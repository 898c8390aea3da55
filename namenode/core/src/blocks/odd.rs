//! The side table: all that is out of the ordinary about a block, kept apart from the entries of quiet blocks.

use super::cluster::VolumeIx;
use mammoth_protocol::GenStamp;
use mammoth_protocol::internal::ReplicaState;

/// A replica as its volume last told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replica {
    pub(super) volume: VolumeIx,
    pub(super) stamp: GenStamp,
    pub(super) len: u64,
    pub(super) state: ReplicaState,
    /// Somebody found wrong bytes in it. Stays until the replica is gone or carries another stamp.
    pub(super) corrupt: bool,
    /// Its deletion is ordered or about to be: it counts for nothing any more.
    pub(super) doomed: bool,
}

/// A bad replica that its datanode moved out of the way, into the volume's `bad/` folder: no longer in place, not yet deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetAside {
    pub(super) volume: VolumeIx,
    pub(super) stamp: GenStamp,
    /// Enough good copies are confirmed; the datanode is being told to drop it.
    pub(super) doomed: bool,
}

/// What a block has beside the good replicas in its entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Odd {
    /// The pipeline of a block under construction, in order.
    pub(super) expected: Vec<VolumeIx>,
    /// Replicas in place that are not good, or whose block is under construction. At most one a volume.
    pub(super) replicas: Vec<Replica>,
    /// Replicas in `bad/` folders. At most one a volume.
    pub(super) aside: Vec<SetAside>,
}

impl Odd {
    pub(super) fn is_empty(&self) -> bool {
        self.expected.is_empty() && self.replicas.is_empty() && self.aside.is_empty()
    }

    pub(super) fn replica(&self, volume: VolumeIx) -> Option<&Replica> {
        self.replicas.iter().find(|r| r.volume == volume)
    }

    pub(super) fn take_replica(&mut self, volume: VolumeIx) -> Option<Replica> {
        let at = self.replicas.iter().position(|r| r.volume == volume)?;
        Some(self.replicas.remove(at))
    }

    pub(super) fn aside_mut(&mut self, volume: VolumeIx) -> Option<&mut SetAside> {
        self.aside.iter_mut().find(|a| a.volume == volume)
    }
}
