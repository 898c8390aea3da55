//! The namenode's disk in a run: groups are synced a little after they were written, checkpoints go in step by step, and a
//! crash keeps what was synced and any part of the rest.

use super::{CLUSTER, Fate, Live, TICK_MS, config};
use crate::bugs::Bug;
use crate::event::Event;
use crate::world::World;
use mammoth_journal::checkpoint::{
    CheckpointCommand, CheckpointPolicy, CheckpointStore, CheckpointWriter, Mark, MemoryStore, Slicer, StoreTear,
};
use mammoth_journal::log::{LogDisk, MemoryDisk, Next, SegmentReader, Tear};
use mammoth_journal::{GroupCommit, recover};
use mammoth_namenode_core::State;
use mammoth_namenode_core::check::rows;
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Now, Seq};

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
        let most = if dies || self.rng.chance(60) { 1_500 } else { 8 };
        let delay = 2 + self.rng.below(most);
        let life = self.namenode.lives;
        let Some(live) = &mut self.namenode.live else { return };
        if live.syncing.is_some() {
            return;
        }
        if let Some(group) = live.group.next_group() {
            live.log.append(&group).expect("a memory disk takes what it is given");
            live.syncing = Some(group.last);
            self.later(delay, Event::Synced { life });
            if dies {
                self.later(delay - 1, Event::NamenodeDies { life });
            }
        }
    }

    /// A sync is done: what waited for it leaves. Or it failed, and nothing leaves any more.
    pub(crate) fn namenode_synced(&mut self, life: u64) {
        if life != self.namenode.lives || !self.namenode.is_up() {
            return;
        }
        if std::mem::take(&mut self.namenode.disk_fails) {
            self.namenode.disk.fail_sync_after(0);
        }
        self.with_namenode(|live, steps| {
            if let Err(error) = live.log.sync() {
                live.group.failed(error.to_string());
                steps.disk_failed = true;
            } else if let Some(upto) = live.syncing.take() {
                let ready = live.group.synced(upto);
                steps.out.extend(ready.into_iter().flatten());
            }
        });
    }

    /// One step of a checkpoint.
    pub(crate) fn namenode_checkpoints(&mut self, life: u64) {
        if life != self.namenode.lives || !self.namenode.is_up() {
            return;
        }
        let now_ms = self.now().monotonic_ms;
        let bug = self.bug;
        let Some(live) = &mut self.namenode.live else { return };
        let decided = live.group.decided_seq();
        live.slicer.begin_if_due(now_ms, decided, live.group.bytes_decided());
        if live.step.is_none() && live.slicer.is_slicing() {
            live.step = live.slicer.next(&mut live.state, decided);
        }
        let may = live.step.as_ref().is_some_and(|step| step.needs_synced() <= live.group.synced_seq());
        if (bug == Some(Bug::RowBeforeLog) || may) && live.checkpoint_step(bug, &mut self.namenode.store) {
            self.coverage.hit("checkpoint ended");
        }
        let idle = live.slicer.is_idle() && live.step.is_none();
        if self.namenode.fate == Some(Fate::Checkpoint) && !idle {
            let end = self.rng.below(4 * CHECKPOINT_STEP_MS);
            self.later(end, Event::NamenodeDies { life });
        }
        self.later(if idle { CHECKPOINT_LOOK_MS } else { CHECKPOINT_STEP_MS }, Event::Checkpoint { life });
    }

    /// The next sync of the log fails.
    pub(crate) fn namenode_disk_fails(&mut self) {
        self.namenode.disk_fails = true;
    }

    /// The process dies, or the whole machine: now, or when it hurts.
    pub(crate) fn namenode_crashes(&mut self) {
        match self.rng.below(3) {
            0 => self.namenode.fate = Some(Fate::Unsynced),
            1 => self.namenode.fate = Some(Fate::Checkpoint),
            _ => self.namenode_dies_now(self.namenode.lives),
        }
    }

    /// It is gone, and comes back after a while.
    pub(crate) fn namenode_dies_now(&mut self, life: u64) {
        if life == self.namenode.lives {
            let away = 100 + self.rng.below(2_000);
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
        let away = 1 + self.rng.below(20);
        self.namenode_dies(away);
    }

    /// What was not synced may be there in part, or not at all.
    fn namenode_dies(&mut self, away_ms: u64) {
        let Some(live) = self.namenode.live.take() else { return };
        self.namenode.lives += 1;
        self.namenode.fate = None;
        let bits = self.rng.bits();
        let length = usize::try_from(self.rng.below(300)).unwrap_or_default();
        let (log, store) = match self.rng.below(6) {
            0 => (Tear::Lost, StoreTear::Lost),
            1 => (Tear::Lost, StoreTear::Kept),
            2 => (Tear::Prefix(length), StoreTear::Prefix(length / 20)),
            3 => (Tear::Prefix(length), StoreTear::Some(bits)),
            4 => (Tear::Hole(length), StoreTear::Some(bits)),
            _ => (Tear::Kept, StoreTear::Kept),
        };
        if live.group.failure().is_some() {
            self.coverage.hit("namenode's disk failed");
        } else {
            self.coverage.hit(if log == Tear::Kept { "namenode killed" } else { "namenode lost power" });
        }
        if !live.group.is_idle() {
            self.coverage.hit("namenode died with decisions unsynced");
        }
        if !live.slicer.is_idle() {
            self.coverage.hit("namenode died in a checkpoint");
        }
        self.namenode.disk.crash(log);
        self.namenode.disk.heal();
        self.namenode.store.crash(store);
        self.namenode.disk_fails = false;
        self.later(away_ms, Event::NamenodeStarts);
    }

    /// The process starts: rows, then the log's tail.
    pub(crate) fn namenode_starts(&mut self) {
        if self.namenode.is_up() {
            return;
        }
        self.monotonic_offset_ms = self.rng.below(1 << 30);
        let now = self.now();
        if self.bug == Some(Bug::LostEditAtReplay) {
            lose_last_record(&mut self.namenode.disk);
        }
        let disk = self.namenode.disk.clone();
        let store = self.namenode.store.clone();
        let fresh = State::new(config(), now);
        let recovered = match recover(disk, &store, CLUSTER, fresh) {
            Ok(recovered) => recovered,
            Err(error) => return self.violation(format!("the namenode does not start: {error}")),
        };
        if recovered.stats.torn.is_some() {
            self.coverage.hit("torn record dropped");
        }
        let applied = store.mark(Mark::Applied).expect("a memory store does not fail");
        if applied > Seq(0) {
            self.coverage.hit("started from a checkpoint");
        }
        let (term, last) = (recovered.log.term(), recovered.stats.last);
        let mut state = recovered.state;
        self.check_replayed(&state, last, now);
        state.resume(term, last);
        let live = Live {
            state,
            group: GroupCommit::new(term, last),
            log: recovered.log,
            syncing: None,
            slicer: Slicer::new(policy(), applied, recovered.stats.bytes_replayed, now.monotonic_ms),
            writer: CheckpointWriter::new(store).expect("a memory store does not fail"),
            step: None,
            term,
            registrations: 0,
        };
        self.namenode.live = Some(Box::new(live));
        self.touched = true;
        let life = self.namenode.lives;
        self.later(1, Event::Tick { life });
        self.later(TICK_MS, Event::Checkpoint { life });
        self.check_views();
    }

    /// Rows of a fuzzy checkpoint with the log's tail on top are, byte for byte, what all edits from the first one on make.
    fn check_replayed(&mut self, state: &State, last: Seq, now: Now) {
        self.namenode.history.retain(|(seq, _)| *seq <= last);
        let mut plain = State::new(config(), now);
        for (seq, edits) in &self.namenode.history {
            edits.iter().for_each(|edit| plain.apply(*seq, edit));
        }
        let (found, right) = (rows(state), rows(&plain));
        if found != right {
            let wrong = found.iter().filter(|row| !right.contains(row)).count();
            let missing = right.iter().filter(|row| !found.contains(row)).count();
            let what = format!("{wrong} rows differ and {missing} are missing after the start at record {last}");
            self.violation(what);
        }
    }
}

/// The planted mistake: the log's last record goes, as if it had been torn.
fn lose_last_record(disk: &mut MemoryDisk) {
    let Ok(segments) = disk.segments() else { return };
    let Some(segment) = segments.last().copied() else { return };
    let bytes = disk.bytes(segment);
    let Ok(mut reader) = SegmentReader::open(segment, bytes.as_slice()) else { return };
    let mut last = None;
    while let Ok(Next::Record(_, at)) = reader.read_next() {
        last = Some(at);
    }
    if let Some(at) = last {
        disk.cut(segment, at).expect("a memory disk does not fail");
    }
}

impl Live {
    /// Carries out the waiting step; whether it was the checkpoint's last.
    fn checkpoint_step(&mut self, bug: Option<Bug>, store: &mut MemoryStore) -> bool {
        let Some(mut step) = self.step.take() else { return false };
        if let (CheckpointCommand::Rows { rows, .. }, Some(Bug::RowsForgotten)) = (&mut step, bug) {
            rows.truncate(2);
        }
        if let (CheckpointCommand::Rows { decided, .. }, Some(Bug::MarkBeforeRows)) = (&step, bug) {
            // The planted mistake: the mark goes in, and to disk, ahead of the rows that it vouches for.
            store.set_mark(Mark::Applied, *decided).expect("a memory store does not fail");
            store.sync().expect("a memory store does not fail");
        }
        let applied = self.writer.carry_out(step).expect("a memory store does not fail");
        if bug == Some(Bug::LogCutEarly) {
            let synced = self.group.synced_seq();
            if self.syncing.is_none() && self.log.last() == synced {
                self.log.roll().expect("a memory disk does not fail");
                self.log.trim(synced).expect("a memory disk does not fail");
            }
        }
        let Some(applied) = applied else { return false };
        self.slicer.ended();
        if self.syncing.is_none() {
            self.log.roll().expect("a memory disk does not fail");
        }
        self.log.trim(applied).expect("a memory disk does not fail");
        true
    }
}
