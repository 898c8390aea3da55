//! What a file costs in memory. Ignored by default: it looks at the whole process, so it must run alone, with
//! `cargo test -p mammoth-namenode-core -- --ignored --exact state::memory::a_one_block_file`.

use crate::rows::{Created, Edit, Lease, NewFile};
use crate::testing::World;
use mammoth_protocol::internal::ReplicaEvent;
use mammoth_protocol::journaled::Journaled;
use mammoth_protocol::{Block, BlockId, GenStamp, InodeId, Seq};

const FILES: u64 = 200_000;
const FILES_PER_FOLDER: u64 = 1_000;
/// Of these, the namespace's part is about half; the rest is the block map's entry, index and lists by volume.
const BYTES_MAX: u64 = 280;

/// Bytes of memory that this process has in use.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
#[ignore = "looks at the whole process: run it alone"]
fn a_one_block_file() {
    let mut world = World::with_nodes();
    let targets: Vec<_> = world.nodes.iter().map(crate::testing::Node::storage).collect();
    let before = resident();
    let mut folder = InodeId::ROOT;
    let mut next = InodeId::ROOT.0;
    let create = |id, parent, name: String, file| {
        Edit::Created(Box::new(Created {
            id,
            parent,
            name: name.into(),
            owner: "hdfs".into(),
            group: "supergroup".into(),
            mode: 0o644,
            mtime_ms: 1,
            file,
        }))
    };
    let mut keys = Vec::new();
    for n in 0..FILES {
        let seq = Seq(n + 1);
        let mut edits = Vec::new();
        if n % FILES_PER_FOLDER == 0 {
            next += 1;
            folder = InodeId(next);
            edits.push(create(folder, InodeId::ROOT, format!("folder-{n}"), None));
        }
        next += 1;
        let (file, id, stamp) = (InodeId(next), BlockId(BlockId::RESERVED.0 + 1 + n as i64), GenStamp(2_000 + n));
        let lease = Lease { client: "client".into(), addr: None };
        let new_file = NewFile { replication: 3, block_size: 1 << 27, lease };
        edits.push(create(file, folder, format!("part-r-{n:05}"), Some(new_file)));
        let targets = targets.clone();
        edits.push(Edit::BlockAdded { file, index: 0, block: id, stamp, targets });
        let block = Block { id, stamp, len: 1 << 27 };
        edits.push(Edit::BlockCommitted { file, index: 0, block, holders: None });
        edits.push(Edit::Closed { id: file, mtime_ms: 2 });
        for edit in &edits {
            world.state.apply(seq, edit);
        }
        for at in 0..3 {
            world.tell_unchecked(at, ReplicaEvent::Received(block));
        }
        if n % 1_000 == 0 {
            keys.clear();
            world.state.take_touched(usize::MAX, &mut keys);
        }
    }
    world.state.take_touched(usize::MAX, &mut keys);
    drop(keys);
    let bytes = (resident() - before) / FILES;
    println!("{bytes} bytes a file, names, folder entry and block with three replicas included");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}
