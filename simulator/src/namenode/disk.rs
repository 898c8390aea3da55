//! The namenode's disk in a run: groups are synced a little after they were written, checkpoints go in step by step, and a
//! crash keeps what was synced and any part of the rest.

use super::{Fate, Live, TICK_MS, config};
use crate::bugs::Bug;
use crate::event::Event;
use crate::world::World;
use mammoth_journal::checkpoint::{CheckpointCommand, CheckpointPolicy, CheckpointStore, Mark, MemoryStore, StoreTear};
use mammoth_journal::log::Tear;
use mammoth_namenode_core::State;
use mammoth_namenode_core::api::Report;
use mammoth_namenode_core::check::rows;

/// Between two steps of a checkpoint, and between two looks whether one is due.
const CHECKPOINT_STEP_MS: u64 = 30;
const CHECKPOINT_LOOK_MS: u64 = 500;

/// A policy under which a run sees many checkpoints.
fn policy() -> CheckpointPolicy {
    CheckpointPolicy { bytes: 4_000, interval_ms: 3_000, rows_per_slice: 3 }
}

impl World {
    /// Writes the open group, if none is on its way, and plans the end of its sync.
    pub(super) fn start_sync(&mut self) {
        let dies = self.namenode.fate == Some(Fate::Unsynced);
        let most = if dies || self.sim.rng.chance(60) { 1_500 } else { 8 };
        let delay = 2 + self.sim.rng.below(most);
        let life = self.namenode.lives;
        let Some(live) = &mut self.namenode.live else { return };
        if live.process.write_group() {
            self.sim.later(delay, Event::Synced { life });
            if dies {
                self.sim.later(delay - 1, Event::NamenodeDies { life });
            }
        }
    }

    /// A sync is done: what waited for it leaves. Or it failed, and nothing leaves any more.
    pub(crate) fn namenode_synced(&mut self, life: u64) {
        if life != self.namenode.lives || !self.namenode.is_up() {
            return;
        }
        if std::mem::take(&mut self.namenode.disk_fails) {
            self.namenode.disk.log.fail_sync_after(0);
        }
        self.with_namenode(|live, steps| match live.process.sync_group() {
            Ok(ready) => steps.out.extend(ready.into_iter().flatten()),
            Err(_) => steps.disk_failed = true,
        });
    }

    /// One step of a checkpoint.
    pub(crate) fn namenode_checkpoints(&mut self, life: u64) {
        if life != self.namenode.lives || !self.namenode.is_up() {
            return;
        }
        let now_ms = self.sim.now().monotonic_ms;
        let bug = self.bug;
        let Some(live) = &mut self.namenode.live else { return };
        let may = live.process.prepare_step(now_ms);
        if (bug == Some(Bug::RowBeforeLog) || may) && live.checkpoint_step(bug, &mut self.namenode.disk.store) {
            self.sim.coverage.hit("checkpoint ended");
        }
        let idle = live.process.is_between_checkpoints();
        if self.namenode.fate == Some(Fate::Checkpoint) && !idle {
            let end = self.sim.rng.below(4 * CHECKPOINT_STEP_MS);
            self.sim.later(end, Event::NamenodeDies { life });
        }
        self.sim.later(if idle { CHECKPOINT_LOOK_MS } else { CHECKPOINT_STEP_MS }, Event::Checkpoint { life });
    }

    /// The next sync of the log fails.
    pub(crate) fn namenode_disk_fails(&mut self) {
        self.namenode.disk_fails = true;
    }

    /// The process dies, or the whole machine: now, or when it hurts.
    pub(crate) fn namenode_crashes(&mut self) {
        match self.sim.rng.below(3) {
            0 => self.namenode.fate = Some(Fate::Unsynced),
            1 => self.namenode.fate = Some(Fate::Checkpoint),
            _ => self.namenode_dies_now(self.namenode.lives),
        }
    }

    /// It is gone, and comes back after a while.
    pub(crate) fn namenode_dies_now(&mut self, life: u64) {
        if life == self.namenode.lives {
            let away = 100 + self.sim.rng.below(2_000);
            self.namenode_dies(away);
        }
    }

    /// Whatever was planned for the namenode does not happen any more.
    pub(crate) fn namenode_is_spared(&mut self) {
        self.namenode.fate = None;
        self.namenode.disk_fails = false;
    }

    /// The process dies, and is started again at once.
    pub(crate) fn namenode_restarts_at_once(&mut self) {
        let away = 1 + self.sim.rng.below(20);
        self.namenode_dies(away);
    }

    /// What was not synced may be there in part, or not at all.
    fn namenode_dies(&mut self, away_ms: u64) {
        let Some(live) = self.namenode.live.take() else { return };
        self.namenode.lives += 1;
        self.namenode.fate = None;
        let bits = self.sim.rng.bits();
        let length = usize::try_from(self.sim.rng.below(300)).unwrap_or_default();
        let (log, store) = match self.sim.rng.below(6) {
            0 => (Tear::Lost, StoreTear::Lost),
            1 => (Tear::Lost, StoreTear::Kept),
            2 => (Tear::Prefix(length), StoreTear::Prefix(length / 20)),
            3 => (Tear::Prefix(length), StoreTear::Some(bits)),
            4 => (Tear::Hole(length), StoreTear::Some(bits)),
            _ => (Tear::Kept, StoreTear::Kept),
        };
        if live.process.group.failure().is_some() {
            self.sim.coverage.hit("namenode's disk failed");
        } else {
            self.sim.coverage.hit(if log == Tear::Kept { "namenode killed" } else { "namenode lost power" });
        }
        if !live.process.group.is_idle() {
            self.sim.coverage.hit("namenode died with decisions unsynced");
        }
        if !live.process.slicer.is_idle() {
            self.sim.coverage.hit("namenode died in a checkpoint");
        }
        self.namenode.disk.log.crash(log);
        self.namenode.disk.log.heal();
        self.namenode.disk.store.crash(store);
        self.namenode.disk_fails = false;
        self.sim.later(away_ms, Event::NamenodeStarts);
    }

    /// The process starts: rows, then the log's tail.
    pub(crate) fn namenode_starts(&mut self) {
        if self.namenode.is_up() {
            return;
        }
        self.sim.monotonic_offset_ms = self.sim.rng.below(1 << 30);
        let now = self.sim.now();
        if self.bug == Some(Bug::LostEditAtReplay) {
            self.namenode.disk.lose_last_record();
        }
        let started = self.namenode.disk.start(policy(), now.monotonic_ms, || State::new(config(), now), rows);
        let started = match started {
            Ok(started) => started,
            Err(what) => return self.sim.violation(format!("the namenode {what}")),
        };
        if started.torn {
            self.sim.coverage.hit("torn record dropped");
        }
        if started.from_checkpoint {
            self.sim.coverage.hit("started from a checkpoint");
        }
        let (mut process, term) = (started.process, started.term);
        process.state.resume(term, started.last);
        let now = self.sim.now();
        process.state.observe(now, Report::Hosts(self.host_rules()));
        self.namenode.live = Some(Box::new(Live { process, term, registrations: 0 }));
        self.touched = true;
        let life = self.namenode.lives;
        self.sim.later(1, Event::Tick { life });
        self.sim.later(TICK_MS, Event::Checkpoint { life });
        self.check_views();
    }
}

impl Live {
    /// Carries out the waiting step; whether it was the checkpoint's last.
    fn checkpoint_step(&mut self, bug: Option<Bug>, store: &mut MemoryStore) -> bool {
        let process = &mut self.process;
        let Some(mut step) = process.step.take() else { return false };
        if let (CheckpointCommand::Rows { rows, .. }, Some(Bug::RowsForgotten)) = (&mut step, bug) {
            rows.truncate(2);
        }
        if let (CheckpointCommand::Rows { decided, .. }, Some(Bug::MarkBeforeRows)) = (&step, bug) {
            // The planted mistake: the mark goes in, and to disk, ahead of the rows that it vouches for.
            store.set_mark(Mark::Applied, *decided).expect("a memory store does not fail");
            store.sync().expect("a memory store does not fail");
        }
        let applied = process.carry_out(step);
        if bug == Some(Bug::LogCutEarly) {
            let synced = process.group.synced_seq();
            if process.syncing.is_none() && process.log.last() == synced {
                process.log.roll().expect("a memory disk does not fail");
                process.log.trim(synced).expect("a memory disk does not fail");
            }
        }
        let Some(applied) = applied else { return false };
        process.end_checkpoint(applied);
        true
    }
}
