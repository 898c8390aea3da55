//! `truncate`: whole blocks go at once, a block is cut by a recovery that knows its length.

use crate::api::{Answer, Command, Query, Reply};
use crate::testing::{World, create, delete, path, root, user};
use mammoth_protocol::internal::{CommitBlockSync, DnCommand, ReplicaEvent};
use mammoth_protocol::{Block, CallId, Caller, ErrorCode, GenStamp, Uuid};

fn truncate(text: &str, len: u64) -> Command {
    Command::Truncate { path: path(text), len, client: "t".to_owned() }
}

fn lens(world: &World, text: &str) -> Vec<u64> {
    match world.ask(&root(), Query::BlockLocations { path: path(text), offset: 0, len: u64::MAX }) {
        Ok(Answer::Blocks(found)) => found.blocks.iter().map(|located| located.block.len).collect(),
        other => panic!("{other:?}"),
    }
}

fn is_closed(world: &World, text: &str) -> bool {
    world.ask(&root(), Query::IsFileClosed { path: path(text) }) == Ok(Answer::Bool(true))
}

/// The one cut that some datanode is ordered to lead.
fn order(world: &mut World) -> Option<(Block, GenStamp, u64)> {
    let orders: Vec<DnCommand> = (0..world.nodes.len()).flat_map(|at| world.heartbeat(at)).collect();
    let cuts = orders.into_iter().filter_map(|order| match order {
        DnCommand::Recover { block, new_stamp, cut, replicas } => {
            assert_eq!(replicas.len(), 3);
            Some((block, new_stamp, cut.expect("no recovery but a cut")))
        }
        _ => None,
    });
    let all: Vec<_> = cuts.collect();
    assert!(all.len() < 2, "{all:?}");
    all.first().copied()
}

fn commit(world: &World, block: Block, new_stamp: GenStamp, new_len: u64, delete: bool) -> Command {
    let storages = world.nodes.iter().map(crate::testing::Node::storage).collect();
    let (datanode, epoch) = (world.nodes[0].id(), Default::default());
    Command::CommitBlockSync(CommitBlockSync { datanode, epoch, block, new_stamp, new_len, delete, storages })
}

/// The datanodes carry the cut out.
fn cut(world: &mut World, block: Block, stamp: GenStamp, len: u64) {
    world.must(commit(world, block, stamp, len, false));
    for at in 0..world.nodes.len() {
        world.tell(at, ReplicaEvent::Received(Block { id: block.id, stamp, len }));
    }
}

#[test]
fn whole_blocks_go_at_once() {
    let mut world = World::with_nodes();
    let id = world.file("/f", &[100, 100, 100, 100, 100, 40]);
    world.now.wall_ms += 5_000;
    assert_eq!(world.must(truncate("/f", 540)), Reply::Done(true), "nothing to do");
    assert_eq!(world.must(truncate("/f", 500)), Reply::Done(true));
    assert_eq!(lens(&world, "/f"), [100; 5]);
    assert_eq!(world.must(truncate("/f", 200)), Reply::Done(true));
    assert_eq!(lens(&world, "/f"), [100; 2]);
    assert!(is_closed(&world, "/f"));
    assert_eq!(world.state.rows.inode(id).map(|inode| inode.mtime_ms), Some(world.now.wall_ms));
    assert_eq!(world.must(truncate("/f", 0)), Reply::Done(true));
    assert_eq!(lens(&world, "/f"), [0; 0]);
    assert_eq!(world.must(truncate("/f", 0)), Reply::Done(true));
    world.restart();
    assert_eq!(world.len_of("/f"), 0);
}

#[test]
fn rows_of_further_blocks_go_as_rows() {
    for (keep, edits) in [(300, 7 + 1), (260, 1 + 1), (259, 1 + 1 + 1), (4, 1 + 1 + 1), (2, 2 + 1 + 1 + 1)] {
        let mut world = World::with_nodes();
        let id = world.file("/f", &[1; 307]);
        let made = crate::testing::edits_of(&world, &root(), &truncate("/f", keep));
        assert_eq!(made.len(), edits, "{keep}: {made:?}");
        assert_eq!(world.must(truncate("/f", keep)), Reply::Done(true));
        assert_eq!(world.state.rows.block_count(id) as u64, keep);
        world.restart();
        assert_eq!(world.state.rows.block_count(id) as u64, keep);
    }
}

#[test]
fn a_block_is_cut_by_a_recovery_that_knows_its_length() {
    let mut world = World::with_nodes();
    world.file("/f", &[100, 100, 30]);
    assert_eq!(world.must(truncate("/f", 150)), Reply::Done(false));
    assert_eq!((lens(&world, "/f"), is_closed(&world, "/f")), (vec![100, 100], false), "long until it is cut");
    let (block, stamp, len) = order(&mut world).expect("ordered");
    assert_eq!((block.len, len), (100, 50));
    let appended = Command::Append { path: path("/f"), client: "t".to_owned(), new_block: false };
    assert_eq!(world.refuse(appended).0, ErrorCode::RecoveryInProgress);
    assert_eq!(world.must(truncate("/f", 150)), Reply::Done(false), "asked again");
    assert_eq!(world.refuse(truncate("/f", 120)).0, ErrorCode::RecoveryInProgress);
    for (wrong, delete) in [(49, false), (100, false), (50, true)] {
        let (code, message) = world.refuse(commit(&world, block, stamp, wrong, delete));
        assert_eq!((code, message.contains("being cut to 50 bytes")), (ErrorCode::Io, true), "{message}");
    }
    cut(&mut world, block, stamp, len);
    assert_eq!((lens(&world, "/f"), is_closed(&world, "/f")), (vec![100, 50], true));
    world.pass(10_000);
    assert_eq!(world.state.health(world.now).under_replicated, 0);
    let appended = Command::Append { path: path("/f"), client: "t".to_owned(), new_block: false };
    assert!(matches!(world.must(appended), Reply::Appended { last: Some(last), .. } if last.block.len == 50));
}

#[test]
fn a_cut_is_tried_again_and_survives_a_restart() {
    let mut world = World::with_nodes();
    let id = world.file("/f", &[100]);
    assert_eq!(world.must(truncate("/f", 70)), Reply::Done(false));
    let (block, first, _) = order(&mut world).expect("ordered");
    world.pass(60_000);
    let (_, second, len) = order(&mut world).expect("ordered again");
    assert!(second > first && len == 70);
    assert_eq!(world.refuse(commit(&world, block, first, 70, false)).0, ErrorCode::Io);
    for checkpoint in [0, usize::MAX] {
        world.checkpoint(checkpoint);
        world.restart();
        (0..3).for_each(|at| world.register(at));
        (0..3).for_each(|at| world.tell(at, ReplicaEvent::Received(block)));
        world.pass(60_000);
        let (_, third, len) = order(&mut world).expect("ordered by the next namenode");
        assert!(third > second && len == 70);
    }
    let building = world.state.rows.last_block(id).and_then(|(_, _, building)| building.cloned()).expect("at work");
    let stamp = building.recovery.expect("under way");
    cut(&mut world, block, stamp, 70);
    assert_eq!((lens(&world, "/f"), is_closed(&world, "/f")), (vec![70], true));
}

#[test]
fn what_cannot_be_truncated_is_refused_in_hdfs_words() {
    let mut world = World::with_nodes();
    world.file("/f", &[100]);
    world.mkdirs("/d");
    for (command, code, text) in [
        (
            truncate("/f", 101),
            ErrorCode::IllegalArgument,
            "Cannot truncate to a larger file size. Current size: 100, truncate size: 101.",
        ),
        (truncate("/d", 0), ErrorCode::FileNotFound, "Path is not a file: /d"),
        (truncate("/x", 0), ErrorCode::FileNotFound, "File does not exist: /x"),
    ] {
        assert_eq!(world.refuse(command), (code, text.to_owned()));
    }
    assert_eq!(world.act(&user("eve", &[]), truncate("/f", 0)).unwrap_err().code, ErrorCode::AccessControl);
    world.must(create("/open", "c"));
    let (code, message) = world.refuse(truncate("/open", 0));
    assert_eq!(code, ErrorCode::AlreadyBeingCreated);
    assert!(message.starts_with("Failed to TRUNCATE_FILE /open for t on "), "{message}");
    for at in 0..3 {
        let block = Block { id: mammoth_protocol::BlockId((1 << 30) + 1), stamp: GenStamp(1001), len: 100 };
        world.tell(at, ReplicaEvent::Bad(block));
    }
    let (_, message) = world.refuse(truncate("/f", 50));
    assert!(message.ends_with("of src=/f is not sufficiently replicated yet."), "{message}");
}

#[test]
fn a_file_that_is_being_cut_may_be_deleted() {
    let mut world = World::with_nodes();
    let id = world.file("/f", &[100]);
    world.must(truncate("/f", 1));
    world.must(delete("/f", false));
    world.pass(60_000);
    assert_eq!((order(&mut world), world.state.rows.inode(id).is_some()), (None, false));
}

#[test]
fn a_repeated_call_does_not_cut_what_was_written_since() {
    let mut world = World::with_nodes();
    world.file("/f", &[100, 100]);
    let caller = Caller { call: Some(CallId { client: Uuid(1), call: 1 }), ..root() };
    assert_eq!(world.act(&caller, truncate("/f", 100)), Ok(Reply::Done(true)));
    let idle = Caller { call: Some(CallId { client: Uuid(1), call: 2 }), ..root() };
    assert_eq!(world.act(&idle, truncate("/f", 100)), Ok(Reply::Done(true)), "nothing to do");
    world.must(Command::Append { path: path("/f"), client: "a".to_owned(), new_block: false });
    let block = Block { len: 60, ..world.add_block("/f", "a", None) };
    world.receive(block);
    world.must(crate::testing::complete("/f", "a", Some(block)));
    for repeated in [caller, idle] {
        assert_eq!(world.act(&repeated, truncate("/f", 100)), Ok(Reply::Done(true)));
    }
    assert_eq!(world.len_of("/f"), 160);
}
