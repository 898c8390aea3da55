//! What a volume needs now and then: it is tried whether it still works, its free space is asked for, what it remembers is
//! written down, and all that was written is made durable, so that a crash of the machine leaves little to verify.

use super::state::VolumeState;
use super::volume::Volume;
use super::{Store, wall_ms};
use crate::error::{DiskContext, Result};
use mammoth_platform::{Clock, Worker, WorkerState};
use std::fs::File;
use std::sync::Arc;

/// Pause between two looks.
const PAUSE_MS: u64 = 1000;
/// Pause between two saves of what a volume remembers, unless the namenode's term has changed.
const SAVE_MS: u64 = 10_000;
/// Pause between two syncs of a whole volume. Shorter costs disk time, longer costs verifying after a crash.
const SYNC_MS: u64 = 5 * 60 * 1000;

/// Pause between two tries whether a volume works that nobody may be using.
const PROBE_MS: u64 = 30_000;

/// Looks after one volume.
pub(crate) struct Upkeep {
    name: String,
    store: Arc<Store>,
    volume: Arc<Volume>,
    clock: Arc<dyn Clock>,
    saved: VolumeState,
    next_save_ms: u64,
    next_sync_ms: u64,
    next_probe_ms: u64,
}

impl Store {
    /// One for each volume.
    pub(crate) fn upkeep(self: &Arc<Self>, clock: &Arc<dyn Clock>) -> Vec<Upkeep> {
        let now = clock.now().monotonic_ms;
        let make = |(number, volume): (usize, &Arc<Volume>)| Upkeep {
            name: format!("upkeep-{number}"),
            store: Arc::clone(self),
            volume: Arc::clone(volume),
            clock: Arc::clone(clock),
            saved: volume.state().clone(),
            next_save_ms: now.saturating_add(SAVE_MS),
            next_sync_ms: now.saturating_add(SYNC_MS),
            next_probe_ms: now.saturating_add(PROBE_MS),
        };
        self.volumes.iter().enumerate().map(make).collect()
    }
}

impl Store {
    /// Writes down what every volume remembers, at the end of the daemon.
    pub(crate) fn save_states(&self) {
        for volume in self.volumes.iter().filter(|volume| volume.failure().is_none()) {
            let mut state = volume.state().clone();
            state.seen = self.seen();
            if let Err(error) = state.save(&volume.root) {
                tracing::warn!(folder = %volume.root.display(), %error, "cannot write the volume's state");
            }
        }
    }
}

impl Upkeep {
    fn sync(&self) -> Result<u64> {
        // What is written from now on may or may not be covered.
        let began = wall_ms(&self.clock);
        if self.volume.take_dirty() {
            let root = File::open(&self.volume.root).disk("open folder", &self.volume.root)?;
            rustix::fs::syncfs(&root).disk("sync the file system of", &self.volume.root)?;
        }
        Ok(began)
    }

    fn look(&mut self) -> Result<()> {
        self.volume.refresh()?;
        let now = self.clock.now().monotonic_ms;
        if now >= self.next_probe_ms {
            self.next_probe_ms = now.saturating_add(PROBE_MS);
            self.volume.probe()?;
        }
        if now >= self.next_sync_ms {
            self.next_sync_ms = now.saturating_add(SYNC_MS);
            let synced_ms = self.sync().inspect_err(|_| self.volume.mark_dirty())?;
            self.volume.state().synced_ms = synced_ms;
        }
        let state = {
            let mut state = self.volume.state();
            state.seen = self.store.seen();
            state.clone()
        };
        let urgent = state.seen.term != self.saved.seen.term || state.synced_ms != self.saved.synced_ms;
        if state != self.saved && (urgent || now >= self.next_save_ms) {
            self.next_save_ms = now.saturating_add(SAVE_MS);
            state.save(&self.volume.root)?;
            self.saved = state;
        }
        Ok(())
    }
}

impl Worker for Upkeep {
    fn name(&self) -> &str {
        &self.name
    }

    fn work(&mut self) -> std::result::Result<WorkerState, String> {
        self.store.forget_failed();
        if self.volume.failure().is_some() {
            return Ok(WorkerState::Idle(PAUSE_MS));
        }
        if let Err(error) = self.look() {
            self.store.note_failure(&self.volume, &error);
            return Err(error.to_string());
        }
        Ok(WorkerState::Idle(PAUSE_MS))
    }
}
