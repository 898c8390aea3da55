//! The jobtracker's disk in a run, and its deaths and starts.

use super::bugs::Bug;
use super::doors::Memory;
use super::event::Event;
use super::jobtracker::{CLUSTER, Live, config};
use super::world::World;
use mammoth_jobtracker_core::State;
use mammoth_jobtracker_core::api::Command;
use mammoth_jobtracker_core::check::rows;
use mammoth_journal::checkpoint::{CheckpointPolicy, CheckpointStore, CheckpointWriter, Mark, Slicer, StoreTear};
use mammoth_journal::log::{LogDisk, MemoryDisk, Next, SegmentReader, Tear};
use mammoth_journal::{GroupCommit, recover};
use mammoth_protocol::Seq;
use mammoth_protocol::journaled::Journaled;
use std::collections::BTreeMap;

const CHECKPOINT_STEP_MS: u64 = 40;
const CHECKPOINT_LOOK_MS: u64 = 700;

impl World {
    /// Writes the open group, if none is on its way, and plans the end of its sync.
    pub(super) fn start_sync(&mut self) {
        let most = if self.rng.chance(60) { 800 } else { 8 };
        let delay = 2 + self.rng.below(most);
        let life = self.jobtracker.lives;
        let Some(live) = &mut self.jobtracker.live else { return };
        if live.syncing.is_some() {
            return;
        }
        if let Some(group) = live.group.next_group() {
            live.log.append(&group).expect("a memory disk takes what it is given");
            live.syncing = Some(group.last);
            self.later(delay, Event::Synced { life });
        }
    }

    /// A sync is done: what waited for it leaves.
    pub(super) fn jobtracker_synced(&mut self, life: u64) {
        if life != self.jobtracker.lives {
            return;
        }
        self.with_jobtracker(|live, steps| {
            live.log.sync().expect("a memory disk syncs");
            if let Some(upto) = live.syncing.take() {
                steps.out.extend(live.group.synced(upto).into_iter().flatten());
            }
        });
    }

    /// One step of a checkpoint.
    pub(super) fn jobtracker_checkpoints(&mut self, life: u64) {
        if life != self.jobtracker.lives {
            return;
        }
        let now_ms = self.now().monotonic_ms;
        let Some(live) = &mut self.jobtracker.live else { return };
        let decided = live.group.decided_seq();
        live.slicer.begin_if_due(now_ms, decided, live.group.bytes_decided());
        if live.step.is_none() && live.slicer.is_slicing() {
            live.step = live.slicer.next(&mut live.state, decided);
        }
        let may = live.step.as_ref().is_some_and(|step| step.needs_synced() <= live.group.synced_seq());
        if may && let Some(step) = live.step.take() {
            let applied = live.writer.carry_out(step).expect("a memory store does not fail");
            if let Some(applied) = applied {
                live.slicer.ended();
                if live.syncing.is_none() {
                    live.log.roll().expect("a memory disk does not fail");
                }
                live.log.trim(applied).expect("a memory disk does not fail");
                self.coverage.hit("checkpoint ended");
            }
        }
        let idle = live.slicer.is_idle() && live.step.is_none();
        self.later(if idle { CHECKPOINT_LOOK_MS } else { CHECKPOINT_STEP_MS }, Event::Checkpoint { life });
    }

    /// The process dies; what was not synced may be there in part, or not at all.
    pub(super) fn jobtracker_dies(&mut self, away_ms: u64) {
        let Some(live) = self.jobtracker.live.take() else { return };
        self.jobtracker.lives += 1;
        self.jobtracker.hung_until_ms = 0;
        let length = usize::try_from(self.rng.below(300)).unwrap_or_default();
        let bits = self.rng.bits();
        let (log, store) = match self.rng.below(5) {
            0 | 1 => (Tear::Lost, StoreTear::Lost),
            2 => (Tear::Prefix(length), StoreTear::Prefix(length / 20)),
            3 => (Tear::Hole(length), StoreTear::Some(bits)),
            _ => (Tear::Kept, StoreTear::Kept),
        };
        self.coverage.hit(if log == Tear::Kept { "jobtracker killed" } else { "jobtracker lost power" });
        if !live.group.is_idle() {
            self.coverage.hit("jobtracker died with decisions unsynced");
        }
        self.jobtracker.disk.crash(log);
        self.jobtracker.store.crash(store);
        self.later(away_ms, Event::JobtrackerStarts);
    }

    /// The process starts: rows, the log's tail, and a new life.
    pub(super) fn jobtracker_starts(&mut self) {
        if self.jobtracker.live.is_some() {
            return;
        }
        self.monotonic_offset_ms = self.rng.below(1 << 30);
        let now = self.now();
        if self.bug == Some(Bug::LostEditAtReplay) {
            lose_last_record(&mut self.jobtracker.disk);
        }
        let (disk, store) = (self.jobtracker.disk.clone(), self.jobtracker.store.clone());
        let recovered = match recover(disk, &store, CLUSTER, State::new(config(), now)) {
            Ok(recovered) => recovered,
            Err(error) => return self.violation(format!("the jobtracker does not start: {error}")),
        };
        let applied = store.mark(Mark::Applied).expect("a memory store does not fail");
        if applied > Seq(0) {
            self.coverage.hit("started from a checkpoint");
        }
        let (term, last) = (recovered.log.term(), recovered.stats.last);
        self.check_replayed(&recovered.state, last);
        let policy = CheckpointPolicy { bytes: 2_000, interval_ms: 3_000, rows_per_slice: 3 };
        self.jobtracker.live = Some(Box::new(Live {
            state: recovered.state,
            group: GroupCommit::new(term, last),
            log: recovered.log,
            syncing: None,
            slicer: Slicer::new(policy, applied, recovered.stats.bytes_replayed, now.monotonic_ms),
            writer: CheckpointWriter::new(store).expect("a memory store does not fail"),
            step: None,
            parked: BTreeMap::new(),
            memory: Memory::default(),
        }));
        self.truth.new_life();
        let life = self.jobtracker.lives;
        self.with_jobtracker(|live, steps| {
            live.carry_out(steps, &Command::Start).expect("a start is never refused");
            live.tick(steps);
        });
        self.later(20, Event::Tick { life });
        self.later(100, Event::Checkpoint { life });
    }
}

impl World {
    /// Rows of a fuzzy checkpoint with the log's tail on top are, byte for byte, what all edits from the first one on make.
    fn check_replayed(&mut self, state: &State, last: Seq) {
        self.jobtracker.history.retain(|(seq, _)| *seq <= last);
        let mut plain = State::new(config(), self.now());
        for (seq, edits) in &self.jobtracker.history {
            edits.iter().for_each(|edit| plain.apply(*seq, edit));
        }
        if rows(state) != rows(&plain) {
            self.violation(format!("the rows after the start at record {last} are not those that the edits make"));
        }
    }
}

/// Cuts the last record off the log.
fn lose_last_record(disk: &mut MemoryDisk) {
    let Some(segment) = disk.segments().expect("a memory disk does not fail").last().copied() else { return };
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
