//! What a file costs in memory. Ignored by default: it looks at the whole process, so each test must run alone, with
//! `cargo test -p mammoth-namenode-core -- --ignored --exact state::memory::a_one_block_file`.

use crate::rows::{Created, Edit, Lease, NewFile};
use crate::state::State;
use crate::testing::{World, config};
use mammoth_protocol::internal::{FullReportSlice, ReplicaEvent, ReplicaState, ReportedReplica};
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Block, BlockId, GenStamp, InodeId, Seq, StorageId};

const FILES: u64 = 400_000;
const FILES_PER_FOLDER: u64 = 1_000;
/// Names, folder entries, block and three replicas included.
const BYTES_MAX: u64 = 140;

/// Bytes of memory that this process has in use.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn block(n: u64) -> Block {
    Block { id: BlockId(BlockId::RESERVED.0 + 1 + n as i64), stamp: GenStamp(2_000 + n), len: 1 << 27 }
}

fn create(id: InodeId, parent: InodeId, name: String, file: Option<NewFile>) -> Edit {
    let (owner, group) = ("hdfs".into(), "supergroup".into());
    let mtime_ms = 1_700_000_000_000;
    Edit::Created(Box::new(Created { id, parent, name: name.into(), owner, group, mode: 0o644, mtime_ms, file }))
}

/// The edits that make file `n`, closed with one block; and, before the first of a folder, the folder.
fn edits_of(n: u64, targets: &[StorageId]) -> Vec<Edit> {
    let number = n / FILES_PER_FOLDER;
    let folder = InodeId(InodeId::ROOT.0 + 1 + number * (FILES_PER_FOLDER + 1));
    let file = InodeId(folder.0 + 1 + n % FILES_PER_FOLDER);
    let lease = Lease { client: "client".into(), addr: None };
    let new_file = NewFile { replication: 3, block_size: 1 << 27, lease };
    let whole = block(n);
    let mut edits = Vec::new();
    if n.is_multiple_of(FILES_PER_FOLDER) {
        edits.push(create(folder, InodeId::ROOT, format!("folder-{number}"), None));
    }
    edits.extend([
        create(file, folder, format!("part-r-{n:05}"), Some(new_file)),
        Edit::BlockAdded { file, index: 0, block: whole.id, stamp: whole.stamp, targets: targets.to_vec() },
        Edit::BlockCommitted { file, index: 0, block: whole, holders: None },
        Edit::Closed { id: file, mtime_ms: 1_700_000_000_900 },
    ]);
    edits
}

fn assert_small(before: u64) {
    let bytes = (resident() - before) / FILES;
    println!("{bytes} bytes a file");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes a file");
}

#[test]
#[ignore = "looks at the whole process: run it alone"]
fn a_one_block_file() {
    let mut world = World::with_nodes();
    let targets: Vec<_> = world.nodes.iter().map(crate::testing::Node::storage).collect();
    let mut keys = Vec::new();
    let before = resident();
    for n in 0..FILES {
        for edit in edits_of(n, &targets) {
            world.state.apply(Seq(40_000_000 + n), &edit);
        }
        for at in 0..3 {
            world.tell_unchecked(at, ReplicaEvent::Received(block(n)));
        }
        if n % 1_000 == 0 {
            keys.clear();
            world.state.take_touched(usize::MAX, &mut keys);
            // What is expected for a while is remembered for a while.
            world.now.monotonic_ms += 20_000;
            (0..3).for_each(|at| drop(world.heartbeat_unchecked(at)));
            world.state.tick(world.now, n);
        }
    }
    drop(keys);
    assert_small(before);
}

#[test]
#[ignore = "looks at the whole process: run it alone"]
fn a_one_block_file_after_a_restart() {
    let mut world = World::with_nodes();
    let before = resident();
    let mut state = State::new(config(), world.now);
    for first in (0..FILES).step_by(FILES_PER_FOLDER as usize) {
        let mut part = State::new(config(), world.now);
        for n in first..first + FILES_PER_FOLDER {
            edits_of(n, &[]).iter().for_each(|edit| part.apply(Seq(40_000_000 + n), edit));
        }
        for (key, value) in crate::check::rows(&part) {
            state.load_row(&key, &value).unwrap();
        }
    }
    state.finish_load().unwrap();
    world.state = state;
    for at in 0..3 {
        world.register_unchecked(at);
        for (number, first) in (0..FILES).step_by(100_000).enumerate() {
            let last = (first + 100_000).min(FILES);
            let whole = |n| ReportedReplica { block: block(n), state: ReplicaState::Finalized };
            let slice = FullReportSlice {
                slice: number as u32,
                last: last == FILES,
                replicas: (first..last).map(whole).collect(),
                ..world.empty_report(at)
            };
            world.state.observe(world.now, crate::api::Report::Full(slice));
        }
    }
    let found = world.state.blocks.confirmed(block(FILES - 1).id);
    assert_eq!(found, 3);
    assert_small(before);
}
