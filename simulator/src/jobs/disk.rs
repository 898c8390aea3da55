//! The jobtracker's disk in a run, and its deaths and starts.

use super::bugs::Bug;
use super::doors::Memory;
use super::event::Event;
use super::jobtracker::{Live, config};
use super::world::World;
use mammoth_jobtracker_core::State;
use mammoth_jobtracker_core::api::Command;
use mammoth_jobtracker_core::check::rows;
use mammoth_journal::checkpoint::{CheckpointPolicy, StoreTear};
use mammoth_journal::log::Tear;
use std::collections::BTreeMap;

const CHECKPOINT_STEP_MS: u64 = 40;
const CHECKPOINT_LOOK_MS: u64 = 700;

impl World {
    /// Writes the open group, if none is on its way, and plans the end of its sync.
    pub(super) fn start_sync(&mut self) {
        let most = if self.sim.rng.chance(60) { 800 } else { 8 };
        let delay = 2 + self.sim.rng.below(most);
        let life = self.jobtracker.lives;
        let Some(live) = &mut self.jobtracker.live else { return };
        if live.process.write_group() {
            self.sim.later(delay, Event::Synced { life });
        }
    }

    /// A sync is done: what waited for it leaves.
    pub(super) fn jobtracker_synced(&mut self, life: u64) {
        if life != self.jobtracker.lives {
            return;
        }
        self.with_jobtracker(|live, steps| {
            let ready = live.process.sync_group().expect("a memory disk syncs");
            steps.out.extend(ready.into_iter().flatten());
        });
    }

    /// One step of a checkpoint.
    pub(super) fn jobtracker_checkpoints(&mut self, life: u64) {
        if life != self.jobtracker.lives {
            return;
        }
        let now_ms = self.sim.now().monotonic_ms;
        let Some(live) = &mut self.jobtracker.live else { return };
        let may = live.process.prepare_step(now_ms);
        let step = live.process.step.take_if(|_| may);
        if let Some(applied) = step.and_then(|step| live.process.carry_out(step)) {
            live.process.end_checkpoint(applied);
            self.sim.coverage.hit("checkpoint ended");
        }
        let idle = live.process.is_between_checkpoints();
        self.sim.later(if idle { CHECKPOINT_LOOK_MS } else { CHECKPOINT_STEP_MS }, Event::Checkpoint { life });
    }

    /// The process dies; what was not synced may be there in part, or not at all.
    pub(super) fn jobtracker_dies(&mut self, away_ms: u64) {
        let Some(live) = self.jobtracker.live.take() else { return };
        self.jobtracker.lives += 1;
        self.jobtracker.hung_until_ms = 0;
        let length = usize::try_from(self.sim.rng.below(300)).unwrap_or_default();
        let bits = self.sim.rng.bits();
        let (log, store) = match self.sim.rng.below(5) {
            0 | 1 => (Tear::Lost, StoreTear::Lost),
            2 => (Tear::Prefix(length), StoreTear::Prefix(length / 20)),
            3 => (Tear::Hole(length), StoreTear::Some(bits)),
            _ => (Tear::Kept, StoreTear::Kept),
        };
        self.sim.coverage.hit(if log == Tear::Kept { "jobtracker killed" } else { "jobtracker lost power" });
        if !live.process.group.is_idle() {
            self.sim.coverage.hit("jobtracker died with decisions unsynced");
        }
        self.jobtracker.disk.log.crash(log);
        self.jobtracker.disk.store.crash(store);
        self.sim.later(away_ms, Event::JobtrackerStarts);
    }

    /// The process starts: rows, the log's tail, and a new life.
    pub(super) fn jobtracker_starts(&mut self) {
        if self.jobtracker.live.is_some() {
            return;
        }
        self.sim.monotonic_offset_ms = self.sim.rng.below(1 << 30);
        let now = self.sim.now();
        if self.bug == Some(Bug::LostEditAtReplay) {
            self.jobtracker.disk.lose_last_record();
        }
        let policy = CheckpointPolicy { bytes: 2_000, interval_ms: 3_000, rows_per_slice: 3 };
        let started = self.jobtracker.disk.start(policy, now.monotonic_ms, || State::new(config(), now), rows);
        let started = match started {
            Ok(started) => started,
            Err(what) => return self.sim.violation(format!("the jobtracker {what}")),
        };
        if started.from_checkpoint {
            self.sim.coverage.hit("started from a checkpoint");
        }
        let (parked, memory) = (BTreeMap::new(), Memory::default());
        self.jobtracker.live = Some(Box::new(Live { process: started.process, parked, memory }));
        self.truth.new_life();
        let life = self.jobtracker.lives;
        self.with_jobtracker(|live, steps| {
            live.carry_out(steps, &Command::Start).expect("a start is never refused");
            live.tick(steps);
        });
        self.sim.later(20, Event::Tick { life });
        self.sim.later(100, Event::Checkpoint { life });
    }
}
