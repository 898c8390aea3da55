//! Crashes at every step, on disks that lose what was not synced; the state that comes back is compared with an oracle.
//!
//! The same parts as at run time, driven on one thread: group commit, log, slicer, checkpoint writer, recovery.

use crate::checkpoint::{CheckpointCommand, CheckpointPolicy, CheckpointStore, Mark};
use crate::checkpoint::{CheckpointWriter, MemoryStore, Slicer, StoreTear};
use crate::error::JournalError;
use crate::group::GroupCommit;
use crate::log::{Log, MemoryDisk, Tear};
use crate::recover::{Recovered, recover};
use crate::testing::{Rows, Toy};
use mammoth_platform::{Entropy, SeededEntropy};
use mammoth_protocol::Seq;
use mammoth_protocol::journaled::Journaled;
use std::collections::VecDeque;

const CLUSTER: &str = "CID-crash";
/// Small slices, so that a checkpoint of twenty accounts takes several steps.
const POLICY: CheckpointPolicy = CheckpointPolicy { bytes: 400, interval_ms: u64::MAX, rows_per_slice: 3 };

/// Mistakes that the tests must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    EffectBeforeSync,
    RowsBeforeLogSync,
    MarkBeforeRows,
    TrimBeforeMark,
}

/// What outlives a crash, and what the oracle knows.
struct World {
    disk: MemoryDisk,
    store: MemoryStore,
    random: SeededEntropy,
    /// The state after each record; the first is the empty one.
    oracle: Vec<Rows>,
    /// What was told to clients.
    acknowledged: Seq,
    crashes: u64,
    checkpoints: u64,
    replayed: u64,
    bug: Bug,
}

/// What a crash ends.
struct Node {
    toy: Toy,
    group: GroupCommit<Seq>,
    log: Log<MemoryDisk>,
    slicer: Slicer,
    writer: CheckpointWriter<MemoryStore>,
    commands: VecDeque<CheckpointCommand>,
}

impl World {
    fn new(seed: u64, bug: Bug) -> Self {
        let mut disk = MemoryDisk::new();
        Log::format(&mut disk, CLUSTER).unwrap();
        Self {
            disk,
            store: MemoryStore::new(),
            random: SeededEntropy::new(seed),
            oracle: vec![Rows::new()],
            acknowledged: Seq(0),
            crashes: 0,
            checkpoints: 0,
            replayed: 0,
            bug,
        }
    }

    fn below(&self, n: u64) -> u64 {
        self.random.next_u64() % n
    }

    /// Starts a node from what the disks hold, and compares it with the oracle.
    fn start(&mut self) -> Result<Node, String> {
        let found = recover(self.disk.clone(), &self.store, CLUSTER, Toy::empty()).map_err(|e| e.to_string())?;
        let Recovered { state: toy, log, stats } = found;
        let last = log.last();
        if last < self.acknowledged {
            return Err(format!("record {} was acknowledged, the log ends at {last}", self.acknowledged));
        }
        let expected = self.oracle.get(usize::try_from(last.0).unwrap()).ok_or("records out of nowhere")?;
        if toy.rows != *expected {
            return Err(format!("after record {last}: {:?} instead of {expected:?}", toy.rows));
        }
        toy.check();
        // What was not durable never happened.
        self.oracle.truncate(usize::try_from(last.0).unwrap() + 1);
        self.acknowledged = last;
        self.replayed += stats.records_replayed;
        let group = GroupCommit::new(log.term(), last);
        let slicer = Slicer::new(POLICY, stats.applied, stats.bytes_replayed, 0);
        let writer = CheckpointWriter::new(self.store.clone()).map_err(|e| e.to_string())?;
        Ok(Node { toy, group, log, slicer, writer, commands: VecDeque::new() })
    }

    /// One random step of a node.
    fn step(&mut self, node: &mut Node) -> Result<(), JournalError> {
        match self.below(8) {
            0..=2 => {
                let edits = node.toy.decide(&self.random);
                let next = node.group.next_seq();
                let seq = node.group.decided(|out| Toy::encode_edits(&edits, out), next).unwrap();
                for edit in &edits {
                    node.toy.apply(seq, edit);
                }
                self.oracle.push(node.toy.rows.clone());
            }
            3 | 4 => {
                let Some(group) = node.group.next_group() else { return Ok(()) };
                node.log.append(&group)?;
                if self.bug == Bug::EffectBeforeSync {
                    self.acknowledged = group.last;
                }
                node.log.sync()?;
                for effect in node.group.synced(group.last) {
                    self.acknowledged = self.acknowledged.max(effect);
                }
            }
            5 => {
                let (decided, bytes) = (node.group.decided_seq(), node.group.bytes_decided());
                if node.slicer.begin_if_due(0, decided, bytes) {
                    node.log.roll()?;
                    if self.bug == Bug::TrimBeforeMark {
                        node.log.trim(node.group.synced_seq())?;
                    }
                }
                node.commands.extend(node.slicer.next(&mut node.toy, decided));
            }
            _ => self.carry_out(node)?,
        }
        Ok(())
    }

    fn carry_out(&mut self, node: &mut Node) -> Result<(), JournalError> {
        let gate = node.commands.front().map(CheckpointCommand::needs_synced);
        let open = gate.is_some_and(|seq| seq <= node.group.synced_seq() || self.bug == Bug::RowsBeforeLogSync);
        let Some(command) = node.commands.pop_front_if(|_| open) else { return Ok(()) };
        if let (Bug::MarkBeforeRows, CheckpointCommand::Rows { decided, .. }) = (self.bug, &command) {
            self.store.clone().set_mark(Mark::Applied, *decided)?;
        }
        if let Some(applied) = node.writer.carry_out(command)? {
            node.slicer.ended();
            node.log.trim(applied)?;
            self.checkpoints += 1;
        }
        Ok(())
    }

    fn crash(&mut self, tear: Tear, store_tear: StoreTear) {
        self.disk.crash(tear);
        self.store.crash(store_tear);
        self.disk.heal();
        self.crashes += 1;
    }

    fn random_crash(&mut self) {
        let n = usize::try_from(self.below(200)).unwrap();
        let tear = [Tear::Lost, Tear::Prefix(n), Tear::Hole(n), Tear::Kept][n % 4];
        let store_tear =
            [StoreTear::Lost, StoreTear::Prefix(n % 8), StoreTear::Some(self.random.next_u64()), StoreTear::Kept]
                [n / 4 % 4];
        self.crash(tear, store_tear);
    }
}

/// A few lives of a node, each ended by a crash or a failing disk.
fn lives(seed: u64, bug: Bug) -> Result<World, String> {
    let mut world = World::new(seed, bug);
    for _ in 0..8 {
        let mut node = world.start()?;
        match world.below(4) {
            0 => world.disk.fail_append_after(usize::try_from(world.below(30)).unwrap()),
            1 => world.disk.fail_sync_after(usize::try_from(world.below(30)).unwrap()),
            2 => world.store.fail_after(usize::try_from(world.below(100)).unwrap()),
            _ => world.disk.fill_up_after(usize::try_from(world.below(5000)).unwrap()),
        }
        let steps = world.below(600);
        for _ in 0..steps {
            if world.step(&mut node).is_err() {
                break;
            }
        }
        drop(node);
        world.random_crash();
    }
    world.start()?;
    Ok(world)
}

#[test]
fn random_lives_and_deaths_lose_nothing_that_was_acknowledged() {
    let (mut checkpoints, mut replayed) = (0, 0);
    for seed in 0..150 {
        let world = lives(seed, Bug::None).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        checkpoints += world.checkpoints;
        replayed += world.replayed;
    }
    assert!(checkpoints > 300 && replayed > 300, "checkpoints {checkpoints}, replayed {replayed}");
}

#[test]
fn planted_bugs_are_noticed() {
    for bug in [Bug::EffectBeforeSync, Bug::RowsBeforeLogSync, Bug::MarkBeforeRows, Bug::TrimBeforeMark] {
        let noticed = |seed| std::panic::catch_unwind(|| lives(seed, bug).map(drop)).map_or(true, |r| r.is_err());
        assert!((0..150).any(noticed), "{bug:?} went unseen");
    }
}

/// Runs the same 400 steps until the store fails at its `n`th write or sync; `None` once it never does.
fn until_store_write(n: usize) -> Option<World> {
    let mut world = World::new(7, Bug::None);
    let mut node = world.start().unwrap();
    world.store.fail_after(n);
    for _ in 0..400 {
        if world.step(&mut node).is_err() {
            return Some(world);
        }
    }
    None
}

#[test]
fn a_crash_after_any_row_and_any_step_of_a_checkpoint_is_survived() {
    let mut n = 0;
    while until_store_write(n).is_some() {
        for store_tear in [StoreTear::Lost, StoreTear::Prefix(1), StoreTear::Some(0x5555_5555), StoreTear::Kept] {
            for tear in [Tear::Lost, Tear::Kept] {
                let mut world = until_store_write(n).unwrap();
                world.crash(tear, store_tear);
                let told = |e: String| panic!("store write {n}, {store_tear:?}, {tear:?}: {e}");
                let mut node = world.start().unwrap_or_else(told);
                // Life goes on: the next checkpoint starts from what this one left.
                for _ in 0..200 {
                    world.step(&mut node).unwrap();
                }
                world.crash(Tear::Lost, StoreTear::Lost);
                world.start().unwrap_or_else(told);
            }
        }
        n += 1;
    }
    assert!(n > 50, "the checkpoints took {n} steps");
}

#[test]
fn a_log_that_lost_records_of_the_checkpoint_is_refused() {
    let mut world = World::new(1, Bug::None);
    let mut node = world.start().unwrap();
    while world.checkpoints == 0 {
        world.step(&mut node).unwrap();
    }
    let applied = world.store.mark(Mark::Applied).unwrap();
    let fresh = MemoryDisk::new();
    Log::format(&mut fresh.clone(), CLUSTER).unwrap();
    let error = recover(fresh, &world.store, CLUSTER, Toy::empty()).unwrap_err().to_string();
    assert!(error.contains("ends at record 0, the checkpoint is of record"), "{error}");
    let error = recover(world.disk, &MemoryStore::new(), CLUSTER, Toy::empty()).unwrap_err().to_string();
    assert!(applied > Seq(0) && error.contains("the checkpoint ends at record 0"), "{error}");
}
