//! Replicas as the map has them, and the progress that a writer shares with readers.
//!
//! ```text
//!   copy ──> Temporary ──────────────────────────> Finalized <──┐
//!                └── (pipeline grows) ──> Rbw ──────> │  ^      │ recovery ends
//!   write ────────────────────────────────^ <─append──┘  │      │
//!   restart:  Rbw on disk ──> Rwr          Rbw, Rwr, Finalized ─┴─> Rur
//! ```
//!
//! A replica's own lock guards every change of state and of its file names. Its bytes are written without that lock, by the
//! one writer that is attached to its [`Writing`].

use super::layout::{PoolDirs, data_name, meta_name};
use super::volume::Volume;
use mammoth_protocol::internal::{ReplicaState, ReportedReplica};
use mammoth_protocol::{Block, BlockId, GenStamp};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a replica was before its recovery began, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Complete.
    Finalized,
    /// Was being written.
    Rbw,
    /// Was being written before the last restart.
    Rwr,
}

/// The state of a replica, with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// A copy that is arriving.
    Temporary(Arc<Writing>),
    /// Being written by a pipeline, or left by one.
    Rbw(Arc<Writing>),
    /// Was being written before the last restart.
    Rwr,
    /// In recovery.
    Rur {
        /// The stamp that the recovery will give.
        recovery: GenStamp,
        /// What it was before.
        from: Class,
        /// Bytes that readers may see meanwhile.
        visible: u64,
    },
    /// Complete.
    Finalized,
}

impl State {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Temporary(_) => "temporary",
            Self::Rbw(_) => "rbw",
            Self::Rwr => "rwr",
            Self::Rur { .. } => "rur",
            Self::Finalized => "finalized",
        }
    }

    /// The progress of a replica that is being written.
    pub(crate) fn writing(&self) -> Option<&Arc<Writing>> {
        match self {
            Self::Temporary(writing) | Self::Rbw(writing) => Some(writing),
            Self::Rwr | Self::Rur { .. } | Self::Finalized => None,
        }
    }
}

/// Which folder holds a replica's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Finalized,
    Rbw,
    Tmp,
}

impl Place {
    /// The folder of a block's replica in that place.
    pub(crate) fn dir(self, dirs: &PoolDirs, id: BlockId) -> PathBuf {
        match self {
            Self::Finalized => dirs.finalized_of(id),
            Self::Rbw => dirs.rbw.clone(),
            Self::Tmp => dirs.tmp.clone(),
        }
    }
}

/// One replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) id: BlockId,
    pub(crate) stamp: GenStamp,
    /// Bytes of data; of a replica that is being written see [`Replica::len`].
    pub(crate) len: u64,
    pub(crate) volume: Arc<Volume>,
    pub(crate) state: State,
}

impl Replica {
    /// Bytes of data on the disk.
    pub(crate) fn len(&self) -> u64 {
        self.state.writing().map_or(self.len, |writing| writing.progress().on_disk)
    }

    /// Identity and length.
    pub(crate) fn block(&self) -> Block {
        Block { id: self.id, stamp: self.stamp, len: self.len() }
    }

    pub(crate) fn place(&self) -> Place {
        match self.state {
            State::Finalized | State::Rur { from: Class::Finalized, .. } => Place::Finalized,
            State::Rbw(_) | State::Rwr | State::Rur { .. } => Place::Rbw,
            State::Temporary(_) => Place::Tmp,
        }
    }

    /// The data file.
    pub(crate) fn data_path(&self) -> PathBuf {
        self.place().dir(&self.volume.dirs, self.id).join(data_name(self.id))
    }

    /// The checksum file.
    pub(crate) fn meta_path(&self) -> PathBuf {
        self.place().dir(&self.volume.dirs, self.id).join(meta_name(self.id, self.stamp))
    }

    /// Bytes that a new reader may see, `None` if it may not read at all.
    pub(crate) fn visible(&self) -> Option<u64> {
        match &self.state {
            State::Finalized => Some(self.len),
            State::Rbw(writing) => Some(writing.progress().acked),
            State::Rur { visible, from: Class::Finalized | Class::Rbw, .. } => Some(*visible),
            State::Rur { .. } | State::Rwr | State::Temporary(_) => None,
        }
    }

    /// What a full report says of it; copies that are arriving are not reported.
    pub(crate) fn reported(&self) -> Option<ReportedReplica> {
        let state = match self.state {
            State::Temporary(_) => return None,
            State::Rbw(_) => ReplicaState::Rbw,
            State::Rwr => ReplicaState::Rwr,
            State::Rur { .. } => ReplicaState::Rur,
            State::Finalized => ReplicaState::Finalized,
        };
        Some(ReportedReplica { block: self.block(), state })
    }
}

/// How a running writer is told to stop: closes its sockets, so that whatever it waits for ends.
pub(crate) trait Stop: Send + Sync {
    /// Must not block.
    fn stop(&self);
}

/// How far a replica that is being written has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tide {
    /// Bytes on the disk, with checksums.
    pub(crate) on_disk: u64,
    /// Bytes that every node downstream has as well.
    pub(crate) acked: u64,
    /// Checksum of the last chunk if it is partial. The file's own may be of a longer chunk already.
    pub(crate) tail_crc: u32,
}

/// What the writer of a replica shares with everybody else.
pub(crate) struct Writing {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    tide: Tide,
    writer: Option<Arc<dyn Stop>>,
    waiting: u32,
}

impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.progress(), f)
    }
}

impl Writing {
    /// Progress of a replica with a writer.
    pub(crate) fn new(tide: Tide, writer: Option<Arc<dyn Stop>>) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::new(Inner { tide, writer, waiting: 0 }), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn progress(&self) -> Tide {
        self.lock().tide
    }

    pub(crate) fn set_on_disk(&self, on_disk: u64, tail_crc: u32) {
        let mut inner = self.lock();
        inner.tide.on_disk = on_disk;
        inner.tide.tail_crc = tail_crc;
        let waiting = inner.waiting > 0;
        drop(inner);
        if waiting {
            self.changed.notify_all();
        }
    }

    /// Everybody downstream has so many bytes.
    pub(crate) fn set_acked(&self, acked: u64) {
        let mut inner = self.lock();
        inner.tide.acked = inner.tide.acked.max(acked.min(inner.tide.on_disk));
    }

    /// Waits until so many bytes are on the disk, at most `timeout`.
    pub(crate) fn wait_on_disk(&self, len: u64, timeout: Duration) -> Tide {
        let mut inner = self.lock();
        if inner.tide.on_disk >= len {
            return inner.tide;
        }
        inner.waiting += 1;
        let (mut inner, _) = self
            .changed
            .wait_timeout_while(inner, timeout, |inner| inner.tide.on_disk < len && inner.writer.is_some())
            .unwrap_or_else(PoisonError::into_inner);
        inner.waiting -= 1;
        inner.tide
    }

    pub(crate) fn has_writer(&self) -> bool {
        self.lock().writer.is_some()
    }

    /// The writer is gone.
    pub(crate) fn detach(&self) {
        self.lock().writer = None;
        self.changed.notify_all();
    }

    /// Tells a writer to stop and waits until it is gone, at most `timeout`; `false` if it is still there.
    pub(crate) fn stop_writer(&self, timeout: Duration) -> bool {
        let inner = self.lock();
        let Some(writer) = &inner.writer else { return true };
        // Under the lock: a writer that is about to detach has to wait, and with it the next block over the same connection.
        writer.stop();
        let (inner, _) = self
            .changed
            .wait_timeout_while(inner, timeout, |inner| inner.writer.is_some())
            .unwrap_or_else(PoisonError::into_inner);
        inner.writer.is_none()
    }
}
