//! Both halves of the core together: a file is written, loses a datanode, heals, and sheds what the datanode brings back.

use crate::api::{Answer, FileBlocks, Query};
use crate::testing::{World, config, path, root};
use mammoth_protocol::internal::{DnCommand, ReplicaEvent};
use mammoth_protocol::{Block, BlockId};
use std::collections::{BTreeMap, BTreeSet};

/// The file's blocks and the indexes of the datanodes that readers are sent to.
fn places(world: &World) -> BTreeMap<BlockId, BTreeSet<usize>> {
    let query = Query::BlockLocations { path: path("/f"), offset: 0, len: u64::MAX };
    let Ok(Answer::Blocks(blocks)) = world.ask(&root(), query) else { panic!("the file is there") };
    let FileBlocks { blocks, .. } = *blocks;
    let index = |storage| world.nodes.iter().position(|n| n.storage() == storage).expect("a known volume");
    blocks.iter().map(|b| (b.block.id, b.places.iter().map(|p| index(p.storage)).collect())).collect()
}

/// Ten seconds pass for the datanodes that live; they carry out what they are told. Gives the number of deletions.
fn live(world: &mut World, nodes: &[usize]) -> usize {
    world.now.monotonic_ms += 10_000;
    world.now.wall_ms += 10_000;
    let mut deleted = 0;
    for &at in nodes {
        for order in world.heartbeat(at) {
            deleted += carry_out(world, at, &order);
        }
    }
    world.tick();
    deleted
}

fn carry_out(world: &mut World, at: usize, order: &DnCommand) -> usize {
    if let DnCommand::Copy { block, targets } = order {
        for target in targets {
            let to = world.nodes.iter().position(|n| n.storage() == target.storage).expect("a known volume");
            world.tell(to, ReplicaEvent::Received(*block));
        }
    }
    let DnCommand::Delete { blocks, .. } = order else { return 0 };
    for block in blocks {
        world.tell(at, ReplicaEvent::Deleted(*block));
    }
    blocks.len()
}

#[test]
fn a_file_heals_from_the_loss_of_a_datanode_and_sheds_what_it_brings_back() {
    let mut world = World::new(config());
    world.join(4);
    world.file("/f", &[100, 50]);
    let before = places(&world);
    assert!(before.len() == 2 && before.values().all(|at| at.len() == 3), "{before:?}");
    let lost = *before.values().next().and_then(|at| at.first()).expect("three places");
    let held: Vec<_> = before.iter().filter(|(_, at)| at.contains(&lost)).map(|(id, _)| *id).collect();
    let blocks: Vec<_> = held.iter().map(|&id| block_of(&world, id)).collect();

    let others: Vec<usize> = (0..4).filter(|&at| at != lost).collect();
    for _ in 0..70 {
        assert_eq!(live(&mut world, &others), 0);
    }
    let healed = places(&world);
    assert!(healed.values().all(|at| at.len() == 3 && !at.contains(&lost)), "{healed:?}");

    world.register(lost);
    for &block in &blocks {
        world.tell(lost, ReplicaEvent::Received(block));
    }
    let deleted: usize = (0..5).map(|_| live(&mut world, &[0, 1, 2, 3])).sum();
    assert_eq!(deleted, held.len(), "one of four each");
    assert!(places(&world).values().all(|at| at.len() == 3));
}

fn block_of(world: &World, id: BlockId) -> Block {
    let meta = world.state.blocks.get(id).expect("a file owns it");
    Block { id, stamp: meta.stamp, len: meta.len }
}
