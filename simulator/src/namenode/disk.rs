//! The namenode's disk in a run: groups are synced a little after they were written, checkpoints go in step by step, and a
//! crash keeps what was synced and any part of the rest.

use super::{CLUSTER, Live, TICK_MS, config, policy};
use crate::bugs::Bug;
use crate::event::Event;
use crate::world::World;
use mammoth_journal::checkpoint::{
    CheckpointCommand, CheckpointStore, CheckpointWriter, Mark, MemoryStore, Slicer, StoreTear,
};
use mammoth_journal::log::Tear;
use mammoth_journal::{GroupCommit, recover};
use mammoth_namenode_core::State;
use mammoth_protocol::Seq;

const CHECKPOINT_MS: u64 = 40;

impl World {
    /// Writes the open group, if none is on its way, and plans the end of its sync.
    pub(super) fn start_sync(&mut self) {
        let delay = 1 + self.rng.below(8);
        let life = self.namenode.lives;
        let Some(live) = &mut self.namenode.live else { return };
        if live.syncing.is_some() {
            return;
        }
        if let Some(group) = live.group.next_group() {
            live.log.append(&group).expect("a memory disk does not fail");
            live.syncing = Some(group.last);
            self.later(delay, Event::Synced { life });
        }
    }

    /// A sync is done: what waited for it leaves.
    pub(crate) fn namenode_synced(&mut self, life: u64) {
        if life != self.namenode.lives || !self.namenode.is_up() {
            return;
        }
        self.with_namenode(|live, steps| {
            live.log.sync().expect("a memory disk does not fail");
            if let Some(upto) = live.syncing.take() {
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
        self.later(CHECKPOINT_MS, Event::Checkpoint { life });
        let now_ms = self.now_ms;
        let bug = self.bug;
        let Some(live) = &mut self.namenode.live else { return };
        let decided = live.group.decided_seq();
        live.slicer.begin_if_due(now_ms, decided, live.group.bytes_decided());
        if live.step.is_none() && live.slicer.is_slicing() {
            live.step = live.slicer.next(&mut live.state, decided);
        }
        let may = live.step.as_ref().is_some_and(|step| step.needs_synced() <= live.group.synced_seq());
        if bug == Some(Bug::RowBeforeLog) || may {
            let ended = live.checkpoint_step(bug, &mut self.namenode.store);
            if ended {
                self.coverage.hit("checkpoint ended");
            }
        }
    }

    /// The process dies, or the whole machine: what was not synced may be there in part, or not at all.
    pub(crate) fn namenode_crashes(&mut self) {
        if self.namenode.live.take().is_none() {
            return;
        }
        self.namenode.lives += 1;
        let bits = self.rng.bits();
        let length = usize::try_from(self.rng.below(200)).unwrap_or_default();
        let (log, store) = match self.rng.below(4) {
            0 => (Tear::Lost, StoreTear::Lost),
            1 => (Tear::Prefix(length), StoreTear::Prefix(length)),
            2 => (Tear::Prefix(length), StoreTear::Some(bits)),
            _ => (Tear::Kept, StoreTear::Kept),
        };
        self.coverage.hit(if log == Tear::Kept { "namenode killed" } else { "namenode lost power" });
        self.namenode.disk.crash(log);
        self.namenode.store.crash(store);
        let away = 100 + self.rng.below(4_000);
        self.later(away, Event::NamenodeStarts);
    }

    /// The process starts: rows, then the log's tail.
    pub(crate) fn namenode_starts(&mut self) {
        if self.namenode.is_up() {
            return;
        }
        let now = self.now();
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
        let life = self.namenode.lives;
        self.later(1, Event::Tick { life });
        self.later(TICK_MS, Event::Checkpoint { life });
        self.check_views();
    }
}

impl Live {
    /// Carries out the waiting step; whether it was the checkpoint's last.
    fn checkpoint_step(&mut self, bug: Option<Bug>, store: &mut MemoryStore) -> bool {
        let Some(step) = self.step.take() else { return false };
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
